"""How often any two judges prefer the same response of RewardBench's pairs, beside the share that is right.

Agreement is over all pairs; a tie agrees by half with either side. Models that err alike agree more than their
accuracies would have it.

    python -m scripts.report.plot_agreement --models mix1 mix2 --scores
        results/demo/evaluation/reward_bench/mix1.parquet results/demo/evaluation/reward_bench/mix2.parquet --seed 1
        --table results/demo/tables/agreement.csv --figure results/demo/figures/agreement.svg
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import mean
from scripts.report.csv_tables import write_csv
from scripts.report.figures import svg_figure
from scripts.report.tabulate_reward_models import read_outcomes

COLUMNS = ["model", "other", "agreement", "low", "high", "expected", "n"]


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the judges."""
    scores: tuple[Input, ...]
    """RewardBench scores of each, in the same order."""
    table: Output
    """CSV: agreement of every two judges, and what independent errors would give."""
    figure: Output
    """SVG: the matrix."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    if len(args.models) != len(args.scores):
        raise StudyError(f"{len(args.models)} --models but {len(args.scores)} --scores; give one file for each model.")
    read = {model: read_outcomes(path) for model, path in zip(args.models, args.scores, strict=True)}
    keys = next(iter(read.values())).keys()
    if strange := [model for model, outcomes in read.items() if outcomes.keys() != keys]:
        raise StudyError(f"'{args.models[0]}' and '{strange[0]}' were scored on different RewardBench pairs.")
    rows = agreements({model: np.array(list(outcomes.values())) for model, outcomes in read.items()}, args.seed)
    write_csv(rows, args.table, COLUMNS)
    plot(args.models, rows, args.figure)
    return {"judges": len(args.models), "pairs": len(keys)}


def agreements(outcomes: Mapping[str, np.ndarray], seed: int) -> list[dict]:
    """A row for each two judges, from 1 right, 1/2 tie, 0 wrong on the same pairs, each of shape (pairs,).

    `expected` is the agreement of judges of the same accuracies whose errors have nothing to do with each other.
    """
    rows = []
    for model, right in outcomes.items():
        for other, others in outcomes.items():
            found = mean(right * others + (1 - right) * (1 - others), seed) if model != other else None
            low, high = found.interval() if found else (1.0, 1.0)
            a, b = right.mean(), others.mean()
            rows.append(
                {"model": model, "other": other, "agreement": found.value if found else 1.0, "low": low, "high": high}
                | {"expected": float(a * b + (1 - a) * (1 - b)) if found else 1.0, "n": len(right)}
            )
    return rows


def plot(models: Sequence[str], rows: list[dict], path: Path) -> None:
    matrix = np.array([row["agreement"] for row in rows]).reshape(len(models), -1)
    side = 1.6 + 0.8 * len(models)
    with svg_figure(path, 1, 1, (side + 1, side)) as (figure, (panel,)):
        image = panel.imshow(matrix, cmap="Blues", vmin=0.5, vmax=1)
        panel.set_xticks(range(len(models)), models, rotation=30)
        panel.set_yticks(range(len(models)), models)
        panel.grid(False)
        for i, line in enumerate(matrix):
            for j, value in enumerate(line):
                panel.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.8 else "black")
        figure.colorbar(image, ax=panel, label="share of pairs", shrink=0.85)


if __name__ == "__main__":
    command.run(main, Args)
