"""The sandbox: good programs pass, bad ones fail, endless ones end, hostile ones reach nothing; for root and users."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.evaluate import sandbox
from scripts.evaluate.sandbox import Limits, Verdict

ROOT = Path(__file__).resolve().parents[3]
QUICK = Limits(seconds=2, memory_mb=256)

GOOD = "def add(a, b):\n    return a + b\nassert add(2, 3) == 5\n"
HARMLESS = {  # program -> (outcome, a part of the detail)
    GOOD: ("passed", ""),
    "import math, re, heapq\nopen('scratch', 'w').write('a')\nassert open('scratch').read() == 'a'": ("passed", ""),
    "x = '" + "a" * 300_000 + "'": ("passed", ""),  # more than a pipe holds
    "assert 1 + 1 == 3, 'no sum'": ("failed", "AssertionError: no sum"),
    "def add(a, b)\n": ("failed", "SyntaxError"),
    "raise SystemExit(0)": ("failed", "SystemExit"),
    "import os; os._exit(0)": ("failed", "left before its end"),
    "while True: pass": ("timed out", ""),
    "input()": ("failed", "EOFError"),
    "print('x' * 10_000_000)": ("passed", ""),  # what it prints is thrown away
}  # fmt: skip
HOSTILE = {  # what each tries -> (program, a part of what it runs into)
    "secrets of the environment": ("import os; raise Exception(os.environ.get('TOP_SECRET', 'unseen'))", "unseen"),
    "secrets of other processes": (
        "import glob\nfor path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try:\n        assert b'TOP_SECRET' not in open(path, 'rb').read(), path\n"
        "    except PermissionError: pass\nraise Exception('unseen')",
        "unseen",
    ),
    "files of the host": (
        "import os; raise Exception([p for p in ('/home', '/etc', '/var', '/work', '/mnt') if os.path.exists(p)])",
        "Exception: []",
    ),
    "a socket to the world": ("import socket; socket.create_connection(('1.1.1.1', 53), 1)", "Network is unreachable"),
    "fork bomb": ("import os\nwhile True: os.fork()", "BlockingIOError"),
    "threads": ("import threading\nwhile True: threading.Thread(target=input).start()", "can't start new thread"),
    "another program": ("import subprocess; subprocess.run(['ls'])", "BlockingIOError"),
    "all of the disk": ("f = open('a', 'wb')\nwhile True: f.write(b'0' * 1_000_000)", "No space left"),
    "all of the memory": ("x = bytearray(1 << 30)", "MemoryError"),
    "writes outside": ("open('/usr/lib/x', 'w')", "Read-only file system"),
    "writes to its interpreter": ("import sys; open(sys.base_prefix + '/x', 'w')", "Read-only file system"),
    "writes to the root": ("open('/x', 'w')", "Read-only file system"),
    "its process group": ("import os; os.kill(0, 9)", "left before its end"),
    "every process": ("import os; os.kill(-1, 9)", "ProcessLookupError"),
    "namespaces of its own": (
        "import ctypes; raise Exception(ctypes.CDLL(None).unshare(0x10000000))", "Exception: -1",
    ),
    "mounts": (
        "import ctypes; raise Exception(ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None))", "Exception: -1",
    ),
    "too many files": ("kept = [open('/dev/null') for _ in range(100)]", "Too many open files"),
}  # fmt: skip
ESCAPE = "import ctypes, os\nctypes.CDLL(None).prctl(1, 0)\nos.setsid()\nwhile True: pass"


@pytest.fixture(scope="module", autouse=True)
def walls():
    try:
        return sandbox.isolation()
    except StudyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("program", HARMLESS, ids=lambda program: program[:25])
def test_programs(program):
    outcome, detail = HARMLESS[program]
    verdict = sandbox.run(program, QUICK)
    assert verdict.outcome == outcome
    assert detail in verdict.detail


@pytest.mark.parametrize("attempt", HOSTILE)
def test_hostile_programs_reach_nothing(attempt, monkeypatch):
    monkeypatch.setenv("TOP_SECRET", "1234")
    program, obstacle = HOSTILE[attempt]
    verdict = sandbox.run(program, QUICK)
    assert verdict.outcome == "failed"
    assert obstacle in verdict.detail


def test_a_server_of_this_machine_is_out_of_reach():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 1).close()
        verdict = sandbox.run(f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)", QUICK)
    assert verdict.outcome == "failed"


def test_its_parent_survives():
    """Pid 1 of the namespace is the nearest that it can see; whatever it sends there, the caller gets a verdict."""
    verdict = sandbox.run("import os\nos.kill(os.getppid(), 9)\nos.kill(1, 15)", QUICK)
    assert verdict.outcome in ("failed", "passed")  # signals to pid 1 from inside are refused or ignored
    assert sandbox.run(GOOD).passed


def test_nothing_outlives_its_time():
    """Not even a program in a session of its own that has cut the tie to its parent."""
    before = _sandboxed()
    thread = threading.Thread(target=sandbox.run, args=(ESCAPE, QUICK))
    thread.start()
    time.sleep(QUICK.seconds / 2)
    started = _sandboxed() - before
    assert started
    thread.join()
    deadline = time.monotonic() + 5
    while (left := _sandboxed() & started) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _sandboxed() -> set[str]:
    """Process ids of interpreters in a sandbox."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if "RLIMIT_NPROC" in (process / "cmdline").read_text():
                found.add(process.name)
    return found


def test_many_at_once():
    """Programs run side by side do not hinder each other."""
    verdicts: dict[int, Verdict] = {}
    threads = [
        threading.Thread(target=lambda i=i: verdicts.update({i: sandbox.run(f"assert {i} % 2 == 0")})) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdicts[i].passed for i in range(8)] == [True, False] * 4


def test_without_walls_nothing_runs(monkeypatch):
    monkeypatch.setattr(sandbox, "_tried", lambda: (None, ["bubblewrap (bwrap is not installed)"]))
    with pytest.raises(StudyError, match=r"bwrap is not installed.*Install bubblewrap.*--forcerun"):
        sandbox.run(GOOD)


@pytest.mark.parametrize("walls", ["bubblewrap", "user namespaces"])
def test_as_an_ordinary_user(walls):
    """The same programs, tried by `nobody` with the system's Python: what a user of a cluster has."""
    if os.geteuid() != 0 or not shutil.which("runuser") or not Path("/usr/bin/python3").exists():
        pytest.skip("needs root, runuser and /usr/bin/python3")
    wanted = list(HARMLESS) + [program for program, _ in HOSTILE.values()]
    script = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from scripts.evaluate import sandbox
reason = sandbox.unusable({walls!r})
limits = sandbox.Limits(2, 256)
tried = [] if reason else [sandbox.run(program, limits, {walls!r}) for program in json.load(sys.stdin)]
print(json.dumps([reason, [[verdict.outcome, verdict.detail] for verdict in tried]]))
"""
    done = subprocess.run(
        ["runuser", "-u", "nobody", "--", "/usr/bin/python3", "-B", "-c", script],
        input=json.dumps(wanted).encode(),
        stdout=subprocess.PIPE,
        cwd="/",
        env={**os.environ, "TOP_SECRET": "1234"},
        check=True,
    )
    reason, verdicts = json.loads(done.stdout)
    if reason:
        pytest.skip(f"{walls}: {reason}")
    expected = [*HARMLESS.values(), *(("failed", obstacle) for _, obstacle in HOSTILE.values())]
    for program, (outcome, detail), (found, said) in zip(wanted, expected, verdicts, strict=True):
        assert found == outcome, (program, said)
        assert detail in said


def test_command(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("assert False, 'why'")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.evaluate.sandbox", str(program)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "failed\tAssertionError: why\n"
