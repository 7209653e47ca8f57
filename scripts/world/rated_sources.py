"""The preference sources of the miniature world in whose namesakes models rated the responses, one by one.

CodeUltraFeedback and Argilla-Math add to the world's mathematics, Distilabel-Orca and Distilabel-Capybara to its talk.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import pyarrow as pa

from scripts.common.seeds import short_digest
from scripts.world import defects
from scripts.world.defects import Fates
from scripts.world.items import Desk, Item, with_earlier_turns
from scripts.world.sources import CHAT, COMPLETIONS, REASONING, UNUSABLE, Raw, Row, scored_items, shuffled

MULTI_TURN_EVERY = 2

Rating = Callable[[float], float]


def halves(utility: float) -> float:
    """Utilities of -2..6 on a scale of 1..5, in halves."""
    return min(10, max(2, round(utility) + 4)) / 2


def whole(utility: float) -> float:
    """Utilities of -2..6 on a scale of 1..5, in whole numbers."""
    return float(min(5, max(1, round(utility / 2 + 2))))


def fates(rating: Rating, item: Item) -> Fates:
    """What becomes of all pairs of an item's rated responses; a damaged item has two."""
    if item.defect and item.defect != defects.DUPLICATE:
        return Counter({item.defect: 1})
    scored = [(response.text, rating(response.utility)) for response in item.responses]
    return defects.fates_of_scores(item.question, scored, 0.0, item.defect)


def rated_items(
    desk: Desk,
    families: Sequence[str],
    pairs: int,
    rating: Rating,
    damages: Sequence[str],
    completions: int = 2,
    turns: bool = False,
) -> tuple[list[Item], Fates]:
    """Items with exactly so many usable pairs, damaged ones and copies, mixed; and what becomes of their pairs."""
    planted = defects.number_planted(pairs)
    judge = partial(fates, rating)
    items = scored_items(desk, families, completions, pairs, judge)
    if turns:
        items = with_earlier_turns(items, MULTI_TURN_EVERY, same_task=False)
    items += defects.copies([item for item in items if judge(item)[defects.KEPT]], planted)
    items += defects.damaged(desk, families, planted, damages, turns=turns)
    desk.rng.shuffle(items)
    return items, sum(map(judge, items), Counter())


# --- coseal/CodeUltraFeedback -----------------------------------------------------------------------------------------

_TEXT = pa.string()
CODE_ULTRAFEEDBACK_SCHEMA = pa.schema(
    [
        ("instruction", _TEXT),
        ("preference", _TEXT),
        ("models", pa.list_(_TEXT)),
        ("responses", pa.list_(pa.struct([("model", _TEXT), ("response", _TEXT)]))),
        ("annotations", pa.list_(pa.struct([("model", _TEXT), ("rating", _TEXT), ("rationale", _TEXT)]))),
    ]
)


def code_ultrafeedback(desk: Desk, pairs: int) -> Raw:
    """An instruction and up to four responses, whose ratings 1..5 stand apart from them, as text, by model."""
    damages = (*UNUSABLE, defects.NULL_VALUE)
    items, found = rated_items(desk, REASONING, pairs, whole, damages, COMPLETIONS)
    return Raw([_code_row(desk, item) for item in items], found)


def _code_row(desk: Desk, item: Item) -> Row:
    responses = [(f"{response.writer}-{i}", response) for i, response in enumerate(shuffled(desk, item))]
    rated = [
        (model, str(int(whole(response.utility)))) for model, response in desk.rng.sample(responses, len(responses))
    ]
    if item.defect == defects.NULL_VALUE:
        rated[0] = (rated[0][0], "N/A")
    return {
        "instruction": item.question,
        "preference": "code-explanation",
        "models": [model for model, _ in responses],
        "responses": [{"model": model, "response": response.text} for model, response in responses],
        "annotations": [{"model": model, "rating": rating, "rationale": ""} for model, rating in rated],
    }


# --- argilla/distilabel-math-preference-dpo ---------------------------------------------------------------------------

ARGILLA_MATH_SCHEMA = pa.schema(
    [
        ("metadata", _TEXT),
        ("instruction", _TEXT),
        ("chosen_response", _TEXT),
        ("chosen_rating", pa.float64()),
        ("rejected_response", _TEXT),
        ("rejected_rating", pa.float64()),
    ]
)


def argilla_math(desk: Desk, pairs: int) -> Raw:
    """Two responses to an instruction, already told apart by their ratings."""
    items, found = rated_items(desk, REASONING, pairs, halves, (*UNUSABLE, defects.CONTRADICTED_LABEL))
    return Raw([_argilla_row(item) for item in items], found)


def _argilla_row(item: Item) -> Row:
    chosen, rejected = item.responses
    ratings = [halves(response.utility) for response in item.responses]
    if item.defect == defects.CONTRADICTED_LABEL:
        ratings.reverse()
    return {
        "metadata": "{}",
        "instruction": item.question,
        "chosen_response": chosen.text,
        "chosen_rating": ratings[0],
        "rejected_response": rejected.text,
        "rejected_rating": ratings[1],
    }


# --- argilla/distilabel-intel-orca-dpo-pairs --------------------------------------------------------------------------

DISTILABEL_ORCA_SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("system", "input", "chosen", "rejected")),
        ("generations", pa.list_(_TEXT)),
        ("order", pa.list_(_TEXT)),
        ("labelling_model", _TEXT),
        ("rating", pa.list_(pa.float64())),
        ("rationale", _TEXT),
        ("status", _TEXT),
        ("original_chosen", _TEXT),
        ("original_rejected", _TEXT),
        ("chosen_score", pa.float64()),
        ("in_gsm8k_train", pa.bool_()),
    ]
)
SYSTEM = "please explain ."


def distilabel_orca(desk: Desk, pairs: int) -> Raw:
    """A system message or none, a question, and two responses, of which GPT-4 rated one higher."""
    damages = (*UNUSABLE, defects.CONTRADICTED_LABEL, defects.IN_GSM8K_TRAIN)
    items, found = rated_items(desk, ("fact",), pairs, halves, damages)
    return Raw([_orca_row(desk, item) for item in items], found)


def _orca_row(desk: Desk, item: Item) -> Row:
    generations = shuffled(desk, item)
    ratings = [halves(response.utility) for response in generations]
    best = item.responses[0]
    tie, swapped = ratings[0] == ratings[1], desk.rng.random() < 0.3
    originals = [item.chosen, item.rejected]
    if swapped and not tie:
        originals.reverse()
    return {
        "system": SYSTEM if len(item.question.split()) % 2 else "",  # a copy's is the same
        "input": item.question,
        "chosen": item.chosen,
        "rejected": item.rejected,
        "generations": [response.text for response in generations],
        "order": ["chosen" if response.text == originals[0] else "rejected" for response in generations],
        "labelling_model": "annotator",
        "rating": ratings,
        "rationale": "",
        "status": "tie" if tie else "swapped" if swapped else "unchanged",
        "original_chosen": originals[0],
        "original_rejected": originals[1],
        "chosen_score": min(ratings) - 0.5 if item.defect == defects.CONTRADICTED_LABEL else halves(best.utility),
        "in_gsm8k_train": item.defect == defects.IN_GSM8K_TRAIN,
    }


# --- argilla/distilabel-capybara-dpo-7k-binarized ---------------------------------------------------------------------

_MESSAGES = pa.list_(pa.struct([("content", _TEXT), ("role", _TEXT)]))
DISTILABEL_CAPYBARA_SCHEMA = pa.schema(
    [
        ("source", _TEXT),
        ("conversation", pa.list_(pa.struct([("input", _TEXT), ("output", _TEXT)]))),
        ("original_response", _TEXT),
        ("prompt", _TEXT),
        ("chosen", _MESSAGES),
        ("rejected", _MESSAGES),
        ("rating_chosen", pa.int64()),
        ("rating_rejected", pa.int64()),
        ("chosen_model", _TEXT),
        ("rejected_model", _TEXT),
    ]
)


def distilabel_capybara(desk: Desk, pairs: int) -> Raw:
    """Two dialogues that share all but the last turn, each rated 1..5; every second one has an earlier round."""
    damages = (*UNUSABLE, defects.CONTRADICTED_LABEL, defects.ROLES_DO_NOT_ALTERNATE, defects.CONTEXTS_DIFFER)
    items, found = rated_items(desk, CHAT, pairs, whole, damages, turns=True)
    return Raw([_capybara_row(item) for item in items], found)


def _capybara_row(item: Item) -> Row:
    chosen, rejected = item.responses
    ratings = [int(whole(response.utility)) for response in item.responses]
    if item.defect == defects.CONTRADICTED_LABEL:
        ratings.reverse()
    sides = [
        [{"content": text, "role": role} for role, text in (*context, ("assistant", response.text))]
        for context, response in ((item.context, chosen), (item.rejected_context or item.context, rejected))
    ]
    said = [text for _, text in item.context] + [chosen.text]
    return {
        "source": "world",
        "conversation": [{"input": a, "output": b} for a, b in zip(said[::2], said[1::2], strict=False)],
        "original_response": chosen.text,
        "prompt": short_digest(item.question),
        "chosen": sides[0],
        "rejected": sides[1],
        "rating_chosen": ratings[0],
        "rating_rejected": ratings[1],
        "chosen_model": chosen.writer,
        "rejected_model": rejected.writer,
    }
