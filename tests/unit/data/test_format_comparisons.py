"""What a preference model learns from: both responses in one text, positions by identity, nothing too long."""

import pytest

from scripts.common import tables
from scripts.common.chat import conversation_ids
from scripts.common.errors import StudyError
from scripts.common.preferences import Comparison, question
from scripts.data.format_comparisons import Args, main
from tests.unit.data.conftest import preference_pair
from tests.unit.engines_fixtures import user

pytest_plugins = ["tests.unit.engines_fixtures"]

MULTI_TURN = [*user("w1 {} 'w2'"), {"role": "assistant", "content": "w2\nw3"}, *user("w3")]
PAIRS = [
    preference_pair(MULTI_TURN if i % 3 == 0 else f"w{i % 50}", chosen=f"w1 {{0}} w{i}", rejected="w2 %s")
    | {"split": "held_out" if i % 5 == 0 else "train"}
    for i in range(400)
]


def formatted(folder, pairs, tokenizer, max_tokens=100, seed=1):
    tables.write_table(pairs, folder / "mix.parquet", tables.MIX)
    facts = main(Args(folder / "mix.parquet", tokenizer, folder / "out.parquet", max_tokens, seed))
    return tables.read_table(folder / "out.parquet", tables.COMPARISONS).to_pylist(), facts


def test_text_is_what_the_judge_will_be_asked(tmp_path, policy, tokenizer):
    """Training (SQL) and inference (Python) must not drift apart."""
    rows, facts = formatted(tmp_path, PAIRS, policy)
    assert [row["pair_id"] for row in rows] == [pair["pair_id"] for pair in PAIRS]
    for row, pair in zip(rows, PAIRS, strict=True):
        order = ("chosen", "rejected") if row["label"] == "A" else ("rejected", "chosen")
        asked = question(Comparison(pair["prompt"], *(pair[side] for side in order)))
        assert [{"role": "user", "content": row["comparison"]}] == asked
        assert row["tokens"] == len(conversation_ids(tokenizer, asked, row["label"]))
        assert (row["source"], row["split"]) == (pair["source"], pair["split"])
    assert facts == {
        "pairs": 400,
        "comparisons": 400,
        "dropped_too_long": 0,
        "share_of_label_A": facts["share_of_label_A"],
    }
    assert 0.42 < facts["share_of_label_A"] < 0.58  # 3 standard errors of 400 fair draws


def test_positions_follow_from_the_seed_and_the_pair_alone(tmp_path, policy):
    label = lambda rows: {row["pair_id"]: row["label"] for row in rows}  # noqa: E731
    first = label(formatted(tmp_path, PAIRS, policy)[0])
    assert label(formatted(tmp_path, PAIRS[::-2], policy)[0]).items() <= first.items()
    assert label(formatted(tmp_path, PAIRS, policy, seed=2)[0]) != first


def test_what_is_longer_than_a_block_is_dropped_and_counted(tmp_path, policy):
    rows, _ = formatted(tmp_path, PAIRS, policy)
    longest = max(row["tokens"] for row in rows)
    shorter = [row for row in rows if row["tokens"] < longest]
    found, facts = formatted(tmp_path, PAIRS, policy, max_tokens=longest - 1)
    assert found == shorter
    assert facts["dropped_too_long"] == len(rows) - len(shorter) > 0
    with pytest.raises(StudyError, match=r"mix\.parquet: none of 400 pairs fits into 3 tokens"):
        formatted(tmp_path, PAIRS, policy, max_tokens=3)
