"""What the SQL must do, said again in plain Python: adapters of the sources, and the filter's judgement."""

import hashlib
import json
import math
import re
from itertools import combinations

import pyarrow as pa

MESSAGE_SPACE = " \t\n\r"

_TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
_COMPLETION = pa.struct([("model", pa.string()), ("response", pa.string()), ("fine-grained_score", pa.float64())])
_RESPONSE = pa.struct([("model", pa.string()), ("response", pa.string())])
_RATING = pa.struct([("model", pa.string()), ("rating", pa.string()), ("rationale", pa.string())])
_MESSAGES = pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))
_POST = pa.struct([("id", pa.string()), ("post", pa.string()), ("title", pa.string()), ("subreddit", pa.string())])
_SUMMARY = pa.struct([("text", pa.string()), ("policy", pa.string())])
_ANSWER = pa.struct([("answer", pa.string()), ("model", pa.string()), ("rank", pa.float64())])

LAYOUTS = {
    "hh_rlhf": pa.schema([("chosen", pa.string()), ("rejected", pa.string())]),
    "ultrafeedback": pa.schema(
        [("source", pa.string()), ("instruction", pa.string()), ("completions", pa.list_(_COMPLETION))]
    ),
    "helpsteer": pa.schema(
        [("prompt", pa.string()), ("response", pa.string()), ("helpfulness", pa.int64()), ("correctness", pa.int64())]
    ),
    "pku_saferlhf": pa.schema(
        [
            ("prompt", pa.string()),
            ("response_0", pa.string()),
            ("response_1", pa.string()),
            ("is_response_0_safe", pa.bool_()),
            ("is_response_1_safe", pa.bool_()),
            ("better_response_id", pa.int64()),
            ("safer_response_id", pa.int64()),
        ]
    ),
    "ultrainteract": pa.schema([("trajectory", _TURNS), ("chosen", pa.string()), ("rejected", pa.string())]),
    "nectar": pa.schema([("prompt", pa.string()), ("answers", pa.list_(_ANSWER))]),
    "shp": pa.schema(
        [
            ("history", pa.string()),
            ("human_ref_A", pa.string()),
            ("human_ref_B", pa.string()),
            ("score_A", pa.int64()),
            ("score_B", pa.int64()),
            ("labels", pa.int64()),
            ("score_ratio", pa.float64()),
        ]
    ),
    "code_ultrafeedback": pa.schema(
        [
            ("instruction", pa.string()),
            ("preference", pa.string()),
            ("responses", pa.list_(_RESPONSE)),
            ("annotations", pa.list_(_RATING)),
        ]
    ),
    "argilla_math": pa.schema(
        [
            ("instruction", pa.string()),
            ("chosen_response", pa.string()),
            ("chosen_rating", pa.float64()),
            ("rejected_response", pa.string()),
            ("rejected_rating", pa.float64()),
        ]
    ),
    "distilabel_orca": pa.schema(
        [
            ("system", pa.string()),
            ("input", pa.string()),
            ("chosen", pa.string()),
            ("rejected", pa.string()),
            ("rating", pa.list_(pa.float64())),
            ("status", pa.string()),
            ("chosen_score", pa.float64()),
            ("in_gsm8k_train", pa.bool_()),
        ]
    ),
    "distilabel_capybara": pa.schema(
        [
            ("chosen", _MESSAGES),
            ("rejected", _MESSAGES),
            ("rating_chosen", pa.int64()),
            ("rating_rejected", pa.int64()),
        ]
    ),
    "summarisation": pa.schema([("info", _POST), ("summaries", pa.list_(_SUMMARY)), ("choice", pa.int32())]),
    "rlhflow_standard": pa.schema(
        [
            ("chosen", _MESSAGES),
            ("rejected", _MESSAGES),
            ("chosen_score", pa.string()),
            ("rejected_score", pa.string()),
        ]
    ),
}


def pair(prompt, chosen, rejected, scores=(None, None), defect=None):
    """A standard pair without its identities; a missing text overrules what else is wrong, save what explains it."""
    missing_prompt = prompt is None or any(turn["content"] is None for turn in prompt)
    missing_response = defect != "single_response" and None in (chosen, rejected)
    if defect != "unparsable" and (missing_prompt or missing_response):
        defect = "null_value"
    return {
        "prompt": prompt,
        "chosen": chosen,
        "rejected": rejected,
        "chosen_score": scores[0],
        "rejected_score": scores[1],
        "defect": defect,
    }


def user(content):
    return [{"role": "user", "content": content}]


def turns(dialogue):
    """The turns of a dialogue in the notation of HH-RLHF, or None where it does not open with one."""
    head, *parts = re.split("\n\n(Human|Assistant):", dialogue)
    if not parts or head.strip(" \t\n\f\r"):
        return None
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[speaker], "content": said.strip(MESSAGE_SPACE)}
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def conversation_defect(messages, final):
    if messages is None or any(turn["content"] is None for turn in messages):
        return "null_value"
    if any(not turn["content"].strip(MESSAGE_SPACE) for turn in messages):
        return "empty_round"
    roles = [turn["role"] for turn in messages]
    roles = roles[1:] if roles[:1] == ["system"] else roles
    expected = ["user", "assistant"] * len(roles)
    return None if roles and roles[-1] == final and roles == expected[: len(roles)] else "roles_do_not_alternate"


def hh_rlhf(rows):
    for row in rows:
        dialogues = row["chosen"], row["rejected"]
        if None in dialogues:
            yield "null_value"
            continue
        preferred, other = map(turns, dialogues)
        if preferred is None or other is None:
            yield "unparsable"
            continue
        defects = [conversation_defect(said, "assistant") for said in (preferred, other)]
        defect = next((d for d in ("empty_round", "roles_do_not_alternate") if d in defects), None)
        if not defect and preferred[:-1] != other[:-1]:
            defect = "contexts_differ"
        yield pair(preferred[:-1], preferred[-1]["content"], other[-1]["content"], defect=defect)


def comparisons(prompt, responses):
    """Pairs of (text, score); None where there are no responses to compare."""
    if responses is None:
        yield pair(prompt, None, None, defect="null_value")
    elif len(responses) < 2:
        text, score = responses[0] if responses else (None, None)
        yield pair(prompt, text, None, (score, None), "single_response")
    else:
        for a, b in combinations(responses, 2):
            known = all(score is not None and math.isfinite(score) for _, score in (a, b))
            first, second = (b, a) if known and b[1] > a[1] else (a, b)
            defect = "null_value" if not known else "equal_score" if a[1] == b[1] else None
            yield pair(prompt, first[0], second[0], (first[1], second[1]), defect)


def ultrafeedback(rows):
    for row in rows:
        completions = row["completions"]
        rated = None if completions is None else [(c["response"], c["fine-grained_score"]) for c in completions]
        yield from comparisons(user(row["instruction"]), rated)


def helpsteer(rows):
    grouped = {}
    for i, row in enumerate(rows):
        ratings = row["helpfulness"], row["correctness"]
        score = None if None in ratings else sum(ratings) / 2
        key = row["prompt"] if row["prompt"] is not None else i
        grouped.setdefault(key, (row["prompt"], []))[1].append((row["response"], score))

    def nulls_last(value):
        return [(part is None, part if part is not None else 0) for part in value]

    for prompt, responses in grouped.values():
        yield from comparisons(user(prompt), sorted(responses, key=nulls_last))


def pku_saferlhf(rows):
    for row in rows:
        safe = [row["is_response_0_safe"], row["is_response_1_safe"]]
        better, safer = row["better_response_id"], row["safer_response_id"]
        winner = better if safe == [True, True] else safer
        texts = [row["response_0"], row["response_1"]]
        first = 1 if winner == 1 else 0
        defect = None
        if None in (*safe, better, safer):
            defect = "null_value"
        elif winner not in (0, 1):
            defect = "unparsable"
        elif safe in ([True, False], [False, True]) and not safe[safer]:
            defect = "contradicted_label"
        yield pair(user(row["prompt"]), texts[first], texts[1 - first], defect=defect)


def ultrainteract(rows):
    for row in rows:
        path = row["trajectory"]
        prompt = None if path is None else [{"role": step["from"], "content": step["value"]} for step in path]
        yield pair(prompt, row["chosen"], row["rejected"], defect=conversation_defect(prompt, "user"))


def nectar(rows):
    for row in rows:
        answers = row["answers"]
        if row["prompt"] is None or answers is None or any(answer["rank"] is None for answer in answers):
            yield "null_value"
            continue
        said = turns(row["prompt"])
        if said is None or said[-1] != {"role": "assistant", "content": ""}:
            yield "unparsable"
            continue
        ranks = [answer["rank"] for answer in answers]
        best, worst = (answers[ranks.index(extreme(ranks))]["answer"] if answers else None for extreme in (min, max))
        defect = conversation_defect(said[:-1], "user")
        if not defect and len(answers) < 2:
            defect = "single_response"
        if not defect and min(ranks) == max(ranks):
            defect = "equal_score"
        yield pair(said[:-1], best, worst, defect=defect)


def finite(*scores):
    return all(score is not None and math.isfinite(score) for score in scores)


def score_defect(better, worse):
    """What is wrong with the scores of a pair whose order is published."""
    if not finite(better, worse):
        return "null_value"
    if better < worse:
        return "contradicted_label"
    return "equal_score" if better == worse else None


def digest(*texts):
    """Names a list of texts, which orders what has equal ratios in SHP."""
    return hashlib.sha256(json.dumps(texts, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()[:16]


def shp(rows):
    usable = {}
    for row in rows:
        sides = ("A", "B") if row["labels"] == 1 else ("B", "A")
        chosen, rejected = (row[f"human_ref_{side}"] for side in sides)
        scores = [None if row[f"score_{side}"] is None else float(row[f"score_{side}"]) for side in sides]
        if row["labels"] not in (None, 0, 1):
            yield "unparsable"
        elif None in row.values() or not math.isfinite(row["score_ratio"]):
            yield "null_value"
        elif (defect := score_defect(*scores)) or row["score_ratio"] <= 2:
            yield pair(user(row["history"]), chosen, rejected, tuple(scores), defect or "low_score_ratio")
        else:
            usable.setdefault(row["history"], []).append((row["score_ratio"], chosen, rejected, tuple(scores)))
    for history, found in usable.items():
        order = sorted({(-ratio, digest(chosen, rejected)) for ratio, chosen, rejected, _ in found})
        for ratio, chosen, rejected, scores in found:
            beyond = order.index((-ratio, digest(chosen, rejected))) >= 5
            yield pair(user(history), chosen, rejected, scores, "beyond_five_pairs" if beyond else None)


def number(text):
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def code_ultrafeedback(rows):
    for row in rows:
        rated = None if row["responses"] is None else []
        for answer in row["responses"] or []:
            ratings = [
                number(note["rating"])
                for note in row["annotations"] or []
                if note["model"] is not None and note["model"] == answer["model"]
            ]
            known = [rating for rating in ratings if rating is not None]
            rated.append((answer["response"], sum(known) / len(known) if known else None))
        yield from comparisons(user(row["instruction"]), rated)


def argilla_math(rows):
    for row in rows:
        scores = row["chosen_rating"], row["rejected_rating"]
        responses = row["chosen_response"], row["rejected_response"]
        yield pair(user(row["instruction"]), *responses, scores, score_defect(*scores))


def distilabel_orca(rows):
    for row in rows:
        system = (row["system"] or "").strip(MESSAGE_SPACE)
        prompt = [{"role": "system", "content": row["system"]}] if system else []
        ratings = row["rating"] or []
        worse = min((r for r in ratings if r is not None), key=lambda r: (math.isnan(r), r), default=None)
        scores = row["chosen_score"], worse
        if row["status"] == "tie":
            defect = "equal_score"
        elif None in (row["status"], row["in_gsm8k_train"]) or len(ratings) != 2 or not finite(*ratings):
            defect = "null_value"
        else:
            defect = score_defect(*scores) or ("in_gsm8k_train" if row["in_gsm8k_train"] else None)
        yield pair(prompt + user(row["input"]), row["chosen"], row["rejected"], scores, defect)


def dialogues(row, better, worse):
    """A pair of dialogues {role, content}; scores that are both None are none."""
    both = [
        None if said is None else [{"role": turn["role"], "content": turn["content"]} for turn in said]
        for said in (row["chosen"], row["rejected"])
    ]
    defects = [conversation_defect(said, "assistant") for said in both]
    preferred, other = both
    defect = defects[0] or defects[1]
    if not defect and preferred[:-1] != other[:-1]:
        defect = "contexts_differ"
    if not defect and (better, worse) != (None, None):
        defect = score_defect(number(better), number(worse))
    prompt = None if preferred is None else preferred[:-1]
    responses = [said[-1]["content"] if said else None for said in both]
    return pair(prompt, *responses, (number(better), number(worse)), defect)


def distilabel_capybara(rows):
    for row in rows:
        made = dialogues(row, row["rating_chosen"], row["rating_rejected"])
        if not made["defect"] and None in (row["rating_chosen"], row["rating_rejected"]):
            made["defect"] = "null_value"  # every pair of this set is rated
        yield made


def rlhflow_standard(rows):
    for row in rows:
        yield dialogues(row, row["chosen_score"], row["rejected_score"])


def summarisation(rows):
    for row in rows:
        info, summaries = row["info"] or {}, row["summaries"]
        told = [info.get(key) for key in ("subreddit", "title", "post")]
        query = None if None in told else "SUBREDDIT: r/{}\n\nTITLE: {}\n\nPOST: {}\n\nTL;DR:".format(*told)
        texts = [summary["text"] for summary in summaries or []] + [None, None]
        first = 1 if row["choice"] == 1 else 0
        defect = None
        if row["choice"] not in (None, 0, 1) or len(summaries or []) > 2:
            defect = "unparsable"
        elif row["choice"] is None or summaries is None:
            defect = "null_value"
        elif len(summaries) < 2:
            defect = "single_response"
        elif told[2] is not None and not told[2].strip(MESSAGE_SPACE):
            defect = "empty_round"
        yield pair(user(query), texts[first], texts[1 - first], defect=defect)


ADAPTERS = {
    adapter.__name__: adapter
    for adapter in (
        hh_rlhf,
        ultrafeedback,
        helpsteer,
        pku_saferlhf,
        ultrainteract,
        nectar,
        shp,
        code_ultrafeedback,
        argilla_math,
        distilabel_orca,
        distilabel_capybara,
        summarisation,
        rlhflow_standard,
    )
}
