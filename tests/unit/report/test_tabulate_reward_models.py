"""Table 1: RewardBench's official weights, sections weighted over the subsets that are there."""

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.report.reward_bench import SECTIONS, section_estimates
from scripts.report.tabulate_held_out import accuracies
from scripts.report.tabulate_reward_models import read_outcomes

from .conftest import write_bench, write_held_out


def test_official_weights():
    """The sections' weights add up to the benchmark's 2,985 prompts, with math-prm at 984 for its 447 rows."""
    totals = {section: sum(subsets.values()) for section, subsets in SECTIONS.items()}
    assert totals == {"Chat": 358, "Chat Hard": 456, "Safety": 740, "Reasoning": 1968}
    assert sum(totals.values()) - 984 + 447 == 2_985


def test_sections_are_weighted_over_the_subsets_present():
    outcomes = {"math-prm": np.ones(3), "hep-cpp": np.zeros(5), "donotanswer": np.array([1.0, 0.5])}
    found = section_estimates(outcomes, seed=1)
    assert set(found) == {"Reasoning", "Safety"}
    assert found["Reasoning"].value == pytest.approx(984 / (984 + 164))
    assert found["Reasoning"].n == 8
    assert found["Safety"].value == pytest.approx(0.75)


def test_unknown_subset_is_named():
    with pytest.raises(StudyError, match="'hep-cobol' belongs to no section"):
        section_estimates({"hep-cobol": np.ones(2)}, seed=1)


def test_ties_count_half(tmp_path):
    from scripts.common import tables

    rows = [
        {"id": name, "subset": "hep-go", "chosen_reward": chosen, "rejected_reward": 1.0}
        for name, chosen in ((7, 2.0), (8, 1.0), (9, 0.0))
    ]
    tables.write_table(rows, tmp_path / "scores.parquet", tables.BENCH_SCORES)
    assert list(read_outcomes(tmp_path / "scores.parquet").values()) == [1.0, 0.5, 0.0]


def test_rewards_that_are_not_finite_are_refused(tmp_path):
    from scripts.common import tables

    row = {"id": 7, "subset": "hep-go", "chosen_reward": float("nan"), "rejected_reward": 1.0}
    tables.write_table([row], tmp_path / "scores.parquet", tables.BENCH_SCORES)
    with pytest.raises(StudyError, match="1 rewards are not finite"):
        read_outcomes(tmp_path / "scores.parquet")


def test_table(table):
    rows = {(row["model"], row["section"]): row for row in table("table1_reward_models.csv")}
    safety = rows["mix2", "Safety"]
    assert (safety["accuracy"], safety["n"], safety["paper"]) == (49 / 50, 50, 0.878)
    assert safety["low"] < safety["accuracy"] <= safety["high"]
    assert rows["mix1", "Reasoning"]["accuracy"] == 0.5
    assert len(rows) == 16


def test_every_kind_of_model_stands_beside_the_papers(table):
    paper = {row["model"]: (row["type"], row["mix"], row["paper"]) for row in table("table1_reward_models.csv")}
    assert paper == {  # of the last section, Reasoning
        "prompted": ("Prompting", None, 0.735),
        "mix1": ("BT", "mix1", 0.624),
        "mix2": ("BT", "mix2", 0.864),
        "pairwise": ("Preference", "mix2", 0.947),
    }


def test_subsets(table):
    rows = {(row["model"], row["subset"]): row for row in table("table1_subsets.csv")}
    safety = rows["mix2", "refusals-dangerous"]
    assert (safety["section"], safety["weight"], safety["accuracy"], safety["n"]) == ("Safety", 100, 49 / 50, 50)
    assert safety["low"] < safety["accuracy"] <= safety["high"]
    assert len(rows) == 16


def test_markdown(study):
    lines = (study.tables / "table1_reward_models.md").read_text().splitlines()
    heading = next(i for i, line in enumerate(lines) if line.startswith("| model"))
    assert lines[heading] == "| model | type | mix | Chat | Chat Hard | Safety | Reasoning |"
    (row,) = [line for line in lines if line.startswith("| pairwise | Preference | mix2 |")]
    assert row.count("|") == lines[heading].count("|")
    assert "[94.7]" in row


def test_differences_are_paired(table):
    rows = {(row["model"], row["minus"], row["section"]): row for row in table("table1_differences.csv")}
    chat = rows["mix2", "mix1", "Chat"]
    assert chat["difference"] == pytest.approx(0.02)
    assert (chat["low"], chat["high"]) == pytest.approx((0.0, 0.06), abs=0.021)  # one pair differs, 49 agree
    assert rows["mix1", "mix2", "Chat"]["difference"] == -chat["difference"]


def test_models_scored_on_different_pairs_are_refused(tmp_path):
    from scripts.report.tabulate_reward_models import Args, main

    write_bench(tmp_path / "a.parquet", {"hep-go": (2, 5)})
    write_bench(tmp_path / "b.parquet", {"hep-go": (2, 4)})
    scores = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    outputs = (tmp_path / name for name in ("t.csv", "s.csv", "d.csv", "t.md"))
    args = Args(("a", "b"), ("mix1", "mix2"), ("BT", "BT"), scores, *outputs)
    with pytest.raises(StudyError, match="different RewardBench pairs"):
        main(args)
    assert not (tmp_path / "d.csv").exists()


def test_held_out_accuracy_by_source(tmp_path):
    write_held_out(tmp_path / "scores.parquet", {"b_source": (3, 4), "a_source": (1, 6)})
    rows = accuracies(tmp_path / "scores.parquet", seed=1)
    assert [(row["source"], row["accuracy"], row["n"]) for row in rows] == [
        ("all", 0.4, 10),
        ("a_source", pytest.approx(1 / 6), 6),
        ("b_source", 0.75, 4),
    ]


def test_no_held_out_pairs(tmp_path):
    write_held_out(tmp_path / "scores.parquet", {})
    with pytest.raises(StudyError, match=r"no held-out pairs; raise data\.held_out"):
        accuracies(tmp_path / "scores.parquet", seed=1)
