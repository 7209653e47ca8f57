"""Rewards and log-probabilities against the plainest way to compute them, and their independence of the batch."""

import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.common.chat import conversation_ids, end_of_turn_id, prompt_ids, response_ids
from scripts.common.errors import StudyError
from scripts.common.models import for_inference, load_policy, load_reward_model
from scripts.common.scoring import log_probabilities, pair_rewards, rewards
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]


@pytest.fixture(scope="module")
def conversations():
    draw = random.Random(0)
    return [[draw.randrange(5, 60) for _ in range(draw.randrange(2, 70))] + [1] for _ in range(60)]


@pytest.fixture(scope="module")
def model(reward_model):
    return for_inference(load_reward_model(reward_model, "float32"))


@pytest.fixture(scope="module")
def policy_model(policy):
    return for_inference(load_policy(policy, "float32"))


def test_rewards_are_those_of_each_conversation_alone(model, conversations):
    with torch.inference_mode():
        alone = [model(input_ids=torch.tensor([ids])).logits.item() for ids in conversations]
    assert rewards(model, conversations, token_budget=500) == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) > 50


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(60)), budget=st.integers(1, 6000))
def test_rewards_do_not_depend_on_order_or_budget(model, conversations, order, budget):
    expected = rewards(model, conversations, token_budget=2000)
    found = rewards(model, [conversations[i] for i in order], budget)
    assert found == [expected[i] for i in order]  # to the bit


def test_reward_is_read_at_the_end_token_not_at_padding(model):
    short, long = [10, 11, 1], [10, 11, *range(5, 50), 1]
    assert rewards(model, [short, long], 10_000)[0] == pytest.approx(rewards(model, [short], 10_000)[0], abs=1e-6)


def test_no_conversations_no_rewards(model):
    assert rewards(model, [], 100) == []


def test_rewards_that_are_no_numbers_are_refused(reward_model):
    broken = load_reward_model(reward_model, "float32")
    torch.nn.init.constant_(broken.score.weight, float("nan"))
    with pytest.raises(StudyError, match=r"reward.*: gives rewards that are no finite numbers"):
        rewards(broken, [[5, 6, 1]], 100)


def test_pair_rewards_keep_sides_and_order(model, tokenizer):
    prompts, chosen, rejected = [user("w1"), user("w2 w3")], ["w4", "w5 w6"], ["w7 w8 w9", "w10"]
    good, bad = pair_rewards(model, tokenizer, prompts, chosen, rejected, 1000)
    for prompt, text, reward in [*zip(prompts, chosen, good, strict=True), *zip(prompts, rejected, bad, strict=True)]:
        assert rewards(model, [conversation_ids(tokenizer, prompt, text)], 1000)[0] == reward


def test_log_probabilities_against_a_full_log_softmax(policy_model, conversations):
    prompt_lengths = [1 + len(ids) // 3 for ids in conversations]
    expected = []
    with torch.inference_mode():
        for ids, start in zip(conversations, prompt_lengths, strict=True):
            logs = policy_model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            expected.append(sum(logs[i - 1, ids[i]].item() for i in range(start, len(ids))))
    found = log_probabilities(policy_model, conversations, prompt_lengths, token_budget=700)
    assert found == pytest.approx(expected, abs=1e-4)
    assert max(found) < 0


def test_an_empty_response_has_probability_one(policy_model):
    assert log_probabilities(policy_model, [[5, 6, 7]], [3], 100) == [0.0]


def test_response_probabilities_sum_to_one(policy_model):
    """Over all responses of one token, exp(log pi) is a distribution."""
    vocabulary = policy_model.config.vocab_size
    found = log_probabilities(policy_model, [[5, 6, token] for token in range(vocabulary)], [2] * vocabulary, 1000)
    assert sum(map(torch.tensor(found).exp().__getitem__, range(vocabulary))).item() == pytest.approx(1, abs=1e-5)


# --- what a response is, in tokens ------------------------------------------------------------------------------------


def test_the_end_token_counts_only_where_the_response_is_finished(tokenizer):
    prompt = user("w1 w2")
    start = len(prompt_ids(tokenizer, prompt))
    finished, cut = (response_ids(tokenizer, prompt, "w3 w4", finished, 1) for finished in (True, False))
    assert finished == (
        [*prompt_ids(tokenizer, prompt), *tokenizer.convert_tokens_to_ids(["w3", "w4", "<eos>"])],
        start,
    )
    assert cut == (finished[0][:-1], start)


def test_what_a_template_writes_after_the_end_token_is_no_part_of_the_response(tokenizer):
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = tokenizer.chat_template.replace("<eos>", "<eos> w9")
    assert end_of_turn_id(other) == tokenizer.eos_token_id
    assert response_ids(other, user("w1"), "w2", True, 1) == response_ids(tokenizer, user("w1"), "w2", True, 1)


def test_a_template_that_never_ends_a_turn_is_refused(tokenizer):
    import copy

    other = copy.deepcopy(tokenizer)
    other.chat_template = tokenizer.chat_template.replace("<eos>", WORDS[0])
    with pytest.raises(StudyError, match="closes the assistant's turn with no special token"):
        end_of_turn_id(other)
