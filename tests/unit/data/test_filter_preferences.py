"""Each reason once, their order, and that no pair is lost or judged by anything but its own content."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.filter_preferences import Args, main
from tests.unit.data.conftest import standard_pair

MAX_TOKENS = 20


def words(pair):
    """Tokens of a pair where every word is one."""
    prompt = " ".join(turn["content"] or "" for turn in pair["prompt"] or [])
    counts = zip(("prompt", "chosen", "rejected"), (prompt, pair["chosen"], pair["rejected"]), strict=True)
    return {"pair_id": pair["pair_id"]} | {f"{side}_tokens": len((text or "").split()) for side, text in counts}


EVALUATED = "What does a contaminated pair ask?"


def filtered(folder, pairs, margin=0.5, counts=None, drop_near_duplicates=True):
    """(kept rows, dropped rows, facts), rows by identity; `counts` stands for counts that are not the pairs' own."""
    standard, tokens, kept, dropped = (folder / f"{name}.parquet" for name in ("standard", "tokens", "kept", "dropped"))
    tables.write_table(pairs, standard, tables.STANDARD)
    counts = list({p["pair_id"]: words(p) for p in pairs}.values()) if counts is None else counts
    tables.write_table(counts, tokens, tables.TOKEN_COUNTS)
    evaluation = folder / "evaluation_prompts.parquet"
    tables.write_table([{"benchmark": "b", "prompt": EVALUATED}], evaluation, tables.EVALUATION_PROMPTS)
    looked_for = {"evaluation_prompts": evaluation, "drop_near_duplicates": drop_near_duplicates}
    facts = main(Args(standard, tokens, MAX_TOKENS, kept, dropped, margin, **looked_for))
    return (
        sorted(tables.read_table(kept, tables.PREFERENCES).to_pylist(), key=identity),
        sorted(tables.read_table(dropped, tables.DROPPED).to_pylist(), key=identity),
        facts,
    )


def identity(pair):
    """An order that is not that of any file."""
    scores = [(pair[key] is None, pair[key] or 0) for key in ("chosen_score", "rejected_score")]
    return [pair["pair_id"], *scores, pair.get("reason", "")]


def conversation(*said):
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


EACH_REASON = {
    "contexts_differ": standard_pair("from the adapter", defect="contexts_differ"),
    "null_value": standard_pair("missing", chosen=None, defect="null_value"),
    "empty_round": standard_pair(conversation("early", " \n", "late")),
    "same_response": standard_pair("same", "good", " good\n"),
    "too_long": standard_pair("long", "good " * MAX_TOKENS),
    "small_margin": standard_pair("margin", scores=(3.0, 2.75)),
    "contaminated": standard_pair(conversation("hi", "hello", EVALUATED.lower())),
}


def test_each_reason_once(tmp_path):
    first, second = sorted(
        [standard_pair("Twice  told"), standard_pair("twice told", "GOOD", "bad ")], key=lambda p: p["pair_id"]
    )
    kept, dropped, facts = filtered(tmp_path, [second, *EACH_REASON.values(), first])
    assert {p["reason"]: p["pair_id"] for p in dropped} == {
        reason: p["pair_id"] for reason, p in EACH_REASON.items()
    } | {"duplicate": second["pair_id"]}
    assert [p["pair_id"] for p in kept] == [first["pair_id"]]
    assert facts == {"read": 9, "kept": 1, "dropped": 8} | dict.fromkeys([*EACH_REASON, "duplicate"], 1)


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (standard_pair("q", "", "", (1.0, 1.0), "equal_score"), "equal_score"),
        (standard_pair("q", " ", " " * 5), "empty_round"),
        (standard_pair("q", "a " * 30, "a " * 30), "same_response"),
        (standard_pair("q", "a " * 30, "b", (1.0, 0.9)), "too_long"),
    ],
)
def test_the_first_reason_counts(tmp_path, pair, reason):
    _, dropped, _ = filtered(tmp_path, [pair])
    assert [p["reason"] for p in dropped] == [reason]


@pytest.mark.parametrize(("scores", "kept"), [((4.1, 3.6), 1), ((4.09, 3.6), 0), ((3.0, 2.5), 1), ((None, None), 1)])
def test_margins_are_decimal(tmp_path, scores, kept):
    assert len(filtered(tmp_path, [standard_pair(scores=scores)])[0]) == kept


def test_the_limit_of_tokens_is_of_the_prompt_and_its_longer_response(tmp_path):
    fits = standard_pair("q", "w " * (MAX_TOKENS - 1), "x")
    exceeds = standard_pair("q", "x", "w " * MAX_TOKENS)
    kept, _, _ = filtered(tmp_path, [fits, exceeds])
    assert [p["pair_id"] for p in kept] == [fits["pair_id"]]
    assert kept[0]["chosen_tokens"] == MAX_TOKENS - 1


def test_a_dropped_twin_does_not_take_the_good_pair_with_it(tmp_path):
    twins = [standard_pair("q", scores=scores) for scores in ((2.1, 2.0), (4.0, 1.0), (3.0, 1.0))]
    kept, dropped, _ = filtered(tmp_path, twins)
    assert [p["chosen_score"] for p in kept] == [3.0]
    assert {p["reason"]: p["chosen_score"] for p in dropped} == {"small_margin": 2.1, "duplicate": 4.0}


def test_pairs_of_nearly_the_same_prompt_go_where_asked(tmp_path):
    asked = ["A fox meets a goat and a cow in a dark forest", "a fox meets a goat and a cow in a dark forest!"]
    pairs = [standard_pair(prompt, f"good {i}", "bad") for prompt in asked for i in (1, 2)]
    pairs += [standard_pair(asked[0].replace(" ", "  "), "good 3", "bad"), standard_pair("another", "good", "bad")]
    _, dropped, facts = filtered(tmp_path, pairs)
    first = min(pairs[:5], key=lambda p: p["prompt_id"])["prompt"][0]["content"]
    gone = 3 if "!" in first else 2  # a prompt with another white space is the same, and keeps its pairs with it
    assert facts == {"read": 6, "kept": 6 - gone, "dropped": gone, "near_duplicate": gone}
    assert {"!" in p["prompt"][0]["content"] for p in dropped} == {"!" not in first}
    assert filtered(tmp_path, pairs, drop_near_duplicates=False)[2] == {"read": 6, "kept": 6, "dropped": 0}


def test_a_dropped_pair_does_not_stand_for_its_prompt(tmp_path):
    asked = ["A fox meets a goat and a cow in a dark forest", "a fox meets a goat and a cow in a dark forest!"]
    first, second = sorted((standard_pair(prompt) for prompt in asked), key=lambda p: p["prompt_id"])
    first["defect"] = "unparsable"
    kept, _, _ = filtered(tmp_path, [first, second])
    assert [p["pair_id"] for p in kept] == [second["pair_id"]]


def test_a_contrary_judgement_is_no_duplicate(tmp_path):
    kept, _, _ = filtered(tmp_path, [standard_pair("q", "a", "b"), standard_pair("q", "b", "a")])
    assert len(kept) == 2


texts = st.none() | st.sampled_from(["", " ", "a", "A ", "b", "a b c", "a b c!", "w " * 25, EVALUATED])
scored = st.tuples(st.sampled_from([1.0, 2.0, 2.25]), st.sampled_from([1.0, 1.75])) | st.just((None, None))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(texts.filter(lambda t: t is not None), texts, texts, scored), max_size=12), st.randoms())
def test_nothing_is_lost_and_order_does_not_matter(drawn, random):
    pairs = [
        standard_pair(prompt, chosen, rejected, scores, "null_value" if None in (chosen, rejected) else None)
        for prompt, chosen, rejected, scores in drawn
    ]
    shuffled = random.sample(pairs, len(pairs))
    with TemporaryDirectory() as folder:
        kept, dropped, facts = filtered(Path(folder), pairs)
        assert filtered(Path(folder), shuffled) == (kept, dropped, facts)
    ids = sorted(p["pair_id"] for p in [*kept, *dropped])
    assert ids == sorted(p["pair_id"] for p in pairs)
    assert facts["read"] == len(pairs) == facts["kept"] + facts["dropped"]
    assert len({p["pair_id"] for p in kept}) == len(kept)
    for p in kept:
        assert "" not in (p["chosen"].strip(), p["rejected"].strip())
        assert p["chosen"].strip() != p["rejected"].strip()
        assert p["prompt_tokens"] + max(p["chosen_tokens"], p["rejected_tokens"]) <= MAX_TOKENS
        assert p["chosen_score"] is None or p["chosen_score"] - p["rejected_score"] >= 0.5


def test_counts_of_other_pairs_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"tokens.parquet: does not belong to .*: 2 pairs were read and 1 have counts"):
        filtered(tmp_path, [standard_pair("q"), standard_pair("p")], counts=[words(standard_pair("q"))])
    assert not (tmp_path / "kept.parquet").exists()
    assert not (tmp_path / "dropped.parquet").exists()
