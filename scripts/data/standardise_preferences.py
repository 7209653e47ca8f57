"""Bring a preference data set from its published layout to standard pairs (prompt, chosen, rejected), by SQL.

An adapter, `scripts/data/sql/sources/{adapter}.sql`, reads one published layout. It drops nothing: a pair that it can't
vouch for carries a `defect`, and `filter_preferences` puts it aside with that reason (Appendix B.1). There must be as
many pairs as the file holds: one a row, or as many as the adapter's last statement counts.

    python -m scripts.data.standardise_preferences --raw results/demo/data/raw/preferences/hh_rlhf.parquet \\
        --source hh_rlhf --adapter hh_rlhf --output results/demo/data/standard/hh_rlhf.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import STANDARD
from scripts.data import layouts
from scripts.data.database import MEMORY_MB, QUERIES, check_adapted, connect, explained, query, value, write
from scripts.data.encoding import located


@dataclass(frozen=True)
class Args:
    raw: Input
    """The data set as published."""
    source: str
    """The name of the data set in the study."""
    output: Output
    """Standard pairs, in an order that is the same whenever they are made of the same file."""
    adapter: str | None = None
    """Whose layout it has: hh_rlhf, ultrafeedback, ...; without it the source's own name."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    adapter = find_adapter(args.adapter or args.source)
    with connect(args.memory_mb) as connection, located(args.raw):
        select = layouts.adapted(connection, args.raw, adapter)
        with explained(f"{args.source}: {args.raw}"):
            connection.execute(f"CREATE TEMP VIEW adapted AS {select}")
            rows = value(connection, "SELECT count(*) FROM raw")
        values, about = {"source": args.source}, f"{args.source}: {args.raw}"
        pairs = write(connection, query("standard_pairs.sql"), args.output, STANDARD, values, about)
        with explained(about):
            check_adapted(f"{about} as {adapter}", layouts.number_of_rows(connection, args.raw, adapter), pairs)
    return {"rows": rows, "pairs": pairs}


def find_adapter(name: str) -> str:
    """The SQL file of an adapter, relative to `scripts/data/sql`."""
    known = sorted(path.stem for path in (QUERIES / "sources").glob("*.sql"))
    if name not in known:
        raise StudyError(
            f"--adapter {name}: there is no adapter scripts/data/sql/sources/{name}.sql; there is one for "
            f"{', '.join(known)}. Name one of them as the source's 'adapter' in the configuration, or write it."
        )
    return f"sources/{name}.sql"


if __name__ == "__main__":
    command.run(main, Args)
