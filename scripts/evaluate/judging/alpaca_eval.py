"""AlpacaEval's judgments: which of two answers is preferred, as a probability where the judge gives one.

Three ways of asking, of which the paper names two annotators: `logprobs` is `weighted_alpaca_eval_gpt4_turbo` (one
token, m or M, and the preference is the share of its probability), `function` is `alpaca_eval_gpt4_turbo_fn` (the judge
calls a function with the ranking), `text` takes the letter that it writes. The order of the answers is drawn by seed.
"""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from scripts.common import tables
from scripts.common.endpoint import ChatRequest
from scripts.common.reply_cache import Reply
from scripts.common.seeds import seed_from
from scripts.evaluate.judging.cases import Asking, Case
from scripts.evaluate.judging.judges import Numbers, compare
from scripts.evaluate.judging.prompts import Prompts, fill

TABLE, OUTCOME = tables.ANNOTATIONS, "preference"
FIRST, SECOND = "m", "M"
TOP_LOGPROBS = 5
RANKING: dict[str, Any] = {
    "name": "make_partial_leaderboard",
    "description": "Rank the models by the quality of their answers, the best one first.",
    "parameters": {
        "type": "object",
        "properties": {
            "ordered_models": {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "items": {
                    "type": "object",
                    "properties": {
                        "model": {"type": "string", "enum": [FIRST, SECOND]},
                        "rank": {"type": "integer", "minimum": 1, "maximum": 2},
                    },
                    "required": ["model", "rank"],
                },
            }
        },
        "required": ["ordered_models"],
    },
}


def units(case: Case) -> Sequence[int]:
    """One comparison a question."""
    return (1,)


def swapped(case: Case, seed: int) -> bool:
    """Whether the policy's answer stands first; the same for every policy and judge."""
    return bool(seed_from(seed, "alpaca_eval", "order", case.identity) % 2)


def request(case: Case, unit: int, prompts: Prompts, asking: Asking) -> ChatRequest:
    first, second = case.question["baseline"], case.answer
    if swapped(case, asking.seed):
        first, second = second, first
    messages = fill(prompts["alpaca_eval"], {"instruction": case.asked, "output_1": first, "output_2": second})
    if asking.verdict == "function":
        return ChatRequest(messages, max_tokens=100, function=RANKING)
    return ChatRequest(messages, max_tokens=1, top_logprobs=TOP_LOGPROBS if asking.verdict == "logprobs" else 0)


def read(case: Case, unit: int, reply: Reply, asking: Asking) -> float | None:
    """1 (the baseline's answer is better) .. 2 (the policy's is); None: the reply holds no verdict."""
    second = {"logprobs": from_logprobs, "function": from_ranking, "text": from_text}[asking.verdict](reply)
    if second is None:
        return None
    return 1 + (1 - second if swapped(case, asking.seed) else second)


def from_numbers(judged: Sequence[tuple[Case, int]], judge: Numbers) -> list[float]:
    """1 + P(the policy's answer is better)."""
    return [1 + p for p in compare([case for case, _ in judged], judge)]


def from_logprobs(reply: Reply) -> float | None:
    """P(second answer better) as the share of its token; a token that is not among the likeliest has no share.

    >>> from_logprobs(Reply("m", logprobs={"m": -0.2, "M": -1.8, "I": -4.0}))
    0.16798161486607552
    """
    found = {token.strip(): math.exp(value) for token, value in reversed((reply.logprobs or {}).items())}
    first, second = found.get(FIRST, 0.0), found.get(SECOND, 0.0)
    return second / (first + second) if first + second > 0 else None


def from_ranking(reply: Reply) -> float | None:
    """0 or 1 from the function's arguments, where they rank both models and one above the other."""
    try:
        ranks = {one["model"]: int(one["rank"]) for one in json.loads(reply.arguments or "")["ordered_models"]}
    except (ValueError, KeyError, TypeError):
        return None
    if set(ranks) != {FIRST, SECOND} or ranks[FIRST] == ranks[SECOND]:
        return None
    return float(ranks[SECOND] < ranks[FIRST])


def from_text(reply: Reply) -> float | None:
    """0 or 1 from the letter in the text, where there is one and not both."""
    found = set(re.findall(rf"\b[{FIRST}{SECOND}]\b", reply.text))
    return float(found == {SECOND}) if len(found) == 1 else None


def row(case: Case, unit: int, asking: Asking) -> dict[str, Any]:
    """What a row of the table says besides the verdict."""
    return {
        "question_id": case.identity,
        "instruction": case.asked,
        "output_1": case.question["baseline"],
        "generator_1": case.question["baseline_model"],
        "output_2": case.answer,
        "generator_2": asking.policy,
        "annotator": asking.judge,
    }
