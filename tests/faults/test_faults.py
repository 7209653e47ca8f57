"""Bad input and bad luck: one clear message, nothing half-written believed, nothing lost."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.study import ROOT, Study

pytestmark = pytest.mark.workflow


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def dpo(study: Study, output: Path) -> list[str]:
    results = study.results
    options = "--dpo.optimisation.learning-rate 1e-4 --dpo.optimisation.epochs 12 --dpo.optimisation.global-batch 4"
    options += " --dpo.optimisation.per-device-batch 4 --dpo.optimisation.max-tokens 256"
    options += " --dpo.optimisation.dtype float32 --dpo.optimisation.no-gradient-checkpointing"
    options += " --dpo.optimisation.checkpoint-steps 10 --seed 3"
    return [
        *(sys.executable, "-m", "scripts.online.train_dpo", *options.split()),
        *("--pairs", str(results / "runs/iterative/iter1/pairs.parquet")),
        *("--policy", str(results / "models/sft"), "--reference", str(results / "models/sft")),
        *("--output", str(output)),
    ]


def test_sigterm_saves_at_once_and_the_next_run_goes_on_from_that_very_step(built, tmp_path):
    undisturbed, stopped = tmp_path / "undisturbed", tmp_path / "stopped"
    subprocess.run(dpo(built, undisturbed), env=environment(), cwd=ROOT, check=True, capture_output=True)

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(dpo(built, stopped), env=environment(), cwd=ROOT, **pipes)
    deadline = time.time() + 180
    while not list(tmp_path.glob(".stopped.work/*/checkpoint-*/whole.json")):
        assert process.poll() is None, "training ended before its first checkpoint"
        assert time.time() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    step = re.search(r"stopped by SIGTERM after step (\d+) of \d+, with a checkpoint", errors).group(1)
    assert "Traceback" not in errors
    assert not stopped.exists()

    again = subprocess.run(dpo(built, stopped), env=environment(), cwd=ROOT, check=True, capture_output=True, text=True)
    assert f"resumed_at_step  {step}\n" in again.stdout
    assert (stopped / "model.safetensors").read_bytes() == (undisturbed / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (
            "data: {preferences: {hh_rlhf: {local: nowhere.jsonl}}}",
            "data/raw/preferences/hh_rlhf.parquet",
            "nowhere.jsonl",
        ),
        ("sft: {learning_rat: 1.0}", "models/sft", "sft.learning_rat: unknown key; allowed here: adam_beta2"),
        ("runs: {concise: {reward: mix9}}", "models/sft", "runs.concise.reward: 'mix9' is not in reward_models"),
    ],
    ids=["missing raw file", "unknown key", "undefined name"],
)
def test_bad_configuration_is_refused_before_any_job(tmp_path, change, target, message):
    done = Study(tmp_path).with_changes(change).snakemake(f"results/tiny/{target}")
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def damage_and_build(study: Study, damaged: str, target: str) -> str:
    """Rebuild `target` after `damaged` was cut to half of its size; returns what Snakemake printed."""
    path = study.results / damaged
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (study.results / target).unlink()
    done = study.snakemake(f"results/tiny/{target}", "--rerun-triggers=params")
    assert done.returncode != 0
    assert not (study.results / target).exists()
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_response_shard_cut_short_is_named(copy):
    shard = "rollouts/sft/mixed_temperatures/iter1/responses/0.parquet"
    text = damage_and_build(copy, shard, "runs/iterative/iter1/pairs.parquet")
    assert f"results/tiny/{shard}: not a whole Parquet file" in text


def test_corrupt_raw_file_is_named(copy):
    raw = "world/raw/hh_rlhf.jsonl.gz"
    text = damage_and_build(copy, raw, "data/raw/preferences/hh_rlhf.parquet")
    assert f"error: results/tiny/{raw}" in text


def test_model_without_weights_is_named(copy):
    (copy.results / "models/sft/model.safetensors").unlink()
    target = "rollouts/sft/mixed_temperatures/iter1/responses/0.parquet"
    (copy.results / target).unlink()
    done = copy.snakemake(f"results/tiny/{target}", "--rerun-triggers=params")
    assert done.returncode != 0
    assert "error: results/tiny/models/sft: the model folder has no model.safetensors" in done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_full_disk_publishes_nothing(built, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this sandbox mounts no tmpfs")
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "scripts.data.mix_preferences", "--seed", "1"),
                *("--preferences", str(built.results / "data/preferences/hh_rlhf.parquet")),
                *("--output", str(small / "mix.parquet")),
            ],
            env=environment(),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "no space is left on the device" in done.stderr
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
