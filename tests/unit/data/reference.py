"""What the SQL must do, said again in plain Python: adapters of the sources, and the filter's judgement."""

import math
import re
from itertools import combinations

import pyarrow as pa

MESSAGE_SPACE = " \t\n\r"

_TURNS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
_COMPLETION = pa.struct([("model", pa.string()), ("response", pa.string()), ("fine-grained_score", pa.float64())])
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


ADAPTERS = {
    adapter.__name__: adapter for adapter in (hh_rlhf, ultrafeedback, helpsteer, pku_saferlhf, ultrainteract, nectar)
}
