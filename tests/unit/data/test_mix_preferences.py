"""Mixes: splits by prompt, caps and order by identity alone."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.mix_preferences import Args, main
from tests.unit.data.conftest import preference_pair

PAIRS = {
    "a": [preference_pair(f"q{i // 2}", chosen=f"good {i}", source="a") for i in range(300)],  # two pairs a prompt
    "b": [preference_pair(f"q{i}", source="b") for i in range(100, 400)],  # shares q100..q149 with a
    "c": [preference_pair(f"q{i}", source="c") for i in range(1000, 1030)],
}


def mixed(folder, sources, seed=1, held_out=0.2, cap=None, **shares):
    files = []
    for name, pairs in sources.items():
        files.append(folder / f"{name}.parquet")
        tables.write_table(pairs, files[-1], tables.PREFERENCES)
    output = folder / "mix.parquet"
    facts = main(Args(tuple(files), output, seed, held_out, cap, **shares))
    return tables.read_table(output, tables.MIX).to_pylist(), facts


def split_of(rows):
    return {row["prompt_id"]: row["split"] for row in rows}


def test_no_prompt_is_on_both_sides(tmp_path):
    rows, facts = mixed(tmp_path, PAIRS)
    sides = {split: {r["prompt_id"] for r in rows if r["split"] == split} for split in ("train", "held_out")}
    assert not sides["train"] & sides["held_out"]
    assert facts == {
        "pairs": 630,
        "train": sum(r["split"] == "train" for r in rows),
        "held_out": sum(r["split"] == "held_out" for r in rows),
    }
    assert 0.14 < len(sides["held_out"]) / len(split_of(rows)) < 0.26  # 20% of 430 prompts, 3 standard errors


def test_order_of_files_and_rows_does_not_matter(tmp_path):
    rows, _ = mixed(tmp_path, PAIRS, cap=50)
    turned, _ = mixed(tmp_path, {name: PAIRS[name][::-1] for name in reversed(PAIRS)}, cap=50)
    assert turned == rows


def test_another_mix_holds_out_the_same_prompts(tmp_path):
    everything, one = split_of(mixed(tmp_path, PAIRS)[0]), split_of(mixed(tmp_path, {"b": PAIRS["b"]})[0])
    assert one.items() <= everything.items()


def test_another_seed_is_another_draw(tmp_path):
    first, second = (mixed(tmp_path, PAIRS, seed=seed, cap=50)[0] for seed in (1, 2))
    assert {r["pair_id"] for r in first} != {r["pair_id"] for r in second}
    shared = split_of(first).keys() & split_of(second).keys()
    assert any(split_of(first)[prompt] != split_of(second)[prompt] for prompt in shared)


def test_a_cap_counts_for_each_source_and_does_not_order_the_mix(tmp_path):
    rows, _ = mixed(tmp_path, PAIRS, cap=30)
    assert {s: sum(r["source"] == s for r in rows) for s in PAIRS} == {"a": 30, "b": 30, "c": 30}
    # were the shuffle drawn with the cap's hash, the capped sources would all come before most of the complete one
    places = [i for i, row in enumerate(rows) if row["source"] == "c"]
    assert 30 < sum(places) / len(places) < 60


def test_caps_of_single_sources_go_before_that_of_all(tmp_path):
    rows, _ = mixed(tmp_path, PAIRS, cap=20, caps={"a": 50})
    assert Counter(r["source"] for r in rows) == {"a": 50, "b": 20, "c": 20}
    more, _ = mixed(tmp_path, PAIRS, cap=20, caps={"a": 60})
    assert {r["pair_id"] for r in rows} < {r["pair_id"] for r in more}  # a larger cap only adds


def test_weights_repeat_and_thin_out_training_pairs_by_identity(tmp_path):
    plain, _ = mixed(tmp_path, PAIRS)
    rows, facts = mixed(tmp_path, PAIRS, weights={"a": 2.5, "b": 0.5})
    known = {p["pair_id"]: p for pairs in PAIRS.values() for p in pairs}
    count = {split: Counter(r["pair_id"] for r in rows if r["split"] == split) for split in ("train", "held_out")}
    trained = {source: [p for p in count["train"] if known[p]["source"] == source] for source in PAIRS}
    original = Counter(r["source"] for r in plain if r["split"] == "train")
    assert {count["train"][p] for p in trained["a"]} == {2, 3}
    assert len(trained["a"]) == original["a"]
    thrice = sum(count["train"][p] == 3 for p in trained["a"]) / original["a"]
    assert 0.4 < thrice < 0.6
    assert {count["train"][p] for p in (*trained["b"], *trained["c"])} == {1}
    assert 0.4 < len(trained["b"]) / original["b"] < 0.6
    assert len(trained["c"]) == original["c"]
    assert set(count["held_out"].values()) == {1}
    assert facts["pairs"] == len(rows)
    # the weight of one source changes neither the pairs nor the order of the others
    others = [r["pair_id"] for r in plain if r["source"] == "c"]
    assert [r["pair_id"] for r in rows if r["source"] == "c"] == others
    turned, _ = mixed(tmp_path, {n: PAIRS[n][::-1] for n in reversed(PAIRS)}, weights={"a": 2.5, "b": 0.5})
    assert turned == rows


def test_shares_of_a_source_that_is_not_there_are_refused(tmp_path):
    with pytest.raises(StudyError, match="--caps or --weights: d, e: not among the sources a, b, c"):
        mixed(tmp_path, PAIRS, caps={"e": 1}, weights={"d": 2.0})


def test_content_stays(tmp_path):
    rows, _ = mixed(tmp_path, PAIRS)
    known = {p["pair_id"]: p for pairs in PAIRS.values() for p in pairs}
    assert all({k: v for k, v in row.items() if k != "split"} == known[row["pair_id"]] for row in rows)


@settings(max_examples=15, deadline=None)
@given(st.floats(0, 0.5), st.integers(0, 10**9), st.none() | st.integers(20, 40))
def test_shares_caps_and_seeds(held_out, seed, cap):
    with TemporaryDirectory() as folder:
        rows, facts = mixed(Path(folder), {"c": PAIRS["c"]}, seed, held_out, cap)
    assert len(rows) == min(cap or 30, 30) == facts["train"] + facts["held_out"]
    assert held_out > 0 or facts["held_out"] == 0


def test_a_source_named_twice_is_refused(tmp_path):
    with pytest.raises(StudyError, match="of c is in the sources 2 times"):
        mixed(tmp_path, {"c": PAIRS["c"], "again": PAIRS["c"]})


def test_nothing_to_train_on_is_refused(tmp_path):
    with pytest.raises(StudyError, match="no pair is left for training"):
        mixed(tmp_path, {"none": []})
    assert not (tmp_path / "mix.parquet").exists()
