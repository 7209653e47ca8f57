"""MT-Bench's judgments: a rating 1 .. 10 of every turn, read from the `[[rating]]` in what the judge wrote.

Where the question has references (maths, coding, reasoning) the judge sees them.
"""

import re
from collections.abc import Sequence
from typing import Any

from scripts.common import tables
from scripts.common.endpoint import ChatRequest
from scripts.common.errors import StudyError
from scripts.common.reply_cache import Reply
from scripts.evaluate.judging.cases import Asking, Case
from scripts.evaluate.judging.judges import Numbers
from scripts.evaluate.judging.prompts import Prompts, fill

TABLE, OUTCOME = tables.RATINGS, "rating"
MAX_TOKENS = 2048
RATING = (re.compile(r"\[\[(\d+\.?\d*)\]\]"), re.compile(r"\[(\d+\.?\d*)\]"))  # as asked; as some judges write it


def units(case: Case) -> Sequence[int]:
    """Both turns."""
    return range(1, len(case.answers) + 1)


def request(case: Case, turn: int, prompts: Prompts, asking: Asking) -> ChatRequest:
    """What the judge is asked about a turn's answer, with the turns before."""
    references = case.question["references"]
    fields = {f"question_{i}": text for i, text in enumerate(case.question["turns"][:turn], start=1)}
    fields |= {f"answer_{i}": text or "" for i, text in enumerate(case.answers[:turn], start=1)}
    fields |= {"question": case.asked, "answer": case.answer}
    if references:
        fields |= {f"ref_answer_{i}": text or "" for i, text in enumerate(references, start=1)}
    name = f"single{'-math' if references else ''}-v1{'-multi-turn' if turn == 2 else ''}"
    return ChatRequest(fill(prompts[name], fields), max_tokens=MAX_TOKENS)


def read(case: Case, turn: int, reply: Reply, asking: Asking) -> float | None:
    return rating(reply.text)


def from_numbers(judged: Sequence[tuple[Case, int]], judge: Numbers) -> list[float]:
    if judge.rate is None:
        raise StudyError("a preference model compares, it gives no ratings: let another judge rate MT-Bench.")
    return judge.rate([(case.question["turns"][turn - 1], case.answers[turn - 1] or "") for case, turn in judged])


def rating(text: str) -> float | None:
    """The first rating in a judge's text; None: there is none, or none from 1 to 10.

    >>> rating("A fair answer. Rating: [[7]]"), rating("Rating: [6.5]"), rating("Rating: 7")
    (7.0, 6.5, None)
    """
    for pattern in RATING:
        if found := pattern.search(text):
            value = float(found[1])
            return value if 1 <= value <= 10 else None
    return None


def row(case: Case, turn: int, asking: Asking) -> dict[str, Any]:
    """What a row of the table says besides the verdict."""
    category = case.question["category"]
    return {"question_id": case.identity, "category": category, "turn": turn, "judge": asking.judge}
