"""Long tables made chunk by chunk: a job that was killed makes no more than the chunk in flight again (promise 2).

A chunk is a Parquet file in the output's work directory, which Snakemake does not know and so does not delete; it
appears whole or not at all. When all are there they are put together, in order, and published: the table has the same
bytes however often the job was killed.
"""

import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from scripts.common import checkpoints, tables
from scripts.common.errors import StudyError
from scripts.common.files import remove

P = TypeVar("P")


def write_table(
    output: Path,
    contract: tables.Contract,
    identity: str,
    parts: Iterable[P],
    make: Callable[[P], pa.Table],
    total: int,
    unit: str,
    schema: pa.Schema | None = None,
) -> int:
    """Write `make(part)` for every part into one table; parts whose chunk an earlier run has made are passed over.

    The caller holds the lock of the output (`checkpoints.only_writer`). SIGTERM ends the process at once, with one line
    that says how far it came: between two chunks there is nothing to save.

    Args:
        identity: what decides the rows (`checkpoints.identity`); chunks of another identity are removed.
        total: rows that the table will have, for the progress bar, counted in `unit`.
        schema: of the table; without it the contract's columns.

    Returns the number of rows taken over from an earlier run.
    """
    from tqdm import tqdm

    work = checkpoints.work_directory(output, identity)
    checkpoints.tidy(work)
    chunks: list[Path] = []
    kept = 0
    with _ended_by_sigterm(output, chunks), tqdm(total=total, unit=unit, mininterval=5) as progress:
        for number, part in enumerate(parts):
            chunk = work / f"chunk-{number:06}.parquet"
            rows = _rows(chunk, contract)
            if rows is None:
                rows = tables.write_table(make(part), chunk, contract)
            else:
                kept += rows
            chunks.append(chunk)
            progress.update(rows)
    _put_together(chunks, output, contract, schema or contract.columns)
    remove(work)
    return kept


def _rows(chunk: Path, contract: tables.Contract) -> int | None:
    """The rows of a chunk, or None where it is not there, or not whole."""
    try:
        return tables.count_rows(chunk, contract)
    except StudyError:
        return None


def _put_together(chunks: list[Path], output: Path, contract: tables.Contract, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    with tables.checked(output, contract) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as file:
        for chunk in chunks:
            file.write_table(tables.read_table(chunk, contract).cast(schema))


@contextmanager
def _ended_by_sigterm(output: Path, chunks: list[Path]) -> Iterator[None]:
    """Within the block SIGTERM raises SystemExit, which no library takes for an error of its own and swallows."""

    def end(number, frame):
        sys.exit(f"error: {output}: stopped by SIGTERM with {len(chunks)} chunks made. The same command goes on there.")

    earlier = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)
