"""Two ranks on the CPU under DDP and DeepSpeed's true configurations: the weights of one rank, resumed or not.

The first run under DeepSpeed compiles a small operation of its own, which takes a minute or two.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest

from scripts.common.launch import launcher
from tests.workflow.study import ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

OPTIMISATION = {
    "learning-rate": "1e-3",
    "global-batch": "8",
    "per-device-batch": "2",
    "max-tokens": "256",
    "dtype": "float32",
    "checkpoint-steps": "4",
}


STAGES = ("sft.train_sft", "reward.train_reward_model", "online.train_dpo")


def command(study, stage: str, sharding: str, processes: int, output: Path) -> list[str]:
    """A training command as the rules build it."""
    results = study.results
    inputs = {
        "sft.train_sft": {"instructions": "data/instructions.parquet", "base": "models/base"},
        "reward.train_reward_model": {"mix": "data/mixes/mix1.parquet", "base": "models/sft"},
        "online.train_dpo": {"pairs": "data/mixes/offline.parquet", "policy": "models/sft", "reference": "models/sft"},
    }[stage]
    prefix = "dpo.optimisation" if stage == "online.train_dpo" else "optimisation"
    start = launcher(processes).split()
    start = [sys.executable, "-m"] if processes == 1 else [str(Path(sys.executable).parent / start[0]), *start[1:]]
    words = [*start, f"scripts.{stage}"]
    words += [word for name, path in inputs.items() for word in (f"--{name}", str(results / path))]
    words += [word for name, value in OPTIMISATION.items() for word in (f"--{prefix}.{name}", value)]
    words += [f"--{prefix}.no-gradient-checkpointing", f"--{prefix}.sharding", sharding]
    return [*words, "--seed", "3", "--output", str(output)]


def start(words: list[str], output: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"  # ninja, for DeepSpeed
    pipes = {"stdout": output, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(words, cwd=ROOT, env=environment, **pipes)


def run(words: list[str]) -> str:
    process = start(words)
    text, _ = process.communicate(timeout=900)
    assert process.returncode == 0, text[-4000:]
    return text


def fact(name: str, text: str) -> int:
    """Of a command's summary."""
    return int(re.search(rf"\b{name}  (\d+)\n", text).group(1))


def difference(folder: Path, other: Path) -> float:
    """The largest difference between the weights of two models, the tied output layer counted once."""
    from safetensors.torch import load_file

    weights, others = load_file(folder / "model.safetensors"), load_file(other / "model.safetensors")
    assert set(weights) - {"lm_head.weight"} == set(others) - {"lm_head.weight"}
    return max((weights[name] - others[name]).abs().max().item() for name in weights if name in others)


@pytest.fixture(scope="module")
def alone(built, tmp_path_factory) -> Path:
    """The three models as one process trains them."""
    folder = tmp_path_factory.mktemp("alone")
    for stage in STAGES:
        run(command(built, stage, "none", 1, folder / stage))
    return folder


@pytest.mark.parametrize("sharding", ["none", "zero2", "zero3"])
@pytest.mark.parametrize("stage", STAGES)
def test_two_ranks_end_with_the_weights_of_one(built, alone, tmp_path, stage, sharding):
    text = run(command(built, stage, sharding, 2, tmp_path / "model"))
    assert "processes: 2, global batch: 8" in text
    assert re.search(r"processes  2\n", text)
    assert difference(tmp_path / "model", alone / stage) < 1e-6


@pytest.mark.parametrize(
    ("stage", "sharding", "epochs", "stop"),
    [
        ("online.train_dpo", "none", 2, 12),  # 10 steps an epoch
        ("online.train_dpo", "zero3", 2, 12),
        ("sft.train_sft", "zero2", 8, 12),  # 3 steps an epoch
        ("reward.train_reward_model", "zero3", 2, 28),  # 24 steps an epoch
    ],
)
def test_ranks_that_are_told_to_stop_after_the_first_epoch_resume_and_end_with_the_same_weights(
    built, tmp_path, stage, sharding, epochs, stop
):
    """accelerate alone would give the ranks the first epoch's order again."""
    more = [f"--{'dpo.' if stage == 'online.train_dpo' else ''}optimisation.epochs", str(epochs)]
    undisturbed = run([*command(built, stage, "none", 1, tmp_path / "alone"), *more])
    words = [*command(built, stage, sharding, 2, tmp_path / "model"), *more]
    said = tmp_path / "said.txt"
    with said.open("w") as output:  # nobody reads while they run, and a pipe that is full would stop them
        process = start(words, output)
    deadline = time.time() + 600
    while not list(tmp_path.glob(f".model.work/*/checkpoint-{stop}/whole.json")):
        assert process.poll() is None, said.read_text()[-4000:]
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)  # to the launcher alone, as a scheduler may; it passes the signal on
    assert process.wait(timeout=180) != 0
    text = said.read_text()
    assert "stopped by SIGTERM after step" in text
    assert not (tmp_path / "model").exists()

    again = run(words)
    assert fact("resumed_at_step", again) >= stop
    assert fact("tokens", again) == fact("tokens", undisturbed)
    assert difference(tmp_path / "model", tmp_path / "alone") < 1e-6


def test_adapters_on_two_ranks_are_those_of_one(built, tmp_path):
    adapter = ["--dpo.optimisation.lora.rank", "4"]
    for processes in (1, 2):
        text = run([*command(built, "online.train_dpo", "none", processes, tmp_path / f"{processes}"), *adapter])
        assert re.search(rf"processes  {processes}\n", text)
    assert difference(tmp_path / "2", tmp_path / "1") < 1e-6
    assert difference(tmp_path / "2", built.results / "models/sft") > 1e-5


def test_a_batch_that_ranks_cannot_divide_is_refused(built, tmp_path):
    words = command(built, "online.train_dpo", "none", 2, tmp_path / "model")
    words[words.index("--dpo.optimisation.global-batch") + 1] = "2"
    process = start(words)
    text, _ = process.communicate(timeout=300)
    assert process.returncode != 0
    assert "global_batch 2 can't be divided into 2 processes with per_device_batch 2" in text
