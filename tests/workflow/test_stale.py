"""What is stale, where an artifact comes from, and the frozen archive, on the tiny study as Snakemake built it."""

import pytest

from scripts.report import freeze, lineage, stale

pytestmark = pytest.mark.workflow


def test_a_built_study_is_not_stale(built):
    assert stale.pending(built.configs, folder=built.folder) == []


def test_a_changed_penalty_is_named_and_the_rest_follows(built):
    changed = built.with_changes("runs: {concise: {length_penalty: 0.005}}")
    rows = stale.summarise(stale.pending(changed.configs, folder=built.folder), built.folder)
    own = [(row.rule, row.why) for row in rows if not row.why.startswith("follows")]
    assert own == [("select_pairs", "changed: --length-penalty 0.002 → 0.005")]
    assert {row.rule for row in rows} >= {"train_dpo", "generate_responses", "tabulate_policies", "build_page"}
    assert not {row.rule for row in rows} & {"train_sft", "train_reward_model", "select_prompts"}
    assert all(row.seconds > 0 for row in rows)


def test_where_jobs_run_makes_nothing_stale_and_what_they_make_does(built):
    """GPUs and nodes, so the launcher and tensor parallelism too, threads, and vLLM's share of memory."""
    placement = "resources: {train_sft: {gpus: 2, nodes: 2}, train_dpo: {gpus: 1, threads: 4},"
    placement += " generate_responses: {gpus: 2}, score_pairs: {gpus: 1}}\nvllm: {gpu_memory_utilization: 0.5}\n"
    assert built.with_changes(placement).planned() == []
    changed = built.with_changes(placement + "sft: {learning_rate: 0.00123}\n")
    rows = stale.summarise(stale.pending(changed.configs, folder=built.folder), built.folder)
    own = [(row.rule, row.why.partition(" ")[0]) for row in rows if not row.why.startswith("follows")]
    assert own == [("train_sft", "changed:")]


def test_the_page_leads_back_to_the_world_and_nothing_has_changed(built):
    found = lineage.trace(built.results / "report/index.html")
    assert {a.module for a in found.artifacts.values()} >= {"scripts.world.generate_world", "scripts.online.train_dpo"}
    assert found.other_reads == []
    program = {"page.html.jinja", "paper.tsv", "world.jinja"}
    assert {path.rpartition("/")[2] for path, a in found.artifacts.items() if a.marks} == program


def test_a_finished_study_freezes_without_a_warning_about_itself(built, tmp_path):
    args = freeze.Args(built.configs, tmp_path / "tiny.tar.gz", built.results)
    assert freeze.out_of_date(args) == []
    contents = freeze.collect(args, "c0ffee", [])
    assert "results/tiny/tables/table2_policies.csv" in contents
    assert "Nothing: the study makes its own data." in contents["README.txt"].data.decode()
