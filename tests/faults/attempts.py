"""Jobs to be struck: started, watched until they have saved something, frozen there, struck, and run again.

A job that has saved enough is frozen by SIGSTOP, halfway to its next save, so that one fault can strike all stages and
none ends before. SLURM wakes a frozen process itself where it wishes it to act.
"""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.stages import Stage, environment
from tests.slurm import cluster
from tests.workflow.study import ROOT

ENOUGH = 2  # chunks or checkpoints before a job is struck
PATIENCE = 300.0  # seconds, of whatever is waited for; generous, since the machine may be busy
SMALL = 40  # MB of a small file system; the checkpoints of a stage fit into it


@dataclass
class Attempt:
    """One stage in a folder of its own."""

    stage: Stage
    inputs: Path
    folder: Path
    errors: str = ""
    """What the struck process said last."""
    frozen: float = 0.0
    """Seconds since the epoch when it was frozen."""
    process: subprocess.Popen[str] | None = None
    job: str = ""
    """Number of the SLURM job."""
    expected: int = 0
    """Steps or rows that the next attempt must take over."""
    lost: float = 0.0
    """Seconds of work that the fault cost: from the last save to the strike."""
    resumed: int = 0
    """Steps or rows that it did take over."""
    identical: bool = False

    @property
    def output(self) -> Path:
        return self.folder / ("policy" if self.stage.product else "0.parquet")

    @property
    def command(self) -> list[str]:
        return self.stage.command(self.inputs, self.output)

    def run(self) -> None:
        """To its end, undisturbed from now on."""
        done = subprocess.run(self.command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    def start(self) -> None:
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(self.command, env=environment(), cwd=ROOT, **pipes)

    def freeze_when_saved(self) -> None:
        """Stop the process in its tracks once it has saved enough, about halfway to its next save."""
        wait_for(lambda: len(self.stage.saved(self.output)) >= ENOUGH or self.ended(), f"saved work of {self.output}")
        assert not self.ended(), f"{self.stage.name} ended before it could be struck"
        before, last = (path.stat().st_mtime for path in self.stage.saved(self.output)[-2:])
        time.sleep((last - before) / 2)
        os.kill(self.pid, signal.SIGSTOP)
        self.frozen = time.time()
        assert not self.output.exists(), f"{self.stage.name} ended before it could be struck"

    def end(self) -> None:
        """Kill the process, whatever became of it, so that none stays frozen."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ended(self) -> bool:
        """Too early: the process is gone, or a job of SLURM has published."""
        return self.output.exists() or (self.process is not None and self.process.poll() is not None)

    @property
    def pid(self) -> int:
        """Of the writer, as its lock names it."""
        return json.loads((self.output.with_name(f".{self.output.name}.work") / "owner.json").read_text())["pid"]

    def submit(self, partition: str, *options: str, hog: bool = False) -> None:
        """As one SLURM job; `hog`: with another process that takes 2 GB as soon as the file `take` appears."""
        hungry = "python3 -c 'import time; x = b\"x\" * 2**31; time.sleep(600)'"
        take = f"while [ ! -e {shlex.quote(str(self.folder))}/take ]; do sleep 0.2; done; exec {hungry}"
        script = "#!/bin/sh\n" + (f"({take}) &\n" if hog else "") + f"exec {shlex.join(self.command)}\n"
        words = ["sbatch", "--parsable", f"--partition={partition}", "--mem=1500M", "--requeue", "--time=60", *options]
        words += [f"--output={self.folder}/slurm.log", "--open-mode=append", f"--chdir={ROOT}"]
        done = subprocess.run(words, input=script, env=environment(), capture_output=True, text=True, check=True)
        self.job = done.stdout.strip()

    def compare(self, results: dict[str, bytes]) -> None:
        """Note what the attempt that ended well took over, and whether its result is that of an undisturbed run."""
        self.resumed = self.stage.units_resumed(self.output)
        self.identical = self.stage.result(self.output) == results[self.stage.name]

    def strike_is_over(self) -> None:
        """Note what the strike has left, before the next attempt begins."""
        assert not self.output.exists()
        self.expected = self.stage.units_saved(self.output)
        self.lost = max(0.0, self.frozen - self.stage.saved(self.output)[-1].stat().st_mtime)

    def finish(self, status: int) -> None:
        """Collect the struck process, which must have ended with this status, and published nothing."""
        _, self.errors = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == status, self.errors[-3000:]
        self.strike_is_over()


def wait_for(condition: Callable[[], bool], what: str, every: float = 0.01) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(every)


# --- faults that strike a process -------------------------------------------------------------------------------------


def killed(attempt: Attempt) -> None:
    os.kill(attempt.pid, signal.SIGKILL)
    attempt.finish(-signal.SIGKILL)


def terminated(attempt: Attempt) -> None:
    os.kill(attempt.pid, signal.SIGTERM)
    os.kill(attempt.pid, signal.SIGCONT)
    asked = time.monotonic()
    attempt.finish(1)
    assert time.monotonic() - asked < 60
    assert "stopped by SIGTERM" in attempt.errors
    assert "Traceback" not in attempt.errors


def killed_while_saving(attempt: Attempt) -> None:
    """What a crash of the node in the middle of a write leaves: the newest file of the work directory cut short."""
    killed(attempt)
    *_, before, newest = attempt.stage.saved(attempt.output)
    attempt.expected -= attempt.stage.units(newest) - (attempt.stage.units(before) if attempt.stage.product else 0)
    attempt.lost = attempt.frozen - before.stat().st_mtime
    newest = newest.with_name("optimizer.pt") if attempt.stage.product else newest
    os.truncate(newest, newest.stat().st_size // 2)


def disk_filled(attempt: Attempt) -> None:
    filler = attempt.folder / "filler"
    fill(filler)
    os.kill(attempt.pid, signal.SIGCONT)
    attempt.finish(1)
    filler.unlink()
    assert "no space is left on the device" in attempt.errors
    assert "Traceback" not in attempt.errors


def fill(filler: Path) -> None:
    """Take all that is left of a small file system, and never of any other."""
    assert os.path.ismount(filler.parent)
    left = os.statvfs(filler.parent)
    assert left.f_blocks * left.f_frsize <= SMALL * 2**20
    with filler.open("wb") as file:
        while free := os.statvfs(filler.parent).f_bavail:
            os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, free * left.f_frsize)


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of a few megabytes at `folder`."""
    words = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root, and a sandbox that allows it")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# --- faults that strike a SLURM job -----------------------------------------------------------------------------------


def scancelled(attempts: list[Attempt]) -> None:
    submit(attempts, "cpu")
    slurm("scancel", *(attempt.job for attempt in attempts))
    for attempt in attempts:
        wait_for_state(attempt.job, "CANCELLED")
    resubmit(attempts, "cpu")


def requeued(attempts: list[Attempt]) -> None:
    submit(attempts, "cpu")
    slurm("scontrol", "requeue", ",".join(attempt.job for attempt in attempts))
    wait_for_the_second_start(attempts)


def preempted(attempts: list[Attempt]) -> None:
    submit(attempts, "low", "--nodelist=gpu1")
    urgent = ["--partition=gpu", "--nodelist=gpu1", "--exclusive", "--mem=1G", "--output=/dev/null", "--wrap=sleep 1"]
    slurm("sbatch", *urgent)
    wait_for_the_second_start(attempts)


def out_of_time(attempts: list[Attempt]) -> None:
    submit(attempts, "cpu")
    for attempt in attempts:
        slurm("scontrol", "update", f"JobId={attempt.job}", "TimeLimit=1")
    for attempt in attempts:
        wait_for_state(attempt.job, "TIMEOUT")
    resubmit(attempts, "cpu")


def out_of_memory(attempts: list[Attempt]) -> None:
    """Another process of the same job takes so much memory that SLURM kills the job."""
    submit(attempts, "cpu", hog=True)
    for attempt in attempts:
        (attempt.folder / "take").touch()
        wait_for_state(attempt.job, "OUT_OF_MEMORY", "CANCELLED", "FAILED")
        assert "exceeded memory limit" in (attempt.folder / "slurm.log").read_text()
    resubmit(attempts, "cpu")


def node_lost(attempts: list[Attempt]) -> None:
    """All processes of a node end at once, its slurmd too; the controller is told, as it would find out by itself."""
    submit(attempts, "gpu", "--nodelist=gpu2")
    cluster.crash("gpu2")
    for attempt in attempts:
        wait_for_state(attempt.job, "PENDING")
        slurm("scontrol", "update", f"JobId={attempt.job}", "ReqNodeList=")  # any other node will do
    wait_for_the_second_start(attempts)
    assert {state(attempt.job)["NodeList"] for attempt in attempts} == {"gpu1"}
    cluster.revive("gpu2")


def submit(attempts: list[Attempt], partition: str, *options: str, hog: bool = False) -> None:
    """Submit each stage as a job, and freeze it when it has saved enough."""
    for attempt in attempts:
        attempt.submit(partition, *options, hog=hog)
    with ThreadPoolExecutor(len(attempts)) as watchers:  # each at its own moment, or the last have ended before
        list(watchers.map(Attempt.freeze_when_saved, attempts))


def resubmit(attempts: list[Attempt], partition: str) -> None:
    """What the profile's `retries` do where SLURM does not requeue by itself."""
    for attempt in attempts:
        attempt.strike_is_over()
        attempt.submit(partition)
    for attempt in attempts:
        wait_for_state(attempt.job, "COMPLETED")


def wait_for_the_second_start(attempts: list[Attempt]) -> None:
    """SLURM holds a job back for two minutes after a requeue; an operator may let it go at once, as here."""
    for attempt in attempts:
        wait_for_state(attempt.job, "PENDING")
        attempt.strike_is_over()
        slurm("scontrol", "update", f"JobId={attempt.job}", "StartTime=now")
    for attempt in attempts:
        wait_for_state(attempt.job, "COMPLETED")
        assert state(attempt.job)["Restarts"] == "1"


def slurm(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def state(job: str) -> dict[str, str]:
    return next(record for record in cluster.records() if record["JobId"] == job)


def wait_for_state(job: str, *states: str) -> None:
    ends = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", *states}
    wait_for(lambda: state(job)["JobState"] in ends, f"job {job} in {' or '.join(states)}", every=0.3)
    assert state(job)["JobState"] in states, state(job)
