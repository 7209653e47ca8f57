"""Where a long job keeps what it needs to resume, and how it knows that a checkpoint is whole (promise 2).

Checkpoints lie in a work directory beside the output, which Snakemake does not know and so does not delete. Its name
holds a digest of configuration, inputs and code: another configuration never resumes from these checkpoints.
"""

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from scripts.common import command
from scripts.common.errors import StudyError
from scripts.common.files import explained, publish, remove
from scripts.common.provenance import code_digest, digest, plain

MARK = "whole.json"


def identity(module: str, args: Any, *more: str) -> str:
    """Digest of all that decides what a command writes: its code, its arguments, the content of its inputs, and `more`.

    Where the files lie does not count.
    """
    inputs, outputs = command.files(args)
    files = {name for name, _ in inputs + outputs}
    parts = {
        "code": code_digest(module),
        "inputs": [(name, digest(path)) for name, path in inputs],
        "arguments": {key: value for key, value in plain(args).items() if key not in files},
        "more": more,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def work_directory(output: Path, identity: str) -> Path:
    """The work directory of an output under one configuration."""
    work = output.with_name(f".{output.name}.work") / identity
    work.mkdir(parents=True, exist_ok=True)
    return work


def tidy(work: Path) -> None:
    """Remove what no job will resume from: work of earlier configurations of the output, what was written half."""
    for other in work.parent.iterdir():
        if other.is_dir() and other != work:
            remove(other)
    for unfinished in work.glob(".*.tmp"):
        remove(unfinished)
    for checkpoint in work.glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            print(f"{checkpoint}: not whole, passed over")
            remove(checkpoint)


@contextmanager
def only_writer(output: Path) -> Iterator[None]:
    """Hold the lock of an output's work directory; it goes with the process, however that ends.

    What an earlier writer that was killed had begun to publish is removed.

    Raises:
        StudyError: another process writes this output; the message names its host, process and start.
    """
    from filelock import FileLock, Timeout

    parent = output.with_name(f".{output.name}.work")
    with explained(output):
        parent.mkdir(parents=True, exist_ok=True)
        (parent / "lock").touch()
    owner = parent / "owner.json"
    try:
        with FileLock(parent / "lock", timeout=0):
            me = {"host": platform.node(), "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
            owner.write_text(json.dumps({**me, "slurm_job": os.environ.get("SLURM_JOB_ID")}))
            for unfinished in output.parent.glob(f".{output.name}.*.tmp"):
                remove(unfinished)
            yield
            if not any(path.is_dir() for path in parent.iterdir()):  # nothing is left to resume from
                remove(parent)
    except Timeout:
        raise StudyError(
            f"{output}: another process is writing it: {owner.read_text() if owner.exists() else 'owner unknown'}. "
            "Wait for it or stop it; two writers would spoil each other's checkpoints."
        ) from None


def mark_whole(checkpoint: Path, shape: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Record the files of a checkpoint and their sizes; written last, so that its presence means completeness.

    `shape` is what a job that resumes must know of the one that saved: how many processes, how many steps.
    """
    with publish(checkpoint / MARK) as temporary:
        temporary.write_text(json.dumps({"files": _sizes(checkpoint), **shape}))


def shape(checkpoint: Path) -> dict[str, Any]:
    """What `mark_whole` was told of the job that saved a checkpoint."""
    recorded = json.loads((checkpoint / MARK).read_text())
    return {key: value for key, value in recorded.items() if key != "files"}


def latest_whole(work: Path) -> Path | None:
    """The newest checkpoint whose files are all there in full."""
    whole = [checkpoint for checkpoint in work.glob("checkpoint-*") if _is_whole(checkpoint)]
    return max(whole, key=lambda checkpoint: int(checkpoint.name.rpartition("-")[2]), default=None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        recorded = json.loads((checkpoint / MARK).read_text())
    except (OSError, json.JSONDecodeError):
        return False
    return recorded.get("files") == _sizes(checkpoint)


def _sizes(checkpoint: Path) -> dict[str, int]:
    files = (path for path in sorted(checkpoint.rglob("*")) if path.is_file() and path.name != MARK)
    return {str(path.relative_to(checkpoint)): path.stat().st_size for path in files if not path.name.startswith(".")}
