"""Benchmarks: limits, regressions and the README's table, from results whose verdict is known; logs read right."""

import json

import pytest

from benchmarks import check, readme, table, workflow_overhead
from benchmarks.table import Figure

ONE, OTHER = {"hardware": "one", "cpus": 2, "load_average": 0.5}, {"hardware": "other", "cpus": 2, "load_average": 9.0}
SPEED = Figure("b", "speed.over", "speed", "the rest", at_least=2)
TIME = Figure("b", "time", "time", "the rest", at_most=2)


@pytest.mark.parametrize(
    ("figure", "value", "before", "expected"),
    [
        (SPEED, None, 3.0, "not run"),
        (SPEED, 1.9, 3.0, "misses its limit"),
        (SPEED, 2.0, None, "holds"),
        (SPEED, 2.8, 3.0, "holds"),  # within a tenth
        (SPEED, 2.4, 3.0, "worse by 20%"),
        (SPEED, 9.0, 3.0, "holds"),
        (TIME, 2.1, 1.0, "misses its limit"),
        (TIME, 1.3, 1.0, "worse by 30%"),
        (TIME, 0.5, 1.0, "holds"),
        (TIME, 3e-7, 1e-7, "holds"),  # rounding
    ],
)
def test_verdicts(figure, value, before, expected):
    assert check.verdict(figure, value, before, same_machine=True) == expected


def test_a_worse_figure_of_another_machine_is_shown_and_no_regression():
    said = check.verdict(SPEED, 2.4, 3.0, check.same_machine({"machine": ONE}, {"machine": OTHER}))
    assert said == "holds; 20% worse than on another machine"
    assert not check.Finding(SPEED, 2.4, 3.0, said).bad
    assert check.same_machine({"machine": ONE}, {"machine": ONE | {"load_average": 3}})


def test_what_is_worse_than_committed_is_found(tmp_path):
    now = {"dpo": {"speed_up": 1.3, "largest_loss_difference": 1e-3, "machine": ONE}}
    before = {"dpo": {"speed_up": 2.0, "largest_loss_difference": 1e-7, "machine": ONE}}
    bad = {found.figure.key: found.verdict for found in check.findings(now, before) if found.bad}
    assert bad == {"speed_up": "worse by 35%", "largest_loss_difference": "misses its limit"}


def test_a_figure_is_found_by_its_path_or_is_not_run():
    assert SPEED.value({"speed": {"over": 2.5}}) == 2.5
    assert SPEED.value({"speed": 2.5}) is None
    assert SPEED.value({}) is None


def test_the_table_says_what_was_not_run_what_missed_and_how_busy_the_machine_was(tmp_path):
    (tmp_path / "packing.json").write_text(json.dumps({"filled": 0.987, "machine": ONE}))
    found = {"speed_up": 1.1, "over_floor": 1.6, "largest_loss_difference": 1.2e-7, "machine": OTHER}
    (tmp_path / "dpo.json").write_text(json.dumps(found))
    lines = {line.split(" | ")[0].strip("| "): line for line in table.rendered(tmp_path).splitlines()}
    assert "| ≥ 90.0% | 98.7% | `packing` | one, 2 cores |" in lines["SFT, token slots filled by packing"]
    missed = "| **1.10×, missed**; 1.60× the time of forward and backward alone | `dpo` | other, 2 cores, load 9 |"
    assert missed in lines["DPO, tokens a second"]
    assert "| 1e-07 nats |" in lines["DPO, loss of any step"]
    assert "| not run |" in lines["generation, tokens a second"]


def test_the_readme_has_the_stored_results():
    assert table.block() in readme.README.read_text(), "run `python -m benchmarks.table`"


LOG = """Provided cores: 2
[Wed Nov 25 12:49:11 2026]
3 of 3 steps (100%) done
Elapsed time: 0:01:40.500000
"""


@pytest.fixture
def study(tmp_path):
    for name, seconds in (("train_sft", 150.75), ("retrieve/hh_rlhf", 30.15)):
        path = tmp_path / "study/benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:00\t1.0\n")
    (tmp_path / "run.log").write_text(LOG)
    return tmp_path


def test_overhead_is_the_share_of_the_cores_time_that_no_job_took(study):
    args = workflow_overhead.Args(study / "study", study / "run.log", study / "out.json")
    found = workflow_overhead.main(args)
    assert found["overhead"] == pytest.approx(1 - 180.9 / 201)
    assert json.loads((study / "out.json").read_text())["jobs"] == 2


OTHERS = [LOG.replace("3 of 3", "9 of 9"), LOG.replace("3 of 3 steps (100%) done", "2 of 3 steps (67%) done")]


@pytest.mark.parametrize("text", OTHERS, ids=["other", "failed"])
def test_a_log_of_another_run_or_of_one_that_failed_is_refused(study, text):
    (study / "run.log").write_text(text)
    with pytest.raises(SystemExit, match=r"run\.log: no run that ended well with 3 steps.* tells of 2 jobs"):
        workflow_overhead.main(workflow_overhead.Args(study / "study", study / "run.log", study / "out.json"))


def test_of_all_logs_the_newest_that_built_the_study_is_taken(study, monkeypatch):
    """After it a run of another study, one that failed, and one that found nothing to do."""
    older, whole = LOG.replace("0:01:40.500000", "1:00:00"), LOG
    (study / ".snakemake/log").mkdir(parents=True)
    for number, text in enumerate([older, whole, *OTHERS, "Nothing to be done\n"]):
        (study / f".snakemake/log/2026-11-25T1{number}0000.000000.snakemake.log").write_text(text)
    monkeypatch.chdir(study)
    args = workflow_overhead.Args(study / "study", output=study / "out.json")
    assert workflow_overhead.main(args)["elapsed_seconds"] == 100.5
