"""One archive of a finished study from which another cluster repeats it, and against which it compares.

    python -m scripts.report.freeze --config config/demo.yaml --output demo-frozen.tar.gz

It holds the merged configuration, the program as it lies on the disk (the files that git tracks, so the locked
requirements too) with the commit's name, and what was measured: tables, figures, the page and all manifests. Data and
models stay where they are; the README.txt inside names by digest what must be brought. The same content gives the same
bytes. A value of a secret environment variable, or what looks like a key, stops it: such an archive is handed around.
"""

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from gzip import GzipFile
from pathlib import Path
from typing import Any

from scripts.common import command, config
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.provenance import ROOT, manifest_path
from scripts.report.stale import pending

MEASURED = ("tables/*.csv", "figures/*.svg", "report/*.html", "**/manifest.json", "**/*.manifest.json")
README = Path(__file__).with_name("frozen_readme.txt")
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|KEY$", re.IGNORECASE)
SHORTEST_SECRET = 8  # characters; shorter values, such as `false`, stand in any text
KEY = re.compile(
    rb"\bhf_[A-Za-z0-9]{30,}\b|\bsk-[A-Za-z0-9_-]{32,}|\bgh[pousr]_[A-Za-z0-9]{36}\b|-----BEGIN [A-Z ]*PRIVATE KEY"
)


@dataclass(frozen=True)
class Args:
    config: tuple[Input, ...]
    """The YAML files that the study was made with, in their order."""
    output: Output
    """The archive, .tar.gz."""
    study: Path | None = None
    """Folder of the study; without it, results/{study} here."""
    settings: tuple[str, ...] = ()
    """key=value, as given to Snakemake's --config."""


@dataclass(frozen=True)
class File:
    """A file of the archive."""

    data: bytes = b""
    executable: bool = False
    link: str = ""
    """Where a symbolic link leads to."""


def main(args: Args) -> dict[str, Any]:
    if not args.output.name.endswith(".tar.gz"):
        raise StudyError(f"--output {args.output}: expected a name that ends in .tar.gz.")
    if args.study is None:
        args = replace(args, study=Path("results", config.load(merged(args.config, args.settings)).study))
    commit, time, changed = checkout(ROOT)
    warnings = [*dirty(changed), *out_of_date(args)]
    contents = collect(args, commit, warnings)
    refuse_secrets(contents, os.environ)
    write_archive(f"{args.study.resolve().name}-frozen", contents, time, args.output)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return {"files": len(contents), "bytes": args.output.stat().st_size, "commit": commit, "warnings": len(warnings)}


# --- what goes in -----------------------------------------------------------------------------------------------------


def collect(args: Args, commit: str, warnings: Sequence[str]) -> dict[str, File]:
    """All files of the archive, by their paths in it."""
    values = merged(args.config, args.settings)
    name = config.load(values).study
    measured = measurements(args.study, name, leave_out=manifest_path(args.output))
    code = tracked(ROOT)
    contents = {
        "README.txt": File(describe(name, commit, warnings, manifests(measured), code).encode()),
        "study.yaml": File(as_yaml(values)),
        **{f"code/{path}": file for path, file in code.items()},
        **{f"results/{name}/{path}": file for path, file in measured.items()},
    }
    return {**contents, "SHA256SUMS": File(sums(contents))}


def merged(files: Iterable[Path], settings: Iterable[str] = ()) -> dict[str, Any]:
    """The configuration as Snakemake merges it: later files win, `settings` win over all.

    Raises:
        StudyError: a file is no YAML mapping, or a setting no key=value.
    """
    import yaml

    values: dict[str, Any] = {}
    for file in files:
        try:
            read = yaml.safe_load(file.read_text())
        except yaml.YAMLError as error:
            raise StudyError(f"--config {file}: no YAML: {' '.join(str(error).split())}") from None
        if not isinstance(read, dict):
            raise StudyError(f"--config {file}: expected keys and values, such as `study: demo`.")
        values = config.merge(values, read)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise StudyError(f"--settings {setting}: expected key=value, such as seed=2.")
        values = {**values, key: yaml.safe_load(value)}
    return values


def as_yaml(values: Mapping[str, Any]) -> bytes:
    """The merged configuration in the order in which it was written, without anchors."""
    import yaml

    return yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False, allow_unicode=True).encode()


def measurements(study: Path, name: str, leave_out: Path) -> dict[str, File]:
    """Tables, figures, page and manifests of a study, by their paths below its folder.

    Raises:
        StudyError: the folder is another study's, or holds no table.
    """
    if study.resolve().name != name:
        raise StudyError(
            f"--study {study}: the configuration is that of the study '{name}'; give results/{name}, or the files and "
            "--settings that this study was made with."
        )
    found = {path for pattern in MEASURED for path in study.glob(pattern) if path.resolve() != leave_out.resolve()}
    by_name = {path.relative_to(study): path for path in found}
    kept = {str(below): path for below, path in sorted(by_name.items()) if not hidden(below)}
    if not any(below.startswith("tables/") for below in kept):
        raise StudyError(f"--study {study}: no tables in {study / 'tables'}; run the study first.")
    return {below: File(path.read_bytes()) for below, path in kept.items()}


def hidden(path: Path) -> bool:
    """Whether a path leads through a work folder or a file not yet published."""
    return any(part.startswith(".") for part in path.parts)


def manifests(measured: Mapping[str, File]) -> list[dict[str, Any]]:
    """What the manifests among the files record.

    Raises:
        StudyError: one can't be read.
    """
    found = []
    for path, file in measured.items():
        if path.endswith("manifest.json"):
            try:
                found.append(json.loads(file.data))
            except ValueError as error:
                raise StudyError(f"{path}: no manifest: {error}. Remove its artifact and run again.") from None
    return found


def tracked(root: Path) -> dict[str, File]:
    """The files that git tracks, as they lie on the disk."""
    found = {}
    for name in git(root, "ls-files", "-z").split("\0"):
        path = root / name
        if path.is_symlink():
            found[name] = File(link=os.readlink(path))
        elif path.is_file():
            found[name] = File(path.read_bytes(), executable=os.access(path, os.X_OK))
    return found


def checkout(root: Path) -> tuple[str, int, list[str]]:
    """The commit, its time (seconds), and the files that differ from it: `M path` changed, `?? path` unknown to git."""
    commit, time = git(root, "show", "--no-patch", "--format=%H %ct", "HEAD").split()
    changed = git(root, "status", "--porcelain=v1", "--untracked-files=normal").splitlines()
    return commit, int(time), sorted(line.strip() for line in changed)


def git(root: Path, *words: str) -> str:
    """What git says.

    Raises:
        StudyError: there is no git, or this is no checkout.
    """
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(root), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        raise StudyError(f"{root}: git can't say which commit this is: {said}. Freeze from a git checkout.") from None
    return done.stdout


# --- what is to be said of it -----------------------------------------------------------------------------------------


def dirty(changed: Sequence[str]) -> list[str]:
    """A warning where the program is not that of the commit."""
    if not changed:
        return []
    return [
        f"the program is not that of its commit: {len(changed)} files differ ({'; '.join(changed)}). code/ holds the "
        "changed files as they are, not those unknown to git (??). Commit, run the study and freeze again."
    ]


def out_of_date(args: Args) -> list[str]:
    """A warning where Snakemake would rebuild something: then the tables are not what this configuration makes."""
    folder = args.study.resolve().parents[1]
    try:
        jobs = pending(args.config, args.settings, folder=folder)
    except StudyError as error:
        return [f"whether the study is up to date couldn't be checked. {error}"]
    if not jobs:
        return []
    rules = ", ".join(sorted({job.rule for job in jobs}))
    return [
        f"the study is not up to date with this configuration and program: {len(jobs)} jobs would run ({rules}). "
        "`python -m scripts.report.stale` says why."
    ]


def describe(
    name: str,
    commit: str,
    warnings: Sequence[str],
    manifests: Sequence[Mapping[str, Any]],
    code: Mapping[str, File],
) -> str:
    """README.txt: what the archive holds, how to repeat the study, and what must be brought for it."""
    versions = sorted({f"{package} {version}" for made in manifests for package, version in made["versions"].items()})
    return README.read_text().format(
        study=name,
        commit=commit,
        warnings="".join(f"\nWARNING: {warning}\n" for warning in warnings),
        versions=", ".join(versions),
        needed="\n".join(f"- {line}" for line in needed(manifests, code)) or "Nothing: the study makes its own data.",
    )


def needed(manifests: Iterable[Mapping[str, Any]], code: Mapping[str, File]) -> list[str]:
    """What the study read and did not make: data sets and models of the hub, and files that lie elsewhere."""
    manifests = list(manifests)
    made = {made["output"]["path"] for made in manifests}
    program = tuple(f"/{path}" for path in code)  # templates and the like, named by where the checkout lay
    found = set()
    for manifest in manifests:
        arguments = manifest["arguments"]
        if arguments.get("hub"):
            commit = manifest["facts"].get("commit") or arguments["revision"]
            found.add(f"from the hub: {arguments['hub']}, revision {commit}")
        for read in manifest["inputs"]:
            path, sha256 = read["path"], read["sha256"]
            if not path.endswith(program) and made.isdisjoint([path, *map(str, Path(path).parents)]):
                found.add(f"{path}, sha256 {sha256}")
    return sorted(found)


def sums(contents: Mapping[str, File]) -> bytes:
    """Digests of all files in the form that `sha256sum -c` reads."""
    files = sorted((path, file) for path, file in contents.items() if not file.link)
    return "".join(f"{hashlib.sha256(file.data).hexdigest()}  {path}\n" for path, file in files).encode()


def refuse_secrets(contents: Mapping[str, File], environment: Mapping[str, str]) -> None:
    """Stop where a secret of the environment, or what looks like a key, would be handed around.

    Raises:
        StudyError: names the file and the variable, never the value.
    """
    secrets = {
        name: {value.encode(), json.dumps(value, ensure_ascii=False)[1:-1].encode()}  # as text, and within JSON
        for name, value in environment.items()
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    }
    for path, file in contents.items():
        holds = [f"the value of {name}" for name, forms in secrets.items() if any(form in file.data for form in forms)]
        if KEY.search(file.data):
            holds.append("what looks like a key")
        if holds:
            raise StudyError(
                f"{path}: holds {' and '.join(holds)}. Nothing was written. Secrets belong into the environment alone: "
                "take it out, and replace it where it was issued."
            )


# --- the archive ------------------------------------------------------------------------------------------------------


def write_archive(folder: str, contents: Mapping[str, File], time: int, output: Path) -> None:
    """Write files below `folder` as .tar.gz: sorted, of one time and no owner, so that equal content is equal bytes."""
    with (
        publish(output) as temporary,
        temporary.open("wb") as raw,
        GzipFile(filename="", mode="wb", fileobj=raw, mtime=time) as zipped,
        tarfile.open(mode="w", fileobj=zipped, format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, file in sorted(contents.items()):
            entry = tarfile.TarInfo(f"{folder}/{path}")
            if file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            entry.size = len(file.data)
            entry.mtime = time
            entry.mode = 0o755 if file.executable else 0o644
            archive.addfile(entry, io.BytesIO(file.data))


if __name__ == "__main__":
    command.run(main, Args)
