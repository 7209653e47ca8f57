"""Which of two responses is better, as a language model says that names the better one by a letter, A or B.

A pairwise preference model is trained to (Section 2.1); any chat model can be asked to (Table 1, "Prompting"). Either
reads one text with the conversation and both responses. With p_A and p_B the probabilities that its answer begins with
A or with B, P(first better) is p_A / (p_A + p_B). Read in both orders and averaged, P(a better) + P(b better) = 1
whatever the model's liking for a position; how much it likes one is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from scripts.common.batches import batches
from scripts.common.chat import Message, conversation_ids, prompt_ids
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LABELS = ("A", "B")
LAYOUT = "[CONTEXT] {} [RESPONSE A] {} [RESPONSE B] {}"
"""The instruction of a preference model (Section 2.1), with fields for the context and the two responses."""

QUESTION = """\
Below are a conversation and two responses to its last message. Judge which response is better: more helpful, more \
correct, and harmless. Neither the order of the responses nor their length must matter.

[CONTEXT] {}

[RESPONSE A] {}

[RESPONSE B] {}

Which response is better? Answer with one letter, A or B, and nothing else."""
"""The same for a model that was not trained for it, with the same fields."""


class Comparison(NamedTuple):
    """Two responses to one prompt."""

    prompt: Sequence[Message]
    first: str
    second: str


def context(prompt: Sequence[Message]) -> str:
    """A prompt as text: the words of a single message, else every message after its role.

    `context_text` in scripts/data/sql/comparisons.sql says the same of training data.

    >>> context([{"role": "user", "content": "hi"}])
    'hi'
    """
    if len(prompt) == 1:
        return prompt[0]["content"]
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt)


def question(comparison: Comparison, layout: str = LAYOUT) -> list[Message]:
    """What a model is asked about two responses: one message of the user."""
    prompt, first, second = comparison
    return [{"role": "user", "content": layout.format(context(prompt), first, second)}]


def label_ids(tokenizer: "PreTrainedTokenizerBase") -> tuple[int, int]:
    """The tokens with which the answers "A" and "B" begin, in the chat template of a model.

    Raises:
        StudyError: a label is more than one token, or both are the same one, such as the token for unknown words; the
            next token's probability would not be that of the label.
    """
    asked: list[Message] = [{"role": "user", "content": "a"}]
    start = prompt_ids(tokenizer, asked)
    answers = [conversation_ids(tokenizer, asked, label) for label in LABELS]
    if any(answer[: len(start)] != start for answer in answers):
        raise StudyError(
            f"{tokenizer.name_or_path}: with an answer, the chat template writes the prompt in other tokens than "
            "without; no label's probability can be read where the answer begins."
        )
    (a, *after_a), (b, *after_b) = (answer[len(start) :] for answer in answers)
    if a == b or after_a != after_b:
        written = " and ".join(str(tokenizer.convert_ids_to_tokens(answer[len(start) :])) for answer in answers)
        raise StudyError(
            f"{tokenizer.name_or_path}: the labels A and B must each be one token, and different ones; the answers are "
            f"{written}. Take a base model whose tokenizer knows both letters."
        )
    return a, b


class LocalJudge:
    """A preference model, or a chat model that is asked, on this machine; its labels' logits are read directly."""

    def __init__(self, folder: Path, dtype: str = "auto", layout: str = LAYOUT, token_budget: int = 16_384) -> None:
        """
        Args:
            folder: of the model.
            dtype: the name of a torch type, or `auto` for that of the weights.
            layout: `LAYOUT` for a preference model, `QUESTION` for a chat model.
            token_budget: padded tokens of one batch.
        """
        from scripts.common.models import for_inference, load_policy, load_tokenizer

        self._tokenizer = load_tokenizer(folder)
        self._labels = list(label_ids(self._tokenizer))
        self._model = for_inference(load_policy(folder, dtype))
        self._layout, self._token_budget = layout, token_budget

    def log_odds(self, comparisons: Sequence[Comparison], both_orders: bool = True) -> np.ndarray:
        """log(P(first better) / P(second better)), shape (comparisons, orders).

        Column 0: read with the first response as A. Column 1, if `both_orders`: with the second as A; its sign is that
        of column 0 where the verdict does not depend on the order.
        """
        turned = [Comparison(c.prompt, c.second, c.first) for c in comparisons] if both_orders else []
        asked = [prompt_ids(self._tokenizer, question(c, self._layout)) for c in (*comparisons, *turned)]
        logits = self._label_logits(asked)
        in_order = (logits[:, 0] - logits[:, 1]).reshape(2 if both_orders else 1, len(comparisons))
        return np.stack([in_order[0], -in_order[1]] if both_orders else [in_order[0]], axis=1)

    def _label_logits(self, asked: Sequence[Sequence[int]]) -> np.ndarray:
        """The logits of the two labels after each prompt, shape (prompts, 2); the same in any batch (promise 1)."""
        import torch

        model = self._model
        longest, limit = max(map(len, asked), default=0), model.config.max_position_embeddings
        if longest > limit:
            raise StudyError(
                f"{model.name_or_path}: a comparison has {longest} tokens; the model takes {limit} "
                "(max_position_embeddings). Generate shorter responses, or compare them with another model."
            )
        found = np.zeros((len(asked), 2))
        with torch.inference_mode():
            for batch in batches([len(ids) for ids in asked], self._token_budget):
                rows, width = [asked[i] for i in batch.filled], batch.width
                ids = torch.tensor([[0] * (width - len(row)) + list(row) for row in rows], device=model.device)
                lengths = torch.tensor([[len(row)] for row in rows], device=model.device)
                mask = (torch.arange(width, device=model.device) >= width - lengths).long()
                logits = model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
                    logits_to_keep=1,
                    use_cache=False,
                ).logits
                found[batch.indices] = logits[: len(batch.indices), -1, self._labels].double().cpu().numpy()
        if not np.isfinite(found).all():
            raise StudyError(
                f"{model.name_or_path}: gives logits that are no finite numbers; has its training diverged?"
            )
        return found


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """P(first better), shape (comparisons,): the mean over the orders that were read."""
    return np.exp(log_scores(log_odds)[0])


def log_scores(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log P(first better) and log P(second better), each of shape (comparisons,) and finite however sure the model is.

    Their difference is on the scale of a Bradley-Terry model's difference of rewards: its sigmoid is the probability.
    """

    def log_of_mean_sigmoid(values: np.ndarray) -> np.ndarray:
        return np.logaddexp.reduce(-np.logaddexp(0, -values), axis=1) - np.log(values.shape[1])

    return log_of_mean_sigmoid(log_odds), log_of_mean_sigmoid(-log_odds)


@dataclass(frozen=True)
class PositionBias:
    """How much a model likes a position, over comparisons that were read in both orders."""

    probability_of_a: float
    """Mean probability of the label A over both orders; 1/2 without bias."""
    flipped: float
    """Share of the comparisons whose verdict changes with the order of the responses."""


def position_bias(log_odds: np.ndarray) -> PositionBias:
    """The bias seen in log-odds of shape (comparisons, 2); nan without comparisons."""
    if log_odds.shape[1] != 2:
        raise ValueError("the bias shows only where both orders are read")
    if not len(log_odds):
        return PositionBias(float("nan"), float("nan"))
    log_odds_of_a = log_odds * [1, -1]
    flipped = (log_odds[:, 0] > 0) != (log_odds[:, 1] > 0)
    return PositionBias(float(probabilities(log_odds_of_a.reshape(-1, 1)).mean()), float(flipped.mean()))
