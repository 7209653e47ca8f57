"""Passages of the README that commands write: each stands between two marks that bear its name."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def block(name: str, text: str) -> str:
    """A passage with its marks, as it stands in the README."""
    return f"<!-- {name} -->\n{text}\n<!-- /{name} -->"


def replace(name: str, text: str) -> None:
    """Write a passage in the place of the one that bears its name."""
    before, _, rest = README.read_text().partition(f"<!-- {name} -->")
    README.write_text(before + block(name, text) + rest.partition(f"<!-- /{name} -->")[2])
