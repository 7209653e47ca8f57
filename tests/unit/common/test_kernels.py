"""Which kernels train: decided by the GPU, the type, and what is installed."""

import pytest

from scripts.common import kernels
from scripts.common.models import load_policy

pytest_plugins = ["tests.unit.engines_fixtures"]


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have a GPU, and packages."""

    def have(gpu: bool, *packages: str) -> None:
        monkeypatch.setattr(kernels, "has_cuda", lambda: gpu)
        monkeypatch.setattr(kernels, "find_spec", lambda name: object() if name in packages else None)

    return have


@pytest.mark.parametrize(
    ("gpu", "packages", "dtype", "expected"),
    [
        (True, ["flash_attn"], "bfloat16", "flash_attention_2"),
        (True, ["flash_attn"], "float32", None),
        (True, [], "bfloat16", None),
        (False, ["flash_attn"], "bfloat16", None),
    ],
)
def test_flash_attention_where_it_can_compute(machine, gpu, packages, dtype, expected):
    machine(gpu, *packages)
    assert kernels.attention(dtype) == expected


@pytest.mark.parametrize(("gpu", "packages"), [(True, ["liger_kernel"]), (True, []), (False, ["liger_kernel"])])
def test_liger_kernels_are_for_gpus(machine, gpu, packages):
    machine(gpu, *packages)
    assert kernels.liger() == (gpu and bool(packages))


def test_a_model_that_trains_here_has_torchs_attention(policy):
    """What transformers makes of None, and what the memory estimate counts on."""
    assert load_policy(policy, "float32", attn_implementation=None).config._attn_implementation == "sdpa"
