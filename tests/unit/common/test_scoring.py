"""Rewards and log-probabilities against the plainest way to compute them, and their independence of the batch."""

import random

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.common.chat import conversation_ids, end_of_turn_id, prompt_ids, response_ids
from scripts.common.errors import StudyError
from scripts.common.models import for_inference, load_policy, load_reward_model
from scripts.common.prefixes import Conversation
from scripts.common.scoring import TransformersScorer, log_probabilities, open_scorer, tokenize
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]


def rewards(model, conversations, token_budget):
    return TransformersScorer(model, token_budget).rewards(conversations)


@pytest.fixture(scope="module")
def conversations():
    draw = random.Random(0)
    return [[draw.randrange(5, 60) for _ in range(draw.randrange(2, 70))] + [1] for _ in range(60)]


@pytest.fixture(scope="module")
def answered():
    """15 prompts with 4 responses each, of mixed lengths; one response is given twice."""
    draw = random.Random(1)
    found = []
    for _ in range(15):
        prompt = [draw.randrange(5, 60) for _ in range(draw.randrange(1, 90))]
        responses = [[draw.randrange(5, 60) for _ in range(draw.randrange(0, 50))] + [1] for _ in range(4)]
        found += [Conversation([*prompt, *response], len(prompt)) for response in responses]
    return [*found, found[7]]


@pytest.fixture(scope="module")
def alone(reward_model, answered):
    """The plainest way: each conversation by itself through the model as published."""
    plain = for_inference(load_reward_model(reward_model, "float32"))
    with torch.inference_mode():
        return [plain(input_ids=torch.tensor([ids])).logits.item() for ids, _ in answered]


@pytest.fixture(scope="module")
def model(reward_model):
    return for_inference(load_reward_model(reward_model, "float32"))


@pytest.fixture(scope="module")
def policy_model(policy):
    return for_inference(load_policy(policy, "float32"))


def test_rewards_are_those_of_each_conversation_alone(model, answered, alone):
    assert rewards(model, answered, token_budget=500) == pytest.approx(alone, abs=1e-5)
    assert len(set(alone)) > 50


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(61)), kept=st.integers(1, 61), budget=st.integers(1, 6000))
def test_rewards_depend_on_no_order_siblings_or_budget(model, answered, order, kept, budget):
    expected = rewards(model, answered, token_budget=2000)
    order = order[:kept]
    found = rewards(model, [answered[i] for i in order], budget)
    assert found == [expected[i] for i in order]  # to the bit


def padded_forward(model, sequences, side):
    """Logits of the model as published, all conversations padded in one batch."""
    width, pad = max(map(len, sequences)), model.config.pad_token_id
    fill = [[pad] * (width - len(ids)) for ids in sequences]
    ids = [[*f, *s] if side == "left" else [*s, *f] for f, s in zip(fill, sequences, strict=True)]
    mask = (torch.tensor(ids) != pad).long()
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.inference_mode():
        return model(input_ids=torch.tensor(ids), attention_mask=mask, position_ids=positions).logits[:, 0].tolist()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pad", [0, 2])
def test_rewards_are_the_padded_models_whatever_side_and_pad_token(reward_model, answered, side, pad):
    plain, own = (for_inference(load_reward_model(reward_model, "float32")) for _ in range(2))
    plain.config.pad_token_id = own.config.pad_token_id = pad
    expected = padded_forward(plain, [ids for ids, _ in answered], side)
    assert rewards(own, answered, token_budget=1000) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("window", [{"sliding_window": 64}, {"layer_types": ["sliding_attention"] * 2}])
def test_attention_that_is_not_plain_is_computed_without_sharing(reward_model, answered, alone, window):
    own = for_inference(load_reward_model(reward_model, "float32"))
    for name, value in window.items():
        setattr(own.config, name, value)
    scorer = TransformersScorer(own, token_budget=1000)
    assert not scorer._shares
    assert scorer.rewards(answered) == pytest.approx(alone, abs=1e-5)


def test_grouped_queries(tmp_path, tokenizer, llama_config, answered):
    """Fewer key and value heads than query heads, as in LLaMA-3."""
    import copy

    from transformers import LlamaForSequenceClassification

    config = copy.deepcopy(llama_config)
    config.num_labels, config.num_key_value_heads = 1, 1
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    plain = for_inference(load_reward_model(tmp_path, "float32"))
    expected = padded_forward(plain, [ids for ids, _ in answered], "right")
    own = for_inference(load_reward_model(tmp_path, "float32"))
    assert rewards(own, answered, token_budget=1000) == pytest.approx(expected, abs=1e-4)


def test_no_conversations_no_rewards(model):
    assert rewards(model, [], 100) == []


def test_rewards_that_are_no_numbers_are_refused(reward_model):
    broken = load_reward_model(reward_model, "float32")
    torch.nn.init.constant_(broken.score.weight, float("nan"))
    with pytest.raises(StudyError, match=r"reward.*: gives rewards that are no finite numbers"):
        rewards(broken, [Conversation([5, 6, 1], 1)], 100)


def test_opened_scorer_computes_on_the_cpu_with_transformers(reward_model, answered, alone):
    scorer = open_scorer("auto", reward_model, "auto")
    assert scorer.name == "transformers"
    assert scorer.rewards(answered) == pytest.approx(alone, abs=1e-5)


# --- from texts to tokens ---------------------------------------------------------------------------------------------


def test_the_prompt_is_shared_and_the_last_token_never(tokenizer):
    prompts, responses = [user("w1 w2"), user("w1 w2"), user("w3")], ["w4 w5", "", "w6"]
    found = tokenize(tokenizer, prompts, responses)
    for prompt, response, (ids, shared) in zip(prompts, responses, found, strict=True):
        assert ids == conversation_ids(tokenizer, prompt, response)
        assert ids[:shared] == prompt_ids(tokenizer, prompt)[:shared]
        assert shared == len(prompt_ids(tokenizer, prompt)) < len(ids)


def test_tokens_that_a_response_changes_are_not_shared(tokenizer):
    import copy

    joining = copy.deepcopy(tokenizer)  # the generation prompt is another than what stands before a response
    joining.chat_template = tokenizer.chat_template.replace("<assistant> {% endif %}", "<assistant> w9{% endif %}")
    ((_, shared),) = tokenize(joining, [user("w1 w2")], ["w4"])
    assert shared == len(prompt_ids(joining, user("w1 w2"))) - 1


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
