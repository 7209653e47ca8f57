"""The miniature chat benchmarks: published schemas, and calibrations that say what they should."""

import numpy as np
import pytest

from scripts.world import benchmarks
from scripts.world.gold import gold_reward


def test_schemas_are_the_published_ones(read):
    questions = read("alpaca_eval.jsonl.gz")
    assert set(questions[0]) == {"instruction", "output", "generator", "dataset"}
    assert len(questions) == 120
    rounds = read("mt_bench.jsonl.gz")
    assert len(rounds) == 40
    assert {len(row["turns"]) for row in rounds} == {2}
    assert {row["category"] for row in rounds if "reference" in row} == {"math"}
    arena, answers = read("arena_hard.jsonl.gz"), read("arena_hard_answers.jsonl.gz")
    assert [row["question_id"] for row in arena] == [row["question_id"] for row in answers]
    assert len({row["question_id"] for row in arena}) == 60
    assert {row["model_id"] for row in answers} == {benchmarks.BASELINE}


def test_references_are_right(read):
    for row in read("mt_bench.jsonl.gz"):
        for turn, reference in zip(row["turns"], row.get("reference", []), strict=False):
            assert gold_reward(turn, reference) == 3.0


def test_the_baseline_is_a_good_writer(read):
    rewards = [gold_reward(row["instruction"], row["output"]) for row in read("alpaca_eval.jsonl.gz")]
    assert np.mean(rewards) > 2.8


def test_difficulty_is_low_where_the_baseline_is_hard_to_beat(read):
    rows = read("alpaca_eval_difficulty.jsonl.gz")
    assert [row["index"] for row in rows] == list(range(120))
    values = np.array([row["instruction_difficulty"] for row in rows])
    rewards = [gold_reward(row["instruction"], row["output"]) for row in read("alpaca_eval.jsonl.gz")]
    assert values.mean() == pytest.approx(0, abs=1e-9)
    assert np.corrcoef(values, rewards)[0, 1] < -0.5


def test_gamed_baselines_are_brief_and_wordy(read):
    rows = read("alpaca_eval_gamed.jsonl.gz")
    assert len(rows) == 240
    brief, wordy = ([row for row in rows if row["model"] == model] for model in ("brief", "wordy"))
    assert min(row["std_delta_len"] for row in brief) >= 0 > max(row["std_delta_len"] for row in wordy)
    assert all(0 < row["preference"] < 1 for row in rows)
    assert not any(row["not_gamed_baseline"] for row in rows)
