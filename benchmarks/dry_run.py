"""CPU seconds of a dry run: the paper's whole study planned, every job of it, from nothing.

Of Snakemake and all that it starts; the figure is the median of some runs. No model or data set is asked for.

    python -m benchmarks.dry_run
"""

import re
import resource
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from benchmarks import results

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Args:
    config: Path = ROOT / "config/paper.yaml"
    """The study."""
    runs: int = 3
    output: Path = results.RESULTS / "dry_run.json"


def main(args: Args) -> dict[str, Any]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1", "--dry-run"]
    command += ["--scheduler", "greedy", "--configfile", str(args.config.resolve())]
    seconds = []
    for _ in range(args.runs):
        with TemporaryDirectory() as folder:
            before = cpu_seconds()
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            seconds.append(cpu_seconds() - before)
    (jobs,) = re.findall(r"^total +(\d+)$", done.stdout, re.MULTILINE)[:1]
    return results.write(args.output, {"cpu_seconds": statistics.median(seconds), "runs": seconds, "jobs": int(jobs)})


def cpu_seconds() -> float:
    """Of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
