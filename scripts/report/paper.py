"""The numbers printed in the paper, from config/paper.tsv."""

import csv
from functools import cache
from pathlib import Path

from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT

PAPER = ROOT / "config/paper.tsv"
COLUMNS = ["table", "row", "column", "value", "note"]
PAPER_ROWS = {  # method -> (table, row) of the paper
    "SFT": ("table2", "Ours (SFT baseline)"),
    "offline DPO": ("table2", "Ours (DPO baseline)"),
    "iterative DPO": ("table2", "Ours (Iterative RLHF)"),
    "iterative DPO, length penalty": ("table4", "Ours-concise"),
}


@cache
def read_paper(path: Path = PAPER) -> dict[tuple[str, str, str], float]:
    """(table, row, column) -> number.

    Raises:
        StudyError: a line has not five fields, repeats a cell, or its value is no number.
    """
    numbers: dict[tuple[str, str, str], float] = {}
    with path.open(newline="") as handle:
        lines = csv.reader(handle, delimiter="\t")
        if next(lines, None) != COLUMNS:
            raise StudyError(f"{path}: the first line must name the columns {', '.join(COLUMNS)}.")
        for line in lines:
            if len(line) != len(COLUMNS):
                raise StudyError(f"{path}, line {lines.line_num}: {len(line)} fields; expected {len(COLUMNS)}.")
            table, row, column, value, _ = line
            if (table, row, column) in numbers:
                raise StudyError(f"{path}, line {lines.line_num}: the cell {table} / {row} / {column} is given twice.")
            try:
                numbers[table, row, column] = float(value)
            except ValueError:
                raise StudyError(f"{path}, line {lines.line_num}: '{value}' is no number.") from None
    return numbers


def paper_value(table: str, row: str, column: str, path: Path = PAPER) -> float | None:
    """A printed number, or None where the paper has none in that cell.

    >>> paper_value("table2", "Ours (Iterative RLHF)", "LC AlpacaEval-2")
    31.3
    """
    return read_paper(path).get((table, row, column))


def paper_run(reward_model: str, length_penalty: float) -> str | None:
    """The row of the paper's Table 4 with the same reward model, and a length penalty or none."""
    rows = {("mix2", False): "Ours", ("mix2", True): "Ours-concise", ("ultrarm", False): "UltraRM-13B"}
    return rows.get((reward_model, length_penalty > 0))
