"""Bring a preference data set from its published layout to standard pairs (prompt, chosen, rejected), by SQL.

Each source has an adapter, `scripts/data/sql/sources/{source}.sql`. It drops nothing: a pair that it can't vouch for
carries a `defect`, and `filter_preferences` puts it aside with that reason (Appendix B.1).

    python -m scripts.data.standardise_preferences --raw results/demo/data/raw/preferences/hh_rlhf.parquet \\
        --source hh_rlhf --output results/demo/data/standard/hh_rlhf.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import STANDARD
from scripts.data import layouts
from scripts.data.database import QUERIES, connect, explained, query, value, write


@dataclass(frozen=True)
class Args:
    raw: Input
    """The data set as published."""
    source: str
    """Whose adapter reads it: hh_rlhf, ultrafeedback, ..."""
    output: Output
    """Standard pairs, ordered by pair_id."""


def main(args: Args) -> dict:
    adapter = find_adapter(args.source)
    with connect() as connection:
        select = layouts.adapted(connection, args.raw, adapter)
        with explained(f"{args.source}: {args.raw}"):
            connection.execute(f"CREATE TEMP VIEW adapted AS {select}")
            rows = value(connection, "SELECT count(*) FROM raw")
        pairs = write(connection, query("standard_pairs.sql"), args.output, STANDARD, {"source": args.source})
    return {"rows": rows, "pairs": pairs}


def find_adapter(source: str) -> str:
    """The SQL file of a source, relative to `scripts/data/sql`."""
    known = sorted(path.stem for path in (QUERIES / "sources").glob("*.sql"))
    if source not in known:
        raise StudyError(
            f"--source {source}: there is no adapter scripts/data/sql/sources/{source}.sql; there is one for "
            f"{', '.join(known)}. Rename the source in the configuration, or write its adapter."
        )
    return f"sources/{source}.sql"


if __name__ == "__main__":
    command.run(main, Args)
