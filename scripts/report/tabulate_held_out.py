"""Accuracy of the reward models on the held-out pairs of their own mix, by source.

From the rewards of the pairs whose prompts no model was trained on. A tie counts half; intervals are bootstrapped by
pair. The row `all` takes a model's held-out pairs together.

    python -m scripts.report.tabulate_held_out --models mix1 mix2
        --scores results/demo/evaluation/held_out/mix1.parquet results/demo/evaluation/held_out/mix2.parquet
        --seed 1 --table results/demo/tables/reward_models_held_out.csv
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import mean, wins
from scripts.report.csv_tables import write_csv

COLUMNS = ["model", "source", "accuracy", "low", "high", "n"]
ALL = "all"


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the reward models."""
    scores: tuple[Input, ...]
    """Held-out scores of each, in the same order."""
    table: Output
    """CSV with a row for each model and source."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    if len(args.models) != len(args.scores):
        raise StudyError(f"{len(args.models)} --models but {len(args.scores)} --scores; give one file for each model.")
    rows = [
        {"model": model, **row}
        for model, path in zip(args.models, args.scores, strict=True)
        for row in accuracies(path, args.seed)
    ]
    write_csv(rows, args.table, COLUMNS)
    return {f"accuracy_{row['model']}": row["accuracy"] for row in rows if row["source"] == ALL}


def accuracies(path: Path, seed: int) -> list[dict]:
    """Accuracy with its interval on all pairs, then on those of each source, in order of the names."""
    scores = tables.read_table(path, tables.HELD_OUT_SCORES).sort_by(
        [("source", "ascending"), ("pair_id", "ascending")]
    )
    if scores.num_rows == 0:
        raise StudyError(f"{path}: no held-out pairs; raise data.held_out or give the mix more pairs.")
    outcome = wins(scores["chosen_reward"].to_numpy() - scores["rejected_reward"].to_numpy())
    source = np.array(scores["source"].to_pylist())
    groups = {ALL: outcome} | {name: outcome[source == name] for name in dict.fromkeys(source.tolist())}
    rows = []
    for name, values in groups.items():
        estimate = mean(values, seed)
        low, high = estimate.interval()
        rows.append({"source": name, "accuracy": estimate.value, "low": low, "high": high, "n": estimate.n})
    return rows


if __name__ == "__main__":
    command.run(main, Args)
