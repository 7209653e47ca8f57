"""Verdicts on two responses: the labels' tokens, both orders, independence of the batch, and the position bias."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripts.common import preferences
from scripts.common.chat import prompt_ids
from scripts.common.errors import StudyError
from scripts.common.models import load_policy
from scripts.common.preferences import (
    Comparison,
    EndpointJudge,
    LocalJudge,
    drawn_orders,
    label_ids,
    log_scores,
    position_bias,
    probabilities,
)
from tests.unit.chat_server import serve
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]

MULTI_TURN = [*user("w1"), {"role": "assistant", "content": "w2"}, *user("w3")]


@pytest.fixture(scope="module")
def judge(policy):
    return LocalJudge(policy, "float32")


@pytest.fixture(scope="module")
def comparisons():
    """Thirty of different lengths."""
    words = lambda start, count: " ".join(WORDS[(start + i) % 60] for i in range(count))  # noqa: E731
    return [Comparison(user(words(i, 1 + i % 5)), words(3 * i, 1 + i), words(7 * i, 1 + 2 * i % 9)) for i in range(30)]


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_the_instruction_is_the_papers():
    asked = preferences.question(Comparison(user("x {}"), "a1", "a2"))
    assert asked == user("[CONTEXT] x {} [RESPONSE A] a1 [RESPONSE B] a2")


def test_a_conversation_is_told_turn_by_turn():
    assert preferences.context(MULTI_TURN) == "user: w1\n\nassistant: w2\n\nuser: w3"


def test_a_model_that_is_asked_sees_the_same_fields():
    (message,) = preferences.question(Comparison(user("x"), "a1", "a2"), preferences.QUESTION)
    assert "[CONTEXT] x\n\n[RESPONSE A] a1\n\n[RESPONSE B] a2\n\nWhich" in message["content"]


# --- the labels -------------------------------------------------------------------------------------------------------


def test_labels_are_the_bare_letters(tokenizer):
    assert label_ids(tokenizer) == tuple(tokenizer.convert_tokens_to_ids(["A", "B"]))


def test_unknown_letters_are_refused(tokenizer):
    lacking = copy.deepcopy(tokenizer)
    lacking.chat_template = tokenizer.chat_template.replace(
        "{{ m.content }} <eos>", "{{ m.content }}{{ m.content }} <eos>"
    )
    with pytest.raises(StudyError, match=r"must each be one token, and different ones.*<unk>"):
        label_ids(lacking)


def test_letters_of_several_tokens_are_refused(tokenizer):
    split = copy.deepcopy(tokenizer)
    split.chat_template = tokenizer.chat_template.replace(
        "{{ m.content }} <eos>", "{{ m.content }} {{ m.content }} <eos>"
    )
    with pytest.raises(StudyError, match=r"must each be one token.*'A', 'A', '<eos>'.*'B', 'B', '<eos>'"):
        label_ids(split)


def test_a_template_that_rewrites_the_prompt_is_refused(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.chat_template = "{% if messages | length > 1 %}w7 {% endif %}" + tokenizer.chat_template
    with pytest.raises(StudyError, match="writes the prompt in other tokens"):
        label_ids(other)


# --- what is read -----------------------------------------------------------------------------------------------------


def test_log_odds_are_those_of_the_last_position(judge, policy, tokenizer, comparisons):
    """Against the plainest way: one comparison at a time, no padding."""
    model = load_policy(policy, "float32").eval()
    a, b = label_ids(tokenizer)
    expected = []
    for c in comparisons:
        for one, sign in ((c, 1), (Comparison(c.prompt, c.second, c.first), -1)):
            with torch.inference_mode():
                ids = torch.tensor([prompt_ids(tokenizer, preferences.question(one))])
                logits = model(ids).logits[0, -1]
            expected.append(sign * (logits[a] - logits[b]).item())
    found = judge.log_odds(comparisons)
    assert found.ravel().tolist() == pytest.approx(expected, abs=1e-4)
    assert len(set(found.ravel())) == 60


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(30)), budget=st.integers(1, 6000))
def test_verdicts_do_not_depend_on_order_or_budget(judge, policy, comparisons, order, budget):
    expected = judge.log_odds(comparisons)
    other = LocalJudge(policy, "float32", token_budget=budget)
    assert (other.log_odds([comparisons[i] for i in order]) == expected[order]).all()  # to the bit


def test_orders_that_are_not_read_are_nan(judge, comparisons):
    read = drawn_orders(1, [(i,) for i in range(30)])
    assert (read.sum(axis=1) == 1).all()
    assert 5 < read[:, 0].sum() < 25
    found = judge.log_odds(comparisons, read)
    assert (np.isnan(found) == ~read).all()
    assert (found[read] == judge.log_odds(comparisons)[read]).all()


def test_swapping_the_responses_gives_the_other_probability(judge, comparisons):
    turned = [Comparison(c.prompt, c.second, c.first) for c in comparisons]
    there, back = probabilities(judge.log_odds(comparisons)), probabilities(judge.log_odds(turned))
    assert there + back == pytest.approx(np.ones(30), abs=1e-12)
    assert np.abs(there - 0.5).max() > 0.01
    as_a = np.array([[True, False]] * 30)
    once = [probabilities(judge.log_odds(side, as_a)) for side in (comparisons, turned)]
    assert np.abs(sum(once) - 1).max() > 0.01  # without averaging they do not add up: the model has a position bias


def test_the_same_text_twice_is_a_tie(judge):
    assert probabilities(judge.log_odds([Comparison(user("w1"), "w2", "w2")])) == pytest.approx([0.5], abs=1e-12)


def test_no_comparisons(judge):
    assert judge.log_odds([]).shape == (0, 2)


def test_more_tokens_than_the_model_takes_are_refused(judge):
    with pytest.raises(StudyError, match=r"policy/config.json: the model takes 256 tokens .*; 2 prompts are longer"):
        judge.log_odds([Comparison(user("w1"), " ".join(["w2"] * 300), "w3")])


# --- from log-odds to numbers -----------------------------------------------------------------------------------------


def test_at_chance_the_loss_of_the_label_is_ln_2():
    """The cross-entropy restricted to the two labels, for equal logits."""
    better, worse = log_scores(np.zeros((3, 2)))
    assert -better == pytest.approx(np.full(3, math.log(2)))
    assert -worse == pytest.approx(np.full(3, math.log(2)))


@given(arrays(float, (5, 2), elements=st.floats(-30, 30)))
def test_probabilities_are_the_mean_of_both_orders(readings):
    expected = (1 / (1 + np.exp(-readings))).mean(axis=1)
    assert probabilities(readings) == pytest.approx(expected)
    better, worse = log_scores(readings)
    assert 1 / (1 + np.exp(worse - better)) == pytest.approx(expected)  # the sigmoid of the difference


def test_certainty_stays_finite():
    better, worse = log_scores(np.array([[800.0, 900.0]]))
    assert (better, worse) == (pytest.approx([0]), pytest.approx([-800 - math.log(2)], abs=1e-9))


def test_position_bias():
    """Two verdicts that hold in both orders, one that is always for A; p(A) is 3/4 in all six readings' mean."""
    log3 = math.log(3)
    bias = position_bias(np.array([[log3, log3], [-log3, -log3], [log3, -log3]]))
    assert bias.flipped == pytest.approx(1 / 3)
    assert bias.probability_of_a == pytest.approx((0.75 + 0.25 + 0.25 + 0.75 + 0.75 + 0.75) / 6)


def test_no_bias_is_seen_in_a_single_order():
    bias = position_bias(np.array([[1.0, np.nan], [np.nan, 2.0]]))
    assert math.isnan(bias.flipped)
    assert math.isnan(bias.probability_of_a)


def test_a_missing_reading_leaves_the_other_and_no_reading_is_a_tie():
    readings = np.array([[1.0, np.nan], [np.nan, -2.0], [np.nan, np.nan]])
    assert probabilities(readings) == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.exp(2)), 0.5])


# --- asked over HTTP --------------------------------------------------------------------------------------------------

TWO = [Comparison(user("q1"), "a1", "a2"), Comparison(user("q2"), "a3", "a4")]


def test_an_endpoints_log_probabilities_are_read(tmp_path):
    """Letters but for white space count together; what is not listed is at most as likely as the least that is."""
    with serve() as server:
        server.logprobs = {"A": math.log(0.5), " A": math.log(0.1), "B": math.log(0.2), "Both": math.log(0.01)}
        asked = EndpointJudge(server.endpoint(), tmp_path)
        assert asked.log_odds_of_a(TWO) == pytest.approx([math.log(0.6 / 0.2)] * 2)
        asked_for = sorted((body["messages"] for body in server.seen), key=str)  # two at once arrive in either order
        assert asked_for == sorted((preferences.question(c, preferences.QUESTION) for c in TWO), key=str)
        assert asked.facts["requests"] == 2
        server.logprobs = {" B": math.log(0.9), "The": math.log(0.05)}
        assert EndpointJudge(server.endpoint(), tmp_path / "b").log_odds_of_a(TWO) == pytest.approx(
            [math.log(0.05 / 0.9)] * 2
        )


@pytest.mark.parametrize(
    ("written", "expected"), [("A", 10), (" (B)", -10), ("**A**.", 10), ("Answer: A", math.nan), ("", math.nan)]
)
def test_without_log_probabilities_the_letter_counts(tmp_path, written, expected):
    with serve() as server:
        server.answer = lambda body: {"content": written}
        found = EndpointJudge(server.endpoint(), tmp_path).log_odds_of_a(TWO)
    assert found == pytest.approx([expected] * 2, nan_ok=True)
