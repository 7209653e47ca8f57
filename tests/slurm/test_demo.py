"""The demo through a real SLURM with `--profile slurm`, every job of it. GPUs are fake: ranks compute on the CPU."""

from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.slurm.test_slurm import ClusterStudy, rule_of
from tests.workflow.study import DEMO

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.demo]

GPUS = {
    "train_sft": 1,
    "train_reward_model": 1,
    "train_preference_model": 1,
    "generate_responses": 1,
    "score_responses": 1,
    "train_dpo": 2,
}


def test_the_demo_runs_through_slurm_to_its_page(private_cluster, tmp_path):
    study = ClusterStudy(tmp_path, (DEMO, Path(__file__).with_name("demo_gpus.yaml")))
    study.finish(study.snakemake("--jobs", "4"))
    study.jobs.extend(cluster.records())
    assert {job["JobState"] for job in study.jobs} == {"COMPLETED"}
    for rule, gpus in GPUS.items():
        assert {job["TresPerJob"] for job in study.of(rule)} == {f"gres:gpu:{gpus}"}, rule
    others = [job for job in study.jobs if rule_of(job) not in GPUS]
    assert {job["Partition"] for job in others} == {"cpu"}
    results = study.folder / "results/demo"
    policies = [path.relative_to(study.folder) for path in results.glob("runs/*/iter*/policy")]
    assert len(policies) == len(study.of("train_dpo")) > 4
    assert {study.facts(str(policy))["processes"] for policy in policies} == {2}
    assert (results / "tables/table2_policies.csv").is_file()
    assert (results / "report/index.html").is_file()
