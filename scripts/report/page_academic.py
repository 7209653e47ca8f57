"""The page's tables of academic benchmarks: Table 3, the academic columns of Table 4, and Table 6."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.report.csv_tables import read_csv
from scripts.report.page_tables import NONE, Table, interval, number, text
from scripts.report.tabulate_academic import COLUMNS, NOT_PART, TABLE3, TABLE4, TABLE6


def table3(path: Path) -> Table:
    """Policies down, benchmarks across; beneath each policy the paper's model of the same kind."""
    rows = read_csv(path, TABLE3).to_dicts()
    lines: list[dict[str, str]] = []
    muted: list[int] = []
    for policy in dict.fromkeys(row["policy"] for row in rows):
        found = {row["task"]: row for row in rows if row["policy"] == policy}
        first = next(iter(found.values()))
        star = " ★" if str(policy).endswith("-best") else ""
        name = f'<b>{text(policy)}</b>{star}<span class="ci">{text(described(first))}</span>'
        lines.append({"policy": name, **{COLUMNS[task]: score(row) for task, row in found.items()}})
        if any(row["paper"] is not None for row in found.values()):
            muted.append(len(lines))
            lines.append({"policy": "paper", **{COLUMNS[task]: percent(row["paper"]) for task, row in found.items()}})
    tasks = dict.fromkeys(row["task"] for row in rows)
    return Table(lines, "table3", muted=muted, heat=[COLUMNS[task] for task in tasks])


def described(row: Mapping[str, Any]) -> str:
    if row["method"] is None:
        return NOT_PART
    return f"{row['method']}, iteration {row['iteration']}" if row["iteration"] else row["method"]


def score(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return "not run"
    return interval(row, "value", "{:.1f}", 100, "low", "high") + f'<span class="ci">n = {row["n"]:,}</span>'


def percent(value: float | None) -> str:
    return number(None if value is None else value * 100, "{:.1f}")


def not_run(path: Path) -> list[str]:
    """Benchmarks of the study that were not run, each with the reason."""
    rows = [row for row in read_csv(path, TABLE3).to_dicts() if row["not_run"] not in (None, NOT_PART)]
    reasons: dict[str, list[str]] = {}
    for task, reason in dict.fromkeys((COLUMNS[row["task"]], row["not_run"]) for row in rows):
        reasons.setdefault(reason, []).append(task)
    return [f"{' and '.join(tasks)}, for {reason}" for reason, tasks in reasons.items()]


def table4(path: Path) -> Table:
    """Results of the online runs; beneath each its differences to the first, and the paper's numbers."""
    rows = read_csv(path, TABLE4).to_dicts()
    lines: list[dict[str, str]] = []
    muted: list[int] = []

    def line(name: str, first: Mapping[str, Any] | None, cells: Mapping[str, str]) -> None:
        if first is None:
            muted.append(len(lines))
        about = (text(first["reward_model"]), number(first["length_penalty"], "{:g}")) if first else ("", "")
        lines.append({"run": name, "reward model": about[0], "length penalty": about[1], **cells})

    for run in dict.fromkeys(row["run"] for row in rows):
        found = {row["task"]: row for row in rows if row["run"] == run}
        first = next(iter(found.values()))
        across: Sequence[tuple[str, Mapping[str, Any]]] = [(COLUMNS[task], row) for task, row in found.items()]
        line(f"<b>{text(run)}</b>", first, {column: run_cell(row) for column, row in across})
        if run != first["compared_with"]:
            name = f"{text(run)} \N{MINUS SIGN} {text(first['compared_with'])}"
            line(name, None, {column: interval(row, "difference", "{:+.1f}", 100) for column, row in across})
        if any(row["paper"] is not None for row in found.values()):
            line("paper", None, {column: percent(row["paper"]) for column, row in across})
    tasks = dict.fromkeys(row["task"] for row in rows)
    return Table(lines, "table4-academic", ["reward model"], muted, [COLUMNS[task] for task in tasks])


def run_cell(row: Mapping[str, Any]) -> str:
    return "not run" if row["value"] is None else interval(row, "value", "{:.1f}", 100, "low", "high")


def table6(path: Path) -> Table:
    """Benchmarks down: metric, shots here and in the paper, template, questions."""
    lines = []
    for row in read_csv(path, TABLE6).to_dicts():
        ran = row["not_run"] is None
        template = {True: "yes", False: "no", None: NONE}[row["chat_template"]]
        state = "run" if ran else "not run"
        lines.append(
            {"benchmark": f"<b>{text(row['benchmark'])}</b>", "metric": text(row["metric"])}
            | {
                "shots": number(row["shots"]),
                "shots, paper": f"<i>{number(row['paper_shots'])}</i>",
                "chat template": template,
            }
            | {"prompt": text(row["prompt"]), "questions": number(row["n"]), "state": text(state)}
        )
    return Table(lines, "table6", ["metric", "chat template", "prompt", "state"])
