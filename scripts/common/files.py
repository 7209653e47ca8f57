"""Files and folders that appear complete or not at all (promise 2: nothing half-written is believed)."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from scripts.common.errors import StudyError

FULL = 2**20
"""A disk with less than so many bytes left is full, when a library that could not write gives no reason."""


@contextmanager
def publish(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write a file or a folder to; rename it to `target` when the block ends well.

    When the block raises, or the process dies, `target` is untouched. The temporary path lies in the same folder, so
    that the rename is atomic also on a network file system.

    Raises:
        StudyError: the block wrote nothing, the disk is full, or the folder can't be written.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove(temporary)
            yield temporary
            if not temporary.exists():
                raise StudyError(f"{target}: nothing was written.")
            _flush(temporary)
            if target.is_dir():
                remove(target)  # rename does not replace a folder that has content
            os.replace(temporary, target)
    finally:
        remove(temporary)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Within the block, what goes wrong because the disk takes no more is said in one line.

    Raises:
        StudyError: the disk or the quota is full, or the folder can't be written.
    """
    try:
        yield
    except Exception as error:
        reason = _cannot_write(error, target.parent)
        if reason is None:
            raise
        raise StudyError(f"{target}: {reason} Nothing was published.") from error


def check_writable(folder: Path) -> None:
    """Make a folder, if it is not there, and try whether it takes files: before hours are spent on what goes in.

    Raises:
        StudyError: it does not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = _cannot_write(error, folder) or f"{error.strerror}."
        raise StudyError(
            f"{folder.absolute()}: {reason} Nothing was started. Name a folder that can be written, in which results/ "
            "is then made: --directory FOLDER."
        ) from None


def _cannot_write(error: Exception, folder: Path) -> str | None:
    """Why nothing could be written, if the surroundings are to blame.

    DuckDB, Arrow and safetensors say it in their text alone; torch says only that it could not write.
    """
    number = error.errno if isinstance(error, OSError) else None
    full = "No space left on device" in str(error)
    silent = not isinstance(error, (OSError, StudyError)) and "writ" in str(error)
    if full or (silent and folder.exists() and shutil.disk_usage(folder).free < FULL):
        number = errno.ENOSPC
    return {
        errno.ENOSPC: "no space is left on the device. Free some and run the same command again.",
        errno.EDQUOT: "the disk quota is used up. Free some and run the same command again.",
        errno.EROFS: "the file system is read-only.",
        errno.EACCES: "permission denied.",
    }.get(number or 0)


def remove(path: Path) -> None:
    """Remove a file, link or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def link_folder(source: Path, target: Path) -> None:
    """The files of a folder under another name, manifest and hidden ones aside; weights don't lie on the disk twice."""
    shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns("manifest.json", ".*"))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one that knows no hard links
        shutil.copy2(source, target)


def _flush(path: Path) -> None:
    """Force the content to disk, so that a rename never outlives the bytes it names."""
    for file in [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
