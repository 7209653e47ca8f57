"""How fast the data plane is, beside the same work by `datasets.map` and `filter`, and whether memory stays flat.

Generates a corpus, runs standardise + filter + statistics on it by SQL and by `datasets` in two processes, one after
the other on the same machine, and asserts that both give the same rows, reasons and Table 5. Then the SQL alone on
twice the rows: time should double, peak memory should not. Token counting is measured apart
(`benchmarks.token_counting`): here a token is four characters, for both.

    python -m benchmarks.data_plane --pairs 800000 --folder /tmp/data_plane --output benchmarks/results/data_plane.json
"""

import importlib
import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from benchmarks import results
from benchmarks.corpus import SOURCES, write_corpus

MAX_TOKENS = 4096
MINIMUM_MARGINS = {"ultrafeedback": 0.5, "shp": 0.0, "hh_rlhf": 0.0, "helpsteer": 0.5}
PROCESSES = 2
EXPECTED = {"speedup": 10.0, "peak_gb": 4.0, "doubling": 2.2}


@dataclass(frozen=True)
class Args:
    pairs: int = 800_000
    """Pairs of the corpus; the SQL is also run on twice as many."""
    folder: Path = Path("/tmp/data_plane")
    """For the corpus and what is made of it; removed at the end."""
    output: Path = Path("benchmarks/results/data_plane.json")
    """What was measured."""
    memory_mb: int = 4096
    """Memory of a job, as in the rules."""


def main(args: Args) -> dict[str, Any]:
    found: dict[str, Any] = {"memory_mb": args.memory_mb}
    corpora = {"once": args.folder / "once", "twice": args.folder / "twice"}
    for name, pairs in (("once", args.pairs), ("twice", 2 * args.pairs)):
        corpora[name].mkdir(parents=True)
        write_corpus(corpora[name], pairs)
        count_tokens(corpora[name])
        found[f"sql_{name}"] = measured("sql", corpora[name], args.memory_mb)
        print(name, found[f"sql_{name}"], flush=True)
        if name == "once":
            found["datasets"] = measured("datasets", corpora[name], args.memory_mb)
            print("datasets", found["datasets"], flush=True)
            found["rows_compared"] = compare(corpora[name])
    once, twice = found["sql_once"], found["sql_twice"]
    found["speedup"] = found["datasets"]["seconds"] / once["seconds"]
    found["doubling"] = (
        twice["seconds"] / once["seconds"] * (args.pairs * 2 / twice["pairs"]) * (once["pairs"] / args.pairs)
    )
    found["peak_gb"] = max(once["peak_gb"], twice["peak_gb"])
    found["expected"] = EXPECTED
    shutil.rmtree(args.folder)
    return results.write(args.output, found)


def measured(way: str, corpus: Path, memory_mb: int) -> dict[str, Any]:
    """Run one way in a process of its own: seconds, CPU seconds, peak memory of the largest process, pairs read."""
    output = corpus / way
    output.mkdir()
    command = [sys.executable, "-m", "benchmarks.data_plane", way, str(corpus), str(output), str(memory_mb)]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = json.loads((output / "facts.json").read_text())
    return {
        "seconds": round(facts["seconds"], 2),
        "with_imports": round(time.time() - started, 2),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "peak_gb": round(facts["peak_gb"], 2),
        "pairs": facts["pairs"],
    }


# --- one way, in its own process --------------------------------------------------------------------------------------


def run_sql(corpus: Path, output: Path, memory_mb: int) -> dict[str, Any]:
    """Standardise and filter every source, then all statistics, by the pipeline's own modules."""
    from scripts.common.config import Decontamination
    from scripts.data import filter_preferences, standardise_preferences, summarise_preferences

    folders = {name: output / name for name in ("standard", "kept", "dropped")}
    pairs = 0
    for source in SOURCES:
        paths = {name: folder / f"{source}.parquet" for name, folder in folders.items()}
        standardise_preferences.main(
            standardise_preferences.Args(corpus / f"{source}.parquet", source, paths["standard"], memory_mb=memory_mb)
        )
        facts = filter_preferences.main(
            filter_preferences.Args(
                standard=paths["standard"],
                tokens=corpus / "tokens" / f"{source}.parquet",
                max_tokens=MAX_TOKENS,
                kept=paths["kept"],
                dropped=paths["dropped"],
                minimum_margin=MINIMUM_MARGINS[source],
                evaluation_prompts=corpus / "evaluation_prompts.parquet",
                decontamination=Decontamination(),
                memory_mb=memory_mb,
            )
        )
        pairs += facts["read"]
    summarise_preferences.main(summaries(corpus, folders, output))
    return {"pairs": pairs}


def summaries(corpus: Path, folders: dict[str, Path], output: Path) -> Any:
    """The arguments of the statistics."""
    from dataclasses import fields

    from scripts.common.command import Output
    from scripts.data.summarise_preferences import Args as Summaries

    tables = {field.name: output / f"{field.name}.csv" for field in fields(Summaries) if field.type is Output}
    described = ["LLM"] * len(SOURCES), ["Human"] * len(SOURCES), ["none"] * len(SOURCES)
    named = [
        tuple(folder / f"{source}.parquet" for source in SOURCES)
        for folder in (folders["kept"], folders["dropped"], corpus / "tokens")
    ]
    return Summaries(*named, *map(tuple, described), max_tokens=MAX_TOKENS, **tables)


def run_datasets(corpus: Path, output: Path, memory_mb: int) -> dict[str, Any]:
    """The same by plain Python; nothing limits its memory."""
    from benchmarks import data_plane_datasets

    limits = {
        source: {"max_tokens": MAX_TOKENS, "minimum_margin": margin} for source, margin in MINIMUM_MARGINS.items()
    }
    found = data_plane_datasets.run(corpus, output, SOURCES, limits, PROCESSES)
    (output / "found.json").write_text(json.dumps(found))
    return {"pairs": sum(sum(counts["reasons"].values()) for counts in found.values())}


def count_tokens(corpus: Path) -> None:
    """Four characters a token: what both ways take for granted. Not a part of what is measured."""
    import duckdb

    from scripts.data import standardise_preferences

    (corpus / "tokens").mkdir()
    for source in SOURCES:
        standard = corpus / "standard.parquet"
        standardise_preferences.main(standardise_preferences.Args(corpus / f"{source}.parquet", source, standard))
        with duckdb.connect() as connection:
            connection.execute(
                f"""
                COPY (
                    SELECT DISTINCT ON (pair_id)
                        pair_id,
                        CAST(list_sum(list_transform(prompt, lambda turn: len(turn.content))) // 4 AS INTEGER)
                            AS prompt_tokens,
                        CAST(len(chosen) // 4 AS INTEGER) AS chosen_tokens,
                        CAST(len(rejected) // 4 AS INTEGER) AS rejected_tokens
                    FROM '{standard}'
                ) TO '{corpus / "tokens" / f"{source}.parquet"}'
                """
            )
        standard.unlink()


def compare(corpus: Path) -> int:
    """Assert that both ways made the same rows, in whatever order, and the same counts; returns the number of rows."""
    import duckdb
    import pyarrow.parquet as pq

    found = json.loads((corpus / "datasets" / "found.json").read_text())
    connection, rows = duckdb.connect(), 0
    for source in SOURCES:
        for outcome in ("kept", "dropped"):
            ours = corpus / "sql" / outcome / f"{source}.parquet"
            theirs = corpus / "datasets" / f"{source}.{outcome}.parquet"
            sizes = [pq.read_metadata(path).num_rows for path in (ours, theirs)]
            assert sizes[0] == sizes[1], (source, outcome, sizes)
            columns = ", ".join(pq.read_schema(ours).names)
            (different,) = connection.execute(
                f"SELECT count(*) FROM (SELECT {columns} FROM '{ours}' ORDER BY ALL) AS a"
                f" POSITIONAL JOIN (SELECT {columns} FROM '{theirs}' ORDER BY ALL) AS b WHERE a IS DISTINCT FROM b"
            ).fetchone()
            assert different == 0, (source, outcome, different)
            rows += sizes[0]
        report = connection.execute(f"FROM '{corpus}/sql/filter_report.csv' WHERE source = '{source}'").fetchall()
        assert {row[1]: row[2] for row in report} == found[source]["reasons"], source
        table5 = connection.execute(f"FROM '{corpus}/sql/table5_preference_data.csv' WHERE source = '{source}'")
        line = dict(zip([column[0] for column in table5.description], table5.fetchone(), strict=True))
        for name, value in found[source]["table5"].items():
            assert abs(line[name] - value) < 0.051, (source, name, line[name], value)  # both are rounded to tenths
    return rows


def child(way: str, corpus: str, output: str, memory_mb: str) -> None:
    """Run one way and write what it took; the largest process's peak, children counted."""
    run = {"sql": run_sql, "datasets": run_datasets}[way]
    importlib.import_module({"sql": "duckdb", "datasets": "datasets"}[way])  # no part of the work
    started = time.time()
    facts = run(Path(corpus), Path(output), int(memory_mb))
    seconds = time.time() - started
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    Path(output, "facts.json").write_text(json.dumps(facts | {"seconds": seconds, "peak_gb": max(peaks) / 2**20}))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in ("sql", "datasets"):
        child(*sys.argv[1:])
    else:
        main(tyro.cli(Args, description=__doc__))
