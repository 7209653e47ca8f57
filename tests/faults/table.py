"""The README's fault table: every fault strikes every stage, and what was measured replaces what stood there.

    python -m tests.faults.table      runs the fault tests (as root, with SLURM's packages)

A row of benchmarks/results/faults.csv is one strike. Nothing is replaced unless every cell was measured in this call; a
cell that did not survive is written as that, and the exit status is that of the tests.
"""

import csv
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import readme

if TYPE_CHECKING:
    from tests.faults.attempts import Attempt

Row = dict[str, str]
ROOT = Path(__file__).parents[2]
MEASURED = ROOT / "benchmarks/results/faults.csv"
NAME = "faults"
FAULTS = ("kill -9", "SIGTERM", "killed while it saves", "full disk")
FAULTS += ("scancel", "scontrol requeue", "preemption", "time limit", "out of memory", "node down")
STAGE_NAMES = ("generation", "scoring", "SFT", "reward model", "DPO")
TESTS = ("tests/faults/test_matrix.py", "tests/faults/test_elastic.py")
COLUMNS = ("fault", "stage", "survived", "taken_over", "unit", "lost_seconds", "identical")


def record(fault: str, stage: str, attempt: "Attempt") -> None:
    """Add a strike to the file that FAULT_ROWS names; without it, nothing."""
    if "FAULT_ROWS" not in os.environ:
        return
    path = Path(os.environ["FAULT_ROWS"])
    survived, unit = attempt.resumed == attempt.expected, "steps" if attempt.stage.product else "rows"
    values = (fault, stage, int(survived), attempt.resumed, unit, f"{attempt.lost:.2f}")
    rows = [*read(path), dict(zip(COLUMNS, (*values, "yes" if attempt.identical else "no"), strict=True))]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path = MEASURED) -> list[Row]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def unmeasured(rows: Iterable[Row]) -> list[str]:
    """The cells of the matrix that no row is of."""
    measured = {(row["fault"], row["stage"]) for row in rows}
    return [f"{fault} on {stage}" for fault, stage in product(FAULTS, STAGE_NAMES) if (fault, stage) not in measured]


def rendered(rows: Iterable[Row]) -> str:
    """A line for each fault, a column for each stage: strikes survived, seconds of work lost, result identical."""
    cell = defaultdict(list)
    for row in rows:
        cell[row["fault"], row["stage"]].append(row)
    lines = ["| " + " | ".join(["fault", *STAGE_NAMES]) + " |", "|---" * (1 + len(STAGE_NAMES)) + "|"]
    for fault in FAULTS:
        lines.append("| " + " | ".join([fault, *(_said(cell[fault, stage]) for stage in STAGE_NAMES)]) + " |")
    return "\n".join(lines)


def _said(rows: list[Row]) -> str:
    survived, lost = sum(int(row["survived"]) for row in rows), max(float(row["lost_seconds"]) for row in rows)
    identical = "yes" if all(row["identical"] == "yes" for row in rows) else "no"
    return f"{survived} of {len(rows)} · {lost:.1f} s · {identical}"


def block() -> str:
    return readme.block(NAME, rendered(read()))


def main() -> int:
    """Measure all cells, and put the rows and the README's table in the place of what was there."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / MEASURED.name
        tests = [sys.executable, "-m", "pytest", *TESTS]
        status = subprocess.run(tests, cwd=ROOT, env={**os.environ, "FAULT_ROWS": str(fresh)}, check=False).returncode
        if missing := unmeasured(read(fresh)):
            print(f"error: not measured, so the table stays as it was: {', '.join(missing)}", file=sys.stderr)
            return 1
        MEASURED.write_bytes(fresh.read_bytes())
    readme.replace(NAME, rendered(read()))
    return status


if __name__ == "__main__":
    sys.exit(main())
