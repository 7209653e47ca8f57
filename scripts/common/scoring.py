"""What models say about given text: rewards of a reward model, log-probabilities of a policy."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scripts.common.batches import batches
from scripts.common.chat import Message, conversation_ids
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def rewards(model: "PreTrainedModel", conversations: Sequence[Sequence[int]], token_budget: int) -> list[float]:
    """The reward of each conversation, in the order given.

    Args:
        model: a reward model of `models.load_reward_model`; it reads the reward at the last token that is no padding.
        conversations: token ids, the end-of-turn token included.
        token_budget: padded tokens of one batch.

    Raises:
        StudyError: a reward is infinite or not a number; no order could be made of it.
    """
    import torch

    found = [0.0] * len(conversations)
    with torch.inference_mode():
        for batch in batches([len(ids) for ids in conversations], token_budget):
            ids, mask = _right_padded([conversations[i] for i in batch.filled], batch.width, model)
            logits = model(input_ids=ids, attention_mask=mask).logits.float().squeeze(-1).tolist()
            for index, reward in zip(batch.indices, logits, strict=False):
                found[index] = reward
    if not all(map(math.isfinite, found)):
        raise StudyError(f"{model.name_or_path}: gives rewards that are no finite numbers; has its training diverged?")
    return found


def pair_rewards(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[Sequence[Message]],
    chosen: Sequence[str],
    rejected: Sequence[str],
    token_budget: int,
) -> tuple[list[float], list[float]]:
    """The rewards of the chosen and of the rejected response to each prompt."""
    texts = [*zip(prompts, chosen, strict=True), *zip(prompts, rejected, strict=True)]
    found = rewards(model, [conversation_ids(tokenizer, prompt, text) for prompt, text in texts], token_budget)
    return found[: len(prompts)], found[len(prompts) :]


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
