"""What a dry run says, condensed: from its text, and from a true one of a study that is not built yet."""

import json
from pathlib import Path

import pytest

from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT
from scripts.report import stale
from scripts.report.stale import Job

CONFIG = (ROOT / "config/demo.yaml", ROOT / "config/presets/tiny.yaml")
PAIRS = "results/tiny/runs/concise/iter1/pairs.parquet"
POLICY = "results/tiny/runs/concise/iter1/policy"
PARAMS = f"{stale.PARAMS}: Union of exclusive params before and now across all output:"


def select_pairs(**reasons: str) -> Job:
    flags = f"--prompts p.parquet --length-penalty 0.005 --output {PAIRS}"
    shell = f"python -m scripts.online.select_pairs {flags} > a.log 2>&1"
    return Job("select_pairs", ("p.parquet",), (PAIRS,), reasons, shell)


def manifest(*flags: str, inputs: tuple[str, ...] = ("p.parquet",), seconds: float = 3.0) -> dict:
    command = ["/usr/bin/python", "-m", "scripts.online.select_pairs", *flags, "--output", PAIRS]
    return {"command": command, "inputs": [{"path": path} for path in inputs], "seconds": seconds}


def because(job: Job, recorded: dict | None = None) -> str:
    return stale.why(job, recorded or {})


def test_a_changed_parameter_has_a_name_and_both_values():
    job = select_pairs(**{stale.PARAMS: "Union ...: before: 0.002 now: 0.005"})
    recorded = manifest("--prompts", "p.parquet", "--length-penalty", "0.002")
    assert because(job, recorded) == "changed: --length-penalty 0.002 → 0.005"


def test_changed_code_is_told_from_a_changed_value():
    job = select_pairs(**{stale.PARAMS: "Union ...: before: '89335ca2be9fed18' now: '0123456789abcdef' "})
    recorded = manifest("--prompts", "p.parquet", "--length-penalty", "0.005")
    assert because(job, recorded) == "changed: code"


def test_flags_that_came_or_went_are_named():
    job = select_pairs(**{stale.PARAMS: "Union ..."})
    recorded = manifest("--prompts", "p.parquet", "--gold")
    assert because(job, recorded) == "changed: --gold (set) → (absent); --length-penalty (absent) → 0.005"


def test_without_a_manifest_snakemakes_own_words_stand():
    assert because(select_pairs(**{stale.PARAMS: "before: 1 now: 2"})) == "changed: before: 1 now: 2"


def test_other_inputs_are_named():
    job = select_pairs(**{stale.INPUTS: ""})
    assert because(job, manifest(inputs=("q.parquet",))) == "other inputs: now p.parquet; no longer q.parquet"
    assert because(job) == "other inputs"  # nothing is recorded that could be compared


def test_newer_inputs_are_named_up_to_a_number():
    job = select_pairs(**{"Updated input files": "a, b, c, d, e"})
    assert because(job) == "newer input: a, b, c and 2 more"


def test_takes_snakemakes_reasons_apart():
    text = f"Missing output files: a, b; Input files updated by another job: c; {PARAMS} before: 'x; y' now: 2"
    assert stale.reasons(text) == {
        stale.MISSING: "a, b",
        stale.FOLLOWS: "c",
        stale.PARAMS: "Union of exclusive params before and now across all output: before: 'x; y' now: 2",
    }


def test_a_reason_that_is_not_known_is_passed_on():
    assert because(select_pairs(**stale.reasons("Pipe to be filled"))) == "Pipe to be filled"
    assert stale.reasons("") == {}


def test_jobs_that_only_follow_stand_last_and_name_what_they_follow(tmp_path):
    follows = Job("train_dpo", (PAIRS,), (POLICY,), {stale.FOLLOWS: PAIRS}, "")
    changed = select_pairs(**{stale.PARAMS: "before: 1 now: 2"})
    for path, seconds in ((f"{PAIRS}.manifest.json", 3.0), (f"{POLICY}/manifest.json", 40.0)):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        recorded = manifest("--prompts", "p.parquet", "--length-penalty", "0.001", seconds=seconds)
        place.write_text(json.dumps(recorded))
    (tmp_path / PAIRS).write_text("")
    rows = stale.summarise([follows, changed], tmp_path)
    assert [(row.rule, row.jobs, row.seconds) for row in rows] == [("select_pairs", 1, 3.0), ("train_dpo", 1, 40.0)]
    assert rows[0].why == "changed: --length-penalty 0.001 → 0.005"
    assert rows[1].why == "follows select_pairs"


def test_jobs_of_one_rule_and_cause_share_a_line():
    jobs = [Job("retrieve", (), (f"{i}.parquet",), {stale.MISSING: f"{i}.parquet"}, "") for i in range(5)]
    (row,) = stale.summarise(jobs, Path("nowhere"))
    assert (row.rule, row.jobs, row.why, row.artifacts[-1]) == ("retrieve", 5, "missing", "4.parquet")


@pytest.fixture(scope="module")
def unbuilt(tmp_path_factory) -> list[Job]:
    return stale.pending(CONFIG, targets=[PAIRS], folder=tmp_path_factory.mktemp("unbuilt"))


def test_reads_a_true_dry_run(unbuilt):
    jobs = {job.output[0]: job for job in unbuilt}
    pairs = jobs[PAIRS]
    assert pairs.rule == "select_pairs"
    assert set(pairs.reasons) == {stale.MISSING, stale.FOLLOWS}
    assert pairs.reasons[stale.MISSING] == PAIRS
    assert "results/tiny/data/prompts/iter1.parquet" in pairs.input
    assert pairs.command.startswith(
        "python -m scripts.online.select_pairs --prompts results/tiny/data/prompts/iter1.parquet"
    )
    assert all(job.command and stale.MISSING in job.reasons for job in unbuilt)


def test_a_study_not_built_yet_is_missing_and_nothing_else(unbuilt):
    assert {row.why for row in stale.summarise(unbuilt, Path("nowhere"))} == {"missing"}


def test_what_snakemake_refuses_is_passed_on(tmp_path):
    with pytest.raises(StudyError, match="no_such_key"):
        stale.pending(CONFIG, settings=["no_such_key=1"], folder=tmp_path)
