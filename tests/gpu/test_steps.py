"""Every stage on a GPU against the CPU in float32, with what it takes and how fast it is.

The same tests take a tiny model on the CPU where there is no GPU, so that none of this is untried. A GPU needs 40 GB;
`make test-gpu FILE=benchmarks/results/gpu.json` keeps the figures, with the hardware and the versions.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from scripts.common.config import Lora
from scripts.common.engines import import_vllm
from scripts.common.provenance import ROOT
from tests.gpu import steps

CUDA = torch.cuda.is_available()
DEVICES = [
    pytest.param("tiny", marks=pytest.mark.skipif(CUDA, reason="the GPU takes the larger model"), id="cpu"),
    pytest.param("1b", marks=[pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="no GPU")], id="gpu"),
]
LOSS = {"sft": 0.01, "reward": 0.01, "dpo": 0.05}
"""How far bfloat16 may lie from float32, relative; DPO's loss is of sums over tokens, and so are its errors."""
GRADIENT = 0.1
"""The same for norms of gradients."""
REWARD = 1e-3
"""How far float32 on a GPU may lie from float32 on a CPU, in units of the rewards' spread."""
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Floating-point operations a second, bfloat16, dense, by the makers' data sheets."""


@pytest.fixture(scope="module", params=DEVICES)
def size(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, size) -> Path:
    """Models, tables and the CPU's answers in float32, by a process that sees no GPU."""
    made = tmp_path_factory.mktemp("steps")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu.steps", str(made), size],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return made


@pytest.fixture(scope="module")
def stages(folder) -> steps.Stages:
    return steps.Stages(folder, folder / "base", folder / "reference")


@pytest.fixture(scope="module")
def long(tmp_path_factory, size) -> tuple[steps.Size, steps.Stages]:
    """What memory and speed are measured on."""
    found = steps.sizes()["1b, long" if CUDA else size]
    return found, steps.prepare(tmp_path_factory.mktemp("long"), found)


@pytest.fixture(scope="module")
def figures(size):
    """Rows that tests add; printed at the end and, on a GPU, kept in the file that FILE names."""
    rows: list[dict] = []
    yield rows
    device = torch.cuda.get_device_name() if CUDA else "CPU"
    found = {"device": device, "versions": _versions(), "model": size, "rows": rows}
    print(json.dumps(found, indent=1))
    if CUDA and os.environ.get("FILE"):
        Path(os.environ["FILE"]).write_text(json.dumps(found, indent=1) + "\n")


def _versions() -> dict[str, str]:
    from importlib import metadata

    names = ("torch", "transformers", "trl", "peft", "bitsandbytes", "vllm", "flash-attn", "liger-kernel")
    installed = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    return {name: metadata.version(name) for name in names if name in installed}


def measured(name: str, taken: steps.Taken) -> dict:
    """A row of figures: speed, and against the estimate the memory that was really held."""
    row = {"stage": name, "tokens_per_second": taken.tokens_per_second, "estimated_gb": taken.estimate / 1e9}
    if CUDA:
        peak = next((value for key, value in PEAK.items() if key in torch.cuda.get_device_name()), None)
        row["peak_gb"] = torch.cuda.max_memory_allocated() / 1e9
        row["mfu"] = taken.flops_per_second / peak if peak else None
    return row


def fresh() -> None:
    """Memory is measured from here on."""
    if CUDA:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


@pytest.mark.parametrize("stage", steps.TASKS)
def test_losses_and_gradients_are_those_of_float32_on_a_cpu(folder, stages, size, stage, tmp_path):
    expected = json.loads((folder / steps.LOSSES).read_text())[stage]
    taken = steps.take(stages, stage, steps.sizes()[size], tmp_path / stage)
    shutil.rmtree(tmp_path / stage)
    assert taken.losses == pytest.approx(expected["losses"], rel=LOSS[stage])
    assert taken.gradients == pytest.approx(expected["gradients"], rel=GRADIENT)
    assert len(taken.losses) == steps.sizes()[size].steps
    assert len(set(taken.losses)) > 1


@pytest.mark.parametrize(
    ("stage", "lora"),
    [
        ("sft", Lora()),
        ("reward", Lora()),
        ("dpo", Lora()),
        ("dpo", Lora(rank=16)),
        ("dpo", Lora(rank=16, quantise="nf4")),
    ],
    ids=["sft", "reward", "dpo", "dpo-lora", "dpo-qlora"],
)
def test_memory_stays_below_the_estimate(long, stage, lora, tmp_path, figures):
    long_size, made = long
    fresh()
    taken = steps.take(made, stage, long_size, tmp_path / "model", lora=lora)
    shutil.rmtree(tmp_path / "model")  # some GB
    row = measured(f"{stage}, rank {lora.rank}, {lora.quantise}", taken)
    figures.append(row)
    assert row["tokens_per_second"] > 0
    assert row.get("peak_gb", 0) < row["estimated_gb"]


def test_rewards_are_those_of_a_cpu(folder, figures):
    expected = json.loads((folder / steps.LOSSES).read_text())["rewards"]
    spread = max(expected) - min(expected)
    found = steps.rewards(folder / "float32/reward", len(expected), "float32")
    assert found == pytest.approx(expected, abs=REWARD * spread)
    rounded = steps.rewards(folder / "float32/reward", len(expected), "bfloat16")
    assert torch.corrcoef(torch.tensor([expected, rounded]))[0, 1] > 0.99


def test_generation_keeps_to_its_seeds(folder, size, figures):
    """On a GPU by vLLM where it is installed; there a batch of other rows may flip a token once in a while."""
    engine = "auto" if CUDA and import_vllm(required=False) else "transformers"
    count, length = (32, 256) if CUDA else (4, 16)
    fresh()
    first, again, speed = steps.generated(folder / "base", engine, count, length)
    figures.append({"stage": f"generation, {engine}", "tokens_per_second": speed})
    same = [one == other for one, other in zip(first, again, strict=True)]
    assert sum(same) >= 0.9 * len(same)
    assert all(0 < len(one.token_ids) <= length for one in first)
    assert len({tuple(one.token_ids) for one in first}) > len(first) / 2
