"""Table 2 and the chat columns of Table 4: AlpacaEval-2 (length-controlled and plain), MT-Bench, Chat-Arena-Hard.

Table 2 has the paper's rows in the paper's order, its numbers beside those of this study's policies, then the policies
that have no row there. A cell without a number says why: the study did not run it, or a calibration is absent. The
study's policies stand in the rows "Ours (SFT baseline)", "Ours (DPO baseline)" and "Ours (Iterative RLHF)": the first
run of each method, at the iteration that validation prompts chose. A baseline stands in the row of its name.

    python -m scripts.report.tabulate_chat --policies sft offline-iter1 iterative-iter1 --runs offline iterative \\
        --reward-models none mix2 --length-penalties 0 0 --best results/demo/runs/iterative/best \\
        --first alpaca_eval gold mt_bench gold \\
        --scores results/demo/evaluation/alpaca_eval/scores/gold/sft.json ... \\
        --paired results/demo/evaluation/alpaca_eval/scores/gold/differences.csv ... \\
        --table2 results/demo/tables/table2_chat.csv --table4 results/demo/tables/table4_chat.csv \\
        --differences results/demo/tables/chat_differences.csv
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.report.csv_tables import read_csv, write_csv
from scripts.report.paper import PAPER, PAPER_ROWS, paper_run, paper_value, read_paper
from scripts.report.tabulate_policies import DIFFERENCES, OFFLINE, chosen_iteration, method, split_name

COLUMNS = {  # name -> (benchmark, measure of its scores, the paper's column)
    "lc_alpaca_eval": ("alpaca_eval", "lc_win_rate", "LC AlpacaEval-2"),
    "alpaca_eval": ("alpaca_eval", "win_rate", "AlpacaEval-2 win rate"),
    "mt_bench": ("mt_bench", "rating", "MT-Bench"),
    "arena_hard": ("arena_hard", "win_rate", "Chat-Arena-Hard"),
}
CELL = ("", "_low", "_high", "_n", "_no_verdict", "_paper", "_note")
TABLE2 = ["model", "policy", "annotator", "method", "chosen"] + [f"{name}{end}" for name in COLUMNS for end in CELL]
TABLE4 = ["run", "reward_model", "length_penalty", "iteration", "characters", "compared_with"] + [
    f"{name}{end}"
    for name in COLUMNS
    for end in ("", "_low", "_high", "_difference", "_difference_low", "_difference_high", "_paper")
]
OURS = {trained: row for trained, (table, row) in PAPER_ROWS.items() if table == "table2"}  # method -> row
FN_ANNOTATOR, FN_ROW = "alpaca_eval_gpt4_turbo_fn", "Ours (Iterative RLHF), gpt4_turbo_fn"
NOT_RUN = "not run"


@dataclass(frozen=True)
class Args:
    policies: tuple[str, ...]
    """Names: `sft`, `{run}-iter{t}`, and those of baselines."""
    runs: tuple[str, ...]
    """Names of the runs."""
    reward_models: tuple[str, ...]
    """The reward model of each run, `none` for an offline run."""
    length_penalties: tuple[float, ...]
    """The length penalty of each run, reward per character."""
    best: tuple[Input, ...]
    """Chosen policies of the online runs, in the order of --runs."""
    scores: tuple[Input, ...]
    """Score files, .../{benchmark}/scores/{annotator}/{policy}.json."""
    paired: tuple[Input, ...]
    """Tables of differences, .../{benchmark}/scores/{annotator}/differences.csv, of the first annotators."""
    table2: Output
    """CSV with a row for each row of the paper and for each policy."""
    table4: Output
    """CSV with a row for the chosen policy of each online run; differences are to the first of them."""
    differences: Output
    """CSV of the paired differences between any two policies, by column of Table 2."""
    first: dict[str, str] = field(default_factory=dict)
    """Benchmark -> the annotator whose scores are Table 2's; scores of others get rows of their own."""
    paper: Input = PAPER
    """The paper's numbers."""


Scores = dict[tuple[str, str, str], dict[str, Any]]
"""(benchmark, annotator, policy) -> what its score file says."""


def main(args: Args) -> dict[str, Any]:
    online = [run for run, reward in zip(args.runs, args.reward_models, strict=True) if reward != OFFLINE]
    chosen = {run: chosen_iteration(folder) for run, folder in zip(online, args.best, strict=True)}
    scores = {place(path): read_score(path) for path in args.scores}
    rows = list(table2(args, scores, chosen))
    write_csv(rows, args.table2, TABLE2)
    differences = list(read_differences(args))
    write_csv(differences, args.differences, DIFFERENCES)
    write_csv(list(table4(args, scores, differences, online, chosen)), args.table4, TABLE4)
    missing = sum(score.get("no_verdict", 0) for score in scores.values())
    return {"policies": len(args.policies), "rows": len(rows), "no_verdict": missing}


def place(path: Path) -> tuple[str, str, str]:
    """(benchmark, annotator, policy) of a score file; they are in its path."""
    return path.parts[-4], path.parts[-2], path.stem


def read_score(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise StudyError(f"{path}: is no score file. Delete it and run the same target again.") from None


# --- Table 2 ----------------------------------------------------------------------------------------------------------


def table2(args: Args, scores: Scores, chosen: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The paper's rows with what this study has for them, then the other policies, then the other annotators."""
    rewards = dict(zip(args.runs, args.reward_models, strict=True))
    penalties = dict(zip(args.runs, args.length_penalties, strict=True))
    described = {}
    for policy in args.policies:
        run, iteration = split_name(policy)
        known = run == "sft" or run in rewards
        described[policy] = {
            "policy": policy,
            "method": method(rewards.get(run), penalties.get(run, 0.0)) if known else "baseline",
            "chosen": chosen.get(run, iteration) == iteration,
        }
    in_row: dict[str, str] = {}
    for policy, facts in described.items():
        row = slug_rows(args.paper).get(policy) if facts["method"] == "baseline" else OURS.get(facts["method"])
        if row and facts["chosen"]:
            in_row.setdefault(row, policy)
    for row in paper_rows(args.paper):
        if row == FN_ROW:
            continue
        facts = described[in_row[row]] if row in in_row else {"policy": None, "method": None, "chosen": None}
        yield {"model": row, "annotator": None, **facts, **cells(args, scores, facts["policy"], args.first, row)}
    for policy, facts in described.items():
        if policy not in in_row.values():
            yield {"model": policy, "annotator": None, **facts, **cells(args, scores, policy, args.first, None)}
    named = {policy: row for row, policy in in_row.items()}
    for benchmark, annotator, policy in scores:
        if annotator != args.first.get(benchmark):
            printed = FN_ROW if annotator == FN_ANNOTATOR and named.get(policy) == OURS["iterative DPO"] else None
            filled = cells(args, scores, policy, {benchmark: annotator}, printed)
            yield {"model": named.get(policy, policy), "annotator": annotator, **described[policy], **filled}


def paper_rows(paper: Path) -> list[str]:
    return list(dict.fromkeys(row for table, row, _ in read_paper(paper) if table == "table2"))


def slug_rows(paper: Path) -> dict[str, str]:
    """`llama_3_8b_it` -> LLaMA-3-8B-it: the name by which a study's baseline stands in a row of the paper."""
    return {re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_"): row for row in paper_rows(paper)}


def cells(
    args: Args, scores: Scores, policy: str | None, annotators: dict[str, str], row: str | None
) -> dict[str, Any]:
    """All columns of a row: value, interval, counts, the paper's number, and why there is no value."""
    found: dict[str, Any] = {}
    for name, (benchmark, measure, column) in COLUMNS.items():
        score = scores.get((benchmark, annotators.get(benchmark, ""), policy or ""), {})
        note = None if score.get(measure) is not None else score.get(f"{measure}_reason", NOT_RUN)
        found |= {
            name: score.get(measure),
            f"{name}_low": score.get(f"{measure}_low"),
            f"{name}_high": score.get(f"{measure}_high"),
            f"{name}_n": score.get("n"),
            f"{name}_no_verdict": score.get("no_verdict"),
            f"{name}_paper": row and paper_value("table2", row, column, args.paper),
            f"{name}_note": note,
        }
    return found


# --- Table 4, and differences -----------------------------------------------------------------------------------------


def read_differences(args: Args) -> Iterator[dict[str, Any]]:
    """The benchmarks' own differences, each measure under its column's name."""
    columns = {(benchmark, measure): name for name, (benchmark, measure, _) in COLUMNS.items()}
    for path in args.paired:
        for row in read_csv(path, DIFFERENCES).to_dicts():
            yield {**row, "measure": columns[place(path)[0], row["measure"]]}


def table4(
    args: Args, scores: Scores, differences: list[dict[str, Any]], online: list[str], chosen: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """The chosen policy of each online run, beside the first run's; the length is that of its Arena-Hard answers."""
    rewards = dict(zip(args.runs, args.reward_models, strict=True))
    penalties = dict(zip(args.runs, args.length_penalties, strict=True))
    between = {(row["policy"], row["minus"], row["measure"]): row for row in differences}
    for run in online:
        policy, first = f"{run}-iter{chosen[run]}", f"{online[0]}-iter{chosen[online[0]]}"
        row = paper_run(rewards[run], penalties[run])
        measured = cells(args, scores, policy, args.first, None)
        arena = scores.get(("arena_hard", args.first.get("arena_hard", ""), policy), {})
        filled: dict[str, Any] = {}
        for name, (_, _, column) in COLUMNS.items():
            difference = between.get((policy, first, name), {})
            filled |= {key: measured[key] for key in (name, f"{name}_low", f"{name}_high")}
            filled |= {
                f"{name}_difference": difference.get("difference"),
                f"{name}_difference_low": difference.get("low"),
                f"{name}_difference_high": difference.get("high"),
                f"{name}_paper": row and paper_value("table4", row, column, args.paper),
            }
        yield {
            "run": run,
            "reward_model": rewards[run],
            "length_penalty": penalties[run],
            "iteration": chosen[run],
            "characters": arena.get("avg_length"),
            "compared_with": online[0],
            **filled,
        }


if __name__ == "__main__":
    command.run(main, Args)
