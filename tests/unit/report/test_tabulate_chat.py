"""Table 2 and the chat columns of Table 4: the paper's rows, who stands in them, and what was not run."""

import polars as pl
import pytest

from scripts.common.errors import StudyError
from scripts.report import tabulate_chat
from tests.unit.report.conftest import CHAT, SHIFTS, chat_args

BEST = {
    "Ours (SFT baseline)": "sft",
    "Ours (DPO baseline)": "offline-iter1",
    "Ours (Iterative RLHF)": "iterative-iter3",
}


@pytest.fixture
def rows(table):
    return {row["model"]: row for row in table("table2_chat.csv") if row["annotator"] is None}


def test_the_papers_rows_stand_in_its_order_with_its_numbers(rows):
    names = list(rows)
    assert names[:3] == ["Gemma-7B-it", "Zephyr-7B-beta", "Mistral-7B-v0.2-it"]
    assert names.index("GPT-4 Turbo (04/09)") < names.index("iterative-iter1")
    assert rows["LLaMA-3-8B-it"]["lc_alpaca_eval_paper"] == 22.9
    assert rows["Ours (Iterative RLHF)"]["mt_bench_paper"] == 8.46
    assert rows["Zephyr-7B-beta"]["arena_hard_paper"] is None


def test_what_was_not_run_has_no_number_and_says_so(rows):
    for name, row in rows.items():
        measured = name in BEST or name in SHIFTS
        assert (row["policy"] is not None) == measured
        for column in ("lc_alpaca_eval", "mt_bench", "arena_hard"):
            assert (row[column] is not None) == measured
            assert row[f"{column}_note"] == (None if measured else "not run")


def test_the_studys_policies_stand_in_the_rows_of_their_methods(rows):
    for name, policy in BEST.items():
        assert rows[name]["policy"] == policy
        assert policy not in rows
    assert rows["concise-iter2"]["method"] == "iterative DPO, length penalty"
    assert rows["Ours (Iterative RLHF)"]["mt_bench"] - rows["Ours (SFT baseline)"]["mt_bench"] == pytest.approx(0.9)
    sft = rows["Ours (SFT baseline)"]
    assert sft["arena_hard_low"] < sft["arena_hard"] < sft["arena_hard_high"]
    assert (sft["arena_hard_n"], sft["arena_hard_no_verdict"]) == (60, 2)


def test_another_annotator_has_rows_of_its_own_and_its_reason(table):
    others = {row["policy"]: row for row in table("table2_chat.csv") if row["annotator"] is not None}
    assert set(others) == set(SHIFTS)
    chosen = others["iterative-iter3"]
    assert (chosen["model"], chosen["lc_alpaca_eval_paper"], chosen["alpaca_eval_paper"]) == (
        "Ours (Iterative RLHF)",
        37.2,
        45.4,
    )
    assert chosen["lc_alpaca_eval"] is None
    assert chosen["lc_alpaca_eval_note"] == "calibration absent: df_gamed.csv"
    assert chosen["alpaca_eval"] is not None
    assert chosen["mt_bench_note"] == "not run"
    assert others["sft"]["alpaca_eval_paper"] is None


def test_table_4_compares_with_the_first_run(table):
    first, concise = table("table4_chat.csv")
    assert (first["run"], first["iteration"], first["characters"]) == ("iterative", 3, 99)
    assert (concise["run"], concise["length_penalty"], concise["lc_alpaca_eval_paper"]) == ("concise", 0.002, 38.1)
    assert concise["mt_bench_difference"] == pytest.approx(0.0)
    assert first["mt_bench_difference"] is None
    assert (first["arena_hard_paper"], concise["arena_hard_paper"]) == (29.1, 22.1)


def test_differences_carry_the_columns_names(table):
    found = {(row["policy"], row["minus"], row["measure"]): row for row in table("chat_differences.csv")}
    assert {measure for _, _, measure in found} == {"lc_alpaca_eval", "alpaca_eval", "mt_bench", "arena_hard"}
    assert found["iterative-iter3", "sft", "arena_hard"]["difference"] == pytest.approx(0.9 * CHAT["arena_hard"][2])


def test_a_baseline_stands_in_the_row_of_its_name(study, tmp_path):
    """A hub model that the study also ran."""
    source = study.folder / "evaluation/mt_bench/scores/gold/sft.json"
    score = tmp_path / "mt_bench/scores/gold/gemma_7b_it.json"
    other = tmp_path / "mt_bench/scores/gold/some_model.json"
    score.parent.mkdir(parents=True)
    for path in (score, other):
        path.write_text(source.read_text())
    outputs = {name: tmp_path / f"{name}.csv" for name in ("table2", "table4", "differences")}
    args = chat_args(study, **outputs)
    changes = {"policies": (*args.policies, "gemma_7b_it", "some_model"), "scores": (*args.scores, score, other)}
    tabulate_chat.main(chat_args(study, **outputs, **changes))
    rows = {row["model"]: row for row in pl.read_csv(outputs["table2"]).to_dicts() if row["annotator"] is None}
    assert (rows["Gemma-7B-it"]["policy"], rows["Gemma-7B-it"]["mt_bench_paper"]) == ("gemma_7b_it", 6.38)
    assert rows["Gemma-7B-it"]["mt_bench"] is not None
    assert rows["Gemma-7B-it"]["arena_hard_note"] == "not run"
    assert (rows["some_model"]["method"], rows["some_model"]["mt_bench_paper"]) == ("baseline", None)


def test_a_damaged_score_is_named(study, tmp_path):
    path = tmp_path / "mt_bench/scores/gold/sft.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    outputs = {name: tmp_path / f"{name}.csv" for name in ("table2", "table4", "differences")}
    with pytest.raises(StudyError, match=r"sft\.json: is no score file"):
        tabulate_chat.main(chat_args(study, scores=(path,), **outputs))
