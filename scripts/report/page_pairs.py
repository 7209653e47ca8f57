"""The pair browser's data: online pairs of all runs and iterations, packed so that they travel inside the page.

A study of the paper's size has more than a hundred thousand pairs; so many that every run and iteration has its share
are drawn by identity, and long texts are cut, with a mark.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.common import tables

PAIRS = 4_000
"""Pairs in the page at most."""
CHARACTERS = 2_500
"""Of a text at most; a page with four thousand pairs then stays below some ten megabytes."""
QUERY = Path(__file__).parent / "sql" / "browsed_pairs.sql"


def browsed(paths: Sequence[Path], seed: int, limit: int = PAIRS) -> list[dict[str, Any]]:
    """Pairs to browse: an equal share of each {run}/iter{t}/pairs.parquet, drawn by the seed."""
    import duckdb

    query, rows = QUERY.read_text(), []
    for path in paths:
        tables.open_table(path, tables.ONLINE_PAIRS).close()
        values = {"path": str(path), "seed": seed, "share": max(1, limit // len(paths)), "characters": CHARACTERS}
        found = duckdb.sql(query, params=values).to_arrow_table().to_pylist()
        origin = {"run": path.parent.parent.name, "iteration": int(path.parent.name.removeprefix("iter"))}
        rows += [{**origin, **row} for row in found]
    return rows


def packed(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as base64 of gzipped JSON, columns instead of rows; the same rows give the same bytes."""
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else [])}
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
