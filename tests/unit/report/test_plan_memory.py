"""The plan's memory: the largest job of each rule on GPUs, against what a GPU has, with advice that is enough."""

from pathlib import Path

import pytest
import yaml

from scripts.report.plan_jobs import Job, read_study
from scripts.report.plan_memory import needs
from scripts.report.plan_print import warnings

ROOT = Path(__file__).parents[3]
PAPER = ROOT / "config/paper.yaml"
PRESETS = {"small": ["small"], "lora": ["lora"], "qlora": ["lora", "qlora"], "small with lora": ["small", "lora"]}


def job(rule: str, gpus: int, **wildcards: str) -> Job:
    return Job(f"{rule}-{wildcards}", rule, (), (), None, wildcards, gpus, 1, None)


TRAININGS = [job("train_sft", 8), job("train_dpo", 8, run="iterative", t="1")]
SERVINGS = [
    job("generate_responses", 1, policy="sft"),
    job("score_responses", 1, reward="mix2"),
    job("score_responses", 1, reward="ultrarm"),
    job("measure_responses", 1, policy="sft"),
]


def needed(tmp_path, jobs, **changes):
    layer = tmp_path / "layer.yaml"
    layer.write_text(yaml.safe_dump(changes))
    return {need.rule: need for need in needs(read_study([PAPER, layer]), jobs)}


def test_the_papers_study_fits_into_80_gb(tmp_path):
    found = needed(tmp_path, [*TRAININGS, *SERVINGS, job("select_pairs", 0)])
    assert list(found) == ["train_sft", "train_dpo", "generate_responses", "score_responses", "measure_responses"]
    assert not any(need.advice for need in found.values())
    assert found["score_responses"].model == "openbmb/UltraRM-13b"  # the larger of two
    assert found["train_dpo"].reference > 0


def test_what_does_not_fit_is_said_with_what_to_change(tmp_path):
    found = needed(tmp_path, [*TRAININGS, *SERVINGS], gpu_memory_gb=24)
    assert found["train_dpo"].advice == "4 bits (config/presets/qlora.yaml)"
    assert found["score_responses"].advice == "resources.score_responses.gpus: 2 (tensor parallel)"
    measured = needed(tmp_path, SERVINGS, gpu_memory_gb=22)["measure_responses"]
    assert measured.advice == "scoring.token_budget: 8192"
    plan = {"rules": [], "unpinned": [], "memory": [vars(need) for need in found.values()]}
    assert any(line.startswith("a job of train_dpo takes 28.6 GB of a GPU's 24.0 GB:") for line in warnings(plan))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_fit_into_the_gpu_that_they_are_for(preset):
    study = read_study([PAPER, *(ROOT / f"config/presets/{name}.yaml" for name in PRESETS[preset])])
    trainings = [
        job("train_sft", 1),
        job("train_reward_model", 1, reward="mix2"),
        job("train_preference_model", 1, preference="pairwise"),
        *(job("train_dpo", 1, run=run, t="1") for run in study.runs),
    ]
    found = {need.rule: need for need in needs(study, [*trainings, SERVINGS[0], SERVINGS[1]])}
    assert len(found) == 6
    assert {rule: need.advice for rule, need in found.items() if need.advice} == {}
    assert study.gpu_memory_gb == {"lora": 80, "qlora": 24}.get(preset, 40)
    assert all(resources.gpus <= 1 for resources in study.resources.values())
