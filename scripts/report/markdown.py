"""Tables for people who read plain text: Markdown beside each CSV."""

from collections.abc import Sequence
from pathlib import Path

from scripts.common.files import publish


def markdown_table(rows: Sequence[dict[str, str]]) -> str:
    """Rows of ready cells under the keys of the first row.

    >>> print(markdown_table([{"policy": "sft", "n": "60"}]), end="")
    | policy | n |
    |---|---|
    | sft | 60 |
    """
    columns = list(rows[0])
    lines = [columns, *([row[column] for column in columns] for row in rows)]
    cells = [" | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) for line in lines]
    return "\n".join([f"| {cells[0]} |", "|" + "---|" * len(columns), *(f"| {line} |" for line in cells[1:])]) + "\n"


def write_markdown(heading: str, rows: Sequence[dict[str, str]], notes: Sequence[str], path: Path) -> None:
    """A heading, the table, and a paragraph for each note."""
    with publish(path) as temporary:
        temporary.write_text("\n".join([f"# {heading}\n", markdown_table(rows), *(f"{note}\n" for note in notes)]))
