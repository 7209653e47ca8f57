"""The preference sources of the miniature world whose namesakes come from Reddit: SHP and Summarization.

Their posts ask what all prompts of the world ask; comments and summaries answer.
"""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import pyarrow as pa

from scripts.common.seeds import short_digest
from scripts.world import defects, facts
from scripts.world.defects import Fates
from scripts.world.items import Desk, Item, Response
from scripts.world.sources import COMPLETIONS, UNUSABLE, Raw, Row, fates_of_pairs, scored_items, shuffled, with_defects

FACTS = ("fact",)

# --- stanfordnlp/SHP --------------------------------------------------------------------------------------------------

SHP_FAMILIES = ("fact", "list")
LEAST_RATIO = 2
MOST_PAIRS = 5
"""Pairs of comments must have a score ratio above the one, and a post gives at most so many (Appendix B.1)."""


def shp(desk: Desk, pairs: int) -> Raw:
    """A row a pair of comments on a post, with their votes; posts have up to four comments, in all pairs."""
    reasons = (*UNUSABLE, defects.CONTRADICTED_LABEL)
    planted = defects.number_planted(pairs)
    popular = [_spread(item) for item in desk.items(SHP_FAMILIES, min(planted, pairs // MOST_PAIRS), COMPLETIONS)]
    items = scored_items(desk, SHP_FAMILIES, COMPLETIONS, pairs - MOST_PAIRS * len(popular), shp_fates)
    items += [*popular, *defects.copies(items, planted)]
    items += defects.damaged(desk, SHP_FAMILIES, planted, reasons, turns=False)
    rows = [_shp_row(desk, item, pair) for item in items for pair in combinations(item.responses, 2)]
    desk.rng.shuffle(rows)
    return Raw(rows, sum(map(shp_fates, items), Counter()))


def _spread(item: Item) -> Item:
    """A post all of whose six pairs have a large score ratio: one more than are taken."""
    apart = [replace(response, utility=u) for response, u in zip(item.responses, (6, 3.5, 1, -1.5), strict=True)]
    return replace(item, responses=tuple(apart))


def votes(utility: float) -> int:
    """Utilities of -2..6 as votes: two to some eighty, twice as many for each 1.5 units."""
    return max(1, round(2 * 1.6 ** (utility + 2)))


def shp_fates(item: Item) -> Fates:
    """What becomes of all pairs of comments on a post; of a damaged one there is a single pair."""
    if item.defect == defects.CONTRADICTED_LABEL:
        return Counter({defects.CONTRADICTED_LABEL: 1})
    found: Fates = Counter()
    passing = 0
    for one, other in combinations(item.responses, 2):
        low, high = sorted(votes(response.utility) for response in (one, other))
        if low == high:
            found[defects.EQUAL_SCORE] += 1
        elif high <= LEAST_RATIO * low:
            found[defects.LOW_SCORE_RATIO] += 1
        else:
            passing += 1
    found[defects.BEYOND_FIVE_PAIRS] += max(0, passing - MOST_PAIRS)
    found[item.defect or defects.KEPT] += min(passing, MOST_PAIRS)
    return found


def _shp_row(desk: Desk, item: Item, pair: tuple[Response, Response]) -> Row:
    a, b = desk.rng.sample(pair, 2)
    score_a, score_b = votes(a.utility), votes(b.utility)
    a_wins = score_a > score_b if score_a != score_b else desk.rng.random() < 0.5
    if item.defect == defects.CONTRADICTED_LABEL:
        a_wins = not a_wins
    later = 3600 * (1 + desk.rng.randrange(24))
    return {
        "post_id": short_digest(item.question)[:6],
        "domain": "world_train",
        "upvote_ratio": 0.9,
        "history": item.question,
        "c_root_id_A": short_digest(a.text)[:7],
        "c_root_id_B": short_digest(b.text)[:7],
        "created_at_utc_A": 1_600_000_000 + later * a_wins,
        "created_at_utc_B": 1_600_000_000 + later * (not a_wins),
        "score_A": score_a,
        "score_B": score_b,
        "human_ref_A": a.text,
        "human_ref_B": b.text,
        "labels": int(a_wins),
        "seconds_difference": float(later),
        "score_ratio": max(score_a, score_b) / min(score_a, score_b),
    }


# --- openai/summarize_from_feedback, comparisons ----------------------------------------------------------------------

_SUMMARIES = pa.list_(pa.struct([("text", pa.string()), ("policy", pa.string()), ("note", pa.string())]))
SUMMARISATION_SCHEMA = pa.schema(
    [
        (
            "info",
            pa.struct([(name, pa.string()) for name in ("id", "post", "title", "subreddit", "site", "article")]),
        ),
        ("summaries", _SUMMARIES),
        ("choice", pa.int32()),
        ("worker", pa.string()),
        ("batch", pa.string()),
        ("split", pa.string()),
        ("extra", pa.struct([("confidence", pa.int32())])),
    ]
)


def summarisation(desk: Desk, pairs: int) -> Raw:
    """Two summaries of a post, and which of them a worker chose."""
    reasons = (defects.EMPTY_ROUND, defects.SAME_RESPONSE, defects.TOO_LONG)
    items = with_defects(desk, FACTS, desk.items(FACTS, pairs), reasons, turns=False)
    return Raw([_summarisation_row(desk, item) for item in items], fates_of_pairs(items))


def _summarisation_row(desk: Desk, item: Item) -> Row:
    responses = shuffled(desk, item)
    info = {"id": f"t3_{short_digest(item.question)[:6]}", "post": item.question, "title": facts.TITLE}
    return {
        "info": info | {"subreddit": facts.SUBREDDIT, "site": None, "article": None},
        "summaries": [{"text": response.text, "policy": response.writer, "note": None} for response in responses],
        "choice": responses.index(item.responses[0]),
        "worker": "annotator",
        "batch": "world",
        "split": "train",
        "extra": {"confidence": None},
    }
