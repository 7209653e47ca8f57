"""A study's tables as one DuckDB file: a view for each kind of table, so that a question needs no paths.

The file holds no rows, only views of the files below the study's folder: who wrote a table, in which iteration, for
which prompts, is read from its path and becomes columns. Each view says in its comment what it holds.

    python -m scripts.report.build_catalog --folder results/demo --output results/demo/catalog.duckdb

Paths are kept as they are given here, `results/demo/...`. So the views answer where DuckDB is started in the folder
that holds `results/`; elsewhere, after SET file_search_path = 'that folder'.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

QUERIES = Path(__file__).parent / "sql"
MACROS = "catalog/macros.sql"
STORAGE = "v1.0.0"  # the oldest format with all that is used here: whatever DuckDB 1.x somebody has can open the file


@dataclass(frozen=True)
class Kind:
    """Tables of one contract, shown together: `query` (the view bears its name) selects from the view files.{name}."""

    query: str
    pattern: str
    """Where such tables lie below the study's folder."""
    contract: tables.Contract

    @property
    def name(self) -> str:
        return Path(self.query).stem


@dataclass(frozen=True)
class Log:
    """Records that grow while the study runs: the view reads whatever lies there when it is asked."""

    query: str
    pattern: str
    reader: str
    """The macro that reads them."""


KINDS = (
    Kind("catalog/standard.sql", "data/standard/*.parquet", tables.STANDARD),
    Kind("catalog/tokens.sql", "data/tokens/*.parquet", tables.TOKEN_COUNTS),
    Kind("catalog/preferences.sql", "data/preferences/*.parquet", tables.PREFERENCES),
    Kind("catalog/dropped.sql", "data/dropped/*.parquet", tables.DROPPED),
    Kind("catalog/mixes.sql", "data/mixes/*.parquet", tables.MIX),
    Kind("catalog/comparisons.sql", "data/comparisons/*.parquet", tables.COMPARISONS),
    Kind("catalog/instructions.sql", "data/instructions.parquet", tables.INSTRUCTIONS),
    Kind("catalog/dropped_instructions.sql", "data/dropped_instructions.parquet", tables.DROPPED_INSTRUCTIONS),
    Kind("catalog/dropped_prompts.sql", "data/dropped_prompts.parquet", tables.DROPPED_PROMPTS),
    Kind("catalog/evaluation_prompts.sql", "data/evaluation_prompts.parquet", tables.EVALUATION_PROMPTS),
    Kind("catalog/prompts.sql", "data/prompts/*.parquet", tables.PROMPTS),
    Kind("catalog/responses.sql", "rollouts/*/*/*/responses/*.parquet", tables.RESPONSES),
    Kind("catalog/rewards.sql", "rollouts/*/*/*/rewards/*/*.parquet", tables.REWARDS),
    Kind("catalog/pairs.sql", "runs/*/*/pairs.parquet", tables.ONLINE_PAIRS),
    Kind("catalog/measures.sql", "evaluation/measures/*.parquet", tables.MEASURES),
    Kind("catalog/policy_monitors.sql", "evaluation/monitors/*.parquet", tables.MONITOR),
    Kind("catalog/case_studies.sql", "evaluation/case_studies.parquet", tables.CASE_STUDIES),
    Kind("catalog/questions.sql", "evaluation/*/questions.parquet", tables.QUESTIONS),
    Kind("catalog/answers.sql", "evaluation/*/answers/*.parquet", tables.ANSWERS),
    Kind("catalog/annotations.sql", "evaluation/alpaca_eval/judgments/*/*.parquet", tables.ANNOTATIONS),
    Kind("catalog/ratings.sql", "evaluation/mt_bench/judgments/*/*.parquet", tables.RATINGS),
    Kind("catalog/games.sql", "evaluation/arena_hard/judgments/*/*.parquet", tables.GAMES),
    Kind("catalog/reward_bench.sql", "evaluation/reward_bench/*.parquet", tables.BENCH_SCORES),
    Kind("catalog/held_out.sql", "evaluation/held_out/*.parquet", tables.HELD_OUT_SCORES),
    Kind("catalog/academic_scores.sql", "evaluation/academic/*/scores.parquet", tables.ACADEMIC_SCORES),
    Kind("catalog/academic_samples.sql", "evaluation/academic/*/samples.parquet", tables.ACADEMIC_SAMPLES),
)
LOGS = (
    Log("catalog/jobs.sql", "benchmarks/**/*.tsv", "benchmarks"),
    Log("catalog/artifacts.sql", "**/*manifest.json", "manifests"),
    Log("catalog/replies.sql", "evaluation/replies/*/*.parquet", "tables"),
)
REPORTED = ("tables/*.csv", "figures/*.csv")  # a view each, named after the file


@dataclass(frozen=True)
class Args:
    folder: Path
    """The study's folder."""
    output: Output
    """The catalogue, a DuckDB database."""
    tables: tuple[Input, ...] = ()
    """The tables to show; all below the folder where none is named. The rule names those of the study as it is
    configured, since shards of an earlier configuration may lie beside them."""


def main(args: Args) -> dict[str, Any]:
    import duckdb

    kinds, reported = found_tables(args.folder, args.tables)
    with (
        publish(args.output) as temporary,
        duckdb.connect(temporary, config={"storage_compatibility_version": STORAGE}) as catalog,
    ):
        views = add_views(catalog, args.folder, kinds, reported)
    return {"views": views, "tables": sum(map(len, kinds.values())) + len(reported)}


def found_tables(folder: Path, named: Iterable[Path] = ()) -> tuple[dict[Kind, list[Path]], list[Path]]:
    """The tables of each kind that the study has, and those of its report with the numbers of its figures.

    Raises:
        StudyError: a table breaks its contract, a named one is not where a study keeps its tables, or there is none.
    """
    named = set(named)

    def lying(pattern: str) -> list[Path]:
        return sorted(path for path in folder.glob(pattern) if not named or path in named)

    kinds = {kind: paths for kind in KINDS if (paths := lying(kind.pattern))}
    reported = [path for pattern in REPORTED for path in lying(pattern)]
    if unknown := named.difference(reported, *kinds.values()):
        known = ", ".join([*(kind.pattern for kind in KINDS), *REPORTED])
        raise StudyError(f"--tables {min(unknown)}: no table of a study; below --folder {folder} they are {known}.")
    if not kinds and not reported:
        raise StudyError(f"--folder {folder}: no tables of a study below it; give a folder such as results/demo.")
    for kind, paths in kinds.items():
        for path in paths:
            tables.open_table(path, kind.contract).close()
    return kinds, reported


def add_views(
    catalog: "DuckDBPyConnection", folder: Path, kinds: dict[Kind, list[Path]], reported: Sequence[Path]
) -> int:
    """Create the views of all that the study has; returns their number."""
    catalog.execute((QUERIES / MACROS).read_text())
    for kind, paths in kinds.items():
        add_query(catalog, kind.query, f"files.tables({listed(paths)})", folder / kind.pattern)
    logs = {log: folder / log.pattern for log in LOGS if next(folder.glob(log.pattern), None)}
    for log, pattern in logs.items():
        add_query(catalog, log.query, f"files.{log.reader}({listed([pattern])})", pattern)
    for path in reported:
        add_view(
            catalog, f'"{path.stem}"', f"FROM read_csv({listed([path])}, header = true)", f"The table {path}.", path
        )
    return len(kinds) + len(logs) + len(reported)


def add_query(catalog: "DuckDBPyConnection", query: str, reading: str, source: Path) -> None:
    """Create the view that `query` describes, and the view of the files that it selects from."""
    name, text = Path(query).stem, (QUERIES / query).read_text()
    add_view(catalog, f'files."{name}"', f"FROM {reading}", f"The files of {name}.", source)
    add_view(catalog, f'"{name}"', text, opening(text), source)


def add_view(catalog: "DuckDBPyConnection", name: str, select: str, says: str, source: Path) -> None:
    """Create a view with a comment.

    Raises:
        StudyError: its `source` is not as the view needs it.
    """
    import duckdb

    try:
        catalog.execute(f"CREATE VIEW {name} AS {select}")
        catalog.execute(f"COMMENT ON VIEW {name} IS {quoted(says)}")
    except duckdb.Error as error:
        raise StudyError(f"{source}: {str(error).strip().splitlines()[0]}") from None


def opening(query: str) -> str:
    """The comment that a query opens with."""
    lines = query.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("--"))
    return " ".join(line.removeprefix("--").strip() for line in lines[:end])


def listed(paths: Iterable[Path]) -> str:
    """Paths as a list that DuckDB reads."""
    return f"[{', '.join(quoted(str(path)) for path in paths)}]"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


if __name__ == "__main__":
    command.run(main, Args)
