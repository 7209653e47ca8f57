"""How a training module starts: one process, or one for each GPU of one or several nodes, and what they share.

`launcher` is what rules put before `scripts.online.train_dpo ...`; `join` is what the started processes do first. On
several GPUs the model is replicated (DDP) or divided by DeepSpeed ZeRO, as `optimisation.sharding` says. The same
command trains on the CPU, where processes talk through gloo: that is how tests run the true configurations.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.config import Optimisation
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from torch.nn import Parameter

DEEPSPEED = Path(__file__).parents[2] / "config" / "deepspeed"
GRACE = "--shutdown-timeout=120"  # seconds from SIGTERM to SIGKILL: time to write a checkpoint


def launcher(gpus: int, nodes: int = 1, threads: int = 1) -> str:
    """The words before a module's name.

    Args:
        gpus: of each node; 0 and 1 both mean one process.
        nodes: with more than one, srun starts one torchrun on each, and the first node's waits for the others.
        threads: of each node; without being told, srun gives a node's task one of the CPUs that the job has.

    What nodes need to find each other is known where srun has started something, and only there: Snakemake's job step
    takes SLURM_JOB_NODELIST and its like away. Nodes meet at the address from which srun started them, which is that of
    the job's first node and one that they can reach, whatever its name resolves to. (Between ranks, gloo and NCCL look
    for a network by themselves; GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME name one.)
    """
    if nodes > 1:
        meeting = f"--nnodes={nodes} --node-rank=$SLURM_NODEID --master-addr=$SLURM_LAUNCH_NODE_IPADDR"
        port = "--master-port=$((20000 + SLURM_JOB_ID % 10000))"  # jobs that share a node do not meet each other
        torchrun = f"torchrun {meeting} {port} --nproc-per-node={max(gpus, 1)} {GRACE} -m"
        tasks = f"--ntasks={nodes} --ntasks-per-node=1 --cpus-per-task={threads} --cpu-bind=none"
        return f"srun --nodes={nodes} {tasks} --kill-on-bad-exit=1 sh -c 'exec {torchrun} \"$@\"' torchrun"
    return f"torchrun --standalone --nproc-per-node={gpus} {GRACE} -m" if gpus > 1 else "python -m"


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def sharded(optimisation: Optimisation) -> bool:
    """Whether DeepSpeed divides the model: one process alone has nobody to share with."""
    return optimisation.sharding != "none" and processes() > 1


def join(optimisation: Optimisation) -> Path | None:
    """Join the other processes of this training; returns the DeepSpeed configuration that they share, if any.

    Must come before a model or a trainer's arguments are made: under ZeRO-3 weights are divided as they are loaded.

    Raises:
        StudyError: the global batch can't be divided among the processes.
    """
    import torch

    accumulation(optimisation)
    if not torch.cuda.is_available():
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if not sharded(optimisation):
        return None
    import deepspeed

    deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo")
    return DEEPSPEED / f"{optimisation.sharding}.json"


@contextmanager
def gathered(parameter: "Parameter") -> Iterator[None]:
    """The whole parameter, to be changed; under ZeRO-3 each process otherwise holds a part of it."""
    if hasattr(parameter, "ds_id"):
        import deepspeed

        with deepspeed.zero.GatheredParameters(parameter, modifier_rank=0):
            yield
    else:
        yield


def accumulation(optimisation: Optimisation) -> int:
    """Forward and backward passes of a process for one step, so that the global batch is what the study says."""
    steps, rest = divmod(optimisation.global_batch, optimisation.per_device_batch * processes())
    if rest or not steps:
        raise StudyError(
            f"global_batch {optimisation.global_batch} can't be divided into {processes()} processes with "
            f"per_device_batch {optimisation.per_device_batch}; change one of the three."
        )
    return steps
