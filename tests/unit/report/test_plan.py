"""The plan: jobs read from Snakemake's dry run, sizes with their sources, costs, and the simulated cluster."""

import csv
import doctest
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts.common import config
from scripts.common.errors import StudyError
from scripts.report import plan as plan_command
from scripts.report import plan_print
from scripts.report.plan_jobs import Job, dry_run, parse_jobs, read_study, with_shards
from scripts.report.plan_schedule import Cluster, critical_path, remaining, simulate
from scripts.report.plan_sizes import Sizes
from scripts.report.plan_work import COLUMNS, THROUGHPUT, amount, cost_of, read_throughput, throughput_of

ROOT = Path(__file__).parents[3]
PAPER, DEMO, TINY = (ROOT / "config" / name for name in ("paper.yaml", "demo.yaml", "presets/tiny.yaml"))

DRY_RUN = """Building DAG of jobs...
[Mon Jan  1 10:00:00 2026]
localrule retrieve_model:
    output: results/paper/models/base
    jobid: 1
    wildcards: study=paper
    resources: tmpdir=<TBD>
[Mon Jan  1 10:00:00 2026]
rule train_sft:
    input: results/paper/models/base
    output: results/paper/models/sft
    benchmark: results/paper/benchmarks/train_sft.tsv
    reason: Missing output files: results/paper/models/sft; Code has changed: no
    wildcards: study=paper
    threads: 64
    resources: tmpdir=<TBD>, gpu=8, mem_mb=524288, runtime=2880
[Mon Jan  1 10:00:00 2026]
rule generate_responses:
    input: results/paper/data/prompts/iter1.parquet, results/paper/models/sft
    output: results/paper/rollouts/sft/mixed_temperatures/iter1/responses/0.parquet
    wildcards: study=paper, policy=sft, sampler=mixed_temperatures, prompts=iter1, shard=0
    threads: 8
    resources: tmpdir=<TBD>, gpu=1, runtime=480
[Mon Jan  1 10:00:00 2026]
rule score_responses:
    input: results/paper/rollouts/sft/mixed_temperatures/iter1/responses/0.parquet
    output: results/paper/rollouts/sft/mixed_temperatures/iter1/rewards/mix2/0.parquet
    wildcards: study=paper, policy=sft, sampler=mixed_temperatures, prompts=iter1, reward=mix2, shard=0
    resources: tmpdir=<TBD>, gpu=1, runtime=240
[Mon Jan  1 10:00:00 2026]
rule select_pairs:
    input: results/paper/rollouts/sft/mixed_temperatures/iter1/rewards/mix2/0.parquet
    output: results/paper/runs/iterative/iter1/pairs.parquet
    wildcards: study=paper, run=iterative, t=1
    resources: tmpdir=<TBD>
rule all:
    input: results/paper/runs/iterative/iter1/pairs.parquet
    jobid: 0
Job stats:
"""


def job(name: str, needs: str = "", gpus: int = 0, threads: int = 1, rule: str = "work", **wildcards: str) -> Job:
    return Job(name, rule, (), (name,), None, wildcards, gpus, threads, None, frozenset(needs.split()))


def plan_of(jobs: list[Job], configs: tuple[Path, ...] = (PAPER,), **options) -> dict:
    args = plan_command.Args(config=configs, **options)
    return plan_command.make_plan(read_study(configs), jobs, args)


# --- jobs -------------------------------------------------------------------------------------------------------------


def test_a_dry_run_gives_jobs_with_their_resources_and_what_they_need():
    found = {job.rule: job for job in parse_jobs(DRY_RUN)}
    assert list(found) == ["retrieve_model", "train_sft", "generate_responses", "score_responses", "select_pairs"]
    sft = found["train_sft"]
    assert (sft.gpus, sft.threads, sft.limit_seconds) == (8, 64, 2880 * 60)
    assert sft.needs == {"results/paper/models/base"}
    assert sft.benchmark == "results/paper/benchmarks/train_sft.tsv"
    assert found["generate_responses"].wildcards["sampler"] == "mixed_temperatures"
    assert found["retrieve_model"].limit_seconds is None


@pytest.mark.parametrize("gres", ["gpu:8", "gpu:a100:8"])
def test_a_job_on_several_nodes_has_the_gpus_of_all(gres):
    asked = f"mpi=srun, nodes=2, tasks=2, tasks_per_gpu=0, gres={gres}, mem_mb=524288"
    found = {job.rule: job.gpus for job in parse_jobs(DRY_RUN.replace("gpu=8, mem_mb=524288", asked))}
    assert found["train_sft"] == 16
    assert found["generate_responses"] == 1


def test_a_scored_shard_needs_its_own_responses_and_the_pairs_need_all_shards():
    shaped = {job.name: job for job in with_shards(parse_jobs(DRY_RUN), 3)}
    scored = [job for job in shaped.values() if job.rule == "score_responses"]
    assert len(scored) == 3
    assert all(len(job.needs) == 1 for job in scored)
    assert len({next(iter(job.needs)) for job in scored}) == 3
    pairs = next(job for job in shaped.values() if job.rule == "select_pairs")
    assert pairs.needs == {job.name for job in scored}


@given(st.integers(1, 9), st.integers(1, 9))
def test_other_shards_of_other_shards_are_the_shards_asked_for(first, second):
    jobs = parse_jobs(DRY_RUN)
    marked = with_shards(jobs, first)
    numbered = [replace(job, wildcards=job.wildcards | _shard_of(job.name)) for job in marked]
    assert len(with_shards(numbered, second)) == len(with_shards(jobs, second)) == 3 + 2 * second


def _shard_of(name: str) -> dict[str, str]:
    found = re.search(r"\[shard (\d+) of", name)
    return {"shard": found[1]} if found else {}


def test_an_unknown_study_names_those_that_there_are(tmp_path):
    with pytest.raises(StudyError, match=r"nothing\.yaml.*config/paper\.yaml"):
        read_study([tmp_path / "nothing.yaml"])


def test_a_file_that_holds_no_mapping_is_refused(tmp_path):
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(StudyError, match=r"list\.yaml: expected a mapping"):
        read_study([tmp_path / "list.yaml"])


def test_layers_are_merged_as_snakemake_merges_them():
    assert read_study([DEMO, TINY]).runs["iterative"].iterations == 2


# --- sizes and costs --------------------------------------------------------------------------------------------------


def test_the_pairs_of_mix2_are_those_of_table_5():
    sizes = Sizes(read_study([PAPER]), [])
    assert sizes.mix("mix2").pairs == 848_965  # the sum of Table 5
    assert sizes.figures["pairs of hh_rlhf"].basis == "estimated"
    assert "Table 5" in sizes.figures["pairs of hh_rlhf"].source


def test_tokens_follow_from_the_configuration():
    sizes = Sizes(read_study([PAPER]), [], prompts=100, responses=300)
    generate, score = (job for job in parse_jobs(DRY_RUN) if "responses" in job.rule)
    assert amount(generate, sizes, shards=8) == 20_000 * 8 / 8 * 300
    assert amount(score, sizes, shards=4) == 20_000 * 8 / 4 * 400
    dpo = job("policy", rule="train_dpo", run="iterative", t="1")
    assert amount(dpo, sizes, shards=1) == 2 * 20_000 * 2 * 400
    assert sizes.figures["tokens of a response"].source == "--response-tokens"


def test_history_and_offline_pairs_are_counted():
    paper = config.merge(
        yaml.safe_load(PAPER.read_text()), {"runs": {"iterative": {"history": "all", "offline": "offline"}}}
    )
    sizes = Sizes(config.load(paper), [], prompts=100, responses=300)
    mix = sizes.mix("offline")
    found = amount(job("policy", rule="train_dpo", run="iterative", t="3"), sizes, shards=1)
    assert found == 2 * (3 * 20_000 * 2 * 400 + mix.pairs * mix.tokens)


def test_a_policy_is_charged_for_its_own_actors():
    sampler = [{"temperature": 1.0, "n": 4}, {"policy": "previous", "temperature": 1.0, "n": 3}]
    paper = config.merge(yaml.safe_load(PAPER.read_text()), {"samplers": {"mixed_temperatures": sampler}})
    sizes = Sizes(config.load(paper), [])
    found = [sizes.responses_per_prompt(policy, "mixed_temperatures", "iter2") for policy in ("iterative-iter1", "sft")]
    assert found == [4, 3]
    assert sizes.responses_per_prompt("sft", "mixed_temperatures", "iter1") == 7


def test_measured_rows_go_before_estimates(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jobs = [job for job in parse_jobs(DRY_RUN) if "responses" in job.rule]
    for found, tokens in zip(jobs, (5_000, 9_000), strict=True):
        Path(found.name).parent.mkdir(parents=True)
        facts = {"facts": {"responses": 10, "tokens": tokens}}
        Path(found.name + ".manifest.json").write_text(json.dumps(facts))
    sizes = Sizes(read_study([PAPER]), jobs)
    assert (sizes.response_tokens(), sizes.prompt_tokens()) == (500, 400)
    assert sizes.figures["tokens of a response"].basis == "measured"


def test_seconds_are_start_up_and_work_over_devices():
    sizes = Sizes(read_study([PAPER]), [], prompts=100, responses=300)
    dpo = replace(job("policy", rule="train_dpo", gpus=8, run="iterative", t="1"))
    line = throughput_of(dpo, read_throughput(), "8B", "H100")
    found = cost_of(dpo, line, sizes, shards=1, as_configured=True)
    assert found.seconds == pytest.approx(line.start_up + 2 * 20_000 * 800 / (8 * line.per_second))
    assert found.basis == "estimated"


def test_a_job_that_has_run_costs_what_it_took(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sft = next(job for job in parse_jobs(DRY_RUN) if job.rule == "train_sft")
    Path(sft.benchmark).parent.mkdir(parents=True)
    Path(sft.benchmark).write_text("s\th:m:s\n3600.5\t1:00:00\n")
    line = throughput_of(sft, read_throughput(), "8B", "H100")
    sizes = Sizes(read_study([PAPER]), [sft])
    assert cost_of(sft, line, sizes, 8, True).basis == "estimated"  # its model is not there
    Path(sft.name).mkdir(parents=True)
    found = cost_of(sft, line, sizes, 8, True)
    assert (found.seconds, found.basis) == (3600.5, "measured")


# --- throughput -------------------------------------------------------------------------------------------------------


def test_every_estimate_from_flops_is_what_its_source_says():
    lines = [line for line in read_throughput().values() if "ND at" in line.source]
    assert len(lines) >= 16
    for line in lines:
        said = re.match(r"(\d)ND at (\d+)% of (\d+) TFLOP/s .*, N = ([\d.e]+);", line.source).groups()
        factor, share, peak, parameters = map(float, said)
        assert line.basis == "estimated"
        assert line.per_second == pytest.approx(peak * 1e12 * share / 100 / (factor * parameters), rel=1e-3)


def test_a_rule_without_throughput_is_refused_with_what_is_known():
    judge = job("verdicts.parquet", rule="teach_parrots", gpus=1)
    with pytest.raises(StudyError, match=r"no line for rule teach_parrots, model 8B, device H100; .* nothing"):
        throughput_of(judge, read_throughput(), "8B", "H100")
    dpo = job("policy", rule="train_dpo", gpus=8)
    with pytest.raises(StudyError, match=r"device TPU; known for this rule: 1B on A100, .*8B on A100, 8B on H100"):
        throughput_of(dpo, read_throughput(), "8B", "TPU")
    assert throughput_of(job("page.html", rule="build_page"), read_throughput(), "8B", "H100").unit == "jobs"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("unit", "pages", "unit 'pages'"),
        ("basis", "guessed", "basis 'guessed'"),
        ("per_second", "fast", "per_second 'fast'"),
        ("per_second", "0", "above 0"),
        ("source", " ", "no source"),
    ],
)
def test_a_bad_line_of_the_throughput_table_is_named(tmp_path, field, value, said):
    with THROUGHPUT.open(newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))
    rows[2][field] = value
    path = tmp_path / "throughput.tsv"
    path.write_text("\n".join(["\t".join(COLUMNS), *("\t".join(row.values()) for row in rows)]) + "\n")
    with pytest.raises(StudyError, match=rf"throughput\.tsv, line 4.*{re.escape(said)}"):
        read_throughput(path)


# --- schedule ---------------------------------------------------------------------------------------------------------


def test_the_critical_path_is_the_longest_chain():
    jobs = [job("a"), job("b", "a"), job("c", "a"), job("d", "b c")]
    seconds = {"a": 1, "b": 5, "c": 2, "d": 1}
    assert [found.name for found in critical_path(jobs, seconds)] == ["a", "b", "d"]
    assert remaining(jobs, seconds) == {"a": 7, "b": 6, "c": 3, "d": 1}


def test_two_jobs_of_eight_gpus_share_a_node_one_after_the_other():
    jobs = [job("a", gpus=8), job("b", gpus=8)]
    seconds = {"a": 10, "b": 20}
    assert simulate(jobs, seconds, Cluster(8, 8, 1)).seconds == 30
    assert simulate(jobs, seconds, Cluster(16, 8, 1)).seconds == 20


def test_a_job_finds_its_gpus_on_one_node_only():
    jobs = [job("long", gpus=3), job("small", gpus=3), job("large", "small", gpus=4)]
    seconds = {"long": 100, "small": 1, "large": 10}
    # both threes start at once, on different nodes; the large one needs a whole node of four
    assert simulate(jobs, seconds, Cluster(8, 4, 1)).seconds == 100
    assert simulate(jobs, seconds, Cluster(4, 4, 1)).seconds == 111


def test_a_job_larger_than_a_node_takes_whole_nodes():
    assert simulate([job("a", gpus=16), job("b", gpus=8)], {"a": 5, "b": 5}, Cluster(24, 8, 1)).seconds == 5
    with pytest.raises(StudyError, match=r"rule work asks for 16 GPUs"):
        simulate([job("a", gpus=16)], {"a": 5}, Cluster(8, 8, 1))


def test_cores_limit_the_jobs_without_gpus():
    jobs = [job(name, threads=2) for name in "abcd"]
    assert simulate(jobs, dict.fromkeys("abcd", 3), Cluster(0, 8, 4)).seconds == 6


@given(
    st.lists(st.tuples(st.integers(0, 8), st.floats(0.1, 50), st.sets(st.integers(0, 11))), min_size=1, max_size=12),
    st.integers(1, 4),
)
def test_the_wall_time_lies_between_its_bounds(drawn, nodes):
    """Never below the critical path or the work over the GPUs, never above all jobs one after the other."""
    jobs = [
        job(str(i), " ".join(str(n) for n in needs if n < i), gpus=gpus) for i, (gpus, _, needs) in enumerate(drawn)
    ]
    seconds = {str(i): length for i, (_, length, _) in enumerate(drawn)}
    line = simulate(jobs, seconds, Cluster(8 * nodes, 8, 2))
    work = sum(found.gpus * seconds[found.name] for found in jobs)
    chain = sum(seconds[found.name] for found in critical_path(jobs, seconds))
    assert max(chain, work / (8 * nodes)) - 1e-6 <= line.seconds <= sum(seconds.values()) + 1e-6
    assert line.gpu_seconds == pytest.approx(work)


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_the_plan_adds_up_and_says_that_it_is_estimated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_of(parse_jobs(DRY_RUN), gpus=(4, 8, 16), shards=(2,))
    assert [choice["shards"] for choice in plan["choices"]] == [2, 8]
    assert list(plan["choices"][0]["wall_hours"]) == ["8", "16"]  # four GPUs can't hold SFT
    sft = next(row for row in plan["rules"] if row["rule"] == "train_sft")
    assert sft["gpu_hours"] == pytest.approx(8 * sft["longest_seconds"] / 3600)
    assert all(row["measured_jobs"] == 0 for row in plan["rules"])
    models = next(line for line in plan["disk"] if line["kind"] == "models")
    assert models["bytes"] == 2 * 2 * 8e9
    assert [step["rule"] for step in plan["critical_path"]][:2] == ["retrieve_model", "train_sft"]
    assert json.loads(json.dumps(plan)) == plan


def test_the_printed_plan_names_its_sources(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plan_print.show(plan_of(parse_jobs(DRY_RUN)))
    said = capsys.readouterr().out
    assert "rollouts/sft/mixed_temperatures/iter1/responses/0.parquet" in said
    assert "estimated: the paper's Table 5, UltraFeedback" in said
    assert "estimated: 6ND at 35% of 989 TFLOP/s" in said
    assert re.search(r"^train_sft +1 +8 +1\.0B trained .* estimated", said, re.MULTILINE)


def test_numbers_are_printed_as_the_examples_say():
    assert doctest.testmod(plan_print) == (0, 4)


def test_a_job_longer_than_its_limit_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    short = [replace(job, limit_seconds=60.0) if job.rule == "train_sft" else job for job in parse_jobs(DRY_RUN)]
    assert any("raise resources.train_sft.hours" in said for said in plan_print.warnings(plan_of(short)))
    assert not any("raise" in said for said in plan_print.warnings(plan_of(parse_jobs(DRY_RUN))))


def test_too_few_gpus_for_the_largest_job_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyError, match=r"asks for 8 GPUs"):
        plan_of(parse_jobs(DRY_RUN), gpus=(4,))


# --- Snakemake's own word ---------------------------------------------------------------------------------------------


@pytest.mark.workflow
@pytest.mark.parametrize("configs", [(PAPER,), (DEMO, TINY)], ids=["paper", "tiny"])
def test_jobs_of_every_rule_are_as_many_as_snakemake_counts(configs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = dry_run(configs)
    stats = said.rpartition("Job stats:")[2]
    counted = {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", stats, re.MULTILINE)}
    jobs = parse_jobs(said)
    plan = plan_of(jobs, configs)
    found = {row["rule"]: row["jobs"] for row in plan["rules"]}
    assert found | {"all": 1, "total": sum(found.values()) + 1} == counted
    shards = read_study(configs).generation.shards
    reshaped = with_shards(jobs, shards)
    assert len(reshaped) == len(jobs)
    assert sum(len(job.needs) for job in reshaped) == sum(len(job.needs) for job in jobs)


@pytest.mark.workflow
def test_other_shards_are_the_jobs_that_snakemake_would_plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    overlay = tmp_path / "shards.yaml"
    overlay.write_text("generation: {shards: 3}\n")
    asked = parse_jobs(dry_run((DEMO, TINY, overlay)))
    shaped = with_shards(parse_jobs(dry_run((DEMO, TINY))), 3)
    assert len(asked) == len(shaped)
    assert sum(len(job.needs) for job in asked) == sum(len(job.needs) for job in shaped)
