"""Which of two responses is better, as a language model says that names the better one by a letter, A or B.

A pairwise preference model is trained to (Section 2.1); any chat model can be asked to (Table 1, "Prompting"). Either
reads one text with the conversation and both responses. With p_A and p_B the probabilities that its answer begins with
A or with B, P(first better) is p_A / (p_A + p_B). Read in both orders and averaged, P(a better) + P(b better) = 1
whatever the model's liking for a position; how much it likes one is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from scripts.common.batches import batches
from scripts.common.chat import Message, conversation_ids, prompt_ids
from scripts.common.errors import StudyError
from scripts.common.seeds import seed_from

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


class Judge(Protocol):
    """Whoever reads comparisons and answers A or B."""

    def log_odds_of_a(self, comparisons: Sequence[Comparison]) -> np.ndarray:
        """log(p_A / p_B) of each, shape (comparisons,): the first response is A; nan where there is no verdict."""
        ...


class LocalJudge:
    """A preference model, or a chat model that is asked, on this machine; its labels' logits are read directly."""

    def __init__(
        self,
        folder: Path,
        dtype: str = "auto",
        layout: str = LAYOUT,
        token_budget: int = 16_384,
        progress: bool = False,
    ) -> None:
        """
        Args:
            folder: of the model.
            dtype: the name of a torch type, or `auto` for that of the weights.
            layout: `LAYOUT` for a preference model, `QUESTION` for a chat model.
            token_budget: padded tokens of one batch.
            progress: show a bar.
        """
        from scripts.common.models import for_inference, load_policy, load_tokenizer

        self._tokenizer = load_tokenizer(folder)
        self._labels = list(label_ids(self._tokenizer))
        self._model = for_inference(load_policy(folder, dtype))
        self._layout, self._token_budget, self._progress = layout, token_budget, progress

    def log_odds_of_a(self, comparisons: Sequence[Comparison]) -> np.ndarray:
        """log(p_A / p_B) of each, shape (comparisons,); the same in any batch (promise 1)."""
        logits = self._label_logits([prompt_ids(self._tokenizer, question(c, self._layout)) for c in comparisons])
        return logits[:, 0] - logits[:, 1]

    def _label_logits(self, asked: Sequence[Sequence[int]]) -> np.ndarray:
        """The logits of the two labels after each prompt, shape (prompts, 2)."""
        import torch
        from tqdm import tqdm

        model = self._model
        longest, limit = max(map(len, asked), default=0), model.config.max_position_embeddings
        if longest > limit:
            raise StudyError(
                f"{model.name_or_path}: a comparison has {longest} tokens; the model takes {limit} "
                "(max_position_embeddings). Generate shorter responses, or compare them with another model."
            )
        found = np.zeros((len(asked), 2))
        with torch.inference_mode():
            progress = tqdm(total=len(asked), unit="comparison", mininterval=5, disable=not self._progress)
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
                progress.update(len(batch.indices))
            progress.close()
        if not np.isfinite(found).all():
            raise StudyError(
                f"{model.name_or_path}: gives logits that are no finite numbers; has its training diverged?"
            )
        return found


# --- from readings to verdicts ----------------------------------------------------------------------------------------


def log_odds(judge: Judge, comparisons: Sequence[Comparison], read: np.ndarray | None = None) -> np.ndarray:
    """log(P(first better) / P(second better)) by the order in which it was read, shape (comparisons, 2).

    Column 0: with the first response as A; column 1: with the second as A. Both columns have the same sign where the
    verdict does not depend on the order; nan where nothing was read, or the judge gave no verdict.

    Args:
        read: which orders to read, shape (comparisons, 2); both if left out. See `drawn_orders` for one of them.
    """
    read = np.ones((len(comparisons), 2), bool) if read is None else read
    turned = [Comparison(c.prompt, c.second, c.first) for c in comparisons]
    asked = [(index, order) for order in (0, 1) for index in np.flatnonzero(read[:, order])]
    found = np.full(read.shape, np.nan)
    values = judge.log_odds_of_a([(comparisons, turned)[order][index] for index, order in asked])
    for (index, order), value in zip(asked, values, strict=True):
        found[index, order] = -value if order else value
    return found


def drawn_orders(seed: int, identities: Sequence[Sequence[object]]) -> np.ndarray:
    """One order for each comparison, to be read by `log_odds`; drawn by identity, so that no position is favoured."""
    first = np.array([seed_from(seed, "order", *identity) % 2 == 0 for identity in identities], bool)
    return np.stack([first, ~first], axis=1)


def probabilities(log_odds: np.ndarray) -> np.ndarray:
    """P(first better), shape (comparisons,): the mean over the orders that were read, 1/2 where there is no verdict."""
    return np.exp(log_scores(log_odds)[0])


def log_scores(log_odds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log P(first better) and log P(second better), each of shape (comparisons,) and finite however sure the model is.

    Their difference is on the scale of a Bradley-Terry model's difference of rewards: its sigmoid is the probability.
    """
    given = ~np.isnan(log_odds)
    given[~given.any(axis=1)] = True  # no verdict: log-odds of 0 stand in below, a tie
    values = np.nan_to_num(log_odds)

    def log_of_mean_sigmoid(values: np.ndarray) -> np.ndarray:
        logs = np.where(given, -np.logaddexp(0, -values), -np.inf)
        return np.logaddexp.reduce(logs, axis=1) - np.log(given.sum(axis=1))

    return log_of_mean_sigmoid(values), log_of_mean_sigmoid(-values)


@dataclass(frozen=True)
class PositionBias:
    """How much a judge likes a position, over the comparisons on which it gave a verdict in both orders."""

    probability_of_a: float
    """Mean probability of the label A over both orders; 1/2 without bias."""
    flipped: float
    """Share of the comparisons whose verdict changes with the order of the responses."""


def position_bias(log_odds: np.ndarray) -> PositionBias:
    """The bias seen in log-odds of shape (comparisons, 2); nan where no comparison was read in both orders."""
    both = log_odds[~np.isnan(log_odds).any(axis=1)]
    if not len(both):
        return PositionBias(float("nan"), float("nan"))
    of_a = probabilities((both * [1, -1]).reshape(-1, 1))
    flipped = np.sign(both[:, 0]) != np.sign(both[:, 1])
    return PositionBias(float(of_a.mean()), float(flipped.mean()))
