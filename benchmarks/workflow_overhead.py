"""How much of a finished demo's time was spent outside of its jobs: planning, starting, waiting for one another.

Reads what Snakemake wrote of a run that built everything: its log (cores, elapsed time, steps) and the seconds of every
job. With C cores and T seconds by the clock, jobs could have taken C T seconds; the overhead is the share that they did
not take, cores that idled for want of a job included.

    make clean demo
    python -m benchmarks.workflow_overhead --study results/demo
"""

import csv
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from benchmarks import results


@dataclass(frozen=True)
class Args:
    study: Path
    """Folder of a study that one run built from nothing."""
    log: Path | None = None
    """Snakemake's log of that run; by default the newest in .snakemake/log with as many steps as the study has jobs."""
    output: Path = results.RESULTS / "workflow_overhead.json"


def main(args: Args) -> dict[str, Any]:
    seconds = job_seconds(args.study)
    logs = [args.log] if args.log else sorted(Path(".snakemake/log").glob("*.snakemake.log"), reverse=True)
    runs = (run for run in map(read_log, logs) if run)
    whole = (run for run in runs if run.steps == len(seconds) + 1)  # and the rule `all`, which runs nothing
    if (run := next(whole, None)) is None:
        raise SystemExit(
            f"{args.log or '.snakemake/log'}: no run that ended well with {len(seconds) + 1} steps, and "
            f"{args.study}/benchmarks tells of {len(seconds)} jobs: no single run built everything. Name its log by "
            "--log, or run `make clean demo`."
        )
    found = {
        "overhead": 1 - sum(seconds) / (run.cores * run.seconds),
        "jobs": len(seconds),
        "job_seconds": sum(seconds),
        "elapsed_seconds": run.seconds,
        "cores": run.cores,
    }
    return results.write(args.output, found)


class Run(NamedTuple):
    cores: int
    seconds: float
    steps: int


def read_log(log: Path) -> Run | None:
    """What a log tells of its run; None where it did not end well, or had nothing to do."""
    text = log.read_text()
    cores = re.search(r"^Provided cores: (\d+)", text, re.MULTILINE)
    elapsed = re.search(r"^Elapsed time: (?:(\d+) days?, )?(\d+):(\d+):([\d.]+)", text, re.MULTILINE)
    steps = re.search(r"^(\d+) of \1 steps \(100%\) done", text, re.MULTILINE)
    if not (cores and elapsed and steps):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in elapsed.groups())
    took = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return Run(int(cores[1]), took.total_seconds(), int(steps[1]))


def job_seconds(study: Path) -> list[float]:
    """What each job took, from the files of the rules' `benchmark`."""
    found = []
    for path in (study / "benchmarks").rglob("*.tsv"):
        with path.open(newline="") as file:
            found += [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    return found


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
