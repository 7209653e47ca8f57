"""Where a raw file holds text that is not UTF-8: the databases only say that it does."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from pyarrow import RecordBatch


@contextmanager
def located(path: Path) -> Iterator[None]:
    """Add row and column to the complaint that a raw Parquet file holds text that is not UTF-8.

    Raises:
        StudyError: the complaint, with the place.
    """
    try:
        yield
    except StudyError as error:
        if "not valid UTF8" not in str(error) or (place := find_invalid_text(path)) is None:
            raise
        column, row = place
        message = f"{error} It is in column '{column}' of row {row}. Repair the file, or retrieve it again."
        raise StudyError(message) from None


def find_invalid_text(path: Path) -> tuple[str, int] | None:
    """The column and row, counted from 1, of the first text in a Parquet file that is not UTF-8."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    for column in file.schema_arrow.names:
        before = 0
        for batch in file.iter_batches(columns=[column]):
            if not is_valid(batch):
                # a copy of the row alone: a slice would still hold its neighbours' texts
                row = next(row for row in range(batch.num_rows) if not is_valid(batch.take([row])))
                return column, before + row + 1
            before += batch.num_rows
    return None


def is_valid(batch: "RecordBatch") -> bool:
    """Whether all texts of a batch, in lists and structs too, are UTF-8."""
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True
