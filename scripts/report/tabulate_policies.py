"""Table 2 (the policies on the test prompts), Table 4 (what the length penalty changes), and all paired differences.

From the measured answers of every policy to the same held-out prompts; only the split `test` counts here, since the
split `validation` chose the iterations. A policy wins a prompt when the judge scores its answer above the SFT policy's
(ties: half). KL is the mean of log pi(a|x) - log pi_0(a|x) over the policy's own answers, in nats. Intervals are
bootstrapped by prompt, and all policies are resampled alike, so that differences are paired.

    python -m scripts.report.tabulate_policies --policies sft offline-iter1 iterative-iter1 iterative-iter2
        --measures results/demo/evaluation/measures/sft.parquet ...offline-iter1.parquet ...
        --runs iterative offline --reward-models mix2 none --length-penalties 0 0
        --best results/demo/runs/iterative/best --judge gold --seed 1
        --table2 results/demo/tables/table2_policies.csv
        --table4 results/demo/tables/table4_length_penalty.csv
        --differences results/demo/tables/table2_differences.csv
"""

import json
import re
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, mean, wins
from scripts.report.csv_tables import write_csv

if TYPE_CHECKING:
    import pyarrow as pa

MEASURES = ["gold", "reward", "win_rate", "kl", "characters"]
INTERVALS = [name for measure in MEASURES for name in (measure, f"{measure}_low", f"{measure}_high")]
TABLE2 = ["policy", "run", "iteration", "method", "chosen", "n", *INTERVALS, "truncated"]
TABLE4 = ["run", "reward_model", "length_penalty", "iteration", "n", *INTERVALS, "compared_with"] + [
    f"{measure}_difference{end}" for measure in MEASURES for end in ("", "_low", "_high")
]
DIFFERENCES = ["policy", "minus", "measure", "difference", "low", "high", "n"]
OFFLINE = "none"  # in place of a reward model


@dataclass(frozen=True)
class Args:
    policies: tuple[str, ...]
    """Names: `sft`, and `{run}-iter{t}`."""
    measures: tuple[Input, ...]
    """Measured answers of each policy, in the same order."""
    runs: tuple[str, ...]
    """Names of the runs."""
    reward_models: tuple[str, ...]
    """The reward model of each run, `none` for an offline run."""
    length_penalties: tuple[float, ...]
    """The length penalty of each run, reward per character."""
    best: tuple[Input, ...]
    """Chosen policies of the online runs, in the order of --runs; their selection.json names the iteration."""
    table2: Output
    """CSV with a row for each policy."""
    table4: Output
    """CSV with a row for the chosen policy of each online run; differences are to the first of them."""
    differences: Output
    """CSV of the paired differences between any two policies, by measure."""
    judge: Literal["gold", "reward"] = "reward"
    """Whose scores decide wins."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    if len(args.policies) != len(args.measures) or "sft" not in args.policies:
        raise StudyError("--policies and --measures must have the same number of values, and `sft` must be among them.")
    if not len(args.runs) == len(args.reward_models) == len(args.length_penalties):
        raise StudyError("--runs, --reward-models and --length-penalties must have the same number of values.")
    online = [run for run, reward in zip(args.runs, args.reward_models, strict=True) if reward != OFFLINE]
    if len(online) != len(args.best):
        raise StudyError(f"{len(online)} online runs ({', '.join(online)}) but {len(args.best)} folders in --best.")
    chosen = {run: chosen_iteration(folder) for run, folder in zip(online, args.best, strict=True)}

    answers = {name: test_answers(path) for name, path in zip(args.policies, args.measures, strict=True)}
    estimates = {name: measure(table, answers["sft"], name, args.judge, args.seed) for name, table in answers.items()}

    reward_models = dict(zip(args.runs, args.reward_models, strict=True))
    penalties = dict(zip(args.runs, args.length_penalties, strict=True))
    rows = []
    for policy in args.policies:
        run, iteration = split_name(policy)
        if run != "sft" and run not in reward_models:
            raise StudyError(f"policy '{policy}' belongs to no run; --runs names {', '.join(args.runs)}.")
        rows.append(
            {"policy": policy, "run": run, "iteration": iteration}
            | {"method": method(reward_models.get(run), penalties.get(run, 0.0))}
            | {"chosen": chosen.get(run, iteration) == iteration, "n": answers[policy].num_rows}
            | flat(estimates[policy])
            | {"truncated": 1 - float(np.mean(answers[policy]["finished"].to_numpy()))}
        )
    write_csv(rows, args.table2, TABLE2)

    table4 = []
    for run in online:
        policy, first = f"{run}-iter{chosen[run]}", f"{online[0]}-iter{chosen[online[0]]}"
        for name in (policy, first):
            if name not in estimates:
                raise StudyError(f"the chosen policy '{name}' is not among --policies.")
        difference = subtract(estimates[policy], estimates[first])
        table4.append(
            {"run": run, "reward_model": reward_models[run], "length_penalty": penalties[run]}
            | {"iteration": chosen[run], "n": answers[policy].num_rows, "compared_with": online[0]}
            | flat(estimates[policy])
            | flat(difference, "_difference")
        )
    write_csv(table4, args.table4, TABLE4)
    write_csv(differences(estimates), args.differences, DIFFERENCES)
    return {"policies": len(args.policies), "prompts": answers["sft"].num_rows, "judge": args.judge}


def split_name(policy: str) -> tuple[str, int]:
    """The run and iteration of a policy; the SFT policy is iteration 0 of `sft`."""
    found = re.fullmatch(r"(.+)-iter(\d+)", policy)
    return (found[1], int(found[2])) if found else (policy, 0)


def method(reward_model: str | None, length_penalty: float) -> str:
    """The paper's name of how a policy was trained."""
    if reward_model is None:
        return "SFT"
    if reward_model == OFFLINE:
        return "offline DPO"
    return "iterative DPO, length penalty" if length_penalty > 0 else "iterative DPO"


def chosen_iteration(best: Path) -> int:
    """The iteration that validation prompts chose."""
    path = best / "selection.json"
    try:
        return int(json.loads(path.read_text())["best_iteration"])
    except (OSError, ValueError, KeyError, TypeError):
        raise StudyError(
            f"{path}: no key 'best_iteration' with a number; delete {best} and run the same target."
        ) from None


def test_answers(path: Path) -> "pa.Table":
    """The measured answers to the test prompts, a row a prompt, in order of prompt_id."""
    import pyarrow.compute as pc

    with tables.open_table(path, tables.MEASURES) as file:
        if "split" not in file.schema_arrow.names:
            raise StudyError(f"{path}: no column 'split'; delete it and run the same target again.")
    table = tables.read_table(path, tables.MEASURES, [*tables.MEASURES.columns.names, "split"])
    table = table.filter(pc.equal(table["split"], "test")).sort_by("prompt_id")
    if table.num_rows == 0:
        raise StudyError(f"{path}: no row has split 'test'; set data.test_prompts.")
    if len(set(table["prompt_id"].to_pylist())) != table.num_rows:
        raise StudyError(f"{path}: some prompts have several answers; the evaluation expects one a prompt.")
    return table


def measure(answers: "pa.Table", baseline: "pa.Table", policy: str, judge: str, seed: int) -> dict[str, Estimate]:
    """Every measure of a policy that can be taken: without a gold reward there is no `gold`."""
    if answers["prompt_id"].to_pylist() != baseline["prompt_id"].to_pylist():
        raise StudyError(f"policies '{policy}' and 'sft' answered different test prompts; measure both again.")

    def column(table: "pa.Table", name: str) -> np.ndarray:
        values = table[name].to_numpy().astype(float)
        if not np.isfinite(values).all():
            raise StudyError(f"policy '{policy}': column '{name}' of its measures has values that aren't finite.")
        return values

    has_gold = answers["gold"].null_count == 0
    if judge == "gold" and not has_gold:
        raise StudyError(f"policy '{policy}' has answers without gold reward; use --judge reward.")
    score = column(answers, judge) - column(baseline, judge)
    characters = column(answers, "characters")
    found = {"gold": mean(column(answers, "gold"), seed)} if has_gold else {}
    return found | {
        "reward": mean(column(answers, "reward"), seed),
        "win_rate": mean(wins(score), seed),
        "kl": mean(column(answers, "log_ratio"), seed),
        "characters": mean(characters, seed),
    }


def subtract(estimates: dict[str, Estimate], other: dict[str, Estimate]) -> dict[str, Estimate]:
    """Paired differences of the measures that both policies have."""
    return {name: estimates[name] - other[name] for name in MEASURES if name in estimates and name in other}


def flat(estimates: dict[str, Estimate], suffix: str = "") -> dict[str, float | None]:
    """Columns `name`, `name_low`, `name_high` of each measure; those of measures not taken are empty."""
    row: dict[str, float | None] = {}
    for measure_ in MEASURES:
        name = f"{measure_}{suffix}"
        if measure_ in estimates:
            low, high = estimates[measure_].interval()
            row |= {name: estimates[measure_].value, f"{name}_low": low, f"{name}_high": high}
        else:
            row |= {name: None, f"{name}_low": None, f"{name}_high": None}
    return row


def differences(estimates: dict[str, dict[str, Estimate]]) -> list[dict]:
    """Policy minus policy, on the same prompts, for every ordered couple and measure."""
    rows = []
    for policy, other in permutations(estimates, 2):
        for name, difference in subtract(estimates[policy], estimates[other]).items():
            low, high = difference.interval()
            rows.append(
                {"policy": policy, "minus": other, "measure": name, "difference": difference.value}
                | {"low": low, "high": high, "n": difference.n}
            )
    return rows


if __name__ == "__main__":
    command.run(main, Args)
