"""Which of two responses is better, as a language model says that names the better one by a letter, A or B.

A pairwise preference model is trained to (Section 2.1); any chat model can be asked to (Table 1, "Prompting"). Either
reads one text with the conversation and both responses. With p_A and p_B the probabilities that its answer begins with
A or with B, P(first better) is p_A / (p_A + p_B). Read in both orders and averaged, P(a better) + P(b better) = 1
whatever the model's liking for a position; how much it likes one is measured.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from scripts.common.chat import Message, conversation_ids, prompt_ids
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.errors import StudyError
from scripts.common.seeds import seed_from

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from scripts.common.config import Endpoint
    from scripts.common.engines import EngineName
    from scripts.common.models import Dtype

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


class Judge(ABC):
    """Whoever reads comparisons and answers A or B."""

    @abstractmethod
    def log_odds_of_a(self, comparisons: Sequence[Comparison]) -> np.ndarray:
        """log(p_A / p_B) of each, shape (comparisons,): the first response is A; nan where there is no verdict."""

    def log_odds(self, comparisons: Sequence[Comparison], read: np.ndarray | None = None) -> np.ndarray:
        """log(P(first better) / P(second better)) by the order in which it was read, shape (comparisons, 2).

        Column 0: with the first response as A; column 1: with the second as A. Both columns have the same sign where
        the verdict does not depend on the order; nan where nothing was read, or no verdict was given.

        Args:
            read: which orders to read, shape (comparisons, 2); both if left out. See `drawn_orders` for one of them.
        """
        read = np.ones((len(comparisons), 2), bool) if read is None else read
        turned = [Comparison(c.prompt, c.second, c.first) for c in comparisons]
        asked = [(index, order) for order in (0, 1) for index in np.flatnonzero(read[:, order])]
        values = self.log_odds_of_a([(comparisons, turned)[order][index] for index, order in asked])
        found = np.full(read.shape, np.nan)
        for (index, order), value in zip(asked, values, strict=True):
            found[index, order] = -value if order else value
        return found


def drawn_orders(seed: int, identities: Sequence[Sequence[object]]) -> np.ndarray:
    """One order for each comparison, to be read by a judge; drawn by identity, so that no position is favoured."""
    first = np.array([seed_from(seed, "order", *identity) % 2 == 0 for identity in identities], bool)
    return np.stack([first, ~first], axis=1)


class LocalJudge(Judge):
    """A preference model, or a chat model that is asked, on this machine; the logits of its labels are read directly.

    Args:
        folder: of the model.
        dtype: the name of a torch type, or `auto` for that of the weights.
        layout: `LAYOUT` for a preference model, `QUESTION` for a chat model.
        token_budget: padded tokens of one batch.
        engine: see `next_tokens.open_reader`.
        progress: show a bar.
        vllm: how vLLM uses GPUs.
    """

    def __init__(
        self,
        folder: Path,
        dtype: "Dtype | Literal['auto']" = "auto",
        layout: str = LAYOUT,
        token_budget: int = 16_384,
        engine: "EngineName" = "auto",
        progress: bool = False,
        vllm: VllmJob = ONE_GPU,
    ) -> None:
        from scripts.common.models import load_tokenizer
        from scripts.common.next_tokens import open_reader

        self._tokenizer = load_tokenizer(folder)
        self._labels = label_ids(self._tokenizer)
        self._reader = open_reader(engine, folder, dtype, token_budget, vllm)
        self._layout, self._progress = layout, progress

    def log_odds_of_a(self, comparisons: Sequence[Comparison]) -> np.ndarray:
        asked = [prompt_ids(self._tokenizer, question(comparison, self._layout)) for comparison in comparisons]
        logits = self._reader.logits(asked, self._labels, self._progress)
        return logits[:, 0] - logits[:, 1]


class EndpointJudge(Judge):
    """A chat model behind an endpoint, asked `QUESTION`; answers are kept by content in the folder `cache`.

    Where the endpoint lists log-probabilities of the first token, p_A and p_B are the sums over tokens that are the
    letter but for white space; a letter that is not listed gets the lowest probability listed. Else the letter that is
    written counts, with log-odds of `WRITTEN`. No letter is no verdict.
    """

    WRITTEN = 10.0
    LISTED = 20  # the most that OpenAI's and vLLM's servers list

    def __init__(self, endpoint: "Endpoint", cache: Path) -> None:
        self._endpoint, self._cache = endpoint, cache
        self.facts: dict[str, Any] = {}
        """What the last call took: requests, tokens, dollars."""

    def log_odds_of_a(self, comparisons: Sequence[Comparison]) -> np.ndarray:
        from scripts.common.endpoint import ChatRequest, ask

        requests = [ChatRequest(question(c, QUESTION), max_tokens=4, top_logprobs=self.LISTED) for c in comparisons]
        asked = ask(self._endpoint, requests, self._cache)
        self.facts = asked.facts
        return np.array([self._verdict(reply.text, reply.logprobs) for reply in asked.replies])

    def _verdict(self, written: str, listed: dict[str, float] | None) -> float:
        if listed:
            logs = [[log for token, log in listed.items() if token.strip() == label] for label in LABELS]
            if any(logs):
                a, b = (float(np.logaddexp.reduce(found)) if found else min(listed.values()) for found in logs)
                return a - b
        letter = re.match(r"\W*(A|B)\b", written)
        return float("nan") if letter is None else self.WRITTEN * (1 if letter[1] == "A" else -1)


# --- from readings to verdicts ----------------------------------------------------------------------------------------


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
