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
from typing import Any

import tyro

from benchmarks import results


@dataclass(frozen=True)
class Args:
    study: Path
    """Folder of a study that one run built from nothing."""
    log: Path | None = None
    """Snakemake's log of that run; by default the newest in .snakemake/log."""
    output: Path = results.RESULTS / "workflow_overhead.json"


def main(args: Args) -> dict[str, Any]:
    log = args.log or max(Path(".snakemake/log").glob("*.snakemake.log"))
    cores, elapsed, steps = read_log(log)
    seconds = job_seconds(args.study)
    if steps != len(seconds) + 1:  # and the rule `all`, which runs nothing
        raise SystemExit(
            f"{log} tells of {steps} steps, and {args.study}/benchmarks of {len(seconds)} jobs: not one run that built "
            "everything. Name its log by --log, or run `make clean demo`."
        )
    found = {
        "overhead": 1 - sum(seconds) / (cores * elapsed),
        "jobs": len(seconds),
        "job_seconds": sum(seconds),
        "elapsed_seconds": elapsed,
        "cores": cores,
    }
    return results.write(args.output, found)


def read_log(log: Path) -> tuple[int, float, int]:
    """Cores, elapsed seconds and steps of a run that ended well."""
    text = log.read_text()
    cores = re.search(r"^Provided cores: (\d+)", text, re.MULTILINE)
    elapsed = re.search(r"^Elapsed time: (?:(\d+) days?, )?(\d+):(\d+):([\d.]+)", text, re.MULTILINE)
    steps = re.search(r"^(\d+) of \1 steps \(100%\) done", text, re.MULTILINE)
    if not (cores and elapsed and steps):
        raise SystemExit(f"{log}: not the log of a run that ended well.")
    days, hours, minutes, seconds = (float(part or 0) for part in elapsed.groups())
    took = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return int(cores[1]), took.total_seconds(), int(steps[1])


def job_seconds(study: Path) -> list[float]:
    """What each job took, from the files of the rules' `benchmark`."""
    found = []
    for path in (study / "benchmarks").rglob("*.tsv"):
        with path.open(newline="") as file:
            found += [float(row["s"]) for row in csv.DictReader(file, delimiter="\t")]
    return found


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
