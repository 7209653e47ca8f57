"""The report's CSV tables: written atomically, read with a check of their columns."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.errors import StudyError
from scripts.common.files import publish

if TYPE_CHECKING:
    import polars as pl

DIGITS = 6


def write_csv(rows: Sequence[dict[str, Any]], path: Path, columns: Iterable[str]) -> None:
    """Write rows under a header; None and nan become empty cells, floats keep six decimals."""
    import polars as pl

    columns = list(columns)
    frame = pl.DataFrame({name: [_cell(row[name]) for row in rows] for name in columns}, strict=False)
    with publish(path) as temporary:
        frame.write_csv(temporary)


def read_csv(path: Path, columns: Iterable[str]) -> "pl.DataFrame":
    """The table; empty cells are null.

    Raises:
        StudyError: the file is no CSV table or lacks one of `columns`.
    """
    import polars as pl

    try:
        frame = pl.read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(f"{path}: not a CSV table ({reason}). Delete it and run the same target again.") from None
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise StudyError(
            f"{path}: no column {', '.join(missing)}; the file has {', '.join(frame.columns)}. "
            "Delete it and run the same target again."
        )
    return frame


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    return value
