"""The transformers engine and the choice of engine; vLLM has its own file, since it is started once a process."""

import json
import shutil
import sys

import pytest
import torch
from scipy import stats

from scripts.common.errors import StudyError
from scripts.common.generation import Request, Settings, TransformersEngine, generate, open_engine
from scripts.common.models import load_policy

pytest_plugins = ["tests.unit.engines_fixtures"]


def settings(policy, **changes) -> Settings:
    values = {"dtype": "float32", "max_prompt_tokens": 64, "max_new_tokens": 24, "stop_ids": [1]}
    return Settings(model=policy, **{**values, **changes})


@pytest.fixture(scope="module")
def engine(policy):
    return TransformersEngine(settings(policy))


@pytest.fixture(scope="module")
def requests():
    return [
        Request([3, *range(5, 6 + i % 30), 4], temperature=(1.0, 0.7)[i % 2], n=1 + i % 4, seed=1000 * i)
        for i in range(40)
    ]


def test_responses_do_not_depend_on_order_batch_or_company(engine, requests):
    together = engine.generate(requests)
    assert [len(found) for found in together] == [request.n for request in requests]
    assert engine.generate(requests[::-1]) == together[::-1]
    assert engine.generate(requests[1::2]) == together[1::2]
    assert [engine.generate([request])[0] for request in requests[:6]] == together[:6]


def test_sample_k_has_the_seed_of_the_request_plus_k(engine, requests):
    request = requests[3]
    alone = [
        engine.generate([Request(request.prompt_ids, request.temperature, 1, request.seed + k)])[0][0]
        for k in range(request.n)
    ]
    assert engine.generate([request])[0] == alone
    assert len({tuple(response.token_ids) for response in alone}) > 1


def test_a_response_ends_with_the_stop_token_or_at_the_limit(engine, requests):
    found = [response for responses in engine.generate(requests) for response in responses]
    assert {response.finished for response in found} == {True, False}
    for response in found:
        assert response.finished == (response.token_ids[-1] == 1)
        assert 1 not in response.token_ids[:-1]
        assert response.finished or len(response.token_ids) == 24


def test_first_and_second_token_follow_the_policys_distribution(policy):
    """Chi-square of 6,000 draws against the softmax of a plain forward pass; so padding and cache are right too."""
    prompt, draws, temperature = [3, 7, 9, 4], 6000, 0.7
    engine = TransformersEngine(settings(policy, max_new_tokens=2, stop_ids=[]))
    found = engine.generate([Request(prompt, temperature, draws, seed=5)])[0]
    model = load_policy(policy, "float32")

    def p_value(ids, tokens):
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1].double() / temperature
        expected = logits.softmax(-1) * len(tokens)
        counts = torch.bincount(torch.tensor(tokens), minlength=len(expected)).double()
        common = expected >= 5  # the rest is too rare for the test, and is taken together
        observed, wanted = (torch.cat([x[common], x[~common].sum().view(1)]).numpy() for x in (counts, expected))
        return stats.chisquare(observed, wanted).pvalue

    first = [response.token_ids[0] for response in found]
    assert p_value(prompt, first) > 0.001
    most = max(set(first), key=first.count)
    second = [response.token_ids[1] for response in found if response.token_ids[0] == most]
    assert len(second) > 300
    assert p_value([*prompt, most], second) > 0.001


def test_greedy_limit_matches_a_loop_without_cache(policy):
    """At a temperature near zero the noise is nothing: the engine must find what one forward pass a token finds."""
    model = load_policy(policy, "float32")
    ids = [3, 8, 12, 30, 4]
    expected = []
    with torch.inference_mode():
        while len(expected) < 12 and expected[-1:] != [1]:
            expected.append(model(torch.tensor([[*ids, *expected]])).logits[0, -1].argmax().item())
    found = TransformersEngine(settings(policy, max_new_tokens=12)).generate([Request(ids, 1e-6, 2, seed=9)])[0]
    assert [response.token_ids for response in found] == [expected, expected]


class Counting:
    """Notes how many responses it is asked for at a time."""

    def __init__(self):
        self.asked = []

    def generate(self, requests):
        self.asked.append(sum(request.n for request in requests))
        return [[request.seed] * request.n for request in requests]


def test_requests_come_back_in_order_in_chunks_of_bounded_size():
    requests = [Request([1], 1.0, n, seed) for seed, n in enumerate([1000, 1000, 1000, 5000, 1, 2047])]
    counting = Counting()
    found = list(generate(counting, requests))
    assert [request for request, _ in found] == requests
    assert [responses[0] for _, responses in found] == list(range(6))
    assert counting.asked == [2000, 1000, 5000, 2048]
    assert list(generate(counting, [])) == []


def test_auto_says_in_one_line_why_vllm_is_not_used(policy, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "vllm", None)  # makes the import fail as if it were not installed
    assert open_engine("auto", settings(policy)).name == "transformers"
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("vLLM can't be used (ModuleNotFoundError")


def test_vllm_asked_for_and_not_there(policy, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(StudyError, match=r"vLLM can't be used .* choose --engine transformers"):
        open_engine("vllm", settings(policy))


def test_more_tokens_than_the_model_takes(policy):
    with pytest.raises(StudyError, match=r"the model takes 256 tokens .* 250 of the prompt and 24 of the response"):
        open_engine("transformers", settings(policy, max_prompt_tokens=250))


def test_folder_without_weights(policy, tmp_path):
    folder = shutil.copytree(policy, tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    assert json.loads((folder / "config.json").read_text())
    with pytest.raises(StudyError, match=r"empty: the model folder has no model\.safetensors"):
        open_engine("auto", settings(folder))
