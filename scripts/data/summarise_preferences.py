"""What the preference data are: Table 5 beside the paper's, what the filter dropped and why, lengths, gaps, margins.

What an engineer wants to see before spending GPU hours: percentiles of lengths, what a shorter limit would cut, by how
much chosen responses are longer than rejected ones (the source of length bias), and how clear the scores are. Each
table is one query of `sql/summaries`; its first sentence says what it holds.

    python -m scripts.data.summarise_preferences --preferences results/demo/data/preferences/hh_rlhf.parquet \\
        --dropped results/demo/data/dropped/hh_rlhf.parquet --tokens results/demo/data/tokens/hh_rlhf.parquet \\
        --completions LLM --annotators Human --table5-rows HH-RLHF --max-tokens 256 --output results/demo/tables
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.provenance import ROOT
from scripts.common.tables import DROPPED, PREFERENCES, TOKEN_COUNTS, count_rows
from scripts.data.database import MEMORY_MB, connect, explained, query, quoted, view

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAPER = ROOT / "config/paper.tsv"


@dataclass(frozen=True)
class Args:
    preferences: tuple[Input, ...]
    """Preference pairs, a file for each source, named after it."""
    dropped: tuple[Input, ...]
    """Dropped pairs of the same sources, in the same order."""
    tokens: tuple[Input, ...]
    """Token counts of all pairs of the same sources, in the same order."""
    completions: tuple[str, ...]
    """Who wrote the responses of each source."""
    annotators: tuple[str, ...]
    """Who judged the responses of each source."""
    table5_rows: tuple[str, ...]
    """The row of each source in the paper's Table 5; none: it has none."""
    max_tokens: int
    """Longest prompt with its longer response that the filter kept."""
    table5_preference_data: Output
    filter_report: Output
    filter_totals: Output
    length_statistics: Output
    length_gaps: Output
    length_cuts: Output
    length_histograms: Output
    margin_histograms: Output
    paper: Input = PAPER
    """The paper's numbers."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    names = [path.stem for path in args.preferences]
    others = [[path.stem for path in paths] for paths in (args.dropped, args.tokens)]
    described = [args.completions, args.annotators, args.table5_rows]
    if others != [names, names] or any(len(values) != len(names) for values in described):
        raise StudyError(
            f"--preferences names {', '.join(names)}; --dropped and --tokens must name the same in the same order, and "
            f"--completions, --annotators and --table5-rows give one value for each; got {others} and {described}."
        )
    with connect(args.memory_mb) as connection:
        view(connection, "preferences", args.preferences, PREFERENCES)
        view(connection, "dropped", args.dropped, DROPPED)
        view(connection, "tokens", args.tokens, TOKEN_COUNTS)
        connection.read_csv(str(args.paper), sep="\t", header=True).create_view("paper")
        connection.execute(
            "CREATE TABLE sources"
            " (position INTEGER, source VARCHAR, completion VARCHAR, annotator VARCHAR, table5 VARCHAR)"
        )
        rows = [None if row == "none" else row for row in args.table5_rows]
        connection.executemany(
            "INSERT INTO sources VALUES (?, ?, ?, ?, ?)",
            [list(row) for row in zip(range(len(names)), names, args.completions, args.annotators, rows, strict=True)],
        )
        connection.execute(f"CREATE TEMP TABLE pairs AS {query('lengths_of_pairs.sql')}")
        write_csv(connection, "summaries/table5_preference_data.sql", args.table5_preference_data)
        write_csv(connection, "summaries/filter_report.sql", args.filter_report)
        write_csv(connection, "summaries/filter_totals.sql", args.filter_totals)
        write_csv(connection, "summaries/length_statistics.sql", args.length_statistics)
        write_csv(connection, "summaries/length_gaps.sql", args.length_gaps)
        write_csv(connection, "summaries/length_cuts.sql", args.length_cuts, {"max_tokens": args.max_tokens})
        write_csv(connection, "summaries/length_histograms.sql", args.length_histograms)
        write_csv(connection, "summaries/margin_histograms.sql", args.margin_histograms)
    kept = sum(count_rows(path, PREFERENCES) for path in args.preferences)
    return {"kept": kept, "dropped": sum(count_rows(path, DROPPED) for path in args.dropped)}


def write_csv(connection: "DuckDBPyConnection", name: str, path: Path, values: dict[str, int] | None = None) -> None:
    """Write what a query returns as CSV with a header, atomically."""
    with publish(path) as temporary, explained(path):
        copy = f"COPY ({query(name)}\n) TO '{quoted(temporary)}' (FORMAT csv, HEADER)"
        connection.execute(copy, values or {})


if __name__ == "__main__":
    command.run(main, Args)
