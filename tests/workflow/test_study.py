"""The whole study in its smallest form, and what Snakemake rebuilds after a change."""

import json
import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from scripts.report.captions import CAPTIONS, captions
from tests.workflow.study import ROOT, Study

pytestmark = pytest.mark.workflow


def test_all_targets_exist_and_the_page_is_one_file(built):
    page = (built.results / "report/index.html").read_text()
    assert "<svg" in page
    for table in ("table1_reward_models", "table2_policies", "table4_length_penalty", "table5_preference_data"):
        assert (built.results / "tables" / f"{table}.csv").stat().st_size > 0
    for figure in ("figure3_length_bias", "figure8_iterations"):
        assert (built.results / "figures" / f"{figure}.svg").stat().st_size > 0


@pytest.mark.parametrize("name", CAPTIONS)
def test_tables_and_figures_of_the_paper_are_numbers_text_and_drawing_with_a_caption(built, name):
    file = built.results / ("tables" if name.startswith("table") else "figures") / name
    assert len(pl.read_csv(file.with_suffix(".csv"), infer_schema_length=None)) > 0
    said = captions("gold", 16, [])[name]
    text = file.with_suffix(".md").read_text()
    assert text.startswith(f"# {said.title}\n\n| ")
    assert said.text.replace("Small print:", "In brackets:") in text
    assert "<svg" in file.with_suffix(".svg").read_text()


def test_a_run_without_changes_does_nothing(built):
    assert built.planned() == []


def test_a_moved_checkout_and_a_moved_study_rebuild_nothing(copy, tmp_path):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in filter(None, listed.split("\0")):
        if (ROOT / file).is_file():
            (tmp_path / "elsewhere" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, tmp_path / "elsewhere" / file)
    assert replace(copy, program=tmp_path / "elsewhere").planned() == []


def test_every_chat_benchmark_has_a_score_for_every_policy(built):
    rows = pl.read_csv(built.results / "tables/table2_chat.csv", infer_schema_length=None)
    measured = rows.filter(pl.col("policy").is_not_null())
    assert set(measured["policy"]) == {"sft", "iterative-iter1", "iterative-iter2", "concise-iter1", "offline-iter1"}
    for column in ("lc_alpaca_eval", "alpaca_eval", "mt_bench", "arena_hard"):
        assert measured[column].null_count() == 0
        assert rows.filter(pl.col("policy").is_null())[f"{column}_note"].unique().to_list() == ["not run"]


def test_dropped_rows_are_exactly_the_planted_ones(built):
    planted = json.loads((built.results / "world/raw/defects.json").read_text())
    tables = {source: f"dropped/{source}.parquet" for source in planted}
    tables |= {name: f"dropped_{name}.parquet" for name in ("prompts", "instructions")}
    for source, reasons in planted.items():
        dropped = pl.read_parquet(built.results / "data" / tables[source])
        found = dict(dropped["reason"].value_counts().iter_rows())
        assert found == {reason: n for reason, n in reasons.items() if n}, source


def test_every_artifact_has_a_manifest_naming_its_inputs(built):
    policy = json.loads((built.results / "runs/iterative/iter2/policy/manifest.json").read_text())
    named = {Path(item["path"]).name for item in policy["inputs"]}
    assert named == {"pairs.parquet", "policy", "sft"}
    pairs = json.loads((built.results / "runs/iterative/iter2/pairs.parquet.manifest.json").read_text())
    assert policy["inputs"][0]["sha256"] == pairs["output"]["sha256"]


def test_the_first_dpo_loss_is_ln_2_only_where_policy_is_the_reference(built):
    def first_loss(run: str, t: int) -> float:
        log = built.results / f"runs/{run}/iter{t}/policy/training_log.jsonl"
        return json.loads(log.read_text().splitlines()[0])["loss"]

    assert first_loss("iterative", 1) == pytest.approx(math.log(2), abs=1e-7)
    assert abs(first_loss("iterative", 2) - math.log(2)) > 1e-6  # two steps of training in between, the first of rate 0


def test_length_penalty_rebuilds_one_run_and_no_generation_of_iteration_1(built):
    planned = built.with_changes("runs: {concise: {length_penalty: 0.003}}").planned()
    outputs = [output.removeprefix("results/tiny/") for _, output in planned]
    assert "runs/concise/iter1/pairs.parquet" in outputs
    assert "runs/concise/iter1/policy" in outputs
    assert not any(
        output.startswith(("rollouts/sft", "runs/iterative", "runs/offline", "models")) for output in outputs
    )


def test_a_moved_limit_is_checked_and_rebuilds_nothing(built):
    planned = built.with_changes("runs: {iterative: {limits: {kl: 9}}}").planned()
    assert {rule for rule, _ in planned} <= {"check_limits", "plot_drift", "build_page", "build_catalog"}
    assert ("check_limits", "results/tiny/runs/iterative/iter1/within_limits.json") in planned


def test_a_run_that_crosses_a_limit_stops_before_its_next_iteration(copy):
    changed = copy.with_changes("runs: {iterative: {limits: {kl: 1.0e-9, length_growth: 1.0e-3}}}")
    pairs = "results/tiny/runs/iterative/iter2/pairs.parquet"
    (changed.folder / pairs).unlink()
    done = changed.snakemake(pairs)
    assert done.returncode != 0
    assert "run 'iterative' stops after iteration 1" in done.stdout + done.stderr
    assert "length_growth is" in done.stdout + done.stderr
    assert not (changed.folder / pairs).exists()


def test_evaluation_prompts_do_not_retrain(built):
    planned = built.with_changes("evaluation: {length_bias_responses: 5}").planned()
    assert {rule for rule, _ in planned} <= {
        "generate_responses",
        "score_responses",
        "score_gold",
        "plot_length_bias",
        "plot_best_of_n",
        "compare_to_paper",
        "plot_evaluation",
        "export_exhibits",
        "build_page",
        "build_catalog",
    }
    assert ("generate_responses", "results/tiny/rollouts/sft/length_bias/length_bias/responses/0.parquet") in planned


def test_a_baseline_is_one_more_model_to_answer_and_to_judge(built):
    """Any model by name or folder; nothing of the study's own is made again but the tables it appears in."""
    base = "{local: 'results/{study}/world/base'}"
    planned = built.with_changes(f"evaluation: {{baselines: {{other: {base}}}}}").planned()
    jobs = [rule for rule, _ in planned]
    assert (jobs.count("retrieve_other_model"), jobs.count("answer_questions"), jobs.count("judge_answers")) == (
        1,
        1,
        3,
    )
    assert not {"train_dpo", "generate_responses", "measure_responses", "score_responses"} & set(jobs)


def test_one_artifact_builds_just_what_it_needs(tmp_path):
    planned = Study(tmp_path).planned("results/tiny/runs/iterative/iter2/pairs.parquet")
    outputs = [output.removeprefix("results/tiny/") for _, output in planned]
    assert "runs/iterative/iter1/policy" in outputs
    assert not any("concise" in o or "offline" in o or "nectar" in o or "reward/mix1" in o for o in outputs)
    assert not any(o.startswith(("tables", "figures", "report")) for o in outputs)
    # the run has limits: whether iteration 2 may start is measured on the policies so far
    evaluated = {Path(o).stem for o in outputs if o.startswith("evaluation")}
    assert evaluated == {"sft", "iterative-iter1"}
    assert "runs/iterative/iter2/policy" not in outputs


def test_dry_run_lists_tables_and_figures_and_says_why(tmp_path):
    done = Study(tmp_path).snakemake("--dry-run")
    text = done.stdout + done.stderr
    for name in ("table2_policies.csv", "figure8_iterations.svg", "figure3_length_bias.svg", "index.html"):
        assert name in text
    assert "reason: Missing output files" in text


def test_iteration_1_is_shared_by_the_runs(built):
    assert sorted(p.name for p in (built.results / "rollouts/sft/mixed_temperatures").iterdir()) == ["iter1"]
    facts = [
        json.loads((built.results / f"runs/{run}/iter1/pairs.parquet.manifest.json").read_text())["inputs"][1]
        for run in ("iterative", "concise")
    ]
    assert facts[0]["sha256"] == facts[1]["sha256"]


PAIRWISE = """
runs: {preference: {reward: pairwise, sampler: mixed_temperatures}}
evaluation:
  judges: {local: {preference: pairwise}}
  chat: {arena_hard: {judges: [gold, local]}}
"""


def test_a_preference_model_ranks_in_place_of_a_reward_model_and_judges_answers(copy):
    """Three more jobs: it ranks the responses that are there, pairs are selected as from rewards; and it is a judge."""
    target = "results/tiny/runs/preference/iter1/pairs.parquet"
    judged = "results/tiny/evaluation/arena_hard/judgments/local/sft.parquet"
    study = copy.with_changes(PAIRWISE)
    rules = ["judge_answers", "rank_responses", "select_pairs"]
    assert sorted(rule for rule, _ in study.planned(target, judged)) == rules
    study.build(target, judged)
    judgments = pl.read_parquet(study.folder / judged)
    assert judgments.height == 2 * 12
    assert judgments["verdict"].count() > 0
    pairs = pl.read_parquet(study.folder / target)
    assert 0 < pairs.height <= 16
    assert (pairs["chosen_reward"] + pairs["rejected_reward"] - 1).abs().max() < 1e-9  # P(best > worst), and the rest
    assert (pairs["chosen_reward"] > pairs["rejected_reward"]).all()


@pytest.mark.slow
@pytest.mark.vllm
def test_the_number_of_shards_changes_no_table(copy):
    """Promise 1: identity decides, not layout. The same of the transformers engine is a unit test."""
    pytest.importorskip("vllm", reason="vLLM is not installed", exc_type=ImportError)
    target = "results/tiny/runs/iterative/iter1/pairs.parquet"
    keys = ["prompt_id", "actor", "k"]
    tables = {}
    for shards in (1, 2, 4):
        changed = copy.with_changes(f"generation: {{engine: vllm, shards: {shards}}}")
        changed.build(target)
        folder = changed.results / "rollouts/sft/mixed_temperatures/iter1/responses"
        responses = pl.concat([pl.read_parquet(folder / f"{shard}.parquet") for shard in range(shards)])
        assert responses.height == 16 * 8
        tables[shards] = (responses.sort(keys), pl.read_parquet(changed.folder / target))
    for shards in (2, 4):
        for table, first in zip(tables[shards], tables[1], strict=True):
            assert table.equals(first), f"{shards} shards"


def test_running_again_gives_the_same_tables(built, tmp_path):
    """The first iteration anew in another folder, raw data and all: the same weights and pairs, to the bit."""
    again = Study(tmp_path)
    pairs, weights = "runs/iterative/iter2/pairs.parquet", "runs/iterative/iter1/policy/model.safetensors"
    again.build(f"results/tiny/{pairs}")
    assert pl.read_parquet(again.results / pairs).equals(pl.read_parquet(built.results / pairs))
    assert (again.results / weights).read_bytes() == (built.results / weights).read_bytes()
