"""A judge's readings by vLLM: those of transformers, in any order."""

import numpy as np
import pytest

from scripts.common.engines import import_vllm
from scripts.common.errors import StudyError
from scripts.common.preferences import Comparison, LocalJudge
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]
pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not import_vllm(required=False), reason="vLLM does not import")]


@pytest.fixture(scope="module")
def judge(policy):
    return LocalJudge(policy, engine="vllm")


def test_the_engines_agree(judge, policy):
    words = lambda start, count: " ".join(WORDS[(start + i) % 60] for i in range(count))  # noqa: E731
    comparisons = [Comparison(user(words(i, 3)), words(3 * i, 1 + i), words(7 * i, 1 + 2 * i % 9)) for i in range(30)]
    expected = LocalJudge(policy, engine="transformers").log_odds(comparisons)
    assert judge.log_odds(comparisons) == pytest.approx(expected, abs=1e-4)
    assert judge.log_odds(comparisons[::-1]) == pytest.approx(expected[::-1], abs=1e-4)
    assert np.abs(expected).max() > 0.1


def test_more_tokens_than_the_model_takes_are_refused(judge):
    with pytest.raises(StudyError, match=r"the model takes 255 tokens .*; 1 prompts are longer, up to 3\d\d"):
        judge.log_odds_of_a([Comparison(user("w1"), " ".join(["w2"] * 300), "w3")])
