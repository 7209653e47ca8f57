"""Adapters from a published layout: an SQL file that creates the empty table `layout`, then selects from `raw`.

The table says which columns the adapter reads and of which type, so that a file of another shape is refused before the
query runs, in the words of the file and not of the database. A file may hold more columns than that. Where a row of the
file does not become one row, a third statement says how many there must be.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.errors import StudyError
from scripts.data.database import lists_view, query, raw_view, value

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

NUMBERS = {
    "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint",
    "float", "double", "decimal",
}  # fmt: skip


def adapted(connection: "DuckDBPyConnection", file: Path, adapter: str) -> str:
    """The query that reads `file`, now the view `raw`, with the adapter `sql/{adapter}`.

    Raises:
        StudyError: the file has not the layout that the adapter reads.
    """
    found = raw_view(connection, file)
    needed, select, _ = _load(connection, adapter)
    if misfits := problems(found, needed):
        raise _refusal(file, {adapter: misfits}, found)
    return select


def number_of_rows(connection: "DuckDBPyConnection", file: Path, adapter: str) -> int:
    """How many rows an adapter must make of `file`, which is the view `raw`, found without reading its lists' texts."""
    needed, _, count = _load(connection, adapter)
    if count is None:
        return value(connection, "SELECT count(*) FROM raw")
    if lists := [name for name, kind in needed.items() if kind.id == "list"]:
        lists_view(connection, file, lists)
    return value(connection, count)


def recognise(connection: "DuckDBPyConnection", file: Path, adapters: Sequence[str]) -> tuple[str, str]:
    """The first of some adapters whose layout a file has, and the query that reads it, now the view `raw`.

    Raises:
        StudyError: the file has none of the layouts.
    """
    found = raw_view(connection, file)
    misfits = {}
    for adapter in adapters:
        needed, select, _ = _load(connection, adapter)
        misfits[adapter] = problems(found, needed)
        if not misfits[adapter]:
            return adapter, select
    raise _refusal(file, misfits, found)


def named(files: Sequence[Path], names: Sequence[str]) -> list[tuple[str, Path]]:
    """Files with their names, which must be as many."""
    if len(files) != len(names):
        raise StudyError(f"--raw has {len(files)} files and --names {len(names)} names; give one name for each file.")
    return list(zip(names, files, strict=True))


def problems(found: Mapping[str, "DuckDBPyType"], needed: Mapping[str, "DuckDBPyType"]) -> list[str]:
    """What keeps a file from being read by an adapter, a line each; none when it fits."""
    lines = []
    for name, kind in needed.items():
        if name not in found:
            lines.append(f"there is no column '{name}' ({kind})")
        else:
            lines += _misfits(name, found[name], kind)
    return lines


def _load(connection: "DuckDBPyConnection", adapter: str) -> tuple[dict[str, "DuckDBPyType"], str, str | None]:
    """The columns that an adapter reads, its query, and the one that counts the rows which the former must return."""
    create, select, *count = connection.extract_statements(query(adapter))
    connection.execute("DROP TABLE IF EXISTS layout")
    connection.execute(create)
    layout = connection.table("layout")
    needed = dict(zip(layout.columns, layout.types, strict=True))
    return needed, select.query.strip().removesuffix(";"), count[0].query if count else None


def _refusal(file: Path, misfits: Mapping[str, Sequence[str]], found: Mapping[str, "DuckDBPyType"]) -> StudyError:
    reasons = " ".join(f"For scripts/data/sql/{adapter}: {'; '.join(lines)}." for adapter, lines in misfits.items())
    return StudyError(
        f"{file}: not in a layout that can be read. {reasons} "
        f"The file has {', '.join(f'{name} ({kind})' for name, kind in found.items())}. "
        "Name another source in the configuration, or give the file in its published layout."
    )


def _misfits(where: str, found: "DuckDBPyType", needed: "DuckDBPyType") -> list[str]:
    """Where a type lacks what is needed: fields of structs may come in any order, and numbers be of any width."""
    if needed.id == "list" and found.id == "list":
        return _misfits(f"{where}[]", found.children[0][1], needed.children[0][1])
    if needed.id == "struct" and found.id == "struct":
        fields = dict(found.children)
        lines = []
        for name, kind in needed.children:
            if name in fields:
                lines += _misfits(f"{where}.{name}", fields[name], kind)
            else:
                lines.append(f"there is no field '{where}.{name}' ({kind})")
        return lines
    if found.id == needed.id or {found.id, needed.id} <= NUMBERS:
        return []
    return [f"'{where}' is {found}, expected {needed}"]
