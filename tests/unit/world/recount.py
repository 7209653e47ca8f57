"""The fate of every raw pair, derived from the published schemas alone: a check on the world's own bookkeeping.

It follows the definitions of the adapters and filters, and shares no code with the world.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

Row = dict[str, Any]
Judged = tuple[str | None, list[tuple[str, str]], str, str, float]
"""Defect seen by the adapter, context, chosen, rejected, margin."""

MAX_TOKENS = 256


def fates(
    source: str, rows: list[Row], minimum_margin: float, evaluated: set[str], near_duplicates: bool = False
) -> Counter[str]:
    found: Counter[str] = Counter()
    seen = set()
    asked: dict[str, tuple[str, ...]] = {}
    for defect, context, chosen, rejected, margin in ADAPTERS[source](rows):
        key = tuple(" ".join(text.lower().split()) for _, text in [*context, ("", chosen), ("", rejected)])
        words = [len(text.split()) for text in (*(text for _, text in context), max(chosen, rejected, key=len))]
        if defect:
            found[defect] += 1
        elif not all(text.strip() for text in (*(text for _, text in context), chosen, rejected)):
            found["empty_round"] += 1
        elif chosen == rejected:
            found["same_response"] += 1
        elif sum(words) > MAX_TOKENS:
            found["too_long"] += 1
        elif margin < minimum_margin:
            found["small_margin"] += 1
        elif any(role == "user" and bare(text) in evaluated for role, text in context):
            found["contaminated"] += 1
        elif key in seen:
            found["duplicate"] += 1
        elif near_duplicates and asked.setdefault(bare(*(text for _, text in context)), key[:-2]) != key[:-2]:
            found["near_duplicate"] += 1
        else:
            found["kept"] += 1
            seen.add(key)
    return found


def bare(*texts: str) -> str:
    """Words alone. Of the world's prompts those with equal words are near-duplicates, and no others."""
    return " ".join(re.findall(r"\w+", " ".join(texts)))


def hh_rlhf(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        if not all(row[side].startswith("\n\nHuman: ") for side in ("chosen", "rejected")):
            yield "unparsable", [], "", "", 1.0
            continue
        one, other = dialogue(row["chosen"]), dialogue(row["rejected"])
        defect = None
        if not all(text.strip() for _, text in one + other):
            defect = "empty_round"
        elif not (alternates(one[:-1]) and alternates(other[:-1])):
            defect = "roles_do_not_alternate"
        elif one[:-1] != other[:-1]:
            defect = "contexts_differ"
        yield defect, one[:-1], one[-1][1], other[-1][1], 1.0


def ultrafeedback(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        scored = [(c["response"], c["fine-grained_score"]) for c in row["completions"]]
        yield from scored_pairs(row["instruction"], scored)


def helpsteer(rows: list[Row]) -> Iterator[Judged]:
    by_prompt: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        score = (row["helpfulness"] + row["correctness"]) / 2
        by_prompt.setdefault(row["prompt"], []).append((row["response"], score))
    for prompt, scored in by_prompt.items():
        yield from scored_pairs(prompt, scored)


def pku_saferlhf(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        safe = [row["is_response_0_safe"], row["is_response_1_safe"]]
        winner = row["better_response_id"] if all(safe) else row["safer_response_id"]
        contradicted = not safe[row["safer_response_id"]] and safe[1 - row["safer_response_id"]]
        context = [("user", row["prompt"])]
        chosen, rejected = row[f"response_{winner}"], row[f"response_{1 - winner}"]
        yield ("contradicted_label" if contradicted else None), context, chosen, rejected, 1.0


def ultrainteract(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        context = [(turn["from"], turn["value"]) for turn in row["trajectory"]]
        defect = None if alternates(context) else "roles_do_not_alternate"
        yield defect, context, row["chosen"], row["rejected"], 1.0


def nectar(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        *context, last = dialogue(row["prompt"])
        ranked = sorted(row["answers"], key=lambda answer: answer["rank"])
        defect = None if alternates(context) else "roles_do_not_alternate"
        if last != ("assistant", ""):
            defect = "unparsable"
        yield defect, context, ranked[0]["answer"], ranked[-1]["answer"], 1.0


def shp(rows: list[Row]) -> Iterator[Judged]:
    """The score ratio and the five best pairs of a post come before anything that a filter sees."""
    passing: dict[str, list[tuple[float, str, str]]] = {}
    for row in rows:
        (chosen, high), (rejected, low) = ((row[f"human_ref_{side}"], row[f"score_{side}"]) for side in "AB")
        if row["labels"] == 0:
            chosen, high, rejected, low = rejected, low, chosen, high
        context = [("user", row["history"])]
        if high < low:
            yield "contradicted_label", context, chosen, rejected, 1.0
        elif high == low:
            yield "equal_score", context, chosen, rejected, 1.0
        elif row["score_ratio"] <= 2:
            yield "low_score_ratio", context, chosen, rejected, 1.0
        else:
            passing.setdefault(row["history"], []).append((high / low, chosen, rejected))
    for history, pairs in passing.items():
        best = sorted(set(pairs), reverse=True)[:5]
        for pair in pairs:
            yield (None if pair in best else "beyond_five_pairs"), [("user", history)], *pair[1:], 1.0


def summarisation(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        post = " ".join(
            f"{heading} {text}"
            for heading, text in (
                ("SUBREDDIT:", f"r/{row['info']['subreddit']}"),
                ("TITLE:", row["info"]["title"]),
                ("POST:", row["info"]["post"]),
            )
        )
        texts = [summary["text"] for summary in row["summaries"]]
        yield None, [("user", f"{post} TL;DR:")], texts[row["choice"]], texts[1 - row["choice"]], 1.0


def code_ultrafeedback(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        ratings = {note["model"]: note["rating"] for note in row["annotations"]}
        scored = [(answer["response"], ratings[answer["model"]]) for answer in row["responses"]]
        known = [(text, float(rating)) for text, rating in scored if rating != "N/A"]
        for _ in range(len(scored) * (len(scored) - 1) // 2 - len(known) * (len(known) - 1) // 2):
            yield "null_value", [("user", row["instruction"])], scored[0][0], scored[1][0], 0.0
        if len(known) > 1:
            yield from scored_pairs(row["instruction"], known)


def argilla_math(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        texts, margin = (
            (row["chosen_response"], row["rejected_response"]),
            row["chosen_rating"] - row["rejected_rating"],
        )
        yield by_margin(margin), [("user", row["instruction"])], *texts, margin


def distilabel_orca(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        context = [("system", row["system"])] if row["system"] else []
        margin = row["chosen_score"] - min(row["rating"])
        defect = by_margin(margin) or ("in_gsm8k_train" if row["in_gsm8k_train"] else None)
        yield defect, [*context, ("user", row["input"])], row["chosen"], row["rejected"], margin


def distilabel_capybara(rows: list[Row]) -> Iterator[Judged]:
    for row in rows:
        one, other = ([(turn["role"], turn["content"]) for turn in row[side]] for side in ("chosen", "rejected"))
        margin = row["rating_chosen"] - row["rating_rejected"]
        defect = by_margin(margin)
        if not all(text.strip() for _, text in one + other):
            defect = "empty_round"
        elif not (alternates(one[:-1]) and alternates(other[:-1])):
            defect = "roles_do_not_alternate"
        elif one[:-1] != other[:-1]:
            defect = "contexts_differ"
        yield defect, one[:-1], one[-1][1], other[-1][1], float(margin)


ADAPTERS = {
    "hh_rlhf": hh_rlhf,
    "ultrafeedback": ultrafeedback,
    "helpsteer": helpsteer,
    "pku_saferlhf": pku_saferlhf,
    "ultrainteract": ultrainteract,
    "nectar": nectar,
    "shp": shp,
    "summarisation": summarisation,
    "code_ultrafeedback": code_ultrafeedback,
    "argilla_math": argilla_math,
    "distilabel_orca": distilabel_orca,
    "distilabel_capybara": distilabel_capybara,
}


def by_margin(margin: float) -> str | None:
    return "contradicted_label" if margin < 0 else "equal_score" if margin == 0 else None


def scored_pairs(prompt: str, scored: list[tuple[str, float]]) -> Iterator[Judged]:
    if len(scored) == 1:
        yield "single_response", [("user", prompt)], scored[0][0], "", 0.0
    for one, other in combinations(scored, 2):
        best, worst = sorted((one, other), key=lambda response: -response[1])
        margin = best[1] - worst[1]
        yield ("equal_score" if margin == 0 else None), [("user", prompt)], best[0], worst[0], margin


def dialogue(text: str) -> list[tuple[str, str]]:
    _, *parts = re.split(r"\n\n(Human|Assistant): ", text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [(roles[speaker], said) for speaker, said in zip(parts[::2], parts[1::2], strict=True)]


def alternates(context: list[tuple[str, str]]) -> bool:
    return [role for role, _ in context] == ["user", "assistant"] * (len(context) // 2) + ["user"]


def last_questions(source: str, rows: list[Row]) -> list[str]:
    """Text of the last user message of every pair that nothing is wrong with."""
    return [question(context) for defect, context, *_ in ADAPTERS[source](rows) if defect is None]


def question(context: list[tuple[str, str]]) -> str:
    """The last user message, or the post where it asks for a summary."""
    return context[-1][1].partition("POST: ")[2].removesuffix(" TL;DR:") or context[-1][1]
