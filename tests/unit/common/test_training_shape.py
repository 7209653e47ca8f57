"""A job of another shape: it goes on with the same batches, or is refused with the reason."""

from types import SimpleNamespace

import pytest

from scripts.common import training
from scripts.common.errors import StudyError


def trainer(processes: int, accumulation: int, deepspeed: bool = False) -> SimpleNamespace:
    args = {"world_size": processes, "per_device_train_batch_size": 2, "gradient_accumulation_steps": accumulation}
    return SimpleNamespace(args=SimpleNamespace(**args), is_deepspeed_enabled=deepspeed)


def test_another_number_of_processes_goes_on_or_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("WORLD_SIZE", "4")
    begun = {"processes": 2, "max_steps": 9}
    training._check_shape(trainer(4, 2), 16, tmp_path, begun)
    assert "4 processes go on with what 2 began: the global batch remains 16" in capsys.readouterr().out
    with pytest.raises(StudyError, match=r"saved by 2 processes.*has 4\. Run it with 2 again, or remove the folder"):
        training._check_shape(trainer(4, 2, deepspeed=True), 16, tmp_path, begun)
    training._check_shape(trainer(4, 2, deepspeed=True), 16, tmp_path, {**begun, "processes": 4})


def test_a_launcher_that_starts_too_few_and_a_batch_that_is_another_are_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(StudyError, match="2 processes were started, but the trainer counts 1"):
        training._check_shape(trainer(1, 8), 16, tmp_path, None)
    with pytest.raises(StudyError, match="global_batch is 16, and 2 processes would make it 12"):
        training._check_shape(trainer(2, 3), 16, tmp_path, None)


def test_other_steps_than_begun_are_refused(tmp_path):
    job = SimpleNamespace(state=SimpleNamespace(max_steps=10))
    training._check_steps(job, tmp_path, {"processes": 1, "max_steps": 10})
    with pytest.raises(StudyError, match="of a job of 12 steps, and this one has 10"):
        training._check_steps(job, tmp_path, {"processes": 1, "max_steps": 12})


def test_a_missing_gpu_is_named_and_without_having_asked_for_one_the_cpu_trains(monkeypatch, tmp_path):
    """With PyTorch's build for CUDA on a machine that has no GPU."""
    import torch

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.delenv("GPUS_ASKED", raising=False)
    training._check_shape(trainer(1, 8), 16, tmp_path, None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("GPUS_ASKED", "8")
    with pytest.raises(StudyError, match=r"8 GPUs are needed and 0 are visible \(CUDA_VISIBLE_DEVICES: 0,1\)"):
        training._check_shape(trainer(1, 8), 16, tmp_path, None)
