"""Run Python programs that a model wrote, each in a process of its own that can reach nothing and lasts not long.

A program sees the standard library, an empty environment and an empty folder of 32 MB; no network, no other process, no
file of the host but the system's and Python's own, all read-only. It may start no process and no thread. It ends after
`Limits.seconds`, or when it asks for more memory than `Limits.memory_mb`. The walls are Linux namespaces, set up by
util-linux (as root, the program runs as `nobody`) or by bubblewrap, whichever works here; without either, nothing runs.

The verdict is the program's own process's: a program that was written to cheat, rather than to misbehave, can find out
how success is told and tell it.

    python -m scripts.evaluate.sandbox program.py
"""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.common.errors import StudyError

DISK_MB = 32
NOBODY = 65534
SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/lib32")  # links into /usr on most systems
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
INTERPRETER = os.path.realpath(sys.executable)
PREFIX = os.path.realpath(sys.base_prefix)

Command = Callable[[str], list[str]]
"""From an empty folder to mount things on, to the command line that a walled command is appended to."""


@dataclass(frozen=True)
class Limits:
    seconds: float = 10.0
    memory_mb: int = 1024


@dataclass(frozen=True)
class Verdict:
    """`passed`, `failed` (it raised, or left before its end) or `timed out`; `detail` is what it raised."""

    outcome: str
    detail: str = ""

    @property
    def passed(self) -> bool:
        return self.outcome == "passed"


RUNNER = """
import os, resource, sys
told, token, megabytes, seconds = int(sys.argv[1]), sys.argv[2].encode(), int(sys.argv[3]), int(sys.argv[4])
source = sys.stdin.read()
nothing = os.open("/dev/null", os.O_RDWR)
for stream in (0, 1, 2):
    os.dup2(nothing, stream)
for limit, value in (
    (resource.RLIMIT_NPROC, 0),
    (resource.RLIMIT_AS, megabytes << 20),
    (resource.RLIMIT_CPU, seconds),
    (resource.RLIMIT_NOFILE, 64),
    (resource.RLIMIT_CORE, 0),
):
    resource.setrlimit(limit, (value, value))
os.chdir("/tmp")
os.write(told, b"started\\n")
try:
    exec(compile(source, "program.py", "exec"), {"__name__": "__main__"})
except BaseException as error:
    os.write(told, f"{type(error).__name__}: {error}"[:300].encode(errors="replace"))
else:
    os.write(told, token)
os._exit(0)
"""
"""Pid 2 or later of its namespace: it gives up what it does not need, then becomes the program."""

MOUNTS = r"""
set -eu
root=$1; disk=$2; shift 2
mount -t tmpfs -o size=1m,mode=755,nosuid,nodev tmpfs "$root"
while [ "$1" != -- ]; do
    mkdir -p "$root$(dirname "$1")"
    if [ -L "$1" ]; then
        cp -P "$1" "$root$1"
    elif [ -d "$1" ]; then
        mkdir -p "$root$1"; mount --rbind "$1" "$root$1"; mount -o remount,bind,ro "$root$1"
    elif [ -e "$1" ]; then
        : > "$root$1"; mount --bind "$1" "$root$1"
    fi
    shift
done
shift
mkdir "$root/tmp" "$root/proc" "$root/box"
mount -t tmpfs -o "size=${disk}m,mode=1777,nosuid,nodev" tmpfs "$root/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -o remount,bind,ro "$root"
cd "$root"; pivot_root . .; umount -l .
mount --rbind / /box  # whose root is not its namespace's can make no user namespace, and so mount nothing
chroot /box "$@" || true  # not the last line: a shell that became the program would be a pid 1 that nothing kills
exit 0
"""
"""Pid 1 of its namespace: builds a root of its own, then starts the rest without rights. Kill it, and all is gone."""


def run(program: str, limits: Limits = Limits(), walls: str | None = None) -> Verdict:
    """Run one program; it has passed if it came to its end.

    Args:
        walls: a key of `ISOLATIONS`; otherwise those that work here.

    Raises:
        StudyError: there is no way here to wall it in.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="sandbox-") as root, _pipe() as (heard, told):
        arguments = [str(told), token, str(limits.memory_mb), str(int(limits.seconds) + 1)]
        process = subprocess.Popen(
            [*ISOLATIONS[walls or isolation()](root), INTERPRETER, "-I", "-S", "-c", RUNNER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
            pass_fds=(told,),
            start_new_session=True,  # kill(0, ..) and terminals end at the wall
        )
        os.close(told)
        late = False
        try:
            _, complaint = process.communicate(program.encode(errors="replace"), timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            late, complaint = True, b""
        finally:
            _end(process)
        words = _heard(heard)
    started, _, rest = words.partition("\n")
    if started != "started":
        reason = complaint.decode(errors="replace").strip().splitlines()
        raise StudyError(reason[-1] if reason else f"the sandbox did not start within {limits.seconds:g} s")
    if rest == token:
        return Verdict("passed")
    if late:
        return Verdict("timed out")
    return Verdict("failed", rest or "it left before its end")


def isolation() -> str:
    """The name of the walls that work here.

    Raises:
        StudyError: none does; says what was tried and what to install.
    """
    name, reasons = _tried()
    if name is None:
        raise StudyError(
            "programs that a model wrote can't be walled in on this machine, so none is run. Tried: "
            + "; ".join(reasons)
            + ". Install bubblewrap (Debian: apt-get install bubblewrap), or allow user namespaces (sysctl "
            "user.max_user_namespaces above 0), or go where one of these works; then --forcerun evaluate_academic."
        )
    return name


@cache
def _tried() -> tuple[str | None, list[str]]:
    reasons = []
    for name in ISOLATIONS:
        if reason := unusable(name):
            reasons.append(f"{name} ({reason})")
        else:
            return name, reasons
    return None, reasons


def unusable(name: str) -> str | None:
    """Why walls of this name can't be had here; None where they stand."""
    command = ISOLATIONS[name]("/")[0]
    if shutil.which(command) is None:
        return f"{command} is not installed"
    if (name == "root") != (os.geteuid() == 0):
        return "only for root" if name == "root" else "not for root"
    try:
        verdict = run("import math", walls=name)
    except (StudyError, OSError) as error:
        return str(error)
    return None if verdict.passed else f"{verdict.outcome}: {verdict.detail}"


# --- the walls --------------------------------------------------------------------------------------------------------

_UNSHARE = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
_NO_RIGHTS = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def _as_root(root: str) -> list[str]:
    """Namespaces without a user namespace; the program becomes `nobody`, for root is exempt from limits."""
    become = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [*_UNSHARE, *_mounts(root), "setpriv", *become, *_NO_RIGHTS]


def _as_user(root: str) -> list[str]:
    return [*_UNSHARE, "--user", "--map-root-user", *_mounts(root), "setpriv", *_NO_RIGHTS]


def _mounts(root: str) -> list[str]:
    return ["sh", "-c", MOUNTS, "sh", root, str(DISK_MB), *_shown(), *DEVICES, "--"]


def _shown() -> list[str]:
    """Folders of the host that a program sees: the system's, and the interpreter's where it lies elsewhere."""
    return [*filter(os.path.lexists, SYSTEM), *([] if f"{PREFIX}/".startswith("/usr/") else [PREFIX])]


def _bubblewrap(root: str) -> list[str]:
    shown: list[str] = []
    for path in _shown():
        shown += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    return [
        *("bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL"),
        *("--die-with-parent", "--new-session", "--clearenv"),
        *(*shown, "--proc", "/proc", "--dev", "/dev", "--size", str(DISK_MB << 20), "--tmpfs", "/tmp"),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
    ]


ISOLATIONS: dict[str, Command] = {"root": _as_root, "bubblewrap": _bubblewrap, "user namespaces": _as_user}


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """(reading end, writing end); reading never waits."""
    heard, told = os.pipe()
    os.set_blocking(heard, False)
    try:
        yield heard, told
    finally:
        os.close(heard)


def _heard(end: int) -> str:
    try:
        return os.read(end, 4096).decode(errors="replace")
    except BlockingIOError:
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    """Pid 1 of the namespace dies with what started it, and all other processes of the namespace with it."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stderr is not None
    process.stderr.close()


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 1:
        sys.exit("usage: python -m scripts.evaluate.sandbox program.py")
    try:
        verdict = run(Path(arguments[0]).read_text())
    except StudyError as error:
        sys.exit(f"error: {error}")
    print(verdict.outcome, verdict.detail, sep="\t")


if __name__ == "__main__":
    main(sys.argv[1:])
