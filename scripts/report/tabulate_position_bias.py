"""How much the judges that read two responses at once like a position, on RewardBench's pairs.

From both readings of each pair: with the chosen response as A, and as B. Without a liking, the mean probability of the
label A is 1/2 and no verdict changes with the order; intervals are bootstrapped by pair. Judges that read a single
order show no bias, and are left out.

    python -m scripts.report.tabulate_position_bias --models prompted pairwise
        --scores results/demo/evaluation/reward_bench/prompted.parquet
        results/demo/evaluation/reward_bench/pairwise.parquet --seed 1 --table results/demo/tables/position_bias.csv
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, mean, wins
from scripts.common.preferences import probabilities
from scripts.report.csv_tables import write_csv

MEASURES = {
    "probability_of_a": "mean probability of the label A over both orders; 1/2 without bias",
    "flipped": "share of the verdicts that change with the order",
    "accuracy_as_a": "accuracy read with the chosen response as A",
    "accuracy_as_b": "accuracy read with the chosen response as B",
    "accuracy_both": "accuracy of the mean over both orders; each pair counts once, subsets are not weighted",
}
COLUMNS = ["model", "n", "without_verdict", *(f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high"))]


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the judges."""
    scores: tuple[Input, ...]
    """RewardBench scores of each, in the same order (with the columns of the table contract: verdicts)."""
    table: Output
    """CSV with a row for each judge that read both orders."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    if len(args.models) != len(args.scores):
        raise StudyError(f"{len(args.models)} --models but {len(args.scores)} --scores; give one file for each model.")
    rows = []
    for model, path in zip(args.models, args.scores, strict=True):
        readings = read_verdicts(path)
        both = readings[~np.isnan(readings).any(axis=1)]
        if len(both):
            rows.append({"model": model, "n": len(both), "without_verdict": len(readings) - len(both)})
            for name, found in measures(both, args.seed).items():
                low, high = found.interval()
                rows[-1] |= {name: found.value, f"{name}_low": low, f"{name}_high": high}
    write_csv(rows, args.table, COLUMNS)
    return {f"flipped_{row['model']}": row["flipped"] for row in rows}


def read_verdicts(path: Path) -> np.ndarray:
    """Log-odds that the chosen response is better, read as A and read as B; shape (pairs, 2), nan: no verdict."""
    table = tables.read_table(path, tables.VERDICTS)
    return np.stack([table[name].to_numpy().astype(float) for name in tables.VERDICTS.columns.names], axis=1)


def measures(readings: np.ndarray, seed: int) -> dict[str, Estimate]:
    """The measures of `MEASURES`, from log-odds of shape (pairs, 2)."""
    of_a = probabilities((readings * [1, -1]).reshape(-1, 1)).reshape(-1, 2).mean(axis=1)
    flipped = np.sign(readings[:, 0]) != np.sign(readings[:, 1])
    outcomes = (of_a, flipped, wins(readings[:, 0]), wins(readings[:, 1]), wins(probabilities(readings) - 0.5))
    return {name: mean(values, seed) for name, values in zip(MEASURES, outcomes, strict=True)}


if __name__ == "__main__":
    command.run(main, Args)
