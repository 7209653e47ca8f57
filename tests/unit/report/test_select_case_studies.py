"""Case studies: the greatest differences in both directions, of the chosen iteration, on test prompts."""

import polars as pl
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.report import select_case_studies

from .conftest import case_args, write_selection


def cases(args):
    select_case_studies.main(args)
    return tables.read_table(args.output, tables.CASE_STUDIES).to_pylist()


def test_gains_come_first_then_losses_each_by_size(study, tmp_path):
    found = cases(case_args(study, output=tmp_path / "cases.parquet"))
    each = select_case_studies.EACH
    gains, losses = found[:each], found[each:]
    assert all(case["difference"] > 0 for case in gains)
    assert all(case["difference"] < 0 for case in losses)
    for part in (gains, losses):
        sizes = [abs(case["difference"]) for case in part]
        assert sizes == sorted(sizes, reverse=True)


def test_they_are_the_extremes_of_the_chosen_iteration_on_test_prompts(study, tmp_path):
    found = cases(case_args(study, output=tmp_path / "cases.parquet"))
    offline, online = (
        pl.read_parquet(study.folder / f"evaluation/measures/{policy}.parquet").filter(split="test").sort("prompt_id")
        for policy in ("offline-iter1", "iterative-iter3")
    )
    difference = online["gold"] - offline["gold"]
    assert found[0]["difference"] == pytest.approx(difference.max())
    assert found[0]["prompt_id"] == online["prompt_id"][difference.arg_max()]
    assert found[0]["prompt"][0]["content"] == f"what is thing {int(found[0]['prompt_id'][1:])} ?"


def test_an_iteration_that_is_not_there_is_named(study, tmp_path):
    write_selection(tmp_path / "best", 7)
    with pytest.raises(StudyError, match=r"best: chose iteration 7, and --online has 3 files"):
        select_case_studies.main(case_args(study, best=tmp_path / "best", output=tmp_path / "cases.parquet"))
