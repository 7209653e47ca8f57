"""The plan's judging: requests, tokens and dollars of the paper's judges, counted by hand."""

import json
from pathlib import Path

import pytest

from scripts.report import plan_print
from scripts.report.plan_jobs import Job, read_study
from scripts.report.plan_judging import PROMPT, judging

CONFIG = Path(__file__).parents[3] / "config"


def jobs(study: str, annotator: str, benchmark: str, policies: list[str]) -> list[Job]:
    return [
        Job(
            f"results/{study}/evaluation/{benchmark}/judgments/{annotator}/{policy}.parquet",
            *("judge_answers", (), (), None),
            {"annotator": annotator, "benchmark": benchmark, "policy": policy},
            *(0, 1, None),
        )
        for policy in policies
    ]


def test_requests_tokens_and_dollars_of_the_papers_judges(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study = read_study([CONFIG / "paper.yaml"])
    annotator, policies = "weighted_alpaca_eval_gpt4_turbo", ["sft", "offline-iter1"]
    planned = jobs("paper", annotator, "alpaca_eval", policies) + jobs("paper", "mt_bench_gpt4", "mt_bench", ["sft"])
    alpaca, mt_bench = judging(study, planned)
    assert (alpaca.policies, alpaca.requests, alpaca.measured_policies) == (2, 2 * 805, 0)
    assert (alpaca.prompt_tokens, alpaca.completion_tokens) == (2 * 805 * PROMPT["alpaca_eval"], 2 * 805)
    assert alpaca.dollars == pytest.approx((alpaca.prompt_tokens * 10 + alpaca.completion_tokens * 30) / 1e6)
    assert (mt_bench.model, mt_bench.requests) == ("gpt-4", 160)

    manifest = Path(planned[0].name + ".manifest.json")
    manifest.parent.mkdir(parents=True)
    bill = {"prompt_tokens": 700_000, "completion_tokens": 805, "dollars": 7.02415}
    manifest.write_text(json.dumps({"facts": {"judgments": 805, "requests": 805, "counted": bill}}))
    counted = judging(study, planned[:1])[0]
    assert (counted.prompt_tokens, counted.measured_policies) == (700_000, 1)
    assert counted.dollars == pytest.approx(bill["dollars"])
    half = judging(study, planned[:2])[0]
    assert half.prompt_tokens == 700_000 + 805 * PROMPT["alpaca_eval"]


def test_a_judge_without_words_costs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (line,) = judging(read_study([CONFIG / "demo.yaml"]), jobs("demo", "gold", "arena_hard", ["sft"]))
    assert (line.model, line.requests, line.prompt_tokens, line.dollars) == ("gold", 120, 0, 0)
    assert plan_print._judging({"judging": []}) is None
