"""How training starts, and the division of the global batch; that ranks really train together is tests/workflow."""

import json
import subprocess

import pytest

from scripts.common import launch
from scripts.common.config import Optimisation
from scripts.common.errors import StudyError


def optimisation(**values) -> Optimisation:
    return Optimisation(learning_rate=1e-3, max_tokens=64, **{"global_batch": 32, "per_device_batch": 2, **values})


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_process_needs_no_launcher(gpus):
    assert launch.launcher(gpus) == "python -m"


def test_a_process_for_each_gpu_and_time_to_save():
    assert launch.launcher(8) == "torchrun --standalone --nproc-per-node=8 --shutdown-timeout=120 -m"


def test_each_node_learns_who_it_is_where_srun_has_started_it(tmp_path):
    """A shell reads the words, as a rule's; srun and torchrun, of its path, say what they were told."""
    for name, says in {"srun": 'shift 6; SLURM_NODEID=1 "$@"', "torchrun": 'printf "%s\\n" "$@"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    allocation = {"SLURM_JOB_ID": "51234", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7", "PATH": f"{tmp_path}:/usr/bin:/bin"}
    command = f"{launch.launcher(8, nodes=2, threads=16)} scripts.online.train_dpo --run 'two words'"
    assert command.startswith("srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=16 --cpu-bind=none ")
    told = subprocess.run(["bash", "-c", command], env=allocation, capture_output=True, text=True, check=True).stdout
    meeting = ["--nnodes=2", "--node-rank=1", "--master-addr=10.0.0.7", "--master-port=21234"]
    module = ["-m", "scripts.online.train_dpo", "--run", "two words"]
    assert told.splitlines() == [*meeting, "--nproc-per-node=8", "--shutdown-timeout=120", *module]


@pytest.mark.parametrize(("processes", "steps"), [(1, 16), (4, 4), (16, 1)])
def test_the_global_batch_stays_what_the_study_says(monkeypatch, processes, steps):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert launch.accumulation(optimisation()) * 2 * processes == 32
    assert launch.accumulation(optimisation()) == steps


@pytest.mark.parametrize("processes", [3, 32])
def test_a_batch_that_does_not_divide_is_refused(monkeypatch, processes):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    with pytest.raises(StudyError, match=f"global_batch 32 can't be divided into {processes} processes"):
        launch.accumulation(optimisation())


def test_one_process_alone_shards_nothing(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert not launch.sharded(optimisation(sharding="zero3"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launch.sharded(optimisation(sharding="zero3"))
    assert not launch.sharded(optimisation())


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_the_deepspeed_configurations_leave_batches_to_the_study(name, stage):
    settings = json.loads((launch.DEEPSPEED / f"{name}.json").read_text())
    assert settings["zero_optimization"]["stage"] == stage
    assert {settings[key] for key in settings if "batch" in key or "accumulation" in key} == {"auto"}
    if stage == 3:  # without it a run ends well and writes no weights
        assert settings["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True
