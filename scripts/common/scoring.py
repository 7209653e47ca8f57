"""What models say about given text: rewards of a reward model, log-probabilities of a policy.

Rewards come from one of two engines behind one interface: vLLM's pooling, or transformers, where the responses to one
prompt share its computation (scripts/common/prefixes.py). In float32 the engines agree to 1e-4.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from scripts.common import prefixes
from scripts.common.batches import batches
from scripts.common.chat import Message, conversation_ids, prompt_ids
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName, has_cuda, import_vllm, vllm_options
from scripts.common.errors import StudyError
from scripts.common.models import Dtype, check_model_folder, for_inference, load_reward_model
from scripts.common.prefixes import Conversation

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TOKEN_BUDGET = 16_384
"""Tokens that a model computes at once, unless a caller says otherwise."""


class Scorer(Protocol):
    """A reward model in an engine."""

    name: str
    version: str

    def rewards(self, conversations: Sequence[Conversation]) -> list[float]:
        """The reward of each conversation, in the order given."""
        ...


def tokenize(
    tokenizer: "PreTrainedTokenizerBase", prompts: Sequence[Sequence[Message]], responses: Sequence[str]
) -> list[Conversation]:
    """Each prompt with its response in tokens, the end-of-turn token included.

    Tokens of the prompt are shared as far as they stay the same when a response follows: a tokenizer may join the last
    of them to the response's first. The last token is never shared, since the reward is read there.
    """
    prompts_alone: dict[str, list[int]] = {}
    found = []
    for prompt, response in zip(prompts, responses, strict=True):
        key = json.dumps(prompt)
        if key not in prompts_alone:
            prompts_alone[key] = prompt_ids(tokenizer, prompt)
        alone = prompts_alone[key]
        ids = conversation_ids(tokenizer, prompt, response)
        limit = min(len(alone), len(ids) - 1)
        shared = next((i for i in range(limit) if alone[i] != ids[i]), limit)
        found.append(Conversation(ids, shared))
    return found


def open_scorer(
    choice: EngineName,
    reward_model: Path,
    dtype: Dtype | Literal["auto"],
    token_budget: int = TOKEN_BUDGET,
    vllm: VllmJob = ONE_GPU,
) -> Scorer:
    """Start an engine; `auto` takes vLLM on a GPU where it imports, else transformers, which starts in a moment.

    Raises:
        StudyError: the folder holds no reward model, or vLLM was asked for and does not import.
    """
    check_model_folder(reward_model)
    if choice == "transformers" or (choice == "auto" and not has_cuda()) or not import_vllm(required=choice == "vllm"):
        return TransformersScorer(for_inference(load_reward_model(reward_model, dtype)), token_budget)
    return VllmScorer(reward_model, dtype, vllm)


class TransformersScorer:
    """A reward model in this process. Its rewards are read at the last token by position, whatever is used for padding.

    Responses to one prompt share its computation where the model's attention allows it; where not (a sliding window,
    capped logits), conversations of like length are padded and computed together.
    """

    name = "transformers"

    def __init__(self, model: "PreTrainedModel", token_budget: int) -> None:
        import transformers

        self.version = transformers.__version__
        self._shares = prefixes.can_share_prefixes(model.config)
        self._model = prefixes.share_prefixes(model) if self._shares else model
        self._token_budget = token_budget

    def rewards(self, conversations: Sequence[Conversation]) -> list[float]:
        import torch

        with torch.inference_mode():
            found = self._shared(conversations) if self._shares else self._padded(conversations)
        return _finite(found, self._model.name_or_path)

    def _shared(self, conversations: Sequence[Conversation]) -> list[float]:
        found = [0.0] * len(conversations)
        for row in prefixes.rows(prefixes.families(conversations), self._token_budget):
            indices, hidden = prefixes.last_hidden_states(self._model, row)
            for same, reward in zip(indices, self._head(hidden), strict=True):
                for index in same:
                    found[index] = reward
        return found

    def _padded(self, conversations: Sequence[Conversation]) -> list[float]:
        import torch

        found = [0.0] * len(conversations)
        for batch in batches([len(ids) for ids, _ in conversations], self._token_budget):
            sequences = [conversations[i].ids for i in batch.filled]
            ids, mask = _right_padded(sequences, batch.width, self._model)
            output = self._model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
            last = torch.tensor([len(sequence) - 1 for sequence in sequences], device=ids.device)
            hidden = output.last_hidden_state[torch.arange(len(sequences), device=ids.device), last]
            for index, reward in zip(batch.indices, self._head(hidden), strict=False):
                found[index] = reward
        return found

    def _head(self, hidden: "Tensor") -> list[float]:
        """In float32 at the least: bfloat16 would leave some hundred values to choose from, and make ties.

        Summed up row by row in float64, since a matrix product with few rows depends on how many they are.
        """
        return (hidden.double() * self._model.score.weight.double()).sum(-1).float().tolist()


class VllmScorer:
    """vLLM's pooling, in this process: prompts that were computed once stay in its cache of prefixes."""

    name = "vllm"

    def __init__(self, reward_model: Path, dtype: Dtype | Literal["auto"], job: VllmJob) -> None:
        import vllm

        self.version = vllm.__version__
        self._folder = reward_model
        config = json.loads((reward_model / "config.json").read_text())
        self._longest = config["max_position_embeddings"]
        self._llm = vllm.LLM(
            model=str(reward_model),
            runner="pooling",
            dtype=config.get("dtype", config.get("torch_dtype")) if dtype == "auto" else dtype,
            max_model_len=self._longest,
            **vllm_options(job, self._longest),
        )

    def rewards(self, conversations: Sequence[Conversation]) -> list[float]:
        from vllm import PoolingParams

        if longer := [len(ids) for ids, _ in conversations if len(ids) > self._longest]:
            raise StudyError(
                f"{self._folder}/config.json: the model takes {self._longest} tokens (max_position_embeddings); "
                f"{len(longer)} conversations are longer, up to {max(longer)}."
            )
        outputs = self._llm.classify(
            [{"prompt_token_ids": list(ids)} for ids, _ in conversations],
            pooling_params=PoolingParams(use_activation=False),  # the reward itself, not its sigmoid
            use_tqdm=False,
        )
        return _finite([output.outputs.probs[0] for output in outputs], str(self._folder))


def _finite(found: list[float], model: str) -> list[float]:
    """No order could be made of rewards that are infinite or no numbers."""
    if not all(map(math.isfinite, found)):
        raise StudyError(f"{model}: gives rewards that are no finite numbers; has its training diverged?")
    return found


def log_probabilities(
    model: "PreTrainedModel",
    conversations: Sequence[Sequence[int]],
    prompt_lengths: Sequence[int],
    token_budget: int,
) -> list[float]:
    """log pi(response | prompt) in nats: the sum over the tokens that follow the prompt.

    Logits are asked for from the end of the shortest prompt on only, and turned into float32 for one sequence at a
    time: with a vocabulary of 128K tokens, log-probabilities of all positions of a batch would take many gigabytes.

    Args:
        model: a policy of `models.load_policy`.
        conversations: token ids of prompt and response.
        prompt_lengths: how many of them are the prompt's; at least 1 each.
        token_budget: padded tokens of one batch.
    """
    import torch

    found = [0.0] * len(conversations)
    with torch.inference_mode():
        for batch in batches([len(ids) for ids in conversations], token_budget):
            ids, mask = _right_padded([conversations[i] for i in batch.filled], batch.width, model)
            first = min(prompt_lengths[i] for i in batch.indices) - 1
            kept = batch.width - first
            logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=kept).logits
            for row, index in enumerate(batch.indices):
                start, end = prompt_lengths[index], len(conversations[index])
                # position i predicts token i + 1
                predicting = logits[row, start - 1 - first : end - 1 - first].float()
                tokens = ids[row, start:end].unsqueeze(-1)
                chosen = predicting.gather(-1, tokens).squeeze(-1)
                found[index] = (chosen - predicting.logsumexp(-1)).double().sum().item()
    return found


def _right_padded(sequences: Sequence[Sequence[int]], width: int, model: "PreTrainedModel"):
    """Token ids and attention mask, (sequences, width), on the model's device."""
    import torch

    padding = model.config.pad_token_id or 0
    ids = torch.tensor([[*sequence, *[padding] * (width - len(sequence))] for sequence in sequences])
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    mask = torch.arange(width) < lengths.unsqueeze(-1)
    return ids.to(model.device), mask.long().to(model.device)
