"""Table 5 of the paper, for the study's own preference data, and a report of what the filter dropped and why.

    python -m scripts.data.summarise_preferences --preferences results/demo/data/preferences/hh_rlhf.parquet \\
        --dropped results/demo/data/dropped/hh_rlhf.parquet --completions LLM --annotators Human \\
        --table results/demo/tables/table5_preference_data.csv --filter-report results/demo/tables/filter_report.csv
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.tables import DROPPED, PREFERENCES, count_rows
from scripts.data.database import connect, explained, query, quoted, view

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Args:
    preferences: tuple[Input, ...]
    """Preference pairs, a file for each source, named after it."""
    dropped: tuple[Input, ...]
    """Dropped pairs of the same sources, in the same order."""
    completions: tuple[str, ...]
    """Who wrote the responses of each source."""
    annotators: tuple[str, ...]
    """Who judged the responses of each source."""
    table: Output
    """Table 5 as CSV."""
    filter_report: Output
    """Pairs kept and dropped, by source and reason, as CSV."""


def main(args: Args) -> dict:
    names = [path.stem for path in args.preferences]
    described = [[path.stem for path in args.dropped], args.completions, args.annotators]
    if described[0] != names or any(len(values) != len(names) for values in described):
        raise StudyError(
            f"--preferences names {', '.join(names)}; --dropped must name the same in the same order, --completions "
            f"and --annotators must give one value for each; got {described[0]}, {described[1]} and {described[2]}."
        )
    with connect() as connection:
        view(connection, "preferences", args.preferences, PREFERENCES)
        view(connection, "dropped", args.dropped, DROPPED)
        connection.execute(
            "CREATE TABLE sources (position INTEGER, source VARCHAR, completion VARCHAR, annotator VARCHAR)"
        )
        connection.executemany(
            "INSERT INTO sources VALUES (?, ?, ?, ?)",
            [list(row) for row in zip(range(len(names)), names, args.completions, args.annotators, strict=True)],
        )
        write_csv(connection, query("table5.sql"), args.table)
        write_csv(connection, query("filter_report.sql"), args.filter_report)
    kept = sum(count_rows(path, PREFERENCES) for path in args.preferences)
    return {"kept": kept, "dropped": sum(count_rows(path, DROPPED) for path in args.dropped)}


def write_csv(connection: "DuckDBPyConnection", select: str, path: Path) -> None:
    """Write what a query returns as CSV with a header, atomically."""
    with publish(path) as temporary, explained(path):
        connection.execute(f"COPY ({select}\n) TO '{quoted(temporary)}' (FORMAT csv, HEADER)")


if __name__ == "__main__":
    command.run(main, Args)
