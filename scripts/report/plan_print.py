"""The plan as tables on a terminal; every number with the word measured, configured or estimated."""

from collections.abc import Callable, Sequence
from typing import Any

from scripts.report.plan_work import TOKENS

PLAIN_WIDTH = 120  # of what goes to a file or a pipe


def show(plan: dict[str, Any]) -> None:
    """Print the plan."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    named = " ".join(plan["configs"])
    console.print(f"[bold]Plan of the study {plan['study']}[/bold] ({named}; {plan['model']} on {plan['device']})\n")
    for part in filter(None, (_rules(plan), _memory(plan), _judging(plan), _disk(plan), _path(plan), _choices(plan))):
        console.print(part)
        console.print()
    for title, lines in (("Figures", _figures(plan)), ("Throughput", _speeds(plan))):
        console.print(f"[bold]{title}[/bold] that the plan rests on")
        for line in lines:
            console.print(f"  {line}", markup=False, soft_wrap=True)
        console.print()
    for warning in warnings(plan):
        console.print(f"[bold]note:[/bold] {warning}", soft_wrap=True)


def warnings(plan: dict[str, Any]) -> list[str]:
    """What a person should change or know before the study is launched."""
    found = [
        f"a job of {row['rule']} takes {duration(row['longest_seconds'])}, longer than its limit of "
        f"{duration(row['limit_seconds'])}: raise resources.{row['rule']}.hours"
        for row in plan["rules"]
        if row["limit_seconds"] and row["longest_seconds"] > row["limit_seconds"]
    ]
    found += [
        f"a job of {row['rule']} takes {room(row['total'])} of a GPU's {room(row['limit'])}: {row['advice']}"
        for row in plan["memory"]
        if row["advice"]
    ]
    if plan["unpinned"]:
        found.append(f"`make pin` first, or the hub may change {'; '.join(plan['unpinned'])}")
    if any(row["measured_jobs"] < row["jobs"] for row in plan["rules"]):
        found.append("estimates are no promises: they do not count waiting in a queue, failures and what is run again")
    return found


def duration(seconds: float) -> str:
    """
    >>> duration(0.4), duration(42), duration(600), duration(5400)
    ('0.4 s', '42 s', '10 min', '1.5 h')
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def count(value: float) -> str:
    """
    >>> count(950), count(48_200), count(1.2e9)
    ('950', '48.2K', '1.2B')
    """
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if value >= size:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"


def room(value: float) -> str:
    """
    >>> room(16.1e9), room(3e5)
    ('16.1 GB', '0.3 MB')
    """
    for size, unit in ((1e12, "TB"), (1e9, "GB")):
        if value >= size:
            return f"{value / size:.1f} {unit}"
    return f"{value / 1e6:.1f} MB"


def basis(measured: int, total: int) -> str:
    """
    >>> basis(0, 3), basis(3, 3), basis(1, 3)
    ('estimated', 'measured', '1/3 measured')
    """
    if measured == total:
        return "measured"
    return f"{measured}/{total} measured" if measured else "estimated"


def _table(title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]], caption: str) -> Any:
    """A table of (heading, is it text?) columns, and a line about it."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for heading, is_text in columns:
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return Group(Text(title, style="bold"), table, Text(caption, style="dim"))


def _rules(plan: dict[str, Any]) -> Any:
    counted, heading, printed = _bill(plan)
    rows = []
    for row in plan["rules"]:
        tokens = f"{count(row['amount'])} {row['unit']}" if row["unit"] in TOKENS else ""
        hours = printed(row[counted]) if row[counted] else "-"
        longest, known = duration(row["longest_seconds"]), basis(row["measured_jobs"], row["jobs"])
        rows.append([row["rule"], f"{row['jobs']:,}", str(row["gpus"] or "-"), tokens, hours, longest, known])
    total = sum(row["jobs"] for row in plan["rules"])
    hours = sum(row[counted] for row in plan["rules"])
    measured = sum(row["measured_jobs"] for row in plan["rules"])
    rows.append(["total", f"{total:,}", "", "", printed(hours), "", basis(measured, total)])
    columns = [("rule", True), ("jobs", False), ("GPUs", False), ("tokens", False), (heading, False)]
    caption = f"GPUs: of one job; {heading}: of all jobs; basis: of the times."
    return _table("Jobs", [*columns, ("longest", False), ("basis", True)], rows, caption)


def _bill(plan: dict[str, Any]) -> tuple[str, str, Callable[[float], str]]:
    """What the bill is in, GPU-hours or, in a study without GPUs, core time: key in the plan, heading, how to print."""
    if any(row["gpus"] for row in plan["rules"]):
        return "gpu_hours", "GPU-h", lambda hours: f"{hours:,.1f}"
    return "core_hours", "core time", lambda hours: duration(3600 * hours)


def _memory(plan: dict[str, Any]) -> Any:
    if not plan["memory"]:
        return None
    parts = ["weights", "gradients", "optimiser", "activations", "reference", "cache"]
    rows = []
    for row in plan["memory"]:
        mark = " !" if row["advice"] else ""
        sizes = [room(row[part]) if row[part] else "-" for part in parts]
        name = row["model"].rpartition("/")[2]
        rows.append([row["rule"], name, str(row["gpus"]), *sizes, f"{room(row['total'])}{mark}"])
    columns = [("rule", True), ("model", True), ("GPUs", False), *((part, False) for part in parts), ("total", False)]
    caption = (
        f"Estimated by the formulas of scripts/report/memory.py; a GPU has {room(plan['memory'][0]['gpu'])} "
        "(gpu_memory_gb).\nTotal: with the CUDA context; cache: of one sequence of full length; !: does not fit."
    )
    return _table("Memory of a GPU", columns, rows, caption)


def _disk(plan: dict[str, Any]) -> Any:
    rows = []
    for line in plan["disk"]:
        there = room(line["measured"]) if line["measured"] else "-"
        rows.append([line["kind"], room(line["bytes"]), there, line["source"]])
    total, measured = (sum(line[key] for line in plan["disk"]) for key in ("bytes", "measured"))
    rows.append(["total", room(total), room(measured) if measured else "-", ""])
    columns = [("artifacts", True), ("room", False), ("measured", False), ("estimate of the rest", True)]
    return _table("Disk", columns, rows, "Measured: what is there now; room: with the estimate of what is not.")


def _judging(plan: dict[str, Any]) -> Any:
    if not plan["judging"]:
        return None
    rows = []
    for line in plan["judging"]:
        tokens = [count(line[key]) if line[key] else "-" for key in ("prompt_tokens", "completion_tokens")]
        dollars = f"{line['dollars']:,.2f}" if line["dollars"] else "-"
        known = basis(line["measured_policies"], line["policies"])
        head = [line["judge"], line["model"], line["benchmark"], str(line["policies"]), f"{line['requests']:,.0f}"]
        rows.append([*head, *tokens, dollars, known])
    total = [sum(line[key] for line in plan["judging"]) for key in ("requests", "prompt_tokens", "completion_tokens")]
    dollars = sum(line["dollars"] for line in plan["judging"])
    rows.append(["together", "", "", "", f"{total[0]:,.0f}", *map(count, total[1:]), f"{dollars:,.2f}", ""])
    columns = [("judge", True), ("model", True), ("benchmark", True), ("policies", False), ("requests", False)]
    columns += [("asked", False), ("said", False), ("dollars", False), ("basis", True)]
    caption = "Asked, said: tokens of the prompts and of the answers; dollars by the prices of the judge's endpoint."
    return _table("Judging", columns, rows, caption)


def _path(plan: dict[str, Any]) -> Any:
    root = f"results/{plan['study']}/"
    steps = [
        [step["rule"], step["job"].removeprefix(root), duration(step["seconds"]), step["basis"]]
        for step in plan["critical_path"]
    ]
    total = sum(step["seconds"] for step in plan["critical_path"])
    steps.append(["together", "", duration(total), ""])
    caption = "No number of GPUs makes the study shorter than this, with the shards that the configuration names."
    columns = [("rule", True), ("job", True), ("time", False), ("basis", True)]
    return _table("Critical path", columns, steps, caption)


def _choices(plan: dict[str, Any]) -> Any:
    counted, heading, printed = _bill(plan)
    clusters = list(plan["choices"][0]["wall_hours"])
    rows = []
    for choice in plan["choices"]:
        mark = " *" if choice["configured"] else ""
        cells = []
        for gpus in clusters:
            share = f" ({choice['gpus_in_use'][gpus]:.0%})" if gpus != "0" else ""
            cells.append(duration(3600 * choice["wall_hours"][gpus]) + share)
        rows.append([f"{choice['shards']}{mark}", f"{choice['jobs']:,}", printed(choice[counted]), *cells])
    columns = [("shards", False), ("jobs", False), (heading, False)]
    columns += [(f"{gpus} GPUs" if gpus != "0" else f"{plan['cores']} cores", False) for gpus in clusters]
    caption = (
        "Simulated (estimated), from the first job's start to the last one's end; in brackets the GPUs' time in use.\n"
        f"{plan['gpus_per_node']} GPUs a node, {plan['cores']} cores for the jobs without GPUs. "
        "* as configured (generation.shards)"
    )
    return _table("Wall time by shards and GPUs", columns, rows, caption)


def _figures(plan: dict[str, Any]) -> list[str]:
    return [
        f"{line['label']:<42} {line['value']:>13,.0f}  {line['basis']}: {line['source']}" for line in plan["figures"]
    ]


def _speeds(plan: dict[str, Any]) -> list[str]:
    """A line for each figure of the throughput table, with the rules that it holds for."""
    rules: dict[tuple[str, str], list[str]] = {}
    for line in plan["throughput"]:
        speed = f"{duration(line['start_up'])} a job"
        if line["unit"] != "jobs":
            speed = f"{line['per_second']:,.0f} {line['unit']}/s + {speed}"
        rules.setdefault((speed, f"{line['basis']}: {line['source']}"), []).append(line["rule"])
    return [f"{speed:>31}  {', '.join(names)}; {source}" for (speed, source), names in rules.items()]
