"""Table 1: accuracy of prompted judges, reward models and preference models on RewardBench, beside the paper's.

From the scores of each model on RewardBench's pairs. A tie counts half; the subsets present are weighted officially;
intervals are bootstrapped within subsets. Further tables hold the accuracy in each subset, and paired differences
between the models.

    python -m scripts.report.tabulate_reward_models --models mix1 mix2 --mixes mix1 mix2 --types BT BT
        --scores results/demo/evaluation/reward_bench/mix1.parquet results/demo/evaluation/reward_bench/mix2.parquet
        --seed 1 --table results/demo/tables/table1_reward_models.csv --subsets results/demo/tables/table1_subsets.csv
        --differences results/demo/tables/table1_differences.csv
        --markdown results/demo/tables/table1_reward_models.md
"""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, wins
from scripts.report.csv_tables import write_csv
from scripts.report.markdown import write_markdown
from scripts.report.paper import PAPER, paper_value
from scripts.report.reward_bench import SECTIONS, section_estimates, subset_estimates

COLUMNS = ["model", "type", "mix", "section", "accuracy", "low", "high", "n", "paper"]
SUBSETS = ["model", "type", "mix", "section", "subset", "weight", "accuracy", "low", "high", "n"]
DIFFERENCES = ["model", "minus", "row", "minus_row", "section", "difference", "low", "high", "n"]
NO_MIX = "none"


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the reward models."""
    mixes: tuple[str, ...]
    """The mix that each was trained on, in the same order; none for a model that is only asked."""
    types: tuple[str, ...]
    """The type of each, as in Table 1: Prompting, BT or Preference."""
    scores: tuple[Input, ...]
    """RewardBench scores of each, in the same order."""
    table: Output
    """CSV with a row for each model and section."""
    subsets: Output
    """CSV with a row for each model and subset."""
    differences: Output
    """CSV of the paired differences between any two models, by section, with the rows of the paper that they are."""
    markdown: Output
    """The first table for people, the paper's figures in brackets."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""
    paper: Input = PAPER
    """The paper's numbers."""


@dataclass(frozen=True)
class Model:
    """A line of Table 1."""

    name: str
    type: str
    mix: str | None
    outcomes: dict[tuple[str, int], float]

    @property
    def row(self) -> str:
        """As the paper's table calls it: BT mix2, Prompting."""
        return f"{self.type} {self.mix}" if self.mix else self.type

    def cells(self) -> dict:
        return {"model": self.name, "type": self.type, "mix": self.mix}


def main(args: Args) -> dict:
    if not len(args.models) == len(args.mixes) == len(args.types) == len(args.scores):
        raise StudyError("--models, --mixes, --types and --scores must have the same number of values.")
    models = [
        Model(name, type_, None if mix == NO_MIX else mix, read_outcomes(path))
        for name, type_, mix, path in zip(args.models, args.types, args.mixes, args.scores, strict=True)
    ]
    rows, subsets = [], []
    for model in models:
        outcomes = by_subset(model.outcomes)
        for section, found in section_estimates(outcomes, args.seed).items():
            printed = paper_value("table1", model.row, section, args.paper)
            paper = None if printed is None else printed / 100
            rows.append({**model.cells(), "section": section, **accuracy(found), "paper": paper})
        for (section, subset), found in subset_estimates(outcomes, args.seed).items():
            weight = SECTIONS[section][subset]
            subsets.append({**model.cells(), "section": section, "subset": subset, "weight": weight, **accuracy(found)})
    write_csv(rows, args.table, COLUMNS)
    write_csv(subsets, args.subsets, SUBSETS)
    write_csv(differences(models, args.seed), args.differences, DIFFERENCES)
    note = "Accuracy, its 95% interval (bootstrap by pair), and in brackets the paper's model of that kind and mix."
    write_markdown("Table 1. Accuracy on RewardBench's sections, %", markdown_rows(rows), [note], args.markdown)
    return {"models": len(models), "pairs": len(models[0].outcomes)}


def accuracy(estimate: Estimate) -> dict:
    low, high = estimate.interval()
    return {"accuracy": estimate.value, "low": low, "high": high, "n": estimate.n}


def markdown_rows(rows: list[dict]) -> list[dict[str, str]]:
    """Models down, sections across."""
    sections = list(dict.fromkeys(row["section"] for row in rows))
    lines: dict[str, dict[str, str]] = {}
    for row in rows:
        empty = {"model": row["model"], "type": row["type"], "mix": row["mix"] or "", **dict.fromkeys(sections, "")}
        cell = f"{row['accuracy'] * 100:.1f}, {row['low'] * 100:.1f} to {row['high'] * 100:.1f}"
        printed = "" if row["paper"] is None else f" [{row['paper'] * 100:.1f}]"
        lines.setdefault(row["model"], empty)[row["section"]] = cell + printed
    return list(lines.values())


def read_outcomes(path: Path) -> dict[tuple[str, int], float]:
    """(subset, id) -> 1 where the chosen response has the higher reward, 1/2 at a tie, else 0; in order of the key."""
    scores = tables.read_table(path, tables.BENCH_SCORES)
    margin = scores["chosen_reward"].to_numpy() - scores["rejected_reward"].to_numpy()
    if not np.isfinite(margin).all():
        raise StudyError(f"{path}: {int((~np.isfinite(margin)).sum())} rewards are not finite numbers.")
    keys = list(zip(scores["subset"].to_pylist(), scores["id"].to_pylist(), strict=True))
    outcomes = dict(sorted(zip(keys, wins(margin).tolist(), strict=True)))
    if len(outcomes) != len(keys):
        raise StudyError(f"{path}: some ids occur twice within a subset.")
    return outcomes


def by_subset(outcomes: dict[tuple[str, int], float]) -> dict[str, np.ndarray]:
    """The outcomes of each subset, in order of the ids."""
    grouped: dict[str, list[float]] = {}
    for (subset, _), outcome in outcomes.items():
        grouped.setdefault(subset, []).append(outcome)
    return {subset: np.array(values) for subset, values in grouped.items()}


def differences(models: list[Model], seed: int) -> list[dict]:
    """Accuracy of one model minus that of another on the same pairs, for every ordered couple of models."""
    rows = []
    for model, other in permutations(models, 2):
        if model.outcomes.keys() != other.outcomes.keys():
            raise StudyError(f"'{model.name}' and '{other.name}' were scored on different RewardBench pairs.")
        paired = {key: model.outcomes[key] - other.outcomes[key] for key in model.outcomes}
        for section, estimate in section_estimates(by_subset(paired), seed).items():
            low, high = estimate.interval()
            rows.append(
                {"model": model.name, "minus": other.name, "row": model.row, "minus_row": other.row, "section": section}
                | {"difference": estimate.value, "low": low, "high": high, "n": estimate.n}
            )
    return rows


if __name__ == "__main__":
    command.run(main, Args)
