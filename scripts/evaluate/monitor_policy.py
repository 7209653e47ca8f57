"""What an iteration did to a policy, on validation prompts: what it gained, how far it drifted, whether it collapses.

Reward and wins are counted against the policy before; length is compared with the SFT policy's. `agreement` is the
share of prompts on which judge and reward model prefer the same of the two policies' answers: where it falls towards
one half, the policy follows what only the reward model likes (reward hacking).

    python -m scripts.evaluate.monitor_policy --measures results/demo/evaluation/measures/iterative-iter2.parquet \\
        --previous results/demo/evaluation/measures/iterative-iter1.parquet \\
        --sft results/demo/evaluation/measures/sft.parquet --judge gold --seed 1 \\
        --output results/demo/evaluation/monitors/iterative-iter2.parquet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, mean

if TYPE_CHECKING:
    import pyarrow as pa

QUERIES = Path(__file__).parent / "sql"


@dataclass(frozen=True)
class Args:
    measures: command.Input
    """Measured answers of the policy (table contract: measured answers, and `split`)."""
    previous: command.Input
    """Those of the policy that this iteration started from."""
    sft: command.Input
    """Those of the SFT policy."""
    output: command.Output
    """A row for each measure with its interval (table contract: monitor)."""
    judge: Literal["gold", "reward"] = "reward"
    """Whose scores decide wins."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict[str, Any]:
    answers, previous, sft = (validation_answers(path) for path in (args.measures, args.previous, args.sft))
    if not answers["prompt_id"].equals(previous["prompt_id"]) or not answers["prompt_id"].equals(sft["prompt_id"]):
        raise StudyError(
            f"{args.measures}: answers other validation prompts than {args.previous} or {args.sft}; delete the three "
            "and run the same target again."
        )
    found = monitor(answers, previous, sft, args.judge, args.seed)
    rows = []
    for measure, estimate in found.items():
        low, high = (None, None) if isinstance(estimate, float) else estimate.interval()
        value = estimate if isinstance(estimate, float) else estimate.value
        rows.append({"measure": measure, "value": value, "low": low, "high": high, "n": answers.num_rows})
    tables.write_table(rows, args.output, tables.MONITOR)
    return {row["measure"]: row["value"] for row in rows}


def validation_answers(path: Path) -> "pa.Table":
    """The measured answers to the validation prompts, in order of prompt_id."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables.open_table(path, tables.MEASURES).close()
    answers = pq.read_table(path, filters=pc.field("split") == "validation").sort_by("prompt_id")
    if answers.num_rows == 0:
        raise StudyError(f"{path}: no row has split 'validation'; set data.validation_prompts.")
    return answers


def monitor(
    answers: "pa.Table", previous: "pa.Table", sft: "pa.Table", judge: str, seed: int
) -> dict[str, Estimate | float]:
    """Every measure of a policy on the same prompts as the policy before and the SFT policy.

    Estimates are bootstrapped by prompt; distinct-2 is one number for all answers together. `agreement` is missing
    where the reward model is the judge itself, or where no prompt tells the two answers apart.
    """

    def column(table: "pa.Table", name: str) -> np.ndarray:
        return table[name].to_numpy().astype(float)

    def gain(name: str) -> np.ndarray:
        return column(answers, name) - column(previous, name)

    judged, rewarded = np.sign(gain(judge)), np.sign(gain("reward"))
    repetition, distinct_pairs = texts(answers)
    told_apart = (judged != 0) & (rewarded != 0)
    found: dict[str, Estimate | float] = {
        "reward": mean(column(answers, "reward"), seed),
        "reward_gain": mean(gain("reward"), seed),
        "win_rate": mean((judged + 1) / 2, seed),
        "kl": mean(column(answers, "log_ratio"), seed),
        "characters": mean(column(answers, "characters"), seed),
        "length_growth": float(column(answers, "characters").mean() / max(column(sft, "characters").mean(), 1.0)),
        "truncated": mean(1 - column(answers, "finished"), seed),
        "repetition": mean(repetition, seed),
        "distinct_pairs": distinct_pairs,
    }
    if judge != "reward" and told_apart.any():
        found["agreement"] = mean((judged == rewarded)[told_apart], seed)
    return found


def texts(answers: "pa.Table") -> tuple[np.ndarray, float]:
    """The repetition of each answer, in order of prompt_id, and the distinct-2 of all of them."""
    import duckdb

    with duckdb.connect() as connection:
        connection.register("answers", answers.select(["prompt_id", "response"]))
        repetition = connection.execute((QUERIES / "repetition.sql").read_text()).fetchnumpy()["repetition"]
        distinct_pairs = connection.execute((QUERIES / "distinct_pairs.sql").read_text()).fetchone()[0]
    return np.asarray(repetition, dtype=float), float(distinct_pairs or 0.0)


if __name__ == "__main__":
    command.run(main, Args)
