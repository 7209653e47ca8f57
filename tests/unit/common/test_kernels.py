"""Which kernels train: decided by the GPU, the type, and what is installed."""

import pytest

from scripts.common import kernels


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
        (True, ["flash_attn"], "float32", "sdpa"),
        (True, [], "bfloat16", "sdpa"),
        (False, ["flash_attn"], "bfloat16", "sdpa"),
    ],
)
def test_flash_attention_where_it_can_compute(machine, gpu, packages, dtype, expected):
    machine(gpu, *packages)
    assert kernels.attention(dtype) == expected


@pytest.mark.parametrize(("gpu", "packages"), [(True, ["liger_kernel"]), (True, []), (False, ["liger_kernel"])])
def test_liger_kernels_are_for_gpus(machine, gpu, packages):
    machine(gpu, *packages)
    assert kernels.liger() == (gpu and bool(packages))
