"""Verdicts: what each parser takes for one and what it does not, and what judges are asked."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.common.reply_cache import Reply
from scripts.evaluate.judging import alpaca_eval, arena_hard, mt_bench
from scripts.evaluate.judging.cases import Asking, Case
from scripts.evaluate.judging.judges import gold_reward, rating_of
from scripts.evaluate.judging.prompts import OWN, fill, read_prompts

QUESTION = {
    "question_id": "0",
    "category": "math",
    "turns": ["what is 1 plus 2 ?", "what is {answer} plus 2 ?"],
    "references": ["three", "unknown"],
    "baseline": "the baseline says 3",
    "baseline_model": "gpt-4",
}
CASE = Case(QUESTION, ["the policy says 4", "the policy says {output_1}"])


# --- MT-Bench ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Good. Rating: [[8]]", 8.0),
        ("Rating: [[7.5]]", 7.5),
        ("Rating: [9]", 9.0),
        ("[[10]]", 10.0),
        ("The example was [[5]], I give [[3]]", 5.0),  # the first one, as published
        ("Rating: [[0]]", None),
        ("Rating: [[11]]", None),
        ("Rating: 8", None),
        ("Rating: [[eight]]", None),
        ("", None),
    ],
)
def test_ratings(text, rating):
    assert mt_bench.rating(text) == rating


def test_the_judge_of_mt_bench_sees_the_reference_and_the_turns_so_far():
    prompts = read_prompts("mt_bench", None)
    asking = Asking("sft", "gpt4", "text", 1)
    first, second = (mt_bench.request(CASE, turn, prompts, asking).messages[1]["content"] for turn in (1, 2))
    assert "three" in first
    assert "the policy says 4" in first
    assert "{output_1}" not in first
    for text in (*QUESTION["turns"], *CASE.answers, *QUESTION["references"]):
        assert text in second  # braces in a question or an answer are text
    without = Case({**QUESTION, "references": None}, CASE.answers)
    assert "three" not in mt_bench.request(without, 2, prompts, asking).messages[1]["content"]


# --- Arena-Hard -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("My final verdict is tie: [[A=B]]", "A=B"),
        ("[[A>>B]]", "A>>B"),
        ("[[B>A]] and again [[B>A]]", "B>A"),
        ("[[A<B]]", "B>A"),
        ("[[B<<A]]", "A>>B"),
        ("[[A>B]] or rather [[A>>B]]", None),
        ("[[A>C]]", None),
        ("[[A]]", None),
        ("[[A>>>B]]", None),
        ("A>B", None),
        ("", None),
    ],
)
def test_verdicts(text, verdict):
    assert arena_hard.verdict(text) == verdict


def test_games_swap_the_answers():
    prompts = read_prompts("arena_hard", None)
    asking = Asking("sft", "gpt4", "text", 1)
    for game, order in ((1, ["baseline says", "policy says"]), (2, ["policy says", "baseline says"])):
        content = arena_hard.request(CASE, game, prompts, asking).messages[1]["content"]
        assert sorted(order, key=content.index) == order


@given(st.floats(0, 1))
def test_verdicts_of_numbers_are_symmetric(p):
    mirrored = {"A>>B": "B>>A", "A>B": "B>A", "A=B": "A=B", "B>A": "A>B", "B>>A": "A>>B"}
    if all(abs(p - edge) > 1e-9 for edge in (0.1, 0.45, 0.55, 0.9)):
        assert arena_hard.verdict_of(1 - p) == mirrored[arena_hard.verdict_of(p)]


# --- AlpacaEval -------------------------------------------------------------------------------------------------------


def ranked(**ranks: int) -> Reply:
    models = [{"model": model, "rank": rank} for model, rank in ranks.items()]
    return Reply("", arguments=json.dumps({"ordered_models": models}))


def seed_with(swapped: bool) -> int:
    return next(seed for seed in range(100) if alpaca_eval.swapped(CASE, seed) == swapped)


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("verdict", "reply", "second"),
    [
        ("logprobs", Reply("m", logprobs={"m": -0.105360516, "M": -2.302585093}), 0.1),
        ("logprobs", Reply("m", logprobs={"m": 0.0, "I": -9.0}), 0.0),
        ("logprobs", Reply("I", logprobs={"I": 0.0}), None),
        ("logprobs", Reply("m"), None),
        ("text", Reply("M"), 1.0),
        ("text", Reply("The better one is m."), 0.0),
        ("text", Reply("m or M"), None),
        ("text", Reply("neither"), None),
        ("function", ranked(M=1, m=2), 1.0),
        ("function", ranked(M=1, m=1), None),
        ("function", ranked(M=1), None),
        ("function", Reply("", arguments='{"ordered_models": ['), None),
        ("function", Reply("", arguments="[]"), None),
        ("function", Reply("m"), None),
    ],
)
def test_preferences(verdict, reply, second, swapped):
    """`second`: for the answer that stands second; that is the policy's, or the baseline's where they are swapped."""
    asking = Asking("sft", "gpt4", verdict, seed_with(swapped))
    found = alpaca_eval.read(CASE, 1, reply, asking)
    if second is None:
        assert found is None
    else:
        assert found == pytest.approx(1 + (1 - second if swapped else second), abs=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_order_of_the_answers_is_drawn(swapped):
    request = alpaca_eval.request(
        CASE, 1, read_prompts("alpaca_eval", None), Asking("sft", "j", "text", seed_with(swapped))
    )
    content = request.messages[1]["content"]
    assert (content.index("policy says") < content.index("baseline says")) == swapped


def test_each_way_of_asking_is_a_request_of_its_own():
    prompts = read_prompts("alpaca_eval", None)
    made = {
        v: alpaca_eval.request(CASE, 1, prompts, Asking("sft", "j", v, 1)) for v in ("text", "logprobs", "function")
    }
    assert made["logprobs"].top_logprobs > 0
    assert made["function"].function["name"] == "make_partial_leaderboard"
    assert (made["text"].top_logprobs, made["text"].function) == (0, None)


# --- prompts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("benchmark", list(OWN))
def test_a_local_copy_of_a_prompt_file_is_read_by_the_same_code(tmp_path, benchmark):
    copy = tmp_path / OWN[benchmark].name
    copy.write_text(OWN[benchmark].read_text())
    assert read_prompts(benchmark, copy) == read_prompts(benchmark, None)


@pytest.mark.parametrize("benchmark", list(OWN))
@pytest.mark.parametrize("content", ["", "nothing of the kind", "{}", "[1, 2]", "a: b"])
def test_other_files_are_refused(tmp_path, benchmark, content):
    (tmp_path / "prompt").write_text(content)
    with pytest.raises(StudyError, match="prompt"):
        read_prompts(benchmark, tmp_path / "prompt")


def test_a_prompt_without_a_field_is_refused(tmp_path):
    (tmp_path / "p.txt").write_text(OWN["alpaca_eval"].read_text().replace("{output_2}", ""))
    with pytest.raises(StudyError, match=r"'alpaca_eval' lacks \{output_2\}"):
        read_prompts("alpaca_eval", tmp_path / "p.txt")


def test_filling_in_is_not_repeated():
    message = [{"role": "user", "content": "{a} {b} {c} {{a}}"}]
    assert fill(message, {"a": "{b}", "b": "2"})[0]["content"] == "{b} 2 {c} {{b}}"


# --- the gold judge ---------------------------------------------------------------------------------------------------


def test_the_gold_judge_follows_its_rule():
    from scripts.common.preferences import Comparison

    right, wrong = "the answer is 3 . because 1 and 2 make 3 .", "the answer is 5 . because 1 and 2 make 5 ."
    prompt = "what is 1 plus 2 ?"
    judge = gold_reward()
    better, worse, even = judge.better(
        [
            Comparison([{"role": "user", "content": prompt}], a, b)
            for a, b in ((right, wrong), (wrong, right), (right, right))
        ]
    )
    assert better == pytest.approx(1 / (1 + 2.718281828**-4.5), abs=1e-6)  # 4 against -0.5
    assert better + worse == pytest.approx(1)
    assert even == 0.5
    assert judge.rate([(prompt, right), (prompt, wrong)]) == [10.0, rating_of(-0.5)]
