"""Rewards of a shard: each response's own, whatever the batches."""

import pytest
import torch

from scripts.common import tables
from scripts.common.chat import conversation_ids
from scripts.common.models import load_reward_model
from scripts.online import score_responses
from tests.unit.engines_fixtures import WORDS
from tests.unit.rollout_tables import write_rollouts

pytest_plugins = ["tests.unit.engines_fixtures"]


def score(made, reward_model, output, shard=0, **changes):
    facts = score_responses.main(
        score_responses.Args(responses=made["responses"][shard], reward_model=reward_model, output=output, **changes)
    )
    return tables.read_table(output, tables.REWARDS).to_pylist(), facts


@pytest.fixture
def candidates():
    return {f"p{i}": [(" ".join(WORDS[i : i + 3 + 9 * k]), 0.0) for k in range(4)] for i in range(9)}


def test_rewards_are_those_of_each_response_alone(candidates, reward_model, tokenizer, tmp_path):
    made = write_rollouts(tmp_path / "r", candidates)
    found, facts = score(made, reward_model, tmp_path / "rewards.parquet")
    model = load_reward_model(reward_model, "float32").eval()
    responses = tables.read_table(made["responses"][0], tables.RESPONSES).to_pylist()
    assert [(row["prompt_id"], row["actor"], row["k"]) for row in found] == [
        (row["prompt_id"], row["actor"], row["k"]) for row in responses
    ]
    ids = [conversation_ids(tokenizer, row["prompt"], row["response"]) for row in responses]
    with torch.inference_mode():
        expected = [model(torch.tensor([one])).logits.item() for one in ids]
    assert [row["reward"] for row in found] == pytest.approx(expected, abs=1e-5)
    assert facts["responses"] == 36
    assert facts["tokens"] == sum(map(len, ids))
    assert facts["mean_reward"] == pytest.approx(sum(expected) / 36, abs=1e-5)


def test_shards_and_budget_make_no_difference(candidates, reward_model, tmp_path):
    whole, _ = score(write_rollouts(tmp_path / "r1", candidates), reward_model, tmp_path / "whole.parquet")
    made = write_rollouts(tmp_path / "r3", candidates, shards=3)
    parts = []
    for shard in range(3):
        parts += score(made, reward_model, tmp_path / f"{shard}.parquet", shard, token_budget=300)[0]
    key = lambda row: (row["prompt_id"], row["actor"], row["k"])  # noqa: E731
    assert sorted(parts, key=key) == sorted(whole, key=key)  # to the bit
