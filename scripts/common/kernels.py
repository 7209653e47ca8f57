"""Which kernels train, decided by what is there: the fastest that give the same loss."""

from importlib.util import find_spec
from typing import Literal

from scripts.common.engines import has_cuda
from scripts.common.models import Dtype


def attention(dtype: Dtype) -> Literal["flash_attention_2"] | None:
    """FlashAttention 2 where it is installed with a GPU, for it computes in 16 bits; None: as transformers chooses.

    That is torch's `sdpa` for every model that has it.
    """
    return "flash_attention_2" if has_cuda() and dtype == "bfloat16" and find_spec("flash_attn") else None


def liger() -> bool:
    """Whether Liger's Triton kernels (norms, rotary embeddings, SwiGLU) take the place of those of transformers."""
    return has_cuda() and find_spec("liger_kernel") is not None


def peak_memory() -> dict[str, float]:
    """The most memory of its GPU that this process has held, in 10^9 bytes; nothing without a GPU."""
    import torch

    return {"peak_gpu_gb": torch.cuda.max_memory_allocated() / 1e9} if has_cuda() else {}
