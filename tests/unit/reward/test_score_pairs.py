"""Scores of RewardBench and of held-out pairs: the right reward on the right side of the right row."""

import pytest

from scripts.common import tables
from scripts.common.chat import conversation_ids
from scripts.common.errors import StudyError
from scripts.common.models import for_inference, load_reward_model
from scripts.common.scoring import rewards
from scripts.reward import score_held_out, score_reward_bench
from tests.unit.engines_fixtures import WORDS, user

pytest_plugins = ["tests.unit.engines_fixtures"]


@pytest.fixture
def reward_of(reward_model, tokenizer):
    model = for_inference(load_reward_model(reward_model, "float32"))
    return lambda prompt, text: rewards(model, [conversation_ids(tokenizer, prompt, text)], 1000)[0]


def test_reward_bench(tmp_path, reward_model, reward_of):
    bench = [
        {
            "id": i,
            "subset": f"s{i % 2}",
            "prompt": WORDS[i],
            "chosen": " ".join(WORDS[i : 2 * i + 1]),
            "rejected": WORDS[-i - 1],
        }
        for i in range(8)
    ]
    tables.write_table(bench, tmp_path / "bench.parquet", tables.REWARD_BENCH)
    output = tmp_path / "scores.parquet"
    facts = score_reward_bench.main(score_reward_bench.Args(tmp_path / "bench.parquet", reward_model, output))
    found = tables.read_table(output, tables.BENCH_SCORES).to_pylist()
    assert [(row["id"], row["subset"]) for row in found] == [(row["id"], row["subset"]) for row in bench]
    for row, pair in zip(found, bench, strict=True):
        assert row["chosen_reward"] == pytest.approx(reward_of(user(pair["prompt"]), pair["chosen"]), abs=1e-5)
        assert row["rejected_reward"] == pytest.approx(reward_of(user(pair["prompt"]), pair["rejected"]), abs=1e-5)
    right = sum(row["chosen_reward"] > row["rejected_reward"] for row in found)
    assert facts == {"pairs": 8, "unweighted_accuracy": right / 8}


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
    output = tmp_path / "scores.parquet"
    facts = score_held_out.main(score_held_out.Args(tmp_path / "mix.parquet", reward_model, output))
    found = tables.read_table(output, tables.HELD_OUT_SCORES).to_pylist()
    assert [row["pair_id"] for row in found] == ["pair1", "pair3", "pair5", "pair7"]
    for row, pair in zip(found, rows[1::2], strict=True):
        assert row["source"] == pair["source"]
        assert row["chosen_reward"] == pytest.approx(reward_of(pair["prompt"], pair["chosen"]), abs=1e-5)
        assert row["rejected_reward"] == pytest.approx(reward_of(pair["prompt"], pair["rejected"]), abs=1e-5)
    assert facts["pairs"] == 4
    assert facts["accuracy"] == sum(row["chosen_reward"] > row["rejected_reward"] for row in found) / 4


def test_a_mix_without_held_out_pairs(tmp_path, reward_model):
    tables.write_table(mix_rows(["train"] * 2), tmp_path / "mix.parquet", tables.MIX)
    with pytest.raises(StudyError, match=r"mix\.parquet: no row has split = held_out"):
        score_held_out.main(score_held_out.Args(tmp_path / "mix.parquet", reward_model, tmp_path / "scores.parquet"))
