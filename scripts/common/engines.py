"""Which engine computes, and what vLLM needs where it runs without a GPU."""

import os
from typing import Literal

from scripts.common.config import VllmJob
from scripts.common.errors import StudyError

EngineName = Literal["auto", "vllm", "transformers"]


def vllm_options(vllm: VllmJob, max_tokens: int) -> dict[str, object]:
    """How vLLM is started on this machine, for sequences of at most `max_tokens`.

    On the CPU chunked prefill crashes with seeds of single requests; without it a prompt must fit into one batch.
    """
    if has_cuda():
        return {
            "tensor_parallel_size": vllm.tensor_parallel,
            "gpu_memory_utilization": vllm.gpu_memory_utilization,
            "enable_prefix_caching": vllm.prefix_caching,
            "enable_chunked_prefill": vllm.chunked_prefill,
        }
    return {
        "enable_prefix_caching": vllm.prefix_caching,
        "enforce_eager": True,
        "max_num_seqs": 256,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(4096, max_tokens),
        "block_size": 32,
    }


def import_vllm(required: bool) -> bool:
    """Whether vLLM imports and is the build for what is to compute; where it does not, one line says so.

    A study that asks for no GPU hides those that are there, and vLLM's build for GPUs would not start.

    Raises:
        StudyError: it does not and is required.
    """
    _prepare_vllm()
    try:
        import vllm  # noqa: F401
        from vllm.platforms import current_platform

        built, wanted = current_platform.device_type or "no device that is here", "cuda" if has_cuda() else "cpu"
        if built != wanted:
            raise RuntimeError(f"it is built for {built}, and {wanted} is to compute")
    except Exception as error:  # a broken installation raises anything, from ImportError to RuntimeError
        reason = f"vLLM can't be used ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        if required:
            raise StudyError(f"{reason}. Install the right build, or choose --engine transformers.") from None
        print(f"{reason}; transformers is used instead.", flush=True)
        return False
    return True


def _prepare_vllm() -> None:
    """Settings that vLLM reads from the environment when it is imported; those already there are kept."""
    wanted = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine in this process: its schedule is deterministic
        "HF_HUB_OFFLINE": "1",
    }
    if not has_cuda():
        # one thread a process: several, under contention, cost up to ten times as much
        wanted |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": "1"}
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
