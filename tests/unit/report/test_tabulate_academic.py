"""Tables 3, 4 and 6 of academic benchmarks, on a study whose right answers are known, and what claims make of them."""

import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.report import page_academic, tabulate_academic
from scripts.report.claims import Sources, gather
from scripts.report.csv_tables import read_csv
from tests.unit.report.conftest import ACADEMIC, ACADEMIC_QUESTIONS, academic_args


@pytest.fixture(scope="module")
def table3(study):
    rows = read_csv(study.tables / "table3_academic.csv", tabulate_academic.TABLE3).to_dicts()
    return {(row["policy"], row["task"]): row for row in rows}


def test_scores_with_intervals(table3):
    for policy, right in ACADEMIC.items():
        for task, hits in right.items():
            row = table3[policy, task]
            if hits is None:
                assert (row["value"], row["n"], row["not_run"]) == (None, 0, "programs are not executed")
                continue
            assert row["value"] == pytest.approx(hits / ACADEMIC_QUESTIONS)
            assert row["low"] < row["value"] < row["high"]
            assert row["n"] == ACADEMIC_QUESTIONS
        assert table3[policy, "mbpp"]["not_run"] == "not part of this study"


def test_policies_are_described(table3):
    best = table3["concise-best", "arc"]
    assert (best["run"], best["iteration"], best["method"]) == ("concise", 2, "iterative DPO, length penalty")
    assert table3["sft", "arc"]["method"] == "SFT"
    assert table3["offline-iter1", "arc"]["iteration"] == 1
    assert all(table3[policy, "arc"]["chosen"] for policy in ACADEMIC)


def test_the_paper_stands_beside_its_counterparts(table3):
    assert table3["sft", "gsm8k"]["paper"] == pytest.approx(0.742)
    assert table3["offline-iter1", "arc"]["paper"] == pytest.approx(0.652)
    assert table3["iterative-best", "mbpp"]["paper"] == pytest.approx(0.608)
    assert table3["concise-best", "gsm8k"]["paper"] == pytest.approx(0.788)  # Table 4
    assert table3["concise-best", "mmlu"]["paper"] is None  # not legible there
    instruct = table3["LLaMA-3-8B-it", "gsm8k"]
    assert (instruct["paper"], instruct["value"]) == (pytest.approx(0.796), None)
    assert instruct["not_run"] == "not part of this study"


def test_a_second_run_of_a_kind_has_no_counterpart_but_a_baseline_has(study, tmp_path):
    """And every iteration may be shown beside the result of its run."""
    policies = ("llama_3_8b_it", "iterative-iter1", "iterative-best", "wide-best")
    folders = [
        study.folder / f"evaluation/academic/{name}"
        for name in ("sft", "offline-iter1", "iterative-best", "concise-best")
    ]
    outputs = {name: tmp_path / name for name in ("table3", "differences", "table4", "table6")}
    args = academic_args(
        study,
        policies=policies,
        scores=tuple(folder / "scores.parquet" for folder in folders),
        samples=tuple(folder / "samples.parquet" for folder in folders),
        runs=("iterative", "wide"),
        reward_models=("mix2", "mix2"),
        length_penalties=(0.0, 0.0),
        **outputs,
    )
    tabulate_academic.main(args)
    rows = {(r["policy"], r["task"]): r for r in read_csv(outputs["table3"], tabulate_academic.TABLE3).to_dicts()}
    assert rows["iterative-best", "arc"]["paper"] == pytest.approx(0.643)
    assert rows["iterative-iter1", "arc"]["paper"] is None
    assert not rows["iterative-iter1", "arc"]["chosen"]
    assert rows["wide-best", "arc"]["paper"] is None
    baseline = rows["llama_3_8b_it", "arc"]
    assert (baseline["method"], baseline["paper"]) == ("baseline", pytest.approx(0.595))
    assert ("LLaMA-3-8B-it", "arc") not in rows


def test_differences_are_paired(study):
    rows = read_csv(study.tables / "table3_differences.csv", tabulate_academic.DIFFERENCES).to_dicts()
    found = {(row["policy"], row["minus"], row["task"]): row for row in rows}
    gain = found["iterative-best", "sft", "gsm8k"]
    assert gain["difference"] == pytest.approx(10 / ACADEMIC_QUESTIONS)
    assert 0.1 <= gain["low"] < gain["difference"] < gain["high"] <= 0.4  # unpaired it would reach from 0.05 to 0.45
    assert found["iterative-best", "sft", "mmlu"]["low"] == found["iterative-best", "sft", "mmlu"]["high"] == 0
    mean = found["iterative-best", "sft", "mean"]
    assert mean["difference"] == pytest.approx((10 + 0 + 4 - 2) / 4 / ACADEMIC_QUESTIONS)
    assert mean["n"] == 4 * ACADEMIC_QUESTIONS
    assert mean["high"] - mean["low"] < gain["high"] - gain["low"]
    back = found["sft", "iterative-best", "gsm8k"]
    assert (back["low"], back["high"]) == pytest.approx((-gain["high"], -gain["low"]))


def test_table4_compares_with_the_first_run(study):
    rows = read_csv(study.tables / "table4_academic.csv", tabulate_academic.TABLE4).to_dicts()
    found = {(row["run"], row["task"]): row for row in rows}
    assert set(found) == {(run, task) for run in ("iterative", "concise") for task in tabulate_academic.COLUMNS}
    row = found["concise", "gsm8k"]
    assert row["difference"] == pytest.approx(-5 / ACADEMIC_QUESTIONS)
    assert (row["compared_with"], row["length_penalty"]) == ("iterative", 0.002)
    assert found["iterative", "truthfulqa"]["paper"] == pytest.approx(0.622)  # as Table 4 prints it
    assert found["concise", "humaneval"]["difference"] is None


def test_table6_has_the_papers_nine_benchmarks(study):
    rows = read_csv(study.tables / "table6_benchmarks.csv", tabulate_academic.TABLE6).to_dicts()
    assert [row["paper_shots"] for row in rows] == [0, 0, 0, 8, 5, 0, 0, 25, 0]
    found = {row["benchmark"]: row for row in rows}
    assert (found["GSM-8K"]["shots"], found["GSM-8K"]["n"]) == (4, ACADEMIC_QUESTIONS)
    assert found["HumanEval"]["not_run"] == "programs are not executed"
    assert found["MBPP"]["not_run"] == "not part of this study"
    assert found["MT-Bench"]["not_run"] == "not part of this study"
    assert (found["LC-AlpacaEval-2"]["not_run"], found["LC-AlpacaEval-2"]["metric"]) == (None, "lc_win_rate")


def test_page(study):
    text = page_academic.table3(study.tables / "table3_academic.csv").__html__()
    assert "iterative-best</b> ★" in text
    assert "not run" in text
    assert page_academic.not_run(study.tables / "table3_academic.csv") == ["HumanEval, for programs are not executed"]
    page = study.page.read_text()
    assert all(f'id="exhibit-{name}"' in page for name in ("table3", "table4-academic", "table6"))


def test_alignment_tax(study):
    differences = study.tables / "table3_differences.csv"
    found = {
        e.finding: e
        for e in gather(Sources(academic=study.tables / "table3_academic.csv", academic_differences=differences))
    }
    assert len(found) == 5
    tax = found["Iterative DPO is not below SFT on the academic benchmarks together"]
    assert tax.value == pytest.approx(12 / 4 / ACADEMIC_QUESTIONS)
    assert tax.verdict == "holds"
    assert found["Iterative DPO is above SFT on GSM-8K"].verdict == "holds"
    assert found["Iterative DPO is above SFT on ARC"].verdict == "does not appear"


def test_samples_of_another_evaluation_are_noticed(study, tmp_path):
    args = academic_args(study)
    other = tmp_path / "scores.parquet"
    scores = tables.read_table(args.scores[0], tables.ACADEMIC_SCORES).to_pylist()
    scores[0]["value"] = 0.9
    tables.write_table(scores, other, tables.ACADEMIC_SCORES)
    with pytest.raises(StudyError, match="policy 'sft': the samples of gsm8k do not add up to its score"):
        tabulate_academic.main(academic_args(study, scores=(other, *args.scores[1:])))
