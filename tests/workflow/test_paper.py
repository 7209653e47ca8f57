"""The paper's study without its hardware: what would run, from local copies alone; and in miniature, to its end."""

import json
import re
from collections import Counter

import polars as pl
import pytest

from tests.unit.chat_server import serve
from tests.workflow import miniature
from tests.workflow.study import Study

pytestmark = pytest.mark.workflow

SHARDS, ITERATIONS, ONLINE = 8, 3, 3  # of three runs: iterative, concise, ultrarm
POLICIES = 1 + ONLINE * ITERATIONS + 1  # pi_0, theirs, and the offline baseline
COMPARED = POLICIES + 3  # with Table 2's open models
JUDGES = 5  # prompted, mix1, mix2, ultrarm, pairwise
ROLLOUTS = 1 + ONLINE * (ITERATIONS - 1)  # the runs share their first, pi_0's

JOBS = {
    "retrieve": 12 + 9 + 6 + 1 + 6 + 9,  # preferences, instructions, prompts, RewardBench, chat, academic
    **dict.fromkeys(("standardise_preferences", "count_tokens", "filter_preferences"), 12),
    **dict.fromkeys(("collect_evaluation_prompts", "standardise_instructions", "select_prompts"), 1),
    **dict.fromkeys(("summarise_preferences", "plot_preferences", "plot_prompts"), 1),
    "mix_preferences": 3,
    "format_comparisons": 1,
    "retrieve_model": 3,  # base, instruct, embedding
    "retrieve_other_model": 3,
    "retrieve_reward_model": 1,
    "train_sft": 1,
    "train_reward_model": 2,
    "train_preference_model": 1,
    "train_dpo": ONLINE * ITERATIONS + 1,
    "generate_responses": SHARDS * (ROLLOUTS + POLICIES + 1),  # held-out prompts of each policy, and Figure 3
    "score_responses": SHARDS * (ROLLOUTS + 1 + POLICIES + 3),  # pi_0's first also by ultrarm; Figure 3 by all three
    "select_pairs": ONLINE * ITERATIONS,
    "check_limits": ONLINE * ITERATIONS,
    "select_best": ONLINE,
    "monitor_policy": POLICIES - 1,
    "measure_responses": POLICIES,
    "score_pairs": JUDGES + 4,  # RewardBench, and the held-out pairs of all but the prompted one
    "standardise_questions": 3,
    "answer_questions": COMPARED,
    "judge_answers": 4 * COMPARED,  # two annotators of AlpacaEval
    "score_alpaca_eval": 2,
    **dict.fromkeys(("score_mt_bench", "score_arena_hard"), 1),
    "evaluate_academic": COMPARED + ONLINE,  # and the best of each run
    **dict.fromkeys(("tabulate_reward_models", "tabulate_held_out", "tabulate_position_bias"), 1),
    **dict.fromkeys(("tabulate_policies", "tabulate_chat", "tabulate_academic", "select_case_studies"), 1),
    **dict.fromkeys(("plot_training", "plot_calibration", "plot_agreement", "plot_best_of_n", "plot_length_bias"), 1),
    **dict.fromkeys(("plot_iterations", "plot_drift", "plot_evaluation"), 1),
    **dict.fromkeys(("compare_to_paper", "export_exhibits", "build_page", "build_catalog"), 1),
}
TABLES = ("table1_reward_models", "table2_chat", "table2_policies", "table3_academic", "table4_length_penalty")
TABLES += ("table4_chat", "table4_academic", "table5_preference_data", "table6_benchmarks", "figure5_topics")
FIGURES = ("figure3_length_bias", "figure5_prompts", "figure6_7_training", "figure8_iterations", "figure9_evaluation")
FIGURES += ("calibration", "agreement", "best_of_n", "drift", "preference_lengths")


@pytest.mark.parametrize("origin", ["the hub", "local copies"])
def test_the_papers_study_plans_every_job_without_a_network(tmp_path, origin):
    """From the hub nothing is asked yet; from local copies, in the published schemas, nothing will be."""
    overlay = [miniature.plant(tmp_path, rows=15, sizes={})] if origin == "local copies" else []
    study = Study(tmp_path, (miniature.PAPER, *overlay), "paper")
    done = study.snakemake("--dry-run", "--printshellcmds", HF_HUB_OFFLINE="1")
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert Counter(re.findall(r"^(?:local)?rule (\w+):$", text, re.MULTILINE)) - Counter(["all"]) == JOBS
    for path in (*(f"tables/{name}.csv" for name in TABLES), *(f"figures/{name}.svg" for name in FIGURES)):
        assert f"results/paper/{path}" in text
    assert ("--hub" in text) == (origin == "the hub")


@pytest.mark.paper  # about 260 jobs, 1,000 CPU seconds
def test_the_papers_study_in_miniature_runs_to_its_end(tmp_path):
    with serve() as judge:
        judge.logprobs = {"M": -0.05, "m": -3.0}
        ranking = json.dumps({"ordered_models": [{"model": "M", "rank": 1}, {"model": "m", "rank": 2}]})
        judge.answer = lambda body: {
            "content": "[[A>B]], or in points: [[7]]",
            "tool_calls": [{"function": {"arguments": ranking}}],
        }
        study = Study(tmp_path, (miniature.PAPER, miniature.plant(tmp_path, 100, judge=judge.url)), "paper")
        done = study.snakemake("--keep-going", OPENAI_API_KEY="sk-planted", HF_HUB_OFFLINE="1")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert study.planned() == []  # every table, every figure, the page
    assert {body["model"] for body in judge.seen} == {"gpt-4-1106-preview", "gpt-4"}

    tables = study.results / "tables"
    assert [path.name for path in tables.glob("*.csv") if pl.read_csv(path, infer_schema_length=None).is_empty()] == []
    chat = pl.read_csv(tables / "table2_chat.csv", infer_schema_length=None).filter(pl.col("policy").is_not_null())
    trained = {"sft", "iterative-iter1", "iterative-iter2", "concise-iter1", "ultrarm-iter1", "offline-iter1"}
    assert set(chat["policy"]) == trained | {"gemma_7b_it", "zephyr_7b_beta", "llama_3_8b_it"}
    by_second_annotator = pl.col("annotator").is_not_null()  # who judges AlpacaEval alone
    assert chat["lc_alpaca_eval", "alpaca_eval"].null_count().row(0) == (0, 0)
    assert chat.filter(~by_second_annotator)["mt_bench", "arena_hard"].null_count().row(0) == (0, 0)
    assert set(chat.filter(by_second_annotator)["policy"]) == set(chat["policy"])
    assert set(pl.read_csv(tables / "table1_reward_models.csv")["model"]) >= {"prompted", "mix1", "mix2", "ultrarm"}
    two_ranks = json.loads((study.results / "models/preference/pairwise/manifest.json").read_text())
    assert two_ranks["facts"]["processes"] == 2
