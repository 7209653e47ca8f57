"""Calibration of the reward and preference models on held-out pairs of their mix, and their accuracy by length gap.

A model says with which probability the response with the higher score is the better one: sigma of the difference of
scores, under Bradley-Terry. It is calibrated where of the pairs it gives 80% some 80% come out so. The expected
calibration error is the mean gap between the two over ten equal groups of confidence, weighted by their pairs.

By length gap (chosen minus rejected, in characters, in five groups of equal size): a model that goes by length is right
where the chosen response is the longer one, and wrong where it is the shorter one.

    python -m scripts.report.plot_calibration --models mix1 mix2
        --scores results/demo/evaluation/held_out/mix1.parquet results/demo/evaluation/held_out/mix2.parquet
        --mixes results/demo/data/mixes/mix1.parquet results/demo/data/mixes/mix2.parquet --seed 1
        --table results/demo/tables/calibration.csv --reliability results/demo/tables/reliability.csv
        --by-length results/demo/tables/accuracy_by_length_gap.csv --figure results/demo/figures/calibration.svg
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import estimate, mean
from scripts.report.csv_tables import write_csv
from scripts.report.figures import COLOURS, svg_figure

SQL = Path(__file__).with_name("sql")
CALIBRATION = ["model", "error", "error_low", "error_high", "confidence", "accuracy", "n"]
RELIABILITY = ["model", "low", "high", "confidence", "accuracy", "n"]
BY_LENGTH = ["model", "group", "gap", "accuracy", "low", "high", "n"]
BINS = np.linspace(0.5, 1, 11)
GROUPS = 5


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the models."""
    scores: tuple[Input, ...]
    """Held-out scores of each, in the same order."""
    mixes: tuple[Input, ...]
    """The mix that each was scored on, in the same order."""
    table: Output
    """CSV: expected calibration error of each model."""
    reliability: Output
    """CSV: confidence and accuracy of each group."""
    by_length: Output
    """CSV: accuracy by length gap."""
    figure: Output
    """SVG: reliability curves, and accuracy by length gap."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    if not len(args.models) == len(args.scores) == len(args.mixes):
        raise StudyError("--models, --scores and --mixes must have the same number of values.")
    calibration, reliability, by_length = [], [], []
    for model, scores, mix in zip(args.models, args.scores, args.mixes, strict=True):
        margins, gaps = read_pairs(scores, mix)
        confidence, right = verdicts(margins)
        error = estimate(
            lambda index, c=confidence, r=right: calibration_errors(c[index], r[index]), len(right), args.seed
        )
        low, high = error.interval()
        calibration.append(
            {"model": model, "error": error.value, "error_low": low, "error_high": high}
            | {"confidence": float(confidence.mean()), "accuracy": float(right.mean()), "n": len(right)}
        )
        reliability += [{"model": model, **row} for row in reliability_curve(confidence, right)]
        by_length += [{"model": model, **row} for row in accuracy_by_gap(gaps, right, args.seed)]
    write_csv(calibration, args.table, CALIBRATION)
    write_csv(reliability, args.reliability, RELIABILITY)
    write_csv(by_length, args.by_length, BY_LENGTH)
    plot(args.models, reliability, by_length, args.figure)
    return {f"calibration_error_{row['model']}": row["error"] for row in calibration}


def read_pairs(scores: Path, mix: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of each held-out pair the difference of scores and of characters, chosen minus rejected; each of shape (pairs,).

    Raises:
        StudyError: no pairs, or pairs that the mix does not hold.
    """
    import duckdb

    tables.open_table(mix, tables.MIX).close()
    rows = tables.count_rows(scores, tables.HELD_OUT_SCORES)
    with duckdb.connect() as connection:
        connection.read_parquet(str(scores)).create_view("scores")
        connection.read_parquet(str(mix)).create_view("mix")
        found = connection.sql((SQL / "held_out_margins.sql").read_text()).fetchnumpy()
    if len(found["margin"]) != rows or not rows:
        raise StudyError(f"{scores}: {rows} pairs, of which {mix} holds {len(found['margin'])}; score them again.")
    return np.asarray(found["margin"], dtype=float), np.asarray(found["gap"], dtype=float)


def verdicts(margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure a model is of its verdict, from 1/2 to 1, and whether that was right; 1/2 at a tie."""
    confidence = 1 / (1 + np.exp(-np.abs(margins)))
    return confidence, np.where(margins == 0, 0.5, (margins > 0).astype(float))


def calibration_errors(confidence: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Expected calibration error of each row; both (rows, pairs)."""
    groups = np.clip(np.digitize(confidence, BINS) - 1, 0, len(BINS) - 2)
    gaps = right - confidence
    totals = [np.abs(np.where(groups == group, gaps, 0).sum(axis=-1)) for group in range(len(BINS) - 1)]
    return np.sum(totals, axis=0) / confidence.shape[-1]


def reliability_curve(confidence: np.ndarray, right: np.ndarray) -> list[dict]:
    """Mean confidence and accuracy of each group of confidence that has pairs."""
    groups = np.clip(np.digitize(confidence, BINS) - 1, 0, len(BINS) - 2)
    return [
        {"low": float(BINS[group]), "high": float(BINS[group + 1]), "n": int((groups == group).sum())}
        | {"confidence": float(confidence[groups == group].mean()), "accuracy": float(right[groups == group].mean())}
        for group in range(len(BINS) - 1)
        if (groups == group).any()
    ]


def accuracy_by_gap(gaps: np.ndarray, right: np.ndarray, seed: int) -> list[dict]:
    """Accuracy in groups of like size, by how much longer the chosen response is; equal gaps stay together."""
    limits = np.unique(np.quantile(gaps, np.linspace(0, 1, GROUPS + 1)[1:-1]))
    group_of = np.digitize(gaps, limits)
    rows = []
    for group in np.unique(group_of):
        found = mean(right[group_of == group], seed)
        low, high = found.interval()
        rows.append(
            {"group": int(group) + 1, "gap": float(gaps[group_of == group].mean()), "accuracy": found.value}
            | {"low": low, "high": high, "n": found.n}
        )
    return rows


def plot(models: tuple[str, ...], reliability: list[dict], by_length: list[dict], path: Path) -> None:
    with svg_figure(path, 1, 2, (4.9, 3.8)) as (figure, (curves, lengths)):
        curves.plot([0.5, 1], [0.5, 1], color="#374151", linewidth=1, linestyle=":")
        lengths.axhline(0.5, color="#374151", linewidth=1, linestyle=":")
        for index, model in enumerate(models):
            colour = COLOURS[index % len(COLOURS)]
            own = [row for row in reliability if row["model"] == model]
            curves.plot([r["confidence"] for r in own], [r["accuracy"] for r in own], "o-", color=colour, label=model)
            own = [row for row in by_length if row["model"] == model]
            middle = np.array([row["accuracy"] for row in own])
            spread = [middle - [row["low"] for row in own], np.array([row["high"] for row in own]) - middle]
            lengths.errorbar([row["gap"] for row in own], middle, yerr=spread, fmt="o-", color=colour)
        curves.set_title("Reliability")
        curves.set_xlabel("confidence")
        curves.set_ylabel("accuracy")
        lengths.set_title("Accuracy by length gap")
        lengths.set_xlabel("chosen minus rejected (characters)")
        lengths.set_ylabel("accuracy")
        handles, labels = curves.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


if __name__ == "__main__":
    command.run(main, Args)
