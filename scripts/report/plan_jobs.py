"""The jobs of a study as Snakemake itself plans them, read from its dry run: no second description that could drift."""

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scripts.common import config
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT

VARIANTS = {"train_dpo_by_epoch": "train_dpo"}
"""Rules that are another with more outputs (`use rule ... as`): their work is the other's."""
MOST_CORES = 100_000  # more than any rule asks for, so that the dry run cuts no rule's threads


@dataclass(frozen=True)
class Job:
    name: str
    """Its first output; a shard that the configuration does not have says so in brackets."""
    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    benchmark: str | None
    """Where Snakemake writes how long the job took."""
    wildcards: dict[str, str]
    gpus: int
    """Of all its nodes."""
    threads: int
    limit_seconds: float | None
    """The time limit that the configuration gives it."""
    needs: frozenset[str] = frozenset()
    """Names of the jobs whose outputs it reads."""


def read_study(configs: Sequence[Path]) -> config.Study:
    """The study that configuration files, later ones laid over earlier ones, describe."""
    import yaml

    values: dict[str, Any] = {}
    for path in configs:
        try:
            layer = yaml.safe_load(path.read_text())
        except FileNotFoundError:
            known = ", ".join(sorted(f"config/{file.name}" for file in (ROOT / "config").glob("*.yaml")))
            raise StudyError(f"{path}: there is no such configuration; studies of this repository: {known}.") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise StudyError(f"{path}: not YAML: {error}.") from None
        if not isinstance(layer, dict):
            raise StudyError(f"{path}: expected a mapping of configuration keys, found {type(layer).__name__}.")
        values = config.merge(values, layer)
    return config.load(values)


def dry_run(configs: Sequence[Path]) -> str:
    """What `snakemake --dry-run --forceall` prints: every job of the study, done or not.

    Raises:
        StudyError: with Snakemake's own words, where it can't plan the study.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--profile", "none"]
    command += ["--configfile", *map(str, configs), "--dry-run", "--forceall", "--cores", str(MOST_CORES)]
    command += ["--scheduler", "greedy"]  # the default solver starts a process of its own
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        named = " ".join(map(str, configs))
        raise StudyError(f"{named}: Snakemake can't plan this study:\n" + "\n".join(said.strip().splitlines()[-12:]))
    return said


def parse_jobs(said: str) -> list[Job]:
    """The jobs that a dry run lists, with the jobs that each needs, makers before readers; `rule all` is no job."""
    jobs = []
    for rule, block in re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n?)*)", said, flags=re.MULTILINE):
        facts = dict(line.strip().split(": ", 1) for line in block.splitlines() if ": " in line)
        if "output" not in facts:
            continue
        resources = _pairs(facts.get("resources", ""))
        outputs = _list(facts["output"])
        jobs.append(
            Job(
                name=outputs[0],
                rule=VARIANTS.get(rule, rule),
                inputs=_list(facts.get("input", "")),
                outputs=outputs,
                benchmark=facts.get("benchmark"),
                wildcards=_pairs(facts.get("wildcards", "")),
                gpus=_gpus(resources),
                threads=int(facts.get("threads", 1)),
                limit_seconds=60 * float(resources["runtime"]) if "runtime" in resources else None,
            )
        )
    jobs = list({job.name: job for job in jobs}.values())
    maker = {output: job.name for job in jobs for output in job.outputs}
    jobs = [replace(job, needs=frozenset(maker[path] for path in job.inputs if path in maker)) for job in jobs]
    depth = _depths(jobs)
    return sorted(jobs, key=lambda job: (depth[job.name], job.rule, job.name))


def with_shards(jobs: Sequence[Job], shards: int) -> list[Job]:
    """The same study with another number of shards: each job of a shard once for every shard.

    A sharded job needs the same shard of what it reads (scoring of a shard starts as soon as that shard exists);
    every other job needs them all.
    """
    first = [job for job in jobs if job.wildcards.get("shard", "0") == "0"]
    sharded = {job.name for job in first if "shard" in job.wildcards}
    kept = {job.name for job in first}

    def copy(name: str, shard: int) -> str:
        return f"{name} [shard {shard} of {shards}]"

    def needs(job: Job, shard: int | None) -> frozenset[str]:
        found = set()
        for name in job.needs & kept:
            if name not in sharded:
                found.add(name)
            elif shard is None:
                found |= {copy(name, s) for s in range(shards)}
            else:
                found.add(copy(name, shard))
        return frozenset(found)

    expanded = []
    for job in first:
        if job.name in sharded:
            expanded += [replace(job, name=copy(job.name, s), needs=needs(job, s)) for s in range(shards)]
        else:
            expanded.append(replace(job, needs=needs(job, None)))
    return expanded


def _depths(jobs: Sequence[Job]) -> dict[str, int]:
    """How many jobs the longest chain before each one has; Snakemake lists jobs in no order of its own."""
    depth: dict[str, int] = {}
    todo = list(jobs)
    while todo:
        ready = [job for job in todo if job.needs <= depth.keys()]
        depth |= {job.name: 1 + max((depth[name] for name in job.needs), default=-1) for job in ready}
        todo = [job for job in todo if job.name not in depth]
    return depth


def _gpus(resources: Mapping[str, str]) -> int:
    """Jobs on one node ask for `gpu=8`, those on several for `gres=gpu:8` (or `gpu:a100:8`) of each."""
    of_a_node = resources.get("gpu") or resources.get("gres", "0").rpartition(":")[2]
    return int(of_a_node) * int(resources.get("nodes", 1))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in _list(text) if "=" in part)
