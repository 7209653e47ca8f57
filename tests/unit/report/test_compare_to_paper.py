"""The comparison with the paper: every printed number once, in its unit, and nothing filled in that was not run."""

import pytest

from scripts.report import compare_to_paper
from scripts.report.compare_to_paper import NOT_RUN, OUTSIDE, WITHIN, Reproduced, compared
from scripts.report.paper import read_paper

from .conftest import comparison_args


@pytest.fixture(scope="module")
def cells(table_of):
    return {(row["table"], row["row"], row["column"]): row for row in table_of("compare_to_paper.csv")}


@pytest.fixture(scope="module")
def table_of(study):
    import polars as pl

    return lambda name: pl.read_csv(study.tables / name, infer_schema_length=None).to_dicts()


def test_every_number_of_the_paper_is_there_once(cells):
    assert set(cells) == set(read_paper())


def test_what_was_not_run_is_empty(cells):
    row = cells["table2", "Vicuna-33b-v1.3", "MT-Bench"]
    assert row["verdict"] == NOT_RUN
    assert all(row[name] is None for name in ("reproduced", "low", "high", "n", "difference", "measured"))


def test_numbers_stand_in_the_papers_unit_with_their_interval(cells, table_of):
    row = cells["table1", "BT mix2", "Safety"]
    ours = next(r for r in table_of("table1_reward_models.csv") if (r["model"], r["section"]) == ("mix2", "Safety"))
    assert row["reproduced"] == pytest.approx(100 * ours["accuracy"], abs=1e-3)
    assert (row["low"], row["high"]) == pytest.approx((100 * ours["low"], 100 * ours["high"]), abs=1e-3)
    assert row["difference"] == pytest.approx(row["reproduced"] - 87.8, abs=1e-3)
    assert row["measured"] == "model mix2"


def test_tables_of_every_kind_have_numbers(cells):
    run = {table for (table, _, _), row in cells.items() if row["verdict"] != NOT_RUN}
    assert run == {"table1", "table2", "table3", "table4", "table5", "table6", "figure3", "table7", "appendixB1"}


def test_a_second_annotators_scores_stand_in_its_own_row_of_the_paper(cells, table_of):
    chosen = {row["annotator"]: row for row in table_of("table2_chat.csv") if row["policy"] == "iterative-iter3"}
    second = chosen["alpaca_eval_gpt4_turbo_fn"]
    row = cells["table2", "Ours (Iterative RLHF), gpt4_turbo_fn", "AlpacaEval-2 win rate"]
    assert (row["paper"], row["reproduced"]) == (45.4, second["alpaca_eval"])
    assert cells["table2", "Ours (Iterative RLHF), gpt4_turbo_fn", "LC AlpacaEval-2"]["verdict"] == NOT_RUN
    assert cells["table2", "Ours (Iterative RLHF)", "LC AlpacaEval-2"]["reproduced"] == chosen[None]["lc_alpaca_eval"]


@pytest.mark.parametrize(
    ("model", "annotator", "row"),
    [
        ("Ours (SFT baseline)", None, "Ours (SFT baseline)"),
        ("Ours (Iterative RLHF)", "alpaca_eval_gpt4_turbo_fn", "Ours (Iterative RLHF), gpt4_turbo_fn"),
        ("Ours (SFT baseline)", "alpaca_eval_gpt4_turbo_fn", None),
        ("Ours (Iterative RLHF)", "another", None),
    ],
)
def test_rows_of_annotators(model, annotator, row):
    assert compare_to_paper.printed_row(model, annotator) == row


def test_parameters_of_training_agree_or_do_not(cells):
    verdicts = {column: row["verdict"] for (table, _, column), row in cells.items() if table == "table7"}
    assert verdicts == {
        "n_batch_size_per_device": OUTSIDE,
        "n_gradient_accumulation": OUTSIDE,
        "num_train_epochs": WITHIN,
        "beta": WITHIN,
    }


def test_what_was_not_run_is_shown_so(study, cells):
    text = (study.tables / "compare_to_paper.md").read_text()
    assert "| table2 | Vicuna-33b-v1.3 | MT-Bench | 7.12 | not run |  | not run |  |" in text
    assert text.count("\n| ") == 1 + len(cells)
    shown = study.page.read_text().partition('id="exhibit-comparison"')[2].partition("</figure>")[0]
    missing = sum(row["verdict"] == NOT_RUN for row in cells.values())
    assert missing > 0
    assert shown.count(">not run</td>") == 2 * missing  # its number and its verdict
    assert shown.count("<tr") == 1 + len(cells)


def test_a_missing_table_leaves_its_numbers_not_run(study, tmp_path, table_of):
    args = comparison_args(study, table1=None, table=tmp_path / "t.csv", text=tmp_path / "t.md")
    facts = compare_to_paper.main(args)
    assert facts[NOT_RUN] == sum(row["verdict"] == NOT_RUN for row in table_of("compare_to_paper.csv")) + sum(
        row["table"] == "table1" and row["verdict"] != NOT_RUN for row in table_of("compare_to_paper.csv")
    )
    assert "of table1" in args.text.read_text()


@pytest.mark.parametrize(
    ("number", "verdict"),
    [
        (Reproduced(10.0, 9.0, 11.0, 5, "x"), WITHIN),
        (Reproduced(10.0, 10.5, 11.0, 5, "x"), OUTSIDE),
        (Reproduced(10.09, None, None, None, "x"), WITHIN),
        (Reproduced(10.2, None, None, None, "x"), OUTSIDE),
        (None, NOT_RUN),
    ],
)
def test_verdicts(number, verdict):
    assert compared(("table1", "row", "column"), 10.0, number)["verdict"] == verdict


def test_figure_9_draws_study_and_paper(study):
    words = (study.figures / "figure9_evaluation.svg").read_text()
    for name in ("LC AlpacaEval-2", "MT-Bench", "MBPP", "this study", "the paper"):
        assert f">{name}<" in words
