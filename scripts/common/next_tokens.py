"""What a language model would say next: the logits of some tokens after each prompt, by one of two engines.

vLLM keeps the prefixes that prompts share; transformers computes prompts of like length together. In float32 the
differences between the logits of two tokens agree to 1e-4.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from scripts.common.batches import batches
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName, has_cuda, import_vllm, vllm_options
from scripts.common.errors import StudyError
from scripts.common.models import Dtype, check_model_folder, for_inference, load_policy


class Reader(Protocol):
    """A language model in an engine."""

    name: str

    def logits(self, prompts: Sequence[Sequence[int]], tokens: Sequence[int], progress: bool = False) -> np.ndarray:
        """Of each of `tokens` after each prompt of token ids, up to a constant for each prompt.

        Args:
            progress: show a bar.

        Returns an array of shape (prompts, tokens).
        """
        ...


def open_reader(
    choice: EngineName, model: Path, dtype: Dtype | Literal["auto"], token_budget: int, vllm: VllmJob = ONE_GPU
) -> Reader:
    """Start an engine; `auto` takes vLLM on a GPU where it imports, else transformers, which starts in a moment.

    Args:
        token_budget: padded tokens of one batch of transformers.
        vllm: how vLLM uses GPUs.

    Raises:
        StudyError: the folder holds no language model, or vLLM was asked for and does not import.
    """
    check_model_folder(model)
    if choice == "transformers" or (choice == "auto" and not has_cuda()) or not import_vllm(required=choice == "vllm"):
        return TransformersReader(model, dtype, token_budget)
    return VllmReader(model, dtype, vllm)


class TransformersReader:
    """A language model in this process. A prompt's logits are the same in any batch (promise 1)."""

    name = "transformers"

    def __init__(self, model: Path, dtype: Dtype | Literal["auto"], token_budget: int) -> None:
        self._folder = model
        self._model = for_inference(load_policy(model, dtype))
        self._token_budget = token_budget

    def logits(self, prompts: Sequence[Sequence[int]], tokens: Sequence[int], progress: bool = False) -> np.ndarray:
        import torch
        from tqdm import tqdm

        model, device = self._model, self._model.device
        _refuse_longer(prompts, model.config.max_position_embeddings, self._folder)
        found = np.zeros((len(prompts), len(tokens)))
        bar = tqdm(total=len(prompts), unit="prompt", mininterval=5, disable=not progress)
        with torch.inference_mode(), bar:
            for batch in batches([len(ids) for ids in prompts], self._token_budget):
                # padded on the left, so that only the last position needs the whole vocabulary
                rows, width = [prompts[i] for i in batch.filled], batch.width
                ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows], device=device)
                lengths = torch.tensor([[len(row)] for row in rows], device=device)
                mask = (torch.arange(width, device=device) >= width - lengths).long()
                positions = (mask.cumsum(-1) - 1).clamp(min=0)
                output = model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=False
                )
                found[batch.indices] = output.logits[: len(batch.indices), -1, tokens].double().cpu().numpy()
                bar.update(len(batch.indices))
        return _finite(found, self._folder)


class VllmReader:
    """vLLM in this process: prompts that begin alike are computed once as far as they do."""

    name = "vllm"

    def __init__(self, model: Path, dtype: Dtype | Literal["auto"], job: VllmJob) -> None:
        import vllm

        self._folder = model
        config = json.loads((model / "config.json").read_text())
        self._longest = config["max_position_embeddings"]
        self._llm = vllm.LLM(
            model=str(model),
            dtype=config.get("dtype", config.get("torch_dtype")) if dtype == "auto" else dtype,
            max_model_len=self._longest,
            seed=0,
            **vllm_options(job, self._longest),
        )

    def logits(self, prompts: Sequence[Sequence[int]], tokens: Sequence[int], progress: bool = False) -> np.ndarray:
        from vllm import SamplingParams

        _refuse_longer(prompts, self._longest - 1, self._folder)  # the token that is drawn takes one
        # log-probabilities are logits up to a constant
        sampling = SamplingParams(max_tokens=1, temperature=0, logprobs=len(tokens), logprob_token_ids=list(tokens))
        asked = [{"prompt_token_ids": list(ids)} for ids in prompts]
        outputs = self._llm.generate(asked, sampling, use_tqdm=progress)
        found = [[output.outputs[0].logprobs[0][token].logprob for token in tokens] for output in outputs]
        return _finite(np.array(found, float).reshape(len(prompts), len(tokens)), self._folder)


def _refuse_longer(prompts: Sequence[Sequence[int]], limit: int, model: Path) -> None:
    if longer := [len(ids) for ids in prompts if len(ids) > limit]:
        raise StudyError(
            f"{model}/config.json: the model takes {limit} tokens (max_position_embeddings); {len(longer)} prompts are "
            f"longer, up to {max(longer)}."
        )


def _finite(found: np.ndarray, model: Path) -> np.ndarray:
    if not np.isfinite(found).all():
        raise StudyError(f"{model}: gives logits that are no finite numbers; has its training diverged?")
    return found
