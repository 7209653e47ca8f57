"""How long a set of jobs takes: the critical path, and a simulation of list scheduling on a cluster."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.common.errors import StudyError
from scripts.report.plan_jobs import Job


@dataclass(frozen=True)
class Cluster:
    gpus: int
    gpus_per_node: int
    cores: int
    """For all jobs that ask for no GPU; a job with GPUs brings its cores along."""


@dataclass(frozen=True)
class Timeline:
    seconds: float
    """From the first job's start to the last job's end."""
    gpu_seconds: float
    """Lent to jobs."""


def remaining(jobs: Sequence[Job], seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds from each job's start to the end of the longest chain of jobs that begins with it."""
    users: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for name in job.needs:
            users[name].append(job.name)
    found: dict[str, float] = {}
    waiting = {name: len(readers) for name, readers in users.items()}
    needs = {job.name: job.needs for job in jobs}
    ready = [name for name, count in waiting.items() if count == 0]
    while ready:
        name = ready.pop()
        found[name] = seconds[name] + max((found[user] for user in users[name]), default=0.0)
        for need in needs[name]:
            waiting[need] -= 1
            if waiting[need] == 0:
                ready.append(need)
    return found


def critical_path(jobs: Sequence[Job], seconds: Mapping[str, float]) -> list[Job]:
    """The longest chain of jobs, first to last: no number of GPUs makes the study shorter than it."""
    left = remaining(jobs, seconds)
    users: dict[str, list[Job]] = {job.name: [] for job in jobs}
    for job in jobs:
        for name in job.needs:
            users[name].append(job)
    path: list[Job] = []
    candidates = [job for job in jobs if not job.needs]
    while candidates:
        path.append(max(candidates, key=lambda job: (left[job.name], job.name)))
        candidates = users[path[-1].name]
    return path


def simulate(jobs: Sequence[Job], seconds: Mapping[str, float], cluster: Cluster) -> Timeline:
    """List scheduling: whenever something is free, start the ready jobs that fit, longest remaining chain first.

    A job with GPUs takes them on one node (the fullest that has room), or whole empty nodes where it wants more than
    one has. Waiting in a queue behind other people's jobs is not part of it.

    Raises:
        StudyError: a job asks for more than the cluster has.
    """
    nodes = [cluster.gpus_per_node] * (cluster.gpus // cluster.gpus_per_node)
    if rest := cluster.gpus % cluster.gpus_per_node:
        nodes.append(rest)
    cores = cluster.cores
    for job in jobs:
        if job.gpus and not _places(job.gpus, nodes, cluster.gpus_per_node):
            raise StudyError(
                f"rule {job.rule} asks for {job.gpus} GPUs in one job; {cluster.gpus} GPUs with "
                f"{cluster.gpus_per_node} to a node can't hold it. Name more GPUs, or change resources.{job.rule}."
            )
    left = remaining(jobs, seconds)
    by_name = {job.name: job for job in jobs}
    users: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for name in job.needs:
            users[name].append(job.name)
    missing = {job.name: len(job.needs) for job in jobs}
    ready = [(-left[name], name) for name, count in missing.items() if count == 0]
    running: list[tuple[float, str, dict[int, int], int]] = []
    now = lent = 0.0
    while ready or running:
        held = []
        for rank, name in sorted(ready):
            job = by_name[name]
            threads = 0 if job.gpus else min(job.threads, cluster.cores)
            places = _places(job.gpus, nodes, cluster.gpus_per_node)
            if (job.gpus and not places) or threads > cores:
                held.append((rank, name))
                continue
            for node, taken in places.items():
                nodes[node] -= taken
            cores -= threads
            lent += job.gpus * seconds[name]
            heapq.heappush(running, (now + seconds[name], name, places, threads))
        ready = held
        now = running[0][0]
        while running and running[0][0] == now:
            _, name, places, threads = heapq.heappop(running)
            for node, taken in places.items():
                nodes[node] += taken
            cores += threads
            for user in users[name]:
                missing[user] -= 1
                if missing[user] == 0:
                    ready.append((-left[user], user))
    return Timeline(now, lent)


def _places(gpus: int, free: Sequence[int], per_node: int) -> dict[int, int]:
    """Node -> GPUs to take there; empty where the job does not fit, or wants none."""
    if gpus == 0:
        return {}
    if gpus <= per_node:
        fitting = [node for node, count in enumerate(free) if count >= gpus]
        return {min(fitting, key=lambda node: (free[node], node)): gpus} if fitting else {}
    empty = [node for node, count in enumerate(free) if count == per_node]
    wanted = -(-gpus // per_node)
    return dict.fromkeys(empty[:wanted], per_node) if len(empty) >= wanted else {}
