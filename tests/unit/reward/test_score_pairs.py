"""Scores of RewardBench and of held-out pairs: the right score on the right side of the right row."""

import math

import numpy as np
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.common.preferences import LAYOUT, QUESTION, Comparison, LocalJudge
from scripts.common.scoring import open_scorer, tokenize
from scripts.reward import score_pairs
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]


@pytest.fixture
def reward_of(reward_model, tokenizer):
    scorer = open_scorer("transformers", reward_model, "float32")
    return lambda prompt, text: scorer.rewards(tokenize(tokenizer, [prompt], [text]))[0]


@pytest.fixture
def bench(tmp_path):
    rows = [
        {
            "id": i,
            "subset": f"s{i % 2}",
            "prompt": WORDS[i],
            "chosen": " ".join(WORDS[i : 2 * i + 1]),
            "rejected": WORDS[-i - 1],
        }
        for i in range(8)
    ]
    tables.write_table(rows, tmp_path / "bench.parquet", tables.REWARD_BENCH)
    return rows


def score(folder, model, kind, of="reward_bench", **changes):
    """The table of scores, as the pipeline reads it, and what the command reports."""
    pairs = folder / ("bench.parquet" if of == "reward_bench" else "mix.parquet")
    output = folder / "scores.parquet"
    facts = score_pairs.main(score_pairs.Args(pairs, of, model, kind, output, **changes))
    contract = tables.BENCH_SCORES if of == "reward_bench" else tables.HELD_OUT_SCORES
    return tables.read_table(output, contract).to_pylist(), facts


def test_reward_bench(tmp_path, bench, reward_model, reward_of):
    found, facts = score(tmp_path, reward_model, "reward")
    assert [(row["id"], row["subset"]) for row in found] == [(row["id"], row["subset"]) for row in bench]
    for row, pair in zip(found, bench, strict=True):
        assert row["chosen_reward"] == pytest.approx(reward_of(user(pair["prompt"]), pair["chosen"]), abs=1e-5)
        assert row["rejected_reward"] == pytest.approx(reward_of(user(pair["prompt"]), pair["rejected"]), abs=1e-5)
    right = sum(row["chosen_reward"] > row["rejected_reward"] for row in found)
    assert facts == {"pairs": 8, "unweighted_accuracy": right / 8}


@pytest.mark.parametrize(("kind", "layout"), [("preference", LAYOUT), ("prompted", QUESTION)])
def test_a_judge_of_both_responses(tmp_path, bench, policy, kind, layout):
    found, facts = score(tmp_path, policy, kind)
    compared = [Comparison(user(row["prompt"]), row["chosen"], row["rejected"]) for row in bench]
    expected = LocalJudge(policy, layout=layout).log_odds(compared)
    verdicts = tables.read_table(tmp_path / "scores.parquet", tables.VERDICTS)
    assert (np.stack([verdicts["chosen_as_a"], verdicts["chosen_as_b"]], axis=1) == expected).all()
    for row, reading in zip(found, expected, strict=True):
        p = (1 / (1 + np.exp(-reading))).mean()
        assert row["chosen_reward"] == pytest.approx(math.log(p), abs=1e-9)
        assert row["rejected_reward"] == pytest.approx(math.log(1 - p), abs=1e-9)
    assert facts["unweighted_accuracy"] == sum(row["chosen_reward"] > row["rejected_reward"] for row in found) / 8
    assert facts["flipped_by_order"] == (np.sign(expected[:, 0]) != np.sign(expected[:, 1])).mean()
    assert facts["without_verdict"] == 0


def test_a_single_order_is_drawn_for_each_pair(tmp_path, bench, policy):
    """A judge that always says A is right half the time, rather than always."""
    found, facts = score(tmp_path, policy, "preference", both_orders=False)
    verdicts = tables.read_table(tmp_path / "scores.parquet", tables.VERDICTS).select(tables.VERDICTS.columns.names)
    read = [[value is not None for value in row.values()] for row in verdicts.to_pylist()]
    assert [sum(row) for row in read] == [1] * 8
    assert 0 < sum(row[0] for row in read) < 8
    both, _ = score(tmp_path, policy, "preference")
    assert found != both
    assert "flipped_by_order" not in facts


def mix_rows(splits):
    return [
        {
            "pair_id": f"pair{i}",
            "source": f"source{i % 3}",
            "prompt_id": f"p{i}",
            "prompt": [*user(WORDS[i]), {"role": "assistant", "content": WORDS[i + 1]}, *user(WORDS[i + 2])],
            "chosen": WORDS[i + 3],
            "rejected": WORDS[i + 4],
            "chosen_score": None,
            "rejected_score": None,
            "prompt_tokens": 1,
            "chosen_tokens": 1,
            "rejected_tokens": 1,
            "split": split,
        }
        for i, split in enumerate(splits)
    ]


def test_held_out_pairs_alone_are_scored(tmp_path, reward_model, reward_of):
    rows = mix_rows(["train", "held_out"] * 4)
    tables.write_table(rows, tmp_path / "mix.parquet", tables.MIX)
    found, facts = score(tmp_path, reward_model, "reward", of="held_out")
    assert [row["pair_id"] for row in found] == ["pair1", "pair3", "pair5", "pair7"]
    for row, pair in zip(found, rows[1::2], strict=True):
        assert row["source"] == pair["source"]
        assert row["chosen_reward"] == pytest.approx(reward_of(pair["prompt"], pair["chosen"]), abs=1e-5)
        assert row["rejected_reward"] == pytest.approx(reward_of(pair["prompt"], pair["rejected"]), abs=1e-5)
    assert facts["pairs"] == 4
    assert facts["unweighted_accuracy"] == sum(row["chosen_reward"] > row["rejected_reward"] for row in found) / 4


def test_a_mix_without_held_out_pairs(tmp_path, reward_model):
    tables.write_table(mix_rows(["train"] * 2), tmp_path / "mix.parquet", tables.MIX)
    with pytest.raises(StudyError, match=r"mix\.parquet: no row has split = held_out"):
        score(tmp_path, reward_model, "reward", of="held_out")
