"""Arena-Hard's judgments: two games a question with the answers in either order, each with one of five verdicts."""

import re
from collections.abc import Sequence
from typing import Any

from scripts.common import tables
from scripts.common.endpoint import ChatRequest
from scripts.common.reply_cache import Reply
from scripts.evaluate.judging.cases import Asking, Case
from scripts.evaluate.judging.judges import Numbers, compare
from scripts.evaluate.judging.prompts import Prompts, fill

TABLE, OUTCOME = tables.GAMES, "verdict"
MAX_TOKENS = 4096
GAMES = (1, 2)
"""In game 1 the baseline is A, in game 2 the policy is."""
VERDICTS = ("A>>B", "A>B", "A=B", "B>A", "B>>A")
SAME = {"A<B": "B>A", "A<<B": "B>>A", "B<A": "A>B", "B<<A": "A>>B", "B=A": "A=B"}
WRITTEN = re.compile(r"\[\[([AB<>=]+)\]\]")
CLEAR, SLIGHT = 0.9, 0.55
"""P(better) from which a judge of numbers says >>, and >; between 1 - SLIGHT and SLIGHT it is a tie."""


def units(case: Case) -> Sequence[int]:
    """Both games."""
    return GAMES


def request(case: Case, game: int, prompts: Prompts, asking: Asking) -> ChatRequest:
    a, b = (case.question["baseline"], case.answer) if game == 1 else (case.answer, case.question["baseline"])
    fields = {"question_1": case.asked, "answer_1": a, "answer_2": b}
    return ChatRequest(fill(prompts["arena_hard"], fields), max_tokens=MAX_TOKENS)


def read(case: Case, game: int, reply: Reply, asking: Asking) -> str | None:
    return verdict(reply.text)


def from_numbers(judged: Sequence[tuple[Case, int]], judge: Numbers) -> list[str]:
    """The verdict that P(A better) is worth; in game 2 the policy is A."""
    better = compare([case for case, _ in judged], judge)
    return [verdict_of(1 - p if game == 1 else p) for p, (_, game) in zip(better, judged, strict=True)]


def verdict(text: str) -> str | None:
    """The verdict in a judge's text; None: there is none, or several that differ.

    >>> verdict("My final verdict is: [[A>B]]"), verdict("[[A>B]], no: [[B>A]]"), verdict("A is better")
    ('A>B', None, None)
    """
    found = {SAME.get(label, label) for label in WRITTEN.findall(text)}
    return found.pop() if len(found) == 1 and found <= set(VERDICTS) else None


def verdict_of(a_better: float) -> str:
    """The verdict of a judge of numbers, from P(A better).

    >>> [verdict_of(p) for p in (0.95, 0.7, 0.5, 0.3, 0.05)]
    ['A>>B', 'A>B', 'A=B', 'B>A', 'B>>A']
    """
    if a_better >= CLEAR:
        return "A>>B"
    if a_better >= SLIGHT:
        return "A>B"
    if a_better > 1 - SLIGHT:
        return "A=B"
    return "B>A" if a_better > 1 - CLEAR else "B>>A"


def row(case: Case, game: int, asking: Asking) -> dict[str, Any]:
    """What a row of the table says besides the verdict."""
    return {"question_id": case.identity, "game": game, "judge": asking.judge, "characters": len(case.answer)}
