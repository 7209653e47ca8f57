"""Rollouts made by hand for tests of what comes after generation and scoring."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common import rollouts, tables
from tests.unit.engines_fixtures import user


def write_rollouts(
    folder: Path,
    candidates: dict[str, list[tuple]],
    shards: int = 1,
    skipped: tuple[str, ...] = (),
    columns: dict[str, list] | None = None,
    text: Callable[[str], str] = "say {}".format,
    first_actor: int = 0,
) -> dict[str, object]:
    """Tables of prompts, responses and rewards; `candidates`: (text, reward) or (text, reward, finished) by prompt.

    The first half of a prompt's candidates are the first actor's, the others the next one's. `columns` are further
    columns of the prompt table; `text` makes a prompt's text from its name. Returns the arguments prompts, responses
    and rewards.
    """
    folder.mkdir(exist_ok=True)
    names = list(candidates)
    prompts = [{"prompt_id": name, "source": "test", "prompt": user(text(name))} for name in names]
    table = pa.Table.from_pylist(prompts, schema=tables.PROMPTS.columns)
    for name, values in (columns or {}).items():
        table = table.append_column(name, pa.array(values))
    tables.write_table(table, folder / "prompts.parquet", tables.PROMPTS)
    paths: dict[str, list[Path]] = {"responses": [], "rewards": []}
    for shard in range(shards):
        responses, rewards = [], []
        for prompt in prompts[shard::shards]:
            for i, (text, reward, *finished) in enumerate(candidates[prompt["prompt_id"]]):
                half = max(1, len(candidates[prompt["prompt_id"]]) // 2)
                key = {
                    "prompt_id": prompt["prompt_id"],
                    "actor": first_actor + int(i >= half),
                    "k": i % half if i < half else i - half,
                }
                rewards.append({**key, "reward": float(reward)})
                responses.append(
                    {
                        **key,
                        "prompt": prompt["prompt"],
                        "temperature": 1.0,
                        "seed": i,
                        "response": text,
                        "tokens": len(text.split()) + 1,
                        "finished": finished[0] if finished else True,
                    }
                )
        for kind, rows, schema in (
            (
                "responses",
                responses,
                rollouts.responses_schema(
                    [p["prompt_id"] for p in prompts[shard::shards] if p["prompt_id"] in skipped]
                ),
            ),
            ("rewards", rewards, tables.REWARDS.columns),
        ):
            path = folder / f"{kind}-{shard}.parquet"
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
            paths[kind].append(path)
    return {
        "prompts": folder / "prompts.parquet",
        "responses": tuple(paths["responses"]),
        "rewards": tuple(paths["rewards"]),
    }
