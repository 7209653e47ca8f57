"""Table 1: accuracy of the reward models in the four sections of RewardBench, beside the paper's.

From the rewards of each model on RewardBench's pairs. A tie counts half; the subsets present are weighted officially;
intervals are bootstrapped within subsets. The second table holds paired differences between the models.

    python -m scripts.report.tabulate_reward_models --models mix1 mix2 --mixes mix1 mix2 --types BT BT
        --scores results/demo/evaluation/reward_bench/mix1.parquet results/demo/evaluation/reward_bench/mix2.parquet
        --seed 1 --table results/demo/tables/table1_reward_models.csv
        --differences results/demo/tables/table1_differences.csv
"""

from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import wins
from scripts.report.csv_tables import write_csv
from scripts.report.paper import PAPER, paper_value
from scripts.report.reward_bench import section_estimates

COLUMNS = ["model", "type", "mix", "section", "accuracy", "low", "high", "n", "paper"]
NO_MIX = "none"
DIFFERENCES = ["model", "minus", "section", "difference", "low", "high", "n"]


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
    differences: Output
    """CSV of the paired differences between any two models, by section."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""
    paper: Input = PAPER
    """The paper's numbers."""


def main(args: Args) -> dict:
    if not len(args.models) == len(args.mixes) == len(args.types) == len(args.scores):
        raise StudyError("--models, --mixes, --types and --scores must have the same number of values.")
    outcomes = {model: read_outcomes(path) for model, path in zip(args.models, args.scores, strict=True)}
    rows = []
    for model, mix, type_ in zip(args.models, args.mixes, args.types, strict=True):
        for section, estimate in section_estimates(by_subset(outcomes[model]), args.seed).items():
            low, high = estimate.interval()
            printed = paper_value("table1", type_ if mix == NO_MIX else f"{type_} {mix}", section, args.paper)
            rows.append(
                {
                    "model": model,
                    "type": type_,
                    "mix": None if mix == NO_MIX else mix,
                    "section": section,
                    "accuracy": estimate.value,
                }
                | {"low": low, "high": high, "n": estimate.n, "paper": None if printed is None else printed / 100}
            )
    write_csv(rows, args.table, COLUMNS)
    write_csv(differences(outcomes, args.seed), args.differences, DIFFERENCES)
    return {"models": len(args.models), "pairs": len(next(iter(outcomes.values())))}


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


def differences(outcomes: dict[str, dict[tuple[str, int], float]], seed: int) -> list[dict]:
    """Accuracy of one model minus that of another on the same pairs, for every ordered couple of models."""
    rows = []
    for model, other in permutations(outcomes, 2):
        if outcomes[model].keys() != outcomes[other].keys():
            raise StudyError(f"reward models '{model}' and '{other}' were scored on different RewardBench pairs.")
        paired = {key: outcomes[model][key] - outcomes[other][key] for key in outcomes[model]}
        for section, estimate in section_estimates(by_subset(paired), seed).items():
            low, high = estimate.interval()
            rows.append(
                {"model": model, "minus": other, "section": section, "difference": estimate.value}
                | {"low": low, "high": high, "n": estimate.n}
            )
    return rows


if __name__ == "__main__":
    command.run(main, Args)
