"""A plan before the bill: jobs, tokens, GPU-hours, memory, disk, the critical path, and the wall time on a cluster.

The jobs are those that Snakemake's dry run lists. Rows and tokens are measured where the study has results, else
estimated from its configuration and the paper's Table 5; seconds come from Snakemake's records where a job has run,
else from config/throughput.tsv, which names the source of each figure. Every number says whether it was measured.

    python -m scripts.report.plan --config config/paper.yaml --gpus 8 16 32 64 --device H100
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.config import Study, unpinned
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.report.plan_disk import rooms
from scripts.report.plan_jobs import Job, dry_run, parse_jobs, read_study, with_shards
from scripts.report.plan_judging import judging
from scripts.report.plan_memory import needs
from scripts.report.plan_schedule import Cluster, critical_path, simulate
from scripts.report.plan_sizes import Sizes
from scripts.report.plan_work import THROUGHPUT, Cost, cost_of, model_class, read_throughput, throughput_of


@dataclass(frozen=True)
class Args:
    config: tuple[Path, ...]
    """The study's configuration files, later ones laid over earlier ones."""
    gpus: tuple[int, ...] = (8, 16, 32, 64)
    """Numbers of GPUs to simulate; those too few for the largest job are left out."""
    gpus_per_node: int = 8
    """A job takes its GPUs on one node, or whole nodes."""
    cores: int = 64
    """CPU cores for the jobs without GPUs, all together."""
    device: str = "H100"
    """Which lines of the throughput table hold for jobs with GPUs."""
    shards: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Numbers of shards to simulate; the study's own is added."""
    throughput: Input = THROUGHPUT
    """How fast each rule works, and who says so."""
    prompt_tokens: float | None = None
    """Mean tokens of a prompt, where none was measured; without it, Table 5's."""
    response_tokens: float | None = None
    """Mean tokens of a response, where none was measured; without it, Table 5's."""
    json: Output | None = None
    """Write the plan as JSON too."""


def main(args: Args) -> None:
    from scripts.report.plan_print import show

    _check(args)
    study = read_study(args.config)
    jobs = parse_jobs(dry_run(args.config))
    plan = make_plan(study, jobs, args)
    show(plan)
    if args.json:
        with publish(args.json) as temporary:
            temporary.write_text(json.dumps(plan, indent=1) + "\n")


def make_plan(study: Study, jobs: Sequence[Job], args: Args) -> dict[str, Any]:
    """The plan as plain values, ready for JSON; seconds, bytes, tokens, GPU-hours as their keys say.

    Raises:
        StudyError: the throughput table has no line for a rule, or no simulated cluster can hold a job.
    """
    sizes = Sizes(study, jobs, args.prompt_tokens, args.response_tokens)
    table = read_throughput(args.throughput)
    model = model_class(study)
    lines = {job.rule: throughput_of(job, table, model, args.device) for job in jobs}
    own = study.generation.shards

    def costs(of: Sequence[Job], shards: int) -> dict[str, Cost]:
        return {job.name: cost_of(job, lines[job.rule], sizes, shards, shards == own) for job in of}

    cost = costs(jobs, own)
    seconds = {name: found.seconds for name, found in cost.items()}
    largest = max((job.gpus for job in jobs), default=0)
    offered = sorted(set(args.gpus)) if largest else [0]
    clusters = [Cluster(gpus, args.gpus_per_node, args.cores) for gpus in offered if gpus >= largest]
    if not clusters:
        raise StudyError(f"--gpus {args.gpus}: the largest job of {study.study} asks for {largest} GPUs; name as many.")
    choices = []
    for shards in sorted({*args.shards, own}):
        shaped = list(jobs) if shards == own else with_shards(jobs, shards)
        priced = {name: found.seconds for name, found in costs(shaped, shards).items()}
        timelines = [simulate(shaped, priced, cluster) for cluster in clusters]
        choices.append(
            {
                "shards": shards,
                "configured": shards == own,
                "jobs": len(shaped),
                "gpu_hours": sum(job.gpus * priced[job.name] for job in shaped) / 3600,
                "core_hours": sum(job.threads * priced[job.name] for job in shaped if not job.gpus) / 3600,
                "wall_hours": {str(c.gpus): line.seconds / 3600 for c, line in zip(clusters, timelines, strict=True)},
                "gpus_in_use": {
                    str(c.gpus): line.gpu_seconds / line.seconds / c.gpus if line.seconds and c.gpus else 0.0
                    for c, line in zip(clusters, timelines, strict=True)
                },
            }
        )
    path = critical_path(jobs, seconds)
    return {
        "study": study.study,
        "configs": [str(config) for config in args.config],
        "model": model,
        "device": args.device if largest else "CPU cores",
        "gpus_per_node": args.gpus_per_node,
        "cores": args.cores,
        "unpinned": unpinned(study),
        "rules": [_rule(rule, jobs, cost) for rule in dict.fromkeys(job.rule for job in jobs)],
        "memory": [asdict(need) for need in needs(study, jobs)],
        "disk": [asdict(room) for room in rooms(jobs, cost, sizes)],
        "critical_path": [
            {"job": job.name, "rule": job.rule, "seconds": seconds[job.name], "basis": cost[job.name].basis}
            for job in path
        ],
        "choices": choices,
        "judging": [asdict(line) for line in judging(study, jobs)],
        "figures": [asdict(figure) for figure in sizes.figures.values()],
        "throughput": [{"rule": rule, **asdict(line)} for rule, line in lines.items()],
    }


def _rule(rule: str, jobs: Sequence[Job], cost: Mapping[str, Cost]) -> dict[str, Any]:
    """All jobs of a rule together."""
    of = [job for job in jobs if job.rule == rule]
    costs = [cost[job.name] for job in of]
    limits = [job.limit_seconds for job in of if job.limit_seconds is not None]
    measured = Counter(found.basis for found in costs)["measured"]
    return {
        "rule": rule,
        "jobs": len(of),
        "measured_jobs": measured,
        "gpus": max(job.gpus for job in of),
        "threads": max(job.threads for job in of),
        "unit": costs[0].unit,
        "amount": sum(found.amount for found in costs),
        "gpu_hours": sum(job.gpus * cost[job.name].seconds for job in of) / 3600,
        "core_hours": sum(job.threads * cost[job.name].seconds for job in of if not job.gpus) / 3600,
        "longest_seconds": max(found.seconds for found in costs),
        "limit_seconds": min(limits, default=None),
    }


def _check(args: Args) -> None:
    for name in ("gpus", "shards"):
        if not getattr(args, name) or min(getattr(args, name)) < 1:
            raise StudyError(f"--{name} {getattr(args, name)}: give whole numbers above 0.")
    if args.gpus_per_node < 1 or args.cores < 1:
        raise StudyError(f"--gpus-per-node {args.gpus_per_node} --cores {args.cores}: both must be above 0.")
    for name in ("prompt_tokens", "response_tokens"):
        if (value := getattr(args, name)) is not None and value <= 0:
            raise StudyError(f"--{name.replace('_', '-')} {value}: must be above 0.")


if __name__ == "__main__":
    command.run(main, Args)
