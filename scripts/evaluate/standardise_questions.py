"""Bring a chat benchmark's questions, as published, into one table: turns, references, the answer to compare with.

    python -m scripts.evaluate.standardise_questions --benchmark arena_hard \\
        --raw results/demo/data/raw/benchmarks/arena_hard.parquet \\
        --answers results/demo/data/raw/answers/arena_hard.parquet \\
        --output results/demo/evaluation/arena_hard/questions.parquet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scripts.common import command, tables
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    import duckdb

QUERIES = Path(__file__).parent / "sql" / "questions"
TURNS = {"alpaca_eval": 1, "mt_bench": 2, "arena_hard": 1}
COMPARED = ("alpaca_eval", "arena_hard")


@dataclass(frozen=True)
class Args:
    benchmark: Literal["alpaca_eval", "mt_bench", "arena_hard"]
    """Whose layout the questions have."""
    raw: command.Input
    """The questions as retrieved."""
    output: command.Output
    """The questions (table contract: benchmark questions)."""
    answers: command.Input | None = None
    """Answers as retrieved: the baseline's of Arena-Hard, the references of MT-Bench."""


def main(args: Args) -> dict[str, Any]:
    import duckdb

    if args.benchmark == "arena_hard" and args.answers is None:
        raise StudyError("arena_hard needs --answers: the baseline's answers are a file of their own.")
    with duckdb.connect() as connection:
        connection.execute((QUERIES / "macros.sql").read_text())
        raw = _opened(connection, args.raw, file_row_number=True)
        raw.project("* EXCLUDE file_row_number, file_row_number AS position").create_view("raw")
        if args.answers:
            _opened(connection, args.answers).create_view("answers")
        else:
            connection.execute("CREATE VIEW answers AS FROM no_answers")
        try:
            rows = connection.sql((QUERIES / f"{args.benchmark}.sql").read_text()).to_arrow_table().to_pylist()
        except duckdb.Error as error:
            raise StudyError(
                f"{args.raw}: not the layout of {args.benchmark} as published ({str(error).splitlines()[0]})."
            ) from None
    check(args.raw, args.benchmark, rows)
    tables.write_table(rows, args.output, tables.QUESTIONS)
    return {"questions": len(rows), "with_reference": sum(row["references"] is not None for row in rows)}


def _opened(connection: "duckdb.DuckDBPyConnection", path: Path, **options: bool) -> "duckdb.DuckDBPyRelation":
    import duckdb

    try:
        return connection.read_parquet(str(path), **options)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise StudyError(
            f"{path}: not a whole Parquet file ({reason}). Delete it: it will be retrieved again."
        ) from None


def check(path: Path, benchmark: str, rows: list[dict[str, Any]]) -> None:
    """Every question has all its turns, an identity of its own and, where answers are compared, the baseline's."""
    seen: set[str] = set()
    for number, row in enumerate(rows):
        where = f"{path}, row {number}"
        turns = row["turns"]
        if not turns or len(turns) != TURNS[benchmark] or not all(turns):
            raise StudyError(f"{where}: {benchmark} has {TURNS[benchmark]} turns a question; found {turns!r:.200}.")
        if row["question_id"] is None or row["question_id"] in seen:
            raise StudyError(f"{where}: question_id {row['question_id']!r} is missing or was there before.")
        if benchmark in COMPARED and not row["baseline"]:
            raise StudyError(f"{where}: question {row['question_id']} has no answer of the baseline.")
        seen.add(row["question_id"])


if __name__ == "__main__":
    command.run(main, Args)
