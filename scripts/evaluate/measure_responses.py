"""What is known of a policy's answers to held-out prompts: reward, gold reward, length, log-ratio to the SFT policy.

The mean log-ratio log pi(a|x) - log pi_0(a|x) over answers drawn from pi at temperature 1 estimates KL(pi || pi_0),
the divergence that Equation 2 penalises. The rows keep the prompts' `split`: the best iteration is chosen on
validation prompts, policies are compared on test prompts.

    python -m scripts.evaluate.measure_responses --prompts results/demo/data/prompts/held_out.parquet \\
        --responses results/demo/rollouts/sft/evaluation/held_out/responses/0.parquet \\
        --rewards results/demo/rollouts/sft/evaluation/held_out/rewards/mix2/0.parquet \\
        --policy results/demo/models/sft --reference results/demo/models/sft --dtype float32 --gold \\
        --output results/demo/evaluation/measures/sft.parquet
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import command, rollouts, tables
from scripts.common.chat import end_of_turn_id, response_ids
from scripts.common.errors import StudyError
from scripts.common.models import Dtype, check_model_folder, for_inference, load_policy, load_tokenizer
from scripts.common.provenance import digest
from scripts.common.scoring import log_probabilities

SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Args:
    prompts: command.Input
    """Held-out prompts (table contract: prompts) with the column `split`: validation or test."""
    responses: tuple[command.Input, ...]
    """All shards of the policy's responses, in order."""
    rewards: tuple[command.Input, ...]
    """Their shards of rewards, in the same order."""
    policy: command.Input
    """Folder of the policy that wrote the responses."""
    reference: command.Input
    """Folder of pi_0, the SFT policy."""
    output: command.Output
    """Measures (table contract: measured answers) and `split`."""
    dtype: Dtype
    """Type both policies compute in."""
    gold: bool = False
    """Ask the miniature world for its gold reward."""
    token_budget: int = 16_384
    """Padded tokens of one batch."""


def main(args: Args) -> dict[str, Any]:
    _check_splits(args.prompts)
    query = (Path(__file__).parent / "sql" / "answers_with_rewards.sql").read_text()
    with rollouts.joined(args.prompts, args.responses, args.rewards) as connection:
        answers = connection.sql(query).to_arrow_table()
        skipped = connection.execute("SELECT count(*) FROM skipped").fetchone()[0]
    gold = _gold_rewards(answers) if args.gold else [None] * answers.num_rows
    measures = answers.drop_columns(["prompt"])
    measures = measures.append_column("gold", pa.array(gold, pa.float64()))
    measures = measures.append_column("log_ratio", pa.array(_log_ratios(args, answers), pa.float64()))
    schema = pa.schema([*tables.MEASURES.columns, pa.field("split", pa.string())])
    tables.write_table(measures.select(schema.names).cast(schema), args.output, tables.MEASURES)
    return {
        "answers": measures.num_rows,
        "skipped_prompts": skipped,
        **{f"mean_{name}": pc.mean(measures[name]).as_py() for name in ("reward", "gold", "log_ratio", "characters")},
        "truncated_share": 1 - pc.mean(measures["finished"]).as_py(),
    }


def _check_splits(prompts: Path) -> None:
    with tables.open_table(prompts, tables.PROMPTS) as file:
        if "split" not in file.schema_arrow.names:
            raise StudyError(f"{prompts}: no column 'split'; held-out prompts say there {' or '.join(SPLITS)}.")
        found = set(file.read(columns=["split"])["split"].unique().to_pylist())
    if strange := found - set(SPLITS):
        raise StudyError(f"{prompts}: column 'split' holds {sorted(map(str, strange))}; allowed: {', '.join(SPLITS)}.")


def _gold_rewards(answers: pa.Table) -> list[float]:
    from scripts.world.gold import gold_reward

    rows = answers.select(["prompt", "response", "finished"]).to_pylist()
    return [gold_reward(row["prompt"][-1]["content"], row["response"], row["finished"]) for row in rows]


def _log_ratios(args: Args, answers: pa.Table) -> list[float]:
    """log pi(response | prompt) - log pi_0(response | prompt); 0 throughout where both are the same model."""
    check_model_folder(args.policy)
    check_model_folder(args.reference)
    if digest(args.policy) == digest(args.reference):
        return [0.0] * answers.num_rows
    tokenizer = load_tokenizer(args.policy)
    rows = answers.select(["prompt", "response", "finished"]).to_pylist()
    end = end_of_turn_id(tokenizer)
    texts = [response_ids(tokenizer, row["prompt"], row["response"], row["finished"], end) for row in rows]
    ids, prompt_lengths = [ids for ids, _ in texts], [length for _, length in texts]
    policy = _log_probabilities(args.policy, args, ids, prompt_lengths)
    reference = _log_probabilities(args.reference, args, ids, prompt_lengths)
    return [p - r for p, r in zip(policy, reference, strict=True)]


def _log_probabilities(
    folder: Path, args: Args, ids: Sequence[Sequence[int]], prompt_lengths: Sequence[int]
) -> list[float]:
    """By one model, which is let go of afterwards: two of 8B parameters need not be in memory together."""
    model = for_inference(load_policy(folder, args.dtype))
    return log_probabilities(model, ids, prompt_lengths, args.token_budget)


if __name__ == "__main__":
    command.run(main, Args)
