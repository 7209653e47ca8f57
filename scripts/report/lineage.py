"""Where an artifact comes from: the tree of what made it, back to the raw data and the settings, with digests.

Read from the manifests beside the artifacts and compared with what lies on the disk now, so that two questions have an
answer: from what was this number made, and is all of it still what it was?

    python -m scripts.report.lineage results/demo/runs/iterative/iter2/pairs.parquet
    python -m scripts.report.lineage results/demo/tables/table2_policies.csv --json

Changes are told apart: `changed since it was made` (the artifact is not what its own manifest records), `not what was
read` (what was made from it had read another version), `code changed since` (its module would do something else today;
the SQL adapter of a single source is not looked at), `not here` (deleted, or left out of a frozen study), and `no
manifest` (no command of this pipeline that ended well has made it).
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from scripts.common import command
from scripts.common.errors import StudyError
from scripts.common.provenance import code_digest, digest, manifest_path, read_manifest

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

SHORT = 8  # hexadecimal digits of a digest that people see
UNFOLDED = 10_000  # columns where no terminal says how many it has: a line an artifact, for grep
NOT_WHAT_WAS_READ = "not what was read"
PART_OF = "part of"  # how a file without a manifest of its own depends on the folder that has one


@dataclass(frozen=True)
class Args:
    artifact: tyro.conf.Positional[Path]
    """A table, figure, model or data file of a study."""
    json: bool = False
    """For machines: all artifacts of the tree as one JSON object."""


def main(args: Args) -> None:
    lineage = trace(args.artifact)
    if args.json:
        print(json.dumps(lineage.as_json(), indent=1, ensure_ascii=False))
        return
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
    console.print(tree(lineage))
    console.print(summary(lineage))


# --- reading the manifests --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """What a command read: under which argument, and the digest at that time."""

    argument: str
    path: str
    sha256: str | None


@dataclass(frozen=True)
class Artifact:
    """A file or folder, as its manifest records it and as it is now; digests are SHA-256, None where unknown."""

    path: str
    recorded: str | None
    present: str | None
    module: str | None = None
    code_changed: bool = False
    started: str | None = None
    seconds: float = 0.0
    settings: Mapping[str, Any] | None = None
    inputs: tuple[Read, ...] = ()

    @property
    def sha256(self) -> str | None:
        return self.present or self.recorded

    @property
    def marks(self) -> list[str]:
        """What is to be said of the artifact itself."""
        folder_has_one = bool(self.inputs) and self.inputs[0].argument == PART_OF
        found = {
            "not here": self.present is None,
            "no manifest": self.recorded is None and not folder_has_one,
            "changed since it was made": None not in (self.recorded, self.present) and self.recorded != self.present,
            "code changed since": self.code_changed,
        }
        return [mark for mark, holds in found.items() if holds]


@dataclass(frozen=True)
class Lineage:
    """An artifact and all that it was made from, each once, in the order in which a walk from it meets them."""

    root: str
    artifacts: dict[str, Artifact]

    @cached_property
    def other_reads(self) -> list[tuple[Artifact, Read]]:
        """The reads of what has another digest now, with the artifact that was made from the earlier version."""
        return [
            (artifact, read)
            for artifact in self.artifacts.values()
            for read in artifact.inputs
            if is_another(read, self.artifacts[read.path])
        ]

    @property
    def seconds(self) -> float:
        """Of all commands; one that made several artifacts counts once."""
        runs = {(a.module, a.started, a.seconds) for a in self.artifacts.values() if a.module}
        return sum(seconds for _, _, seconds in runs)

    def as_json(self) -> dict[str, Any]:
        artifacts = [
            {**asdict(artifact), "marks": artifact.marks}
            | {"inputs": [{**asdict(r), "another_now": is_another(r, self.artifacts[r.path])} for r in artifact.inputs]}
            for artifact in self.artifacts.values()
        ]
        return {"artifact": self.root, "seconds": round(self.seconds, 3), "artifacts": artifacts}


def is_another(read: Read, artifact: Artifact) -> bool:
    """Whether what was read then has another digest now."""
    return None not in (read.sha256, artifact.sha256) and read.sha256 != artifact.sha256


def trace(artifact: Path) -> Lineage:
    """Follow the manifests from an artifact to what no manifest leads on from.

    Raises:
        StudyError: there is neither such a file nor a manifest of it.
    """
    if not artifact.exists() and not read_manifest(artifact):
        raise StudyError(
            f"{artifact}: there is no such file or folder, nor a manifest of it. Give an artifact of a study, such as "
            "results/demo/tables/table2_policies.csv; `snakemake PATH` builds it."
        )
    base, root = located(artifact)
    found: dict[str, Artifact] = {}
    todo = [root]
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = inspect(path, base)
            todo += [read.path for read in reversed(found[path].inputs)]
    return Lineage(root, found)


def located(artifact: Path) -> tuple[Path, str]:
    """The folder that the paths in manifests start from, and the artifact's own path as a manifest would name it.

    A study may be looked at from elsewhere, or have been copied: the end of the given path then is what was recorded.
    """
    for made in (artifact, *artifact.absolute().parents):
        recorded = Path(read_manifest(made).get("output", {}).get("path", "/"))
        parts, ending = made.absolute().parts, recorded.parts
        if not recorded.is_absolute() and parts[-len(ending) :] == ending:
            base = Path(*parts[: -len(ending)])
            return base, str(artifact.absolute().relative_to(base))
    return Path.cwd(), str(artifact)


def inspect(path: str, base: Path) -> Artifact:
    """An artifact, from its manifest and from the disk."""
    place = base / path
    present = digest(place) if is_here(place) else None
    manifest = read_manifest(place)
    if "output" not in manifest:
        return Artifact(path, None, present, inputs=tuple(containing(Path(path), base)))
    module = manifest["code"]["module"]
    reads = tuple(Read(i["argument"], i["path"], i["sha256"]) for i in manifest["inputs"])
    files = {manifest["output"]["path"], *(read.path for read in reads)}
    return Artifact(
        path,
        recorded=manifest["output"]["sha256"],
        present=present,
        module=module,
        code_changed=manifest["code"]["digest"] != present_code(module),
        started=manifest["started"],
        seconds=manifest["seconds"],
        settings=settings(manifest["arguments"], files, base),
        inputs=reads,
    )


def is_here(place: Path) -> bool:
    """Whether there is more than a manifest: a frozen study has the folders of its models with nothing else in them."""
    return any(file.name != "manifest.json" for file in place.iterdir()) if place.is_dir() else place.exists()


def containing(path: Path, base: Path) -> Iterator[Read]:
    """The innermost folder around a file that was made, and recorded, as a whole."""
    for folder in path.parents:
        recorded = read_manifest(base / folder).get("output", {}).get("path")
        if recorded and base / recorded == base / folder:
            yield Read(PART_OF, str(folder), None)
            return


def present_code(module: str) -> str | None:
    """The digest of a module's logic as it is today, or None where it is no longer there."""
    try:
        return code_digest(module)
    except (OSError, SyntaxError):
        return None


def settings(arguments: Mapping[str, Any], files: set[str], base: Path) -> dict[str, Any]:
    """The arguments that are no files, nor left out: what of the configuration went into an artifact."""

    def is_file(value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) and all(map(is_file, value))
        if not isinstance(value, str):
            return False
        place = base / value
        return value in files or ("/" in value and (place.exists() or manifest_path(place).exists()))

    return {key: value for key, value in arguments.items() if value is not None and not is_file(value)}


# --- showing them -----------------------------------------------------------------------------------------------------


def tree(lineage: Lineage) -> "Tree":
    """The tree for a terminal: an artifact's branches are what it was made from; what was met before is only named."""
    from rich.tree import Tree

    root = lineage.artifacts[lineage.root]
    drawn = Tree(label(root), guide_style="dim")
    shown = {root.path}
    todo = [(drawn, read) for read in reversed(root.inputs)]
    while todo:
        parent, read = todo.pop()
        artifact = lineage.artifacts[read.path]
        branch = parent.add(label(artifact, read, again=read.path in shown))
        if read.path not in shown:
            shown.add(read.path)
            todo += [(branch, deeper) for deeper in reversed(artifact.inputs)]
    return drawn


def label(artifact: Artifact, read: Read | None = None, again: bool = False) -> "Text":
    """argument, path, digest, module, seconds, marks; below them the settings. `again`: only what a reference needs."""
    from rich.text import Text

    text = Text(overflow="fold")
    if read:
        text.append(f"{read.argument}: ", style="dim")
    text.append(artifact.path, style="bold")
    text.append(f"  {short(artifact.sha256 or (read and read.sha256))}", style="cyan")
    marks = []
    if read and is_another(read, artifact):
        marks.append(f"{NOT_WHAT_WAS_READ}: {short(read.sha256)}")
    if again:
        text.append("  (above)", style="dim")
    else:
        marks = artifact.marks + marks
        if artifact.module:
            text.append(f"  {artifact.module}  {artifact.seconds:.1f} s", style="green")
    for mark in marks:
        text.append(f"  [{mark}]", style="bold red")
    if artifact.settings and not again:
        text.append(f"\n{listed(artifact.settings)}", style="dim")
    return text


def summary(lineage: Lineage) -> "Text":
    """How many artifacts, how much work, and how many of each mark."""
    from rich.text import Text

    artifacts = lineage.artifacts.values()
    counts: dict[str, int] = {}
    for artifact in artifacts:
        for mark in artifact.marks:
            counts[mark] = counts.get(mark, 0) + 1
    if lineage.other_reads:
        counts[NOT_WHAT_WAS_READ] = len({read.path for _, read in lineage.other_reads})
    kinds = ", ".join(f"{mark}: {count}" for mark, count in counts.items()) or "all as recorded"
    return Text(f"{len(artifacts)} artifacts, {lineage.seconds:.0f} s of work; {kinds}")


def short(sha256: str | None) -> str:
    return sha256[:SHORT] if sha256 else "-" * SHORT


def listed(settings: Mapping[str, Any]) -> str:
    """beta 0.1, optimisation (epochs 2, ...)"""

    def value_of(value: Any) -> str:
        if isinstance(value, Mapping):
            return f"({listed(value)})"
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    return ", ".join(f"{key} {value_of(value)}" for key, value in settings.items() if value is not None)


if __name__ == "__main__":
    command.run(main, Args)
