"""A private SLURM on one machine, for tests and for trying a profile: three virtual nodes and eight fake GPUs.

    apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge     (Debian; as root)
    python -m tests.slurm.cluster start
    snakemake --profile slurm --configfile config/demo.yaml ...
    python -m tests.slurm.cluster status
    python -m tests.slurm.cluster stop

Node `cpu1` is the partition cpu; `gpu1` and `gpu2`, with four GPUs each, are the partitions gpu and low (low is
preempted by gpu). The GPUs are character devices: SLURM hands them out and sets CUDA_VISIBLE_DEVICES, CUDA finds none.

Configuration, key, logs and state lie in one temporary folder. The link /etc/slurm/slurm.conf leads to it, because the
job step of Snakemake's plugin drops SLURM_CONF from the environment; by that link `stop` and `status` find the cluster.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from scripts.common.errors import StudyError

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
INSTALL = "apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge"
LINK = Path("/etc/slurm/slurm.conf")
MARK = "PRIVATE_SLURM_CLUSTER"  # in the environment of every daemon, and so of every process that a daemon starts
NODES = ("cpu1", "gpu1", "gpu2")
FAKE_GPUS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")  # GRES without a device file are refused

SLURM_CONF = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
# A finished job stays visible for an hour: the tests read its record.
MinJobAge=3600
KillWait=5
JobRequeue=1
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_min_interval=100000,bf_interval=2,batch_sched_delay=0
{nodes}
PartitionName=cpu Nodes=cpu1 Default=YES MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=gpu[1-2] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=gpu[1-2] MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 Boards=1 SocketsPerBoard=1"
    " CoresPerSocket=16 ThreadsPerCore=1 RealMemory=20000{gres} State=UNKNOWN"
)


def unavailable() -> str | None:
    """Why no cluster can be started here, or None."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"not installed: {', '.join(missing)}. As root: {INSTALL}"
    if os.geteuid() != 0:
        return "the daemons of a private SLURM must be started by root"
    if LINK.exists() and running_folder() is None:
        return f"{LINK} is there and is not ours: this machine belongs to a SLURM cluster already"
    return None


def running_folder() -> Path | None:
    """The folder of the cluster that was started last and not stopped, as the link in /etc/slurm says."""
    if not LINK.is_symlink():
        return None
    folder = LINK.readlink().parent
    return folder if folder.name.startswith("private-slurm-") else None


def start(folder: Path | None = None) -> Path:
    """Start munged, slurmctld and three slurmd, and wait until all nodes are idle. Returns the cluster's folder.

    A start that fails stops what it had started; its logs stay in the folder, and the error names it.
    """
    reason = unavailable()
    if reason:
        raise StudyError(f"no private SLURM: {reason}")
    if running_folder() and marked_processes(running_folder()):
        raise StudyError(
            f"a private SLURM was started already, in {running_folder()}."
            " To stop it: python -m tests.slurm.cluster stop"
        )
    folder = Path(tempfile.mkdtemp(prefix="private-slurm-", dir=folder))
    try:
        write_configuration(folder)
        LINK.parent.mkdir(parents=True, exist_ok=True)
        LINK.unlink(missing_ok=True)  # of a cluster that ended without `stop`, by a reboot for instance
        LINK.symlink_to(folder / "slurm.conf")
        start_daemons(folder)
        wait_for(lambda: node_states() == dict.fromkeys(NODES, "idle"), seconds=60, what="idle nodes")
    except BaseException:
        kill_daemons(folder)
        LINK.unlink(missing_ok=True)
        raise
    return folder


def write_configuration(folder: Path) -> None:
    """slurm.conf, gres.conf, cgroup.conf, the key of munge, and the folders that the daemons expect to find."""
    folder.chmod(0o755)  # mkdtemp makes it private, and munge wants its socket's folder open
    for sub in ("state", "log", "munge", *(f"spool/{name}" for name in NODES)):
        (folder / sub).mkdir(parents=True, mode=0o755)
    key = folder / "munge/key-file"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    host = socket.gethostname().split(".")[0]
    controller_port, *ports = free_ports(1 + len(NODES))
    nodes = "\n".join(
        NODE.format(name=name, host=host, port=port, gres=f" Gres=gpu:{len(FAKE_GPUS)}" if name[:3] == "gpu" else "")
        for name, port in zip(NODES, ports, strict=True)
    )
    settings = SLURM_CONF.format(folder=folder, host=host, controller_port=controller_port, nodes=nodes)
    (folder / "slurm.conf").write_text(settings)
    gpus = "".join(f"NodeName=gpu[1-2] Name=gpu File={device}\n" for device in FAKE_GPUS)
    (folder / "gres.conf").write_text(gpus)
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def start_daemons(folder: Path) -> None:
    munge = folder / "munge"
    files = [f"--{option}={munge}/{option}" for option in ("socket", "key-file", "pid-file", "log-file", "seed-file")]
    daemon(folder, ["munged", "--force", *files])  # it frowns on a private TMPDIR, which does no harm here
    wait_for((munge / "socket").exists, seconds=10, what="the socket of munged")
    daemon(folder, ["slurmctld", "-c", "-f", f"{folder}/slurm.conf"])
    wait_for(lambda: command("scontrol", "ping").returncode == 0, seconds=20, what="an answer of slurmctld")
    for name in NODES:
        daemon(folder, ["slurmd", "-N", name, "-f", f"{folder}/slurm.conf"])


def daemon(folder: Path, words: list[str]) -> None:
    """A program that goes to the background by itself; SLURM_* of an outer job would mislead it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_", "SRUN_"))}
    with (folder / "log/start.log").open("a") as log:
        done = subprocess.run(
            words, env={**environment, MARK: str(folder)}, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    if done.returncode:
        said = (folder / "log/start.log").read_text()[-1000:]
        raise StudyError(f"{words[0]} did not start (exit status {done.returncode}). Logs: {folder}/log\n{said}")


def node_states() -> dict[str, str]:
    """Node -> idle, mixed, allocated, down, ..."""
    lines = command("sinfo", "--Node", "--noheader", "--format=%N %T").stdout.splitlines()
    return dict(line.split() for line in lines)


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise StudyError(f"no {what} within {seconds:g} s. The logs lie in {running_folder()}/log")
        time.sleep(0.2)


def stop() -> None:
    """Cancel all jobs, stop the daemons and whatever they left behind, remove the folder and the link. Idempotent."""
    folder = running_folder()
    if folder is None:
        return
    if command("scontrol", "ping").returncode == 0:
        command("scancel", "--user=root")
        deadline = time.monotonic() + 20
        while command("squeue", "--noheader").stdout.strip() and time.monotonic() < deadline:
            time.sleep(0.2)
        command("scontrol", "shutdown")
    kill_daemons(folder)
    LINK.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def kill_daemons(folder: Path) -> None:
    """End every process that bears the cluster's mark: politely, then not."""
    for sign, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        for pid in marked_processes(folder):
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                continue  # it ended meanwhile
        while marked_processes(folder) and time.monotonic() < deadline:
            time.sleep(0.1)


def crash(node: str) -> None:
    """End all processes of a node at once, slurmd and what jobs run there, and tell the controller that it is down."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            words = (process / "cmdline").read_bytes().split(b"\0")
            if f"SLURMD_NODENAME={node}".encode() in environment or words[:3] == [b"slurmd", b"-N", node.encode()]:
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # ended between listing and reading
    subprocess.run(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=crashed"], check=True)


def revive(node: str) -> None:
    """Start the slurmd of a node again, and wait until it takes jobs."""
    folder = running_folder()
    daemon(folder, ["slurmd", "-N", node, "-f", f"{folder}/slurm.conf"])

    def takes_jobs() -> bool:
        if node_states()[node] in ("idle", "mixed", "allocated"):
            return True
        # Its registration ends DOWN as well (ReturnToService=2): RESUME is refused where that came first.
        subprocess.run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], capture_output=True, check=False)
        return False

    wait_for(takes_jobs, seconds=60, what=f"answer of {node}")


def marked_processes(folder: Path) -> list[int]:
    """Pids of the daemons and of what they started (job steps, tasks); zombies have no environment and do not count."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue  # ended between listing and reading
    return found


def status() -> str:
    folder = running_folder()
    if folder is None:
        return "no private SLURM is running"
    nodes = command("sinfo", "--Node", "--long").stdout
    jobs = command("squeue", "--format=%.6i %.9P %.12T %.10M %.6b %k").stdout
    return f"folder: {folder}\n{nodes}\n{jobs}"


def records() -> list[dict[str, str]]:
    """What slurmctld remembers of every job of the last hour, oldest first: the fields of `scontrol show job`."""
    lines = command("scontrol", "show", "job", "--oneliner").stdout.splitlines()
    jobs = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines if "JobId=" in line]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def main(words: list[str]) -> int:
    actions = {"start": lambda: f"started in {start()}", "stop": lambda: stop() or "stopped", "status": status}
    if len(words) != 1 or words[0] not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(actions[words[0]]())
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
