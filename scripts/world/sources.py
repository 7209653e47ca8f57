"""The preference sources of the miniature world, each in the schema in which its namesake is published.

A function a source: it makes usable pairs, plants defects, and returns the raw rows with what an ideal adapter and
filter would make of their pairs.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from scripts.common.seeds import short_digest
from scripts.world import defects, facts
from scripts.world.defects import Fates
from scripts.world.items import Desk, Item, Response, Turn, with_earlier_turns

CHAT = ("fact", "list")
SAFETY = ("safe",)
REASONING = ("math",)

MULTI_TURN_EVERY = 10
COMPLETIONS = 4
ULTRAFEEDBACK_MARGIN = 0.5
"""Minimum margin of `fine-grained_score` (data.preferences.ultrafeedback.minimum_margin)."""
HELPSTEER_MARGIN = 0.5
"""Minimum margin of (helpfulness + correctness) / 2 (data.preferences.helpsteer.minimum_margin)."""

UNUSABLE = (defects.EMPTY_ROUND, defects.SAME_RESPONSE, defects.TOO_LONG, defects.CONTAMINATED)
"""What every schema can hold."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    rows: list[Row]
    fates: Fates


# --- Anthropic/hh-rlhf ------------------------------------------------------------------------------------------------


def hh_rlhf(desk: Desk, pairs: int) -> Raw:
    """chosen, rejected: whole dialogues as text; a tenth of them has an earlier round."""
    reasons = (*UNUSABLE, defects.ROLES_DO_NOT_ALTERNATE, defects.CONTEXTS_DIFFER)
    asked = with_earlier_turns(desk.items(CHAT, pairs), MULTI_TURN_EVERY, same_task=False)
    items = with_defects(desk, CHAT, asked, reasons, turns=True)
    items += defects.near_copies(asked, defects.number_planted(pairs))
    desk.rng.shuffle(items)
    items += defects.unparsable(asked, defects.number_planted(pairs))
    return Raw([_hh_rlhf_row(item) for item in items], fates_of_pairs(items))


def _hh_rlhf_row(item: Item) -> Row:
    sides = {
        "chosen": dialogue((*item.context, ("assistant", item.chosen))),
        "rejected": dialogue((*(item.rejected_context or item.context), ("assistant", item.rejected))),
    }
    if item.defect == defects.UNPARSABLE:
        return {side: text.removeprefix("\n\nHuman: ") for side, text in sides.items()}
    return sides


def dialogue(turns: Sequence[Turn]) -> str:
    """A conversation in the notation of hh-rlhf."""
    speakers = {"user": "Human", "assistant": "Assistant"}
    return "".join(f"\n\n{speakers[role]}: {text}" for role, text in turns)


# --- openbmb/UltraFeedback --------------------------------------------------------------------------------------------


def ultrafeedback(desk: Desk, pairs: int) -> Raw:
    """An instruction and up to four completions, rated 1..5 in four aspects; `fine-grained_score` is their mean."""

    def fates(item: Item) -> Fates:
        scored = [(r.text, fine_grained_score(r.utility)) for r in item.responses]
        return defects.fates_of_scores(item.question, scored, ULTRAFEEDBACK_MARGIN, item.defect)

    usable = scored_items(desk, CHAT, COMPLETIONS, pairs, fates)
    items = [*usable, *defects.copies(usable, defects.number_planted(pairs)), *_unusable(desk, pairs)]
    desk.rng.shuffle(items)
    items += defects.single(usable, defects.number_planted(pairs))
    return Raw([_ultrafeedback_row(desk, item) for item in items], sum(map(fates, items), Counter()))


def fine_grained_score(utility: float) -> float:
    """Utilities of -2..6 on a scale of 1..5, in quarters."""
    return min(20, max(4, round(2 * utility) + 8)) / 4


def _ultrafeedback_row(desk: Desk, item: Item) -> Row:
    responses = shuffled(desk, item)
    return {
        "source": "world",
        "instruction": item.question,
        "models": [response.writer for response in responses],
        "completions": [
            {
                "annotations": _ratings(fine_grained_score(response.utility)),
                "custom_system_prompt": "",
                "model": response.writer,
                "principle": "helpfulness",
                "response": response.text,
                "critique": "",
                "overall_score": float(round(2 * fine_grained_score(response.utility))),
                "fine-grained_score": fine_grained_score(response.utility),
            }
            for response in responses
        ],
        "correct_answers": [],
        "incorrect_answers": [],
    }


def _ratings(score: float) -> Row:
    """Four whole ratings with the given mean."""
    aspects = ("instruction_following", "honesty", "truthfulness", "helpfulness")
    low, above = divmod(round(4 * score), 4)
    return {aspect: {"Rating": str(low + (i < above)), "Rationale": ""} for i, aspect in enumerate(aspects)}


# --- nvidia/HelpSteer -------------------------------------------------------------------------------------------------


def helpsteer(desk: Desk, pairs: int) -> Raw:
    """A row a response, up to four for each prompt, with five attributes 0..4."""

    def fates(item: Item) -> Fates:
        scored = [(r.text, sum(helpfulness_and_correctness(r.utility)) / 2) for r in item.responses]
        return defects.fates_of_scores(item.question, scored, HELPSTEER_MARGIN, item.defect)

    usable = scored_items(desk, CHAT, COMPLETIONS, pairs, fates)
    # The rows of an exact copy would join those of the original: pairs are formed of all responses to one prompt.
    copies = defects.copies(usable, defects.number_planted(pairs), exact=False)
    items = [*usable, *copies, *_unusable(desk, pairs)]
    desk.rng.shuffle(items)
    items += defects.single(usable, defects.number_planted(pairs))
    rows = chain.from_iterable(_helpsteer_rows(desk, item) for item in items)
    return Raw(list(rows), sum(map(fates, items), Counter()))


def helpfulness_and_correctness(utility: float) -> tuple[int, int]:
    """Two attributes 0..4 whose mean puts utilities of -2..6 on a scale of 0..4, in halves."""
    twice = min(8, max(0, round(utility) + 2))
    return (twice + 1) // 2, twice // 2


def _helpsteer_rows(desk: Desk, item: Item) -> list[Row]:
    rows = []
    for response in shuffled(desk, item):
        helpfulness, correctness = helpfulness_and_correctness(response.utility)
        rows.append(
            {
                "prompt": item.question,
                "response": response.text,
                "helpfulness": helpfulness,
                "correctness": correctness,
                "coherence": 4,
                "complexity": 1,
                "verbosity": min(4, len(response.text) // 50),
            }
        )
    return rows


# --- PKU-Alignment/PKU-SafeRLHF-30K -----------------------------------------------------------------------------------


def pku_saferlhf(desk: Desk, pairs: int) -> Raw:
    """Two responses with a safety label each, and which is the better and which the safer one."""
    reasons = (*UNUSABLE, defects.CONTRADICTED_LABEL)
    items = with_defects(desk, SAFETY, desk.items(SAFETY, pairs), reasons, turns=False)
    return Raw([_pku_saferlhf_row(desk, item) for item in items], fates_of_pairs(items))


def _pku_saferlhf_row(desk: Desk, item: Item) -> Row:
    """Where one response is safe and the other is not, annotators call safe what they prefer, right or wrong.

    The better response is then the unsafe one: helpfulness is judged apart from harmlessness.
    """
    preferred = desk.rng.randrange(2)
    texts = (item.chosen, item.rejected) if preferred == 0 else (item.rejected, item.chosen)
    safe = [facts.compliance(item.task.item) not in text or not item.task.harmful for text in texts]
    better, safer = preferred, preferred
    if safe[0] != safe[1] or item.defect == defects.CONTRADICTED_LABEL:
        safe = [i == preferred for i in range(2)]
        better = 1 - preferred
    if item.defect == defects.CONTRADICTED_LABEL:
        safer = 1 - preferred
    return {
        "prompt": item.question,
        "response_0": texts[0],
        "response_1": texts[1],
        "is_response_0_safe": safe[0],
        "is_response_1_safe": safe[1],
        "better_response_id": better,
        "safer_response_id": safer,
    }


# --- openbmb/UltraInteract_pair ---------------------------------------------------------------------------------------

_TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
ULTRAINTERACT_SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("dataset", pa.string()),
        ("trajectory", _TURNS),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("id", pa.string()),
        ("parent_id", pa.string()),
    ]
)


def ultrainteract(desk: Desk, pairs: int) -> Raw:
    """Pairs of nodes in trees of tries: in a tenth the user asks again after a wrong answer, the parent's."""
    reasons = (*UNUSABLE, defects.ROLES_DO_NOT_ALTERNATE)
    tried = with_earlier_turns(desk.items(REASONING, pairs), MULTI_TURN_EVERY, same_task=True)
    items = with_defects(desk, REASONING, tried, reasons, turns=True)
    return Raw([_ultrainteract_row(item) for item in items], fates_of_pairs(items))


def _ultrainteract_row(item: Item) -> Row:
    return {
        "task": "Math_CoT",
        "dataset": "world",
        "trajectory": [{"from": role, "value": text} for role, text in item.context],
        "chosen": item.chosen,
        "rejected": item.rejected,
        "id": short_digest(item.question),
        "parent_id": short_digest(item.context[0][1]) if len(item.context) > 1 else "",
    }


# --- berkeley-nest/Nectar ---------------------------------------------------------------------------------------------

NECTAR_SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("answers", pa.list_(pa.struct([("answer", pa.string()), ("model", pa.string()), ("rank", pa.float64())]))),
        ("turns", pa.int64()),
        ("num_responses", pa.int64()),
        ("source", pa.list_(pa.string())),
        ("good_natured", pa.bool_()),
    ]
)
NECTAR_WRITERS = ("weak", "ramble", "terse", "demo")
NECTAR_NOISE = 0.15


def nectar(desk: Desk, pairs: int) -> Raw:
    """Two ranked answers by weaker writers and a more careless annotator: off-policy data for offline DPO (Eq. 6)."""
    desk = replace(desk, annotator=replace(desk.annotator, label_noise=NECTAR_NOISE))
    reasons = (*UNUSABLE, defects.ROLES_DO_NOT_ALTERNATE)
    ranked = desk.items_by(NECTAR_WRITERS, facts.FAMILIES, pairs, responses=(2, 2))
    items = with_defects(desk, facts.FAMILIES, ranked, reasons, turns=True)
    items += defects.unparsable(ranked, defects.number_planted(pairs))
    return Raw([_nectar_row(item) for item in items], fates_of_pairs(items))


def _nectar_row(item: Item) -> Row:
    asked = dialogue((*item.context, ("assistant", "")))
    return {
        "prompt": asked.removesuffix("\n\nAssistant: ") if item.defect == defects.UNPARSABLE else asked,
        "answers": [
            {"answer": response.text, "model": response.writer, "rank": float(rank)}
            for rank, response in enumerate(item.responses, start=1)
        ],
        "turns": sum(role == "user" for role, _ in item.context),
        "num_responses": len(item.responses),
        "source": ["world"],
        "good_natured": not getattr(item.task, "harmful", False),
    }


# --- shared -----------------------------------------------------------------------------------------------------------


def with_defects(
    desk: Desk, families: Sequence[str], items: list[Item], reasons: Sequence[str], *, turns: bool
) -> list[Item]:
    """Usable items, defective ones and copies, mixed."""
    planted = defects.number_planted(len(items))
    found = [*items, *defects.damaged(desk, families, planted, reasons, turns=turns), *defects.copies(items, planted)]
    desk.rng.shuffle(found)
    return found


def fates_of_pairs(items: Sequence[Item]) -> Fates:
    """Where an item is one pair."""
    return Counter(item.defect or defects.KEPT for item in items)


def _unusable(desk: Desk, pairs: int) -> list[Item]:
    return defects.damaged(desk, CHAT, defects.number_planted(pairs), UNUSABLE, turns=False)


def scored_items(
    desk: Desk, families: Sequence[str], completions: int, pairs: int, fates: Callable[[Item], Fates]
) -> list[Item]:
    """Items of so many responses until they hold exactly `pairs` usable pairs; the last ones may have fewer."""
    items: list[Item] = []
    while pairs:
        (item,) = desk.items((families[len(items) % len(families)],), 1, completions)
        shortened = (replace(item, responses=item.responses[:n]) for n in range(completions, 1, -1))
        item = next(short for short in shortened if fates(short)[defects.KEPT] <= pairs)
        items.append(item)
        pairs -= fates(item)[defects.KEPT]
    return items


def shuffled(desk: Desk, item: Item) -> list[Response]:
    """The responses in an order that does not give the label away."""
    return desk.rng.sample(item.responses, len(item.responses))
