"""Defects planted in the raw data, in known number: what the filters of Appendix B.1 must find, and nothing else.

A reason names why a pair must be dropped; the same names stand in the tables of dropped rows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, cycle

from scripts.world import facts, writers
from scripts.world.items import Desk, Item, Response

KEPT = "kept"
EMPTY_ROUND = "empty_round"
ROLES_DO_NOT_ALTERNATE = "roles_do_not_alternate"
CONTEXTS_DIFFER = "contexts_differ"
SAME_RESPONSE = "same_response"
CONTRADICTED_LABEL = "contradicted_label"
EQUAL_SCORE = "equal_score"
SMALL_MARGIN = "small_margin"
TOO_LONG = "too_long"
DUPLICATE = "duplicate"
NULL_VALUE = "null_value"
LOW_SCORE_RATIO = "low_score_ratio"
BEYOND_FIVE_PAIRS = "beyond_five_pairs"
IN_GSM8K_TRAIN = "in_gsm8k_train"
CONTAMINATED = "contaminated"
NEAR_DUPLICATE = "near_duplicate"
UNPARSABLE = "unparsable"
SINGLE_RESPONSE = "single_response"

SHARE = 0.01
"""Planted items of each kind, as a share of the pairs that a source shall hold; at least `FEWEST`."""
FEWEST = 2

MAX_TOKENS = 256
"""Longest prompt and response that the demo keeps (data.max_tokens); the planted ones are longer than that."""

Fates = Counter[str]
"""Pairs by what an ideal adapter and filter make of them: kept, or dropped for a reason."""


def number_planted(pairs: int) -> int:
    return max(FEWEST, round(SHARE * pairs))


def damaged(desk: Desk, families: Sequence[str], n: int, reasons: Sequence[str], *, turns: bool) -> list[Item]:
    """`n` items with each defect; `turns` says whether the schema can hold conversations of several turns."""
    found = []
    for reason in reasons:
        items = desk.items_evaluated(families, n) if reason == CONTAMINATED else desk.items(families, n)
        (other,) = desk.items(families, 1)
        found += [damage(items[i], reason, other, in_context=turns and i % 2 == 1) for i in range(n)]
    return found


def damage(item: Item, reason: str, other: Item, *, in_context: bool) -> Item:
    """The item with one defect and a wide margin, so that nothing else is wrong with it.

    Args:
        item: an item with two responses.
        reason: name of the defect.
        other: an item whose question serves as an earlier or a different turn.
        in_context: an empty round lies in the conversation so far, and not in a response.
    """
    chosen, rejected = (replace(r, utility=u) for r, u in zip(item.responses, (6.0, -2.0), strict=True))
    context, rejected_context = item.context, None
    match reason:
        case "empty_round" if in_context:
            context = (*other.context, ("assistant", ""), *context)
        case "empty_round":
            rejected = replace(rejected, text="")
        case "roles_do_not_alternate":
            context = (*other.context, *context)
        case "contexts_differ":
            rejected_context = other.context
        case "same_response":
            rejected = replace(rejected, text=chosen.text)
        case "too_long":
            chosen = replace(chosen, text=_endless(chosen))
        case "contradicted_label" | "null_value" | "in_gsm8k_train":
            pass  # the renderer of the source says so
        case "contaminated":
            pass  # what it asks is wrong, and the desk saw to that
        case _:
            raise ValueError(reason)
    return Item(context, item.task, (chosen, rejected), reason, rejected_context)


def copies(items: Sequence[Item], n: int, *, exact: bool = True) -> list[Item]:
    """The first `n` items again: every second with a doubled blank in its question, or all of them unless `exact`."""
    return [
        replace(
            item,
            defect=DUPLICATE,
            context=item.context if exact and i % 2 == 0 else _asked(item, doubled_blank(item.question)),
        )
        for i, item in enumerate(items[:n])
    ]


def near_copies(items: Sequence[Item], n: int) -> list[Item]:
    """The last `n` items again, but for the question's end: a mark that is said twice, and says nothing new."""
    return [replace(item, defect=NEAR_DUPLICATE, context=_asked(item, insistent(item.question))) for item in items[-n:]]


def unparsable(items: Sequence[Item], n: int) -> list[Item]:
    """The first `n` items again, for the renderer of the source to leave out the mark of a turn."""
    return [replace(item, defect=UNPARSABLE) for item in items[:n]]


def single(items: Sequence[Item], n: int) -> list[Item]:
    """The first `n` items again with their best response alone; a mark said twice keeps them apart from the others."""
    return [
        replace(
            item,
            defect=SINGLE_RESPONSE,
            context=_asked(item, insistent(item.question)),
            responses=item.responses[:1],
        )
        for item in items[:n]
    ]


def doubled_blank(question: str) -> str:
    """The same question, white space aside."""
    return question.replace(" ", "  ", 1)


def insistent(question: str) -> str:
    """The same question with its last mark twice: its words are the same."""
    return f"{question} {question[-1]}"


def fates_of_scores(
    question: str, scored: Sequence[tuple[str, float]], minimum_margin: float, defect: str | None
) -> Fates:
    """What becomes of all pairs of scored responses to a question; of one response alone there is none to keep.

    Args:
        question: text of the user's message.
        scored: (text, score) of each response.
        minimum_margin: pairs whose scores differ by less are dropped.
        defect: of the item; a copy's pairs are duplicates where nothing else is wrong with them.
    """
    if len(scored) == 1:
        return Counter({SINGLE_RESPONSE: 1})
    return Counter(
        _fate_of_scores(question, one, other, minimum_margin, defect) for one, other in combinations(scored, 2)
    )


def _fate_of_scores(
    question: str, one: tuple[str, float], other: tuple[str, float], minimum_margin: float, defect: str | None
) -> str:
    texts, scores = zip(one, other, strict=True)
    if scores[0] == scores[1]:
        return EQUAL_SCORE
    if "" in texts:
        return EMPTY_ROUND
    if texts[0] == texts[1]:
        return SAME_RESPONSE
    if len(question.split()) + max(len(text.split()) for text in texts) > MAX_TOKENS:
        return TOO_LONG
    if abs(scores[0] - scores[1]) < minimum_margin:
        return SMALL_MARGIN
    return defect if defect in (DUPLICATE, CONTAMINATED) else KEPT


def _endless(response: Response) -> str:
    sentences = cycle(facts.FILLERS)
    text = response.text
    while len(text.split()) <= MAX_TOKENS:
        text += " " + writers.say(next(sentences))
    return text


def _asked(item: Item, question: str) -> tuple[tuple[str, str], ...]:
    return (*item.context[:-1], ("user", question))
