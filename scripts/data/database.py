"""DuckDB for the stage: a connection with the macros, queries from `sql/`, views of files, and errors in one line.

Queries read views named after what they hold (`raw`, `standard`, `tokens`, ...); which files lie behind them is said
here. Files are read and written in a stream; what does not fit into memory spills to the folder for temporary files.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.errors import StudyError
from scripts.common.tables import Contract, checked, open_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

QUERIES = Path(__file__).parent / "sql"
# Tables of texts are written and read at every stage: Snappy takes half of the time of Zstandard and 1.6 times the
# space; small row groups keep what a thread holds small.
COPY_OPTIONS = "(FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 16384)"
MEMORY_MB = 4096
SHARE = 0.75  # of a job's memory is DuckDB's; Python and Arrow need the rest


def query(name: str) -> str:
    """The text of `sql/{name}`."""
    return (QUERIES / name).read_text()


@contextmanager
def connect(memory_mb: int = MEMORY_MB) -> Iterator["DuckDBPyConnection"]:
    """An in-memory database that knows the macros of `sql/macros.sql`; closed at the end of the block.

    A job that has `memory_mb` stays within it, whatever the number of rows: what needs more spills to the disk.
    """
    import duckdb

    # a folder for each process: DuckDB's names for spilled blocks are not unique
    spill = f"{tempfile.gettempdir()}/duckdb-{os.getpid()}"
    settings = {
        "temp_directory": spill,
        "memory_limit": f"{int(SHARE * memory_mb)}MiB",
        "threads": len(os.sched_getaffinity(0)),
    }
    with duckdb.connect(config=settings) as connection:
        connection.execute(query("macros.sql"))
        yield connection


@contextmanager
def explained(what: object) -> Iterator[None]:
    """Turn a complaint of DuckDB into one line that opens with what it is about: a file or a source.

    Raises:
        StudyError: in place of `duckdb.Error`.
    """
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise StudyError(f"{what}: {str(error).strip().splitlines()[0]}") from None


def view(
    connection: "DuckDBPyConnection",
    name: str,
    paths: Path | Sequence[Path],
    contract: Contract,
    *,
    numbered: bool = False,
) -> None:
    """Let queries read tables that keep `contract` as the view `name`; `numbered` adds the column file_row_number."""
    paths = [paths] if isinstance(paths, Path) else list(paths)
    for path in paths:
        open_table(path, contract).close()
    files = [str(path) for path in paths]
    with explained(", ".join(files)):
        columns = ", ".join(f'"{column}"' for column in contract.columns.names)
        found = connection.read_parquet(files, file_row_number=numbered)
        found.project(columns + (", file_row_number" if numbered else "")).create_view(name)


def raw_view(connection: "DuckDBPyConnection", path: Path) -> dict[str, "DuckDBPyType"]:
    """Let queries read a raw file as the view `raw`, whatever it holds; returns its columns and their types."""
    with explained(path):
        raw = connection.read_parquet(str(path))
        raw.create_view("raw", replace=True)
        return dict(zip(raw.columns, raw.types, strict=True))


def lists_view(connection: "DuckDBPyConnection", path: Path, columns: Sequence[str]) -> None:
    """Let queries read some columns of lists as the view `lists`, each with the smallest of its fields alone.

    That is enough for the lists' lengths; DuckDB would read all their fields.
    """
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    sizes = {file.schema.column(i).path: 0 for i in range(len(file.schema))}
    for group in map(file.metadata.row_group, range(file.num_row_groups)):
        for field in map(group.column, range(group.num_columns)):
            sizes[field.path_in_schema] += field.total_compressed_size
    smallest = [min((path for path in sizes if path.startswith(f"{name}.")), key=sizes.__getitem__) for name in columns]
    connection.register("lists", file.read(columns=smallest))


def write(
    connection: "DuckDBPyConnection",
    select: str,
    path: Path,
    contract: Contract,
    values: Mapping[str, Any] | None = None,
    about: object = None,
) -> int:
    """Write what a query returns as a table that keeps `contract`, atomically; returns the number of rows.

    Complaints open with what the query reads (`about`), or with the path written to.
    """
    with checked(path, contract) as temporary, explained(about or path):
        copy = f"COPY ({select.rstrip().removesuffix(';')}\n) TO '{quoted(temporary)}' {COPY_OPTIONS}"
        return connection.execute(copy, dict(values or {})).fetchone()[0]


def value(connection: "DuckDBPyConnection", statement: str, values: Mapping[str, Any] | None = None) -> Any:
    """The single value of a statement that returns one row of one column: a count, the rows that it inserted."""
    [(found,)] = connection.execute(statement, dict(values or {})).fetchall()  # an unfinished result blocks the next
    return found


def check_count(what: object, read: int, kept: int, dropped: int) -> None:
    """What was read is kept or dropped: no row is lost without a reason, and none comes twice."""
    if kept + dropped != read:
        raise StudyError(f"{what}: {read} rows were read, but {kept} kept and {dropped} dropped; this is a defect.")


def check_adapted(what: object, expected: int, made: int) -> None:
    """An adapter has made as many rows of a raw file as there must be: none is lost before it can get a reason."""
    if made != expected:
        raise StudyError(f"{what}: the file holds {expected} rows, but {made} were made; this is a defect.")


def quoted(path: Path) -> str:
    """A path as DuckDB reads it between quotes."""
    return str(path).replace("'", "''")
