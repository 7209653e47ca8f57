"""Before the first job on a machine of one's own: the GPUs that rules ask for, held against those that are there."""

import os
import subprocess
import sys
from collections.abc import Mapping

from scripts.common.errors import StudyError

ASK = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0, bool(torch.version.cuda))"


def check(asked: Mapping[str, int], limit: int | None) -> None:
    """Every rule finds the GPUs that it asks for, and its jobs do not share them unawares.

    Args:
        asked: rule -> the GPUs that each of its jobs asks for.
        limit: GPUs that Snakemake hands out at a time (`--resources gpu=N`); None: as many as jobs ask for.

    Raises:
        StudyError: names the rules that ask for more than there are, and what to do.
    """
    wanting = {rule: gpus for rule, gpus in asked.items() if gpus}
    if not wanting or (there := visible()) is None:
        return
    if too_many := [f"{rule} ({gpus})" for rule, gpus in wanting.items() if gpus > there]:
        devices = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise StudyError(
            f"PyTorch sees {there} GPUs on this machine (CUDA_VISIBLE_DEVICES: {devices}), and these rules ask for "
            f"more: {', '.join(too_many)}. Ask for fewer in a file laid over the study, as `resources: "
            f"{{{too_many[0].split()[0]}: {{gpus: 0}}}}` does for the CPU, or start on a cluster (--profile slurm)."
        )
    if limit is None or limit >= 2 * min(wanting.values()):
        print("warning: jobs that run side by side would take the same GPUs; --resources gpu=1 starts one at a time")


def visible() -> int | None:
    """The GPUs that a job could take; None where PyTorch is not built for CUDA, or can't be asked.

    PyTorch is asked itself, in a process of its own: it alone knows what drivers, containers and CUDA_VISIBLE_DEVICES
    leave of them.
    """
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False)
    count, _, built = done.stdout.strip().partition(" ")
    return int(count) if done.returncode == 0 and built == "True" else None
