"""Real vLLM: the same rows, to the byte, from any number of shards and in any order; started once for all tests."""

import pytest
import torch
from scipy import stats

from scripts.common import engines, tables
from scripts.common.config import VllmJob
from scripts.common.engines import import_vllm
from scripts.common.errors import StudyError
from scripts.common.generation import Request, Settings, generate, open_engine
from scripts.common.models import load_policy
from scripts.online import generate_responses
from tests.unit.engines_fixtures import prompt_rows

pytest_plugins = ["tests.unit.engines_fixtures"]

pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not import_vllm(required=False), reason="vLLM does not import")]


@pytest.fixture(scope="module")
def engine(policy):
    settings = Settings(policy, "float32", max_prompt_tokens=64, max_new_tokens=16, stop_ids=[1])
    return open_engine("vllm", settings)


@pytest.fixture
def make(monkeypatch, engine, policy, tmp_path):
    """Runs the command on prompts, with the engine that is already started; returns the bytes of its table's rows."""
    monkeypatch.setattr(generate_responses, "open_engine", lambda choice, settings: engine)
    made = []

    def run(rows, shard=0, shards=1):
        prompts, output = tmp_path / f"prompts{len(made)}.parquet", tmp_path / f"{len(made)}.parquet"
        made.append(output)
        tables.write_table(rows, prompts, tables.PROMPTS)
        generate_responses.main(
            generate_responses.Args(
                prompts=prompts,
                policy=policy,
                output=output,
                policy_name="sft",
                sampler_name="mixed",
                prompt_set="iter1",
                actors=(0, 1),
                temperatures=(1.0, 0.7),
                counts=(2, 2),
                max_new_tokens=16,
                max_prompt_tokens=64,
                dtype="float32",
                shard=shard,
                shards=shards,
            )
        )
        return tables.read_table(output, tables.RESPONSES).to_pylist()

    return run


def by_identity(rows):
    return sorted(rows, key=lambda row: (row["prompt_id"], row["actor"], row["k"]))


def test_one_two_and_four_shards_and_reverse_order_give_the_same_rows(make):
    rows = prompt_rows(22)
    whole = make(rows)
    assert len(whole) == 22 * 4
    assert len({row["response"] for row in whole}) > 60
    for shards in (2, 4):
        assert by_identity(row for shard in range(shards) for row in make(rows, shard, shards)) == by_identity(whole)
    assert by_identity(make(rows[::-1])) == by_identity(whole)


def test_sample_k_has_the_seed_of_the_request_plus_k(engine):
    together = engine.generate([Request([3, 9, 4], 1.0, 4, seed=2**62 - 1)])[0]
    alone = [engine.generate([Request([3, 9, 4], 1.0, 1, seed=2**62 - 1 + k)])[0][0] for k in range(4)]
    assert together == alone
    assert len({tuple(response.token_ids) for response in alone}) > 1


def test_a_response_ends_with_the_stop_token_or_at_the_limit(engine):
    requests = [Request([3, 5 + i, 4], 1.0, 4, seed=10 * i) for i in range(20)]
    found = [response for _, responses in generate(engine, requests) for response in responses]
    assert {response.finished for response in found} == {True, False}
    for response in found:
        assert response.finished == (response.token_ids[-1] == 1)
        assert response.finished or len(response.token_ids) == 16


def test_first_token_follows_the_policys_distribution(engine, policy):
    """Also at a temperature: vLLM must sample from the whole softmax, with no top-k or top-p of its own."""
    prompt, temperature, draws = [3, 7, 9, 4], 0.7, 1500
    found = engine.generate([Request(prompt, temperature, draws, seed=1)])[0]
    with torch.inference_mode():
        logits = load_policy(policy, "float32")(torch.tensor([prompt])).logits[0, -1].double()
    expected = (logits / temperature).softmax(-1) * draws
    counts = torch.bincount(torch.tensor([r.token_ids[0] for r in found]), minlength=len(expected)).double()
    common = expected >= 5
    observed, wanted = (torch.cat([x[common], x[~common].sum().view(1)]).numpy() for x in (counts, expected))
    assert stats.chisquare(observed, wanted).pvalue > 0.001


def test_a_build_for_another_device_than_is_to_compute_is_not_taken(monkeypatch, capsys):
    monkeypatch.setattr(engines, "has_cuda", lambda: True)
    assert not import_vllm(required=False)
    assert "it is built for cpu, and cuda is to compute); transformers is used instead." in capsys.readouterr().out
    with pytest.raises(StudyError, match=r"cuda is to compute\)\. Install the right build"):
        import_vllm(required=True)


def test_what_the_study_says_of_vllm_reaches_the_engine(engine, policy, monkeypatch):
    """On a CPU prefix caching alone is a choice; on a GPU all of it, as vLLM itself reads its arguments."""
    from vllm.engine.arg_utils import EngineArgs

    assert engine._llm.llm_engine.vllm_config.cache_config.enable_prefix_caching is True
    job = VllmJob(gpu_memory_utilization=0.5, prefix_caching=False, chunked_prefill=False, tensor_parallel=4)
    assert engines.vllm_options(job, 64)["enable_prefix_caching"] is False
    monkeypatch.setattr(engines, "has_cuda", lambda: True)
    found = EngineArgs(model=str(policy), **engines.vllm_options(job, 64))
    assert (found.tensor_parallel_size, found.gpu_memory_utilization) == (4, 0.5)
    assert (found.enable_prefix_caching, found.enable_chunked_prefill) == (False, False)
