"""Measures of a policy's answers: rewards joined, log-ratios against plain forward passes, splits kept."""

import pyarrow.parquet as pq
import pytest
import torch

from scripts.common import tables
from scripts.common.chat import conversation_ids, prompt_ids
from scripts.common.errors import StudyError
from scripts.common.models import load_policy
from scripts.evaluate import measure_responses
from scripts.world.gold import gold_reward
from tests.unit.engines_fixtures import WORDS
from tests.unit.rollout_tables import write_rollouts

pytest_plugins = ["tests.unit.engines_fixtures"]

SPLITS = ["validation", "test", "test", "validation", "test"]


@pytest.fixture
def made(tmp_path):
    candidates = {f"p{i}": [(" ".join(WORDS[i : 2 * i + 3]), 0.5 * i, i != 2)] for i in range(5)}
    return write_rollouts(tmp_path / "r", candidates, shards=2, columns={"split": SPLITS})


def measure(made, policy, reference, output, **changes):
    args = measure_responses.Args(**made, policy=policy, reference=reference, output=output, dtype="float32", **changes)
    facts = measure_responses.main(args)
    tables.open_table(output, tables.MEASURES).close()
    return pq.read_table(output).to_pylist(), facts


def test_measures_of_another_policy(made, policy, other_policy, tmp_path, tokenizer):
    found, facts = measure(made, other_policy, policy, tmp_path / "measures.parquet")
    assert [(row["prompt_id"], row["split"]) for row in found] == [(f"p{i}", split) for i, split in enumerate(SPLITS)]
    models = [load_policy(folder, "float32").eval() for folder in (other_policy, policy)]
    for i, row in enumerate(found):
        text = " ".join(WORDS[i : 2 * i + 3])
        assert (row["response"], row["characters"], row["reward"]) == (text, len(text), 0.5 * i)
        assert row["gold"] is None
        prompt = [{"role": "user", "content": f"say p{i}"}]
        ids, start = conversation_ids(tokenizer, prompt, text), len(prompt_ids(tokenizer, prompt))
        ids = ids if row["finished"] else ids[:-1]
        with torch.inference_mode():
            logs = [model(torch.tensor([ids])).logits[0].double().log_softmax(-1) for model in models]
        new, old = (sum(log[j - 1, ids[j]].item() for j in range(start, len(ids))) for log in logs)
        assert row["log_ratio"] == pytest.approx(new - old, abs=1e-4)
    assert facts["answers"] == 5
    assert facts["mean_reward"] == pytest.approx(1.0)
    assert facts["truncated_share"] == pytest.approx(0.2)


def test_a_policy_against_itself_has_log_ratio_zero(made, policy, tmp_path):
    found, facts = measure(made, policy, policy, tmp_path / "measures.parquet")
    assert [row["log_ratio"] for row in found] == [0.0] * 5
    assert facts["mean_log_ratio"] == 0.0


def test_gold_rewards_are_the_worlds(policy, tmp_path):
    question = "hi what is a fox ?"
    answers = {"right": "fox belongs to animals .", "wrong": "fox belongs to tools .", "cut": "fox belongs to"}
    candidates = {name: [(text, 0.0, name != "cut")] for name, text in answers.items()}
    made = write_rollouts(tmp_path / "gold", candidates, columns={"split": ["test"] * 3}, text=lambda name: question)
    found, _ = measure(made, policy, policy, tmp_path / "measures.parquet", gold=True)
    assert [row["gold"] for row in found] == [gold_reward(question, answers[n], n != "cut") for n in answers]
    assert found[0]["gold"] > found[1]["gold"] > found[2]["gold"]


def test_prompts_without_split(tmp_path, policy):
    made = write_rollouts(tmp_path / "r", {"p0": [("w1", 1.0)]})
    with pytest.raises(StudyError, match="no column 'split'"):
        measure(made, policy, policy, tmp_path / "measures.parquet")


def test_prompts_of_another_split(tmp_path, policy):
    made = write_rollouts(tmp_path / "r", {"p0": [("w1", 1.0)]}, columns={"split": ["train"]})
    with pytest.raises(StudyError, match=r"column 'split' holds \['train'\]"):
        measure(made, policy, policy, tmp_path / "measures.parquet")
