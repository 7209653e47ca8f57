"""What a run would rebuild, and why, before it is started: Snakemake's dry run condensed to a table.

    python -m scripts.report.stale --config config/demo.yaml
    python -m scripts.report.stale --config config/demo.yaml --settings seed=2 --targets results/demo/models/sft

Snakemake decides what is stale and says why; this adds what it leaves out. A changed parameter gets its name and both
values, by comparing the command that would run with the one that the artifact's manifest records. A job that runs only
because another one does is told from one that has a cause of its own; of the former Snakemake does not say whether it
has one besides.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command
from scripts.common.command import Input
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT, read_manifest

if TYPE_CHECKING:
    from rich.table import Table

MISSING = "Missing output files"
FOLLOWS = "Input files updated by another job"
PARAMS = "Params have changed since last execution"
INPUTS = "Set of input files has changed since last execution"
CAUSES = {  # what Snakemake says -> what the table says
    MISSING: "missing",
    "Incomplete output files": "left unfinished",
    "Updated input files": "newer input",
    FOLLOWS: "follows",
    INPUTS: "other inputs",
    "Code has changed since last execution": "the rule's command changed",
    PARAMS: "changed",
    "Software environment definition has changed since last execution": "software environment changed",
    "Forced execution": "forced",
}
CAUSE = re.compile("(?:^|; )(" + "|".join(map(re.escape, CAUSES)) + ")")
CODE = re.compile(r"'[0-9a-f]{16}'")  # the digest of code that a rule's params hold
UNFOLDED = 10_000  # columns where no terminal says how many it has
NAMED = 3  # files that a cell names before it counts


@dataclass(frozen=True)
class Args:
    config: tuple[Input, ...]
    """The study's YAML files, later ones win."""
    settings: tuple[str, ...] = ()
    """key=value, as for Snakemake's --config."""
    targets: tuple[str, ...] = ()
    """What would be built; the whole study without it."""
    folder: Path = Path()
    """The folder that holds results/."""


def main(args: Args) -> None:
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
    jobs = pending(args.config, args.settings, args.targets, args.folder)
    if not jobs:
        console.print("Nothing is stale: every artifact is what its rules, parameters and inputs make.")
        return
    rows = summarise(jobs, args.folder)
    console.print(table(rows))
    own = sum(job.has_own_cause for job in jobs)
    console.print(f"{len(jobs)} jobs would run: {own} for a cause of their own, {len(jobs) - own} because these do.")
    if seconds := sum(row.seconds for row in rows):
        console.print(f"Together they last took {seconds:,.0f} s.")


# --- what Snakemake says ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A job of the dry run."""

    rule: str
    input: tuple[str, ...]
    output: tuple[str, ...]
    reasons: Mapping[str, str] = field(hash=False)
    """A key of CAUSES -> the files or values that Snakemake names with it."""
    command: str

    @property
    def has_own_cause(self) -> bool:
        return any(cause != FOLLOWS for cause in self.reasons)


def pending(
    config: Sequence[Path], settings: Sequence[str] = (), targets: Sequence[str] = (), folder: Path = Path()
) -> list[Job]:
    """The jobs that `snakemake` would run now, in its order.

    Raises:
        StudyError: Snakemake refuses the configuration, or an input that no rule makes is missing.
    """
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    words += ["--dry-run", "--printshellcmds", "--nolock", "--nocolor", "--profile", "none"]
    words += ["--configfile", *(str(path.absolute()) for path in config)]
    words += ["--config", *settings] if settings else []
    done = subprocess.run([*words, "--", *targets], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise StudyError("Snakemake's dry run ended with an error:\n" + "\n".join(f"  {line}" for line in said[-12:]))
    return list(jobs_in(done.stdout + done.stderr))


def jobs_in(dry_run: str) -> Iterator[Job]:
    """The jobs that make something, from the text of a dry run."""
    for block in re.split(r"^(?:local)?rule (?=\w+:$)", dry_run, flags=re.MULTILINE)[1:]:
        rule, _, rest = block.partition(":\n")
        fields = dict(re.findall(r"^ {4}(\w+): (.*)$", rest, flags=re.MULTILINE))
        shell = re.search(r"^(?:Shell command: )?(.*-m scripts\..*)$", rest, flags=re.MULTILINE)
        if fields.get("output"):
            yield Job(
                rule,
                input=files(fields.get("input", "")),
                output=files(fields["output"]),
                reasons=reasons(fields.get("reason", "")),
                command=shell[1].strip() if shell else "",
            )


def reasons(text: str) -> dict[str, str]:
    """Snakemake's reason, taken apart: each cause with what is said of it; one that is not in CAUSES as it stands."""
    unknown, *pieces = CAUSE.split(text)
    found = {cause: said.removeprefix(":").strip() for cause, said in zip(pieces[::2], pieces[1::2], strict=True)}
    return {unknown: "", **found} if unknown else found


def files(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(", ") if name)


# --- why --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Jobs of one rule with one cause."""

    rule: str
    why: str
    artifacts: tuple[str, ...]
    jobs: int
    seconds: float
    """What these jobs took when they last ran, as far as manifests tell."""


def summarise(jobs: Sequence[Job], folder: Path = Path()) -> list[Row]:
    """The jobs by rule and cause, in the order of the rules; those with a cause of their own stand first."""
    rank = {job.rule: i for i, job in reversed(list(enumerate(jobs)))}
    grouped: dict[tuple[str, str], list[Job]] = {}
    manifests = {job: last_manifest(job, folder) for job in jobs}
    for job in sorted(jobs, key=lambda job: (not job.has_own_cause, rank[job.rule], job.output)):
        cause = why(job, manifests[job]) if job.has_own_cause else FOLLOWS
        grouped.setdefault((job.rule, cause), []).append(job)
    makers = {path: job.rule for job in jobs for path in job.output}
    return [
        Row(
            rule,
            why=followed(members, makers, rank) if cause == FOLLOWS else cause,
            artifacts=tuple(path for job in members for path in job.output),
            jobs=len(members),
            seconds=sum(manifests[job].get("seconds", 0.0) for job in members),
        )
        for (rule, cause), members in grouped.items()
    ]


def followed(jobs: Sequence[Job], makers: dict[str, str], rank: dict[str, int]) -> str:
    """The rules whose jobs give these jobs new input."""
    rules = {makers[path] for job in jobs for path in files(job.reasons.get(FOLLOWS, "")) if path in makers}
    return f"follows {', '.join(sorted(rules, key=rank.__getitem__))}"


def last_manifest(job: Job, folder: Path) -> dict[str, Any]:
    """What is recorded of the job's last run; several files may have been recorded together, as their folder."""
    artifact = folder / job.output[0]
    return read_manifest(artifact) or read_manifest(artifact.parent)


def why(job: Job, manifest: dict[str, Any]) -> str:
    """The causes that a job has of its own, in words."""
    return "; ".join(in_words(cause, job, manifest) for cause in job.reasons if cause != FOLLOWS)


def in_words(cause: str, job: Job, manifest: dict[str, Any]) -> str:
    """A cause, with what it is about: the files, or the parameters and their values."""
    detail = job.reasons[cause]
    if cause == PARAMS:
        about = changes(job, manifest, detail)
    elif cause == INPUTS:
        before = {read["path"] for read in manifest.get("inputs", [])}
        new, old = sorted(set(job.input) - before), sorted(before - set(job.input))
        about = [f"{how} {few(paths)}" for how, paths in (("now", new), ("no longer", old)) if paths and manifest]
    elif cause == MISSING:
        about = []  # the table's last column names them
    else:
        about = [few(files(detail))] if detail else []
    return ": ".join([CAUSES.get(cause, cause), *(["; ".join(about)] if about else [])])


def changes(job: Job, manifest: dict[str, Any], detail: str) -> list[str]:
    """What of the parameters changed: code, and flags with the value before and now."""
    found = ["code"] if CODE.search(detail) else []
    if manifest and job.command:
        before, now = flags(manifest["command"]), flags(shlex.split(job.command))
        paths = {*job.input, *job.output, *(read["path"] for read in manifest["inputs"])}
        for flag in dict.fromkeys([*before, *now]):
            old, new = before.get(flag), now.get(flag)
            if old != new and not paths.intersection(old or (), new or ()):
                found.append(f"{flag} {words(old)} → {words(new)}")
    return found or [detail]


def flags(command_line: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The flags of a module's command line, with their values; what comes before the module's name does not count."""
    start = next((i for i, word in enumerate(command_line) if word.startswith("scripts.")), -1)
    found: dict[str, tuple[str, ...]] = {}
    flag = ""
    for word in command_line[start + 1 :]:
        if word == ">":  # the log
            break
        if word.startswith("--"):
            flag = word
            found[flag] = ()
        else:
            found[flag] = (*found.get(flag, ()), word)
    return found


def words(values: tuple[str, ...] | None) -> str:
    if values is None:
        return "(absent)"
    return " ".join(values) or "(set)"


def few(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return ", ".join(paths[:NAMED]) + more


def table(rows: Sequence[Row]) -> "Table":
    """A line a rule and cause; below the cause the artifacts, without the folder that they share."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shared = os.path.commonpath([os.path.dirname(path) for row in rows for path in row.artifacts])
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    shown.add_column("rule", no_wrap=True)
    shown.add_column("jobs", justify="right", no_wrap=True)
    shown.add_column("last took", justify="right", no_wrap=True)
    shown.add_column(f"why, and which of {shared}", overflow="fold")
    for row in rows:
        took = f"{row.seconds:.1f} s" if row.seconds else "-"
        below = few([os.path.relpath(path, shared) for path in row.artifacts])
        shown.add_row(row.rule, str(row.jobs), took, Text.assemble(row.why, "\n", (below, "dim")))
    return shown


if __name__ == "__main__":
    command.run(main, Args)
