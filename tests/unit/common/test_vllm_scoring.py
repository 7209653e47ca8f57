"""Rewards by vLLM's pooling: those of transformers, whatever the order."""

import pytest

from scripts.common.engines import import_vllm
from scripts.common.errors import StudyError
from scripts.common.prefixes import Conversation
from scripts.common.scoring import open_scorer
from tests.unit.engines_fixtures import WORDS

pytest_plugins = ["tests.unit.engines_fixtures"]
pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not import_vllm(required=False), reason="vLLM does not import")]


@pytest.fixture(scope="module")
def scorer(reward_model):
    return open_scorer("vllm", reward_model, "auto")


@pytest.fixture(scope="module")
def answered():
    prompts = [[3, *(5 + (7 * i + j) % len(WORDS) for j in range(3 + 9 * i)), 4] for i in range(8)]
    return [
        Conversation([*prompt, *(5 + (i * j) % len(WORDS) for j in range(1 + 5 * i)), 1], len(prompt))
        for prompt in prompts
        for i in range(8)
    ]


def test_the_engines_agree(scorer, reward_model, answered):
    expected = open_scorer("transformers", reward_model, "auto").rewards(answered)
    assert scorer.name == "vllm"
    assert scorer.rewards(answered) == pytest.approx(expected, abs=1e-4)
    assert scorer.rewards(answered[::-1]) == pytest.approx(expected[::-1], abs=1e-4)


def test_what_is_longer_than_the_model_takes_is_refused(scorer):
    with pytest.raises(StudyError, match=r"takes 256 tokens .*; 1 conversations are longer, up to 300"):
        scorer.rewards([Conversation([5] * 300, 10)])
