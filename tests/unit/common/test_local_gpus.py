"""The GPUs of one machine against those that rules ask for; how many there are is PyTorch's own word."""

import pytest

from scripts.common import local_gpus
from scripts.common.errors import StudyError

ASKED = {"train_sft": 8, "generate_responses": 1, "select_pairs": 0}


@pytest.fixture
def there(monkeypatch):
    def set_to(gpus: int | None) -> None:
        monkeypatch.setattr(local_gpus, "visible", lambda: gpus)

    return set_to


def test_rules_that_ask_for_more_than_there_is_are_named_with_what_to_do(there, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    there(1)
    with pytest.raises(StudyError) as refused:
        local_gpus.check(ASKED, limit=1)
    assert str(refused.value) == (
        "PyTorch sees 1 GPUs on this machine (CUDA_VISIBLE_DEVICES: 0), and these rules ask for more: train_sft (8). "
        "Ask for fewer in a file laid over the study, as `resources: {train_sft: {gpus: 0}}` does for the CPU, "
        "or start on a cluster (--profile slurm)."
    )


@pytest.mark.parametrize(("limit", "warned"), [(None, True), (8, True), (1, False)])
def test_jobs_that_would_share_a_gpu_are_warned_of(there, capsys, limit, warned):
    there(8)
    local_gpus.check(ASKED, limit)
    assert ("--resources gpu=1" in capsys.readouterr().out) == warned


def test_nobody_is_asked_where_no_rule_wants_a_gpu(monkeypatch):
    monkeypatch.setattr(local_gpus, "visible", lambda: pytest.fail("PyTorch was asked"))
    local_gpus.check({"train_sft": 0}, None)


def test_a_build_of_pytorch_without_cuda_is_left_alone(there, capsys):
    there(None)
    local_gpus.check(ASKED, None)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("available", "cuda", "expected"),
    [(True, "13.0", 2), (False, "13.0", 0), (False, None, None), (None, None, None)],
)
def test_pytorch_is_asked_what_it_sees(tmp_path, monkeypatch, available, cuda, expected):
    """By a torch that says what a build for CUDA would, with GPUs or none, one for CPUs, and one that is broken."""
    said = f"from types import SimpleNamespace as N\nversion = N(cuda={cuda!r})\n"
    said += f"cuda = N(is_available=lambda: {available}, device_count=lambda: 2)\n"
    (tmp_path / "torch.py").write_text(said if available is not None else "raise ImportError('libcudart')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert local_gpus.visible() == expected
