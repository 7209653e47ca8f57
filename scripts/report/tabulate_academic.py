"""Table 3 (the policies on academic benchmarks), the academic columns of Table 4, all differences, and Table 6.

From every answer that lm-evaluation-harness scored. Intervals are bootstrapped by question; all policies answered the
same questions and are resampled alike, so that differences are paired. What a study did not run is listed as not run,
with the reason, and so are the paper's models that it has no counterpart of.

    python -m scripts.report.tabulate_academic --policies sft iterative-best
        --scores results/demo/evaluation/academic/{sft,iterative-best}/scores.parquet
        --samples results/demo/evaluation/academic/{sft,iterative-best}/samples.parquet
        --runs iterative offline --reward-models mix2 none --length-penalties 0 0
        --best results/demo/runs/iterative/best --seed 1
        --table3 results/demo/tables/table3_academic.csv --differences results/demo/tables/table3_differences.csv
        --table4 results/demo/tables/table4_academic.csv --table6 results/demo/tables/table6_benchmarks.csv
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import Estimate, mean
from scripts.common.seeds import seed_from
from scripts.report.csv_tables import write_csv
from scripts.report.paper import PAPER, PAPER_ROWS, paper_run, paper_value, read_paper
from scripts.report.tabulate_chat import slug_rows
from scripts.report.tabulate_policies import chosen_iteration, method, split_name

COLUMNS = {  # our name -> the paper's
    "gsm8k": "GSM-8K",
    "mmlu": "MMLU",
    "humaneval": "HumanEval",
    "truthfulqa": "TruthfulQA",
    "arc": "ARC",
    "mbpp": "MBPP",
}
CHAT = {"LC-AlpacaEval-2": "alpaca_eval", "MT-Bench": "mt_bench", "Chat-Arena-Hard": "arena_hard"}
CHAT_METRICS = {"LC-AlpacaEval-2": "lc_win_rate", "MT-Bench": "score", "Chat-Arena-Hard": "win_rate"}
ALL_TASKS = "mean"
"""In place of a task: the mean over the tasks that both policies ran."""
NOT_PART = "not part of this study"
TABLE3 = ["policy", "run", "iteration", "method", "chosen", "task", "value", "low", "high", "stderr", "n", "truncated"]
TABLE3 += ["paper", "not_run"]
DIFFERENCES = ["policy", "minus", "task", "difference", "low", "high", "n"]
TABLE4 = ["run", "reward_model", "length_penalty", "iteration", "task", "value", "low", "high", "compared_with"]
TABLE4 += ["difference", "difference_low", "difference_high", "paper", "not_run"]
TABLE6 = ["benchmark", "task", "metric", "shots", "paper_shots", "chat_template", "prompt", "n", "not_run"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Args:
    policies: tuple[str, ...]
    """Names: `sft`, `{run}-iter{t}`, `{run}-best` for the iteration that validation chose, and those of baselines."""
    scores: tuple[Input, ...]
    """Academic scores of each policy, in the same order."""
    samples: tuple[Input, ...]
    """Academic samples of each policy, in the same order."""
    runs: tuple[str, ...]
    """Names of the runs."""
    reward_models: tuple[str, ...]
    """The reward model of each run, `none` for an offline run."""
    length_penalties: tuple[float, ...]
    """The length penalty of each run, reward per character."""
    best: tuple[Input, ...]
    """Chosen policies of the online runs, in the order of --runs; their selection.json names the iteration."""
    table3: Output
    """CSV with a row for each policy and benchmark."""
    differences: Output
    """CSV of the paired differences between any two policies, by benchmark and over all."""
    table4: Output
    """CSV with a row for each online run and benchmark; differences are to the first of the runs."""
    table6: Output
    """CSV with a row for each benchmark of the paper: metric, shots, template."""
    paper: Input = PAPER
    """The paper's numbers."""
    chat: tuple[str, ...] = ()
    """Names of the chat benchmarks that the study runs: alpaca_eval, mt_bench, arena_hard."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict[str, Any]:
    if not len(args.policies) == len(args.scores) == len(args.samples):
        raise StudyError("--policies, --scores and --samples must have the same number of values.")
    scores = {name: read_scores(path) for name, path in zip(args.policies, args.scores, strict=True)}
    estimates = {name: estimate(path, args.seed) for name, path in zip(args.policies, args.samples, strict=True)}
    measured = [
        row
        for policy, facts in policy_facts(args).items()
        for row in policy_rows(policy, facts, scores[policy], estimates[policy])
    ]
    rows = with_paper(measured, args.paper)
    write_csv(rows, args.table3, TABLE3)
    write_csv(differences(estimates), args.differences, DIFFERENCES)
    write_csv(table4(measured, estimates, args), args.table4, TABLE4)
    write_csv(table6(next(iter(scores.values())), args.chat, args.paper), args.table6, TABLE6)
    return {"policies": len(args.policies), "scores": sum(row["value"] is not None for row in rows)}


# --- reading ----------------------------------------------------------------------------------------------------------


def read_scores(path: Path) -> dict[str, Row]:
    return {row["task"]: row for row in tables.read_table(path, tables.ACADEMIC_SCORES).to_pylist()}


def estimate(path: Path, seed: int) -> dict[str, Estimate]:
    """By task the mean score over its questions, in an order that is the same for every policy.

    MMLU's is over the questions of all subjects, which is how the harness weighs them.
    """
    table = tables.read_table(path, tables.ACADEMIC_SAMPLES, ["task", "subset", "row", "score"])
    table = table.sort_by([("task", "ascending"), ("subset", "ascending"), ("row", "ascending")])
    task, score = table["task"].to_numpy(), table["score"].to_numpy()
    return {name: mean(score[task == name], seed_from(seed, "academic", name)) for name in COLUMNS if name in task}


def policy_facts(args: Args) -> dict[str, Row]:
    """Of each policy its run, iteration and method, whether it is the result of its run, and its row in the paper."""
    rewards = dict(zip(args.runs, args.reward_models, strict=True))
    penalties = dict(zip(args.runs, args.length_penalties, strict=True))
    online = [run for run in args.runs if rewards[run] != "none"]
    chosen = {run: chosen_iteration(folder) for run, folder in zip(online, args.best, strict=True)}
    facts = {}
    for policy in args.policies:
        best = policy.removesuffix("-best")
        run, iteration = (best, chosen[best]) if policy.endswith("-best") else split_name(policy)
        trained = policy == "sft" or run in rewards
        reward_model, penalty = rewards.get(run), penalties.get(run, 0.0)
        how = method(reward_model, penalty) if trained else "baseline"
        is_result = policy.endswith("-best") or run not in online
        where = paper_row(how, reward_model, penalty) if trained else ("table3", slug_rows(args.paper).get(policy, ""))
        facts[policy] = {
            **{"policy": policy, "run": run, "iteration": iteration, "method": how, "chosen": is_result},
            **{"paper_row": where if is_result else None},
        }
    return facts


# --- Table 3 ----------------------------------------------------------------------------------------------------------


def policy_rows(policy: str, facts: Row, scores: Mapping[str, Row], estimates: Mapping[str, Estimate]) -> list[Row]:
    """A row for each benchmark of Table 3, run or not.

    Raises:
        StudyError: scores and samples do not belong together.
    """
    rows = []
    for task in COLUMNS:
        score = scores.get(task)
        row = {**facts, "task": task, "value": None, "low": None, "high": None, "stderr": None, "n": 0, "truncated": 0}
        if score is None or score["value"] is None:
            rows.append({**row, "not_run": score["not_run"] if score else NOT_PART})
            continue
        found = estimates.get(task)
        if found is None or found.n != score["n"] or abs(found.value - score["value"]) > 1e-6:
            raise StudyError(f"policy '{policy}': the samples of {task} do not add up to its score; evaluate it again.")
        low, high = found.interval()
        kept = {name: score[name] for name in ("value", "stderr", "n", "truncated")}
        rows.append({**row, **kept, "low": low, "high": high, "not_run": None})
    return rows


def with_paper(rows: Sequence[Row], paper: Path) -> list[Row]:
    """The paper's numbers, as shares, beside the first run of the same kind; its other models beneath."""
    owner: dict[tuple[str, str], str] = {}  # row of the paper -> the policy that stands beside it
    found = []
    for row in rows:
        where = row["paper_row"]
        mine = where is not None and owner.setdefault(where, row["policy"]) == row["policy"]
        found.append({**row, "paper": share(paper_value(*where, COLUMNS[row["task"]], paper)) if mine else None})
    for name in dict.fromkeys(row for table, row, _ in read_paper(paper) if table == "table3"):
        if ("table3", name) not in owner:
            for task, column in COLUMNS.items():
                blank = dict.fromkeys(TABLE3) | {"policy": name, "task": task, "n": 0, "not_run": NOT_PART}
                found.append({**blank, "paper": share(paper_value("table3", name, column, paper))})
    return found


def paper_row(method_: str, reward_model: str | None, length_penalty: float) -> tuple[str, str] | None:
    """(table, row) of the paper's academic scores of such a policy; Table 4 has those of its ablations."""
    if method_ in ("SFT", "offline DPO"):
        return "table3", PAPER_ROWS[method_][1]
    run = paper_run(reward_model or "", length_penalty)
    if run == "Ours":
        return "table3", PAPER_ROWS[method_][1]
    return ("table4", run) if run else None


def share(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def differences(estimates: Mapping[str, Mapping[str, Estimate]]) -> list[Row]:
    """Policy minus policy on the same questions, for every ordered couple: by task, and the mean over tasks."""
    rows = []
    for policy, other in permutations(estimates, 2):
        both = [task for task in estimates[policy] if task in estimates[other]]
        found = {task: estimates[policy][task] - estimates[other][task] for task in both}
        if found:
            parts = list(found.values())
            found[ALL_TASKS] = Estimate(
                float(np.mean([part.value for part in parts])),
                np.mean([part.replicates for part in parts], axis=0),
                sum(part.n for part in parts),
            )
        for task, difference in found.items():
            low, high = difference.interval()
            where = {"policy": policy, "minus": other, "task": task, "difference": difference.value}
            rows.append({**where, "low": low, "high": high, "n": difference.n})
    return rows


# --- Table 4 ----------------------------------------------------------------------------------------------------------


def table4(rows: Sequence[Row], estimates: Mapping[str, Mapping[str, Estimate]], args: Args) -> list[Row]:
    """The results of the online runs, each with its paired difference to the first of them."""
    rewards = dict(zip(args.runs, args.reward_models, strict=True))
    penalties = dict(zip(args.runs, args.length_penalties, strict=True))
    results = [row for row in rows if row["policy"] == f"{row['run']}-best"]
    found = []
    for row in results:
        run, task, first = row["run"], row["task"], results[0]
        line = {"run": run, "reward_model": rewards[run], "length_penalty": penalties[run]}
        line |= {name: row[name] for name in ("iteration", "task", "value", "low", "high", "not_run")}
        line |= {"compared_with": first["run"]} | dict.fromkeys(("difference", "difference_low", "difference_high"))
        if task in estimates[row["policy"]] and task in estimates[first["policy"]]:
            difference = estimates[row["policy"]][task] - estimates[first["policy"]][task]
            low, high = difference.interval()
            line |= {"difference": difference.value, "difference_low": low, "difference_high": high}
        where = paper_run(rewards[run], penalties[run])
        printed = where and paper_value("table4", where, COLUMNS[task], args.paper)
        found.append({**line, "paper": share(printed)})
    return found


# --- Table 6 ----------------------------------------------------------------------------------------------------------


def table6(scores: Mapping[str, Row], chat: Sequence[str], paper: Path) -> list[Row]:
    """A row for each benchmark of the paper's Table 6: the paper's number of shots, and what was used here."""
    ours = {column: task for task, column in COLUMNS.items()}
    rows = []
    for (table, benchmark, _), shots in read_paper(paper).items():
        if table != "table6":
            continue
        row: Row = dict.fromkeys(TABLE6) | {"benchmark": benchmark, "paper_shots": int(shots)}
        if benchmark in CHAT:
            ran = CHAT[benchmark] in chat
            used = {"shots": 0, "chat_template": True, "metric": CHAT_METRICS[benchmark]}
            rows.append({**row, **used, "task": CHAT[benchmark], "not_run": None if ran else NOT_PART})
        elif score := scores.get(ours[benchmark]):
            used = {name: score[name] for name in ("metric", "shots", "chat_template", "prompt", "n", "not_run")}
            rows.append({**row, "task": ours[benchmark], **used})
        else:
            rows.append({**row, "task": ours[benchmark], "n": 0, "not_run": NOT_PART})
    return rows


if __name__ == "__main__":
    command.run(main, Args)
