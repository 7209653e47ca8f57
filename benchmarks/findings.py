"""The README's list of the paper's findings, from what `make findings` measured: what holds, what may, what does not.

python -m benchmarks.findings      writes it into the README
"""

import csv
from pathlib import Path

from benchmarks import readme
from benchmarks.results import RESULTS
from scripts.report.claims import DOES_NOT_APPEAR, HOLDS, WITHIN_NOISE

NAME = "findings"
GROUPS = {
    HOLDS: "**Hold** (the 95% interval over the seeds lies above 0)",
    WITHIN_NOISE: "**Within noise** (positive on average, but the interval includes 0)",
    DOES_NOT_APPEAR: "**Do not appear**",
}


def rendered(folder: Path = RESULTS) -> str:
    """By verdict, a line for each finding: the mean of what was measured and how many seeds are positive."""
    with (folder / "findings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {word: [said(row) for row in rows if row["verdict"].startswith(word)] for word in GROUPS}
    return "\n".join(line for word, lines in found.items() for line in (f"- {GROUPS[word]}:", *lines))


def said(row: dict[str, str]) -> str:
    finding, mean = row["finding"][0].lower() + row["finding"][1:], float(row["mean"])
    _, _, seeds = row["verdict"].partition("; positive in ")
    size = f"{mean:+.2f}" if abs(mean) < 10 else f"{mean:+.0f}"
    return f"  - {finding} ({size}; {seeds.removesuffix(' seeds')})"


def block() -> str:
    return readme.block(NAME, rendered())


if __name__ == "__main__":
    readme.replace(NAME, rendered())
