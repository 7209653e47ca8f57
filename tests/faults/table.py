"""The README's fault table, from what the fault tests measured.

FAULT_ROWS=benchmarks/results/faults.csv python -m pytest tests/faults/test_matrix.py     measures, a row for each cell
python -m tests.faults.table                                                              writes them into the README
"""

import csv
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.attempts import Attempt

ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "benchmarks/results/faults.csv"
START, END = "<!-- faults -->", "<!-- /faults -->"
FAULTS = ("kill -9", "SIGTERM", "killed while it saves", "full disk")
FAULTS += ("scancel", "scontrol requeue", "preemption", "time limit", "out of memory", "node down")
STAGE_NAMES = ("generation", "scoring", "SFT", "reward model", "DPO")
COLUMNS = ("fault", "stage", "runs", "survived", "taken_over", "unit", "lost_seconds", "identical")


def record(fault: str, stage: str, attempt: "Attempt") -> None:
    """Write a cell into the file that FAULT_ROWS names, in place of an earlier row; without it, nothing."""
    if "FAULT_ROWS" not in os.environ:
        return
    path = Path(os.environ["FAULT_ROWS"])
    rows = {(row["fault"], row["stage"]): row for row in read(path)}
    survived = attempt.resumed == attempt.expected
    values = (fault, stage, 1, int(survived), attempt.resumed, "steps" if attempt.stage.product else "rows")
    values += (f"{attempt.lost:.2f}", "yes" if attempt.identical else "no")
    rows[fault, stage] = dict(zip(COLUMNS, values, strict=True))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())


def read(path: Path = MEASURED) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def rendered(rows: list[dict[str, str]]) -> str:
    """A line for each fault, a column for each stage: runs survived, seconds of work lost, result identical.

    A cell that no run has measured says so.
    """
    cell = {(row["fault"], row["stage"]): row for row in rows}
    lines = ["| " + " | ".join(["fault", *STAGE_NAMES]) + " |", "|---" * (1 + len(STAGE_NAMES)) + "|"]
    for fault in FAULTS:
        cells = [_said(cell[fault, stage]) if (fault, stage) in cell else "not run" for stage in STAGE_NAMES]
        lines.append("| " + " | ".join([fault, *cells]) + " |")
    return "\n".join(lines)


def _said(row: dict[str, str]) -> str:
    lost = f"{float(row['lost_seconds']):.1f} s"
    return f"{row['survived']} of {row['runs']} · {lost} · {row['identical']}"


def block() -> str:
    return f"{START}\n{rendered(read())}\n{END}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition(START)
    readme.write_text(before + block() + rest.partition(END)[2])
