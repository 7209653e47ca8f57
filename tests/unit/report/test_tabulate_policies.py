"""Tables 2 and 4: names and methods of policies, plain means over the test split, intervals."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.report import tabulate_policies
from scripts.report.tabulate_policies import chosen_iteration, main, method, split_name, test_answers

from .conftest import SHIFTS, TEST, Study, policies_args, write_measures

test_answers.__test__ = False  # a function of the module, whose name pytest would take for a test


def test_names():
    assert split_name("sft") == ("sft", 0)
    assert split_name("iterative-iter12") == ("iterative", 12)


@pytest.mark.parametrize(
    ("reward_model", "penalty", "name"),
    [
        (None, 0.0, "SFT"),
        ("none", 0.0, "offline DPO"),
        ("mix2", 0.0, "iterative DPO"),
        ("mix2", 0.001, "iterative DPO, length penalty"),
    ],
)
def test_methods(reward_model, penalty, name):
    assert method(reward_model, penalty) == name


def test_table2_holds_plain_means_of_the_test_split(study, table):
    rows = {row["policy"]: row for row in table("table2_policies.csv")}
    assert list(rows) == list(SHIFTS)
    for policy, row in rows.items():
        answers = pl.read_parquet(study.folder / f"evaluation/measures/{policy}.parquet").filter(
            pl.col("split") == "test"
        )
        assert row["n"] == TEST
        assert row["gold"] == pytest.approx(answers["gold"].mean(), abs=1e-6)
        assert row["kl"] == pytest.approx(answers["log_ratio"].mean(), abs=1e-6)
        assert row["truncated"] == pytest.approx(2 / TEST)
        assert row["gold_low"] < row["gold"] < row["gold_high"]


def test_win_rate_against_sft(study, table):
    gold = {
        policy: pl.read_parquet(study.folder / f"evaluation/measures/{policy}.parquet").head(TEST)["gold"].to_numpy()
        for policy in ("sft", "offline-iter1")
    }
    rows = {row["policy"]: row for row in table("table2_policies.csv")}
    assert rows["offline-iter1"]["win_rate"] == pytest.approx(np.mean(gold["offline-iter1"] > gold["sft"]))
    assert (rows["sft"]["win_rate"], rows["sft"]["kl"]) == (0.5, 0.0)


def test_the_chosen_iterations_are_marked(table):
    chosen = [row["policy"] for row in table("table2_policies.csv") if row["chosen"]]
    assert chosen == ["sft", "iterative-iter3", "concise-iter2", "offline-iter1"]


def test_table4_compares_the_chosen_policies_with_the_first_run(table):
    iterative, concise = table("table4_length_penalty.csv")
    policies = {row["policy"]: row for row in table("table2_policies.csv")}
    assert (iterative["iteration"], concise["iteration"], concise["compared_with"]) == (3, 2, "iterative")
    assert concise["gold"] == policies["concise-iter2"]["gold"]
    assert (iterative["gold_difference"], iterative["gold_difference_high"]) == (0.0, 0.0)
    expected = policies["concise-iter2"]["characters"] - policies["iterative-iter3"]["characters"]
    assert concise["characters_difference"] == pytest.approx(expected)
    assert concise["characters_difference_high"] < 0


def test_paired_differences_are_narrower_than_the_measures(table):
    """Policies share the prompts' difficulty (sd 1); their own noise is 0.3."""
    rows = {(row["policy"], row["minus"], row["measure"]): row for row in table("table2_differences.csv")}
    policies = {row["policy"]: row for row in table("table2_policies.csv")}
    row, alone = rows["offline-iter1", "sft", "gold"], policies["offline-iter1"]
    assert row["difference"] == pytest.approx(alone["gold"] - policies["sft"]["gold"], abs=2e-6)
    assert row["high"] - row["low"] < 0.5 * (alone["gold_high"] - alone["gold_low"])
    assert len(rows) == len(SHIFTS) * (len(SHIFTS) - 1) * len(tabulate_policies.MEASURES)


@pytest.fixture
def other(study, tmp_path) -> Study:
    """A copy of the study whose files a test may change."""
    shutil.copytree(study.folder, tmp_path / "demo")
    return Study(tmp_path / "demo")


def test_without_gold_reward_its_columns_are_empty(other):
    for policy in SHIFTS:
        write_measures(other.folder / f"evaluation/measures/{policy}.parquet", policy, gold=False)
    main(policies_args(other, judge="reward"))
    table = pl.read_csv(other.tables / "table2_policies.csv")
    assert table["gold"].null_count() == len(SHIFTS)
    assert table["win_rate"].null_count() == 0
    with pytest.raises(StudyError, match="without gold reward; use --judge reward"):
        main(policies_args(other, judge="gold"))


def test_policies_must_answer_the_same_prompts(other):
    path = other.folder / "evaluation/measures/offline-iter1.parquet"
    pl.read_parquet(path).slice(1).write_parquet(path)
    with pytest.raises(StudyError, match="'offline-iter1' and 'sft' answered different test prompts"):
        main(policies_args(other))


def test_one_answer_a_prompt(other):
    path = other.folder / "evaluation/measures/sft.parquet"
    table = pl.read_parquet(path)
    pl.concat([table, table.head(1)]).write_parquet(path)
    with pytest.raises(StudyError, match="several answers"):
        test_answers(path)


def test_no_test_prompts(other):
    path = other.folder / "evaluation/measures/sft.parquet"
    pl.read_parquet(path).with_columns(split=pl.lit("validation")).write_parquet(path)
    with pytest.raises(StudyError, match="no row has split 'test'"):
        test_answers(path)


def test_measures_without_split(other):
    path = other.folder / "evaluation/measures/sft.parquet"
    pl.read_parquet(path).drop("split").write_parquet(path)
    with pytest.raises(StudyError, match="no column 'split'"):
        test_answers(path)


def test_values_that_are_not_finite(other):
    path = other.folder / "evaluation/measures/concise-iter1.parquet"
    pl.read_parquet(path).with_columns(log_ratio=pl.lit(float("inf"))).write_parquet(path)
    with pytest.raises(StudyError, match="'concise-iter1': column 'log_ratio'"):
        main(policies_args(other))


@pytest.mark.parametrize("content", ["{}", "[]", "not json", json.dumps({"best_iteration": None})])
def test_selection_that_names_no_iteration(tmp_path, content):
    (tmp_path / "selection.json").write_text(content)
    with pytest.raises(StudyError, match="no key 'best_iteration'"):
        chosen_iteration(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"best": ()}, "2 online runs .* but 0 folders"),
        ({"runs": ("iterative",)}, "--runs, --reward-models and --length-penalties"),
        ({"policies": ("sft",)}, "--policies and --measures"),
    ],
)
def test_arguments_that_do_not_fit(study, changes, message):
    with pytest.raises(StudyError, match=message):
        main(policies_args(study, **changes))


def test_order_of_rows_in_the_measures_does_not_matter(other):
    before = (other.tables / "table2_policies.csv").read_bytes()
    for policy in SHIFTS:
        path = other.folder / f"evaluation/measures/{policy}.parquet"
        rows = tables.read_table(path, tables.MEASURES, [*tables.MEASURES.columns.names, "split"]).to_pylist()
        pl.DataFrame(rows[::-1]).with_columns(
            pl.col("characters").cast(pl.Int32), pl.col("tokens").cast(pl.Int32)
        ).write_parquet(path)
    main(policies_args(other))
    assert (other.tables / "table2_policies.csv").read_bytes() == before
