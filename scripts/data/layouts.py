"""Adapters from a published layout: an SQL file that creates the empty table `layout`, then selects from `raw`.

The table says which columns the adapter reads and of which type, so that a file of another shape is refused before the
query runs, in the words of the file and not of the database. A file may hold more columns than that.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scripts.common.errors import StudyError
from scripts.data.database import query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

NUMBERS = {
    "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint",
    "float", "double", "decimal",
}  # fmt: skip


def load(connection: "DuckDBPyConnection", adapter: str) -> tuple[dict[str, "DuckDBPyType"], str]:
    """The columns that the adapter `sql/{adapter}` reads, and its query."""
    create, select = connection.extract_statements(query(adapter))
    connection.execute(f"DROP TABLE IF EXISTS layout; {create.query}")
    layout = connection.table("layout")
    return dict(zip(layout.columns, layout.types, strict=True)), select.query


def problems(found: Mapping[str, "DuckDBPyType"], needed: Mapping[str, "DuckDBPyType"]) -> list[str]:
    """What keeps a file from being read by an adapter, a line each; none when it fits."""
    lines = []
    for name, kind in needed.items():
        if name not in found:
            lines.append(f"there is no column '{name}' ({kind})")
        else:
            lines += _misfits(name, found[name], kind)
    return lines


def refuse(file: object, adapter: str, lines: list[str], found: Mapping[str, "DuckDBPyType"]) -> StudyError:
    """The error that names a file, the adapter, what does not fit, and what the file has."""
    return StudyError(
        f"{file}: can't be read by scripts/data/sql/{adapter}: {'; '.join(lines)}. "
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
