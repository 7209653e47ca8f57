"""The tiny study through a real SLURM with `--profile slurm`: what each rule asks for, and what becomes of killed jobs.

One run serves most tests: everything up to the policy of iteration 1, while two of its jobs are cancelled from outside.
The GPUs are fake and torch sees none, so training takes one process a job; several GPUs in one job are not tested here.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.workflow.study import DEMO, ROOT, TINY

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

TARGET = "results/tiny/runs/iterative/iter1/policy"
SECRETS = {"HF_TOKEN": "hf_planted_token_that_must_not_be_seen", "OPENAI_API_KEY": "sk-planted-key-not-to-be-seen"}


@dataclass(frozen=True)
class ClusterStudy:
    """The tiny study in a folder of its own, its jobs on the private cluster."""

    folder: Path
    cancelled: dict[str, str] = field(default_factory=dict)  # rule -> number of the job that was cancelled
    jobs: list[dict[str, str]] = field(default_factory=list)  # of the run with the cancelled jobs

    def snakemake(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`snakemake --profile slurm` from the repository, with waits that suit a cluster on one machine."""
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(self.folder)]
        command += ["--configfile", str(DEMO), str(TINY), str(Path(__file__).with_name("tiny_gpus.yaml"))]
        command += ["--slurm-partition-config", str(ROOT / "profiles/slurm/site.yaml")]
        command += ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "5"]
        command += ["--slurm-keep-successful-logs", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **SECRETS}
        with self.output.open("ab") as output:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)

    @property
    def output(self) -> Path:
        return self.folder / "snakemake.txt"

    def finish(self, process: subprocess.Popen[bytes]) -> None:
        assert process.wait(timeout=900) == 0, self.output.read_text()[-6000:]

    def running_job(self, rule: str, process: subprocess.Popen[bytes]) -> str:
        """Wait for a job of the rule to run; its number."""
        while process.poll() is None:
            for job in cluster.records():
                if job["JobState"] == "RUNNING" and rule_of(job) == rule:
                    return job["JobId"]
            time.sleep(0.5)
        raise AssertionError(f"Snakemake ended before {rule} ran:\n{self.output.read_text()[-6000:]}")

    def of(self, rule: str) -> list[dict[str, str]]:
        return [job for job in self.jobs if rule_of(job) == rule]


def rule_of(job: dict[str, str]) -> str:
    return job.get("Comment", "").removeprefix("rule_").split("_wildcards_")[0]


@pytest.fixture(scope="module")
def private_cluster():
    reason = cluster.unavailable()
    if reason:
        pytest.skip(f"no private SLURM: {reason}")
    cluster.start()
    yield
    cluster.stop()


@pytest.fixture(scope="module")
def study(private_cluster, tmp_path_factory) -> ClusterStudy:
    """Built as far as the first DPO policy; a CPU job and a GPU job were cancelled by hand while they ran."""
    study = ClusterStudy(tmp_path_factory.mktemp("slurm"))
    process = study.snakemake("--", TARGET)
    try:
        for rule in ("train_base", "train_dpo"):
            study.cancelled[rule] = study.running_job(rule, process)
            subprocess.run(["scancel", study.cancelled[rule]], check=True)
        study.finish(process)
    finally:
        process.kill()  # where a check above failed; else it has ended
    study.jobs.extend(cluster.records())
    return study


@pytest.mark.parametrize(
    ("rule", "cpus", "memory", "limit"),
    [
        ("train_reward_model", "2", "3G", "02:00:00"),
        ("generate_responses", "2", "2G", "00:30:00"),
        ("score_responses", "1", "2G", "00:15:00"),
        ("train_dpo", "2", "3G", "01:30:00"),
    ],
)
def test_gpu_rules_ask_for_what_the_configuration_says(study, rule, cpus, memory, limit):
    first = study.of(rule)[0]
    asked = {key: first[key] for key in ("Partition", "TresPerJob", "NumCPUs", "MinMemoryNode", "TimeLimit", "Requeue")}
    assert asked == {
        "Partition": "gpu",
        "TresPerJob": "gres:gpu:1",
        "NumCPUs": cpus,
        "MinMemoryNode": memory,
        "TimeLimit": limit,
        "Requeue": "1",
    }


def test_rules_without_gpus_ask_for_none_and_stay_on_the_cpu_partition(study):
    with_gpus = {"train_reward_model", "generate_responses", "score_responses", "train_dpo"}
    others = [job for job in study.jobs if rule_of(job) not in with_gpus]
    assert {"generate_world", "select_pairs", "train_sft"} <= {rule_of(job) for job in others}
    assert {job["Partition"] for job in others} == {"cpu"}
    assert not any("gpu" in job.get("TresPerJob", "") for job in others)


def test_shards_are_generated_side_by_side(study):
    first, second = study.of("generate_responses")
    assert first["StartTime"] < second["EndTime"]
    assert second["StartTime"] < first["EndTime"]
    assert {first["NodeList"], second["NodeList"]} <= {"gpu1", "gpu2"}


@pytest.mark.parametrize("rule", ["train_base", "train_dpo"])
def test_a_job_cancelled_from_outside_is_noticed_and_run_again(study, rule):
    states = [(job["JobId"], job["JobState"]) for job in study.of(rule)]
    assert states[0] == (study.cancelled[rule], "CANCELLED")
    assert [state for _, state in states[1:]] == ["COMPLETED"]


def test_the_target_is_whole_and_no_other_job_ran_twice(study):
    assert (study.folder / TARGET / "manifest.json").is_file()
    times = Counter(job["Comment"] for job in study.jobs)
    assert {comment.split("_wildcards_")[0] for comment, n in times.items() if n > 1} == {
        "rule_train_base",
        "rule_train_dpo",
    }


@pytest.mark.parametrize(("rule", "memory"), [("train_base", ["4G", "8G"]), ("train_dpo", ["3G", "4G"])])
def test_the_second_attempt_asks_for_more_memory_up_to_the_limit(study, rule, memory):
    assert [job["MinMemoryNode"] for job in study.of(rule)] == memory


def test_secrets_of_the_environment_are_written_nowhere(study):
    files = [path for path in study.folder.rglob("*") if path.is_file()]
    assert any("slurm_logs" in str(path) for path in files)
    planted = [value.encode() for value in SECRETS.values()]
    assert [path for path in files if any(secret in path.read_bytes() for secret in planted)] == []


def test_after_a_kill_of_snakemake_the_documented_commands_find_its_jobs_and_go_on(study):
    shutil.rmtree(study.folder / TARGET)
    process = study.snakemake("--", TARGET)
    orphan = study.running_job("train_dpo", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert cluster.command("squeue", "--noheader", "--format=%i").stdout.split() == [orphan]

    script = ROOT / "profiles/slurm/cancel_orphans.sh"
    elsewhere = subprocess.run([script, ROOT], capture_output=True, text=True, check=True)
    assert elsewhere.stdout == f"no jobs from {ROOT} are in the queue\n"
    done = subprocess.run([script, study.folder], capture_output=True, text=True, check=True)
    assert done.stdout == f"cancelling job {orphan} (rule_train_dpo_wildcards_tiny_iterative_1)\n"
    assert cluster.command("squeue", "--noheader").stdout == ""

    study.finish(study.snakemake("--unlock"))
    study.finish(study.snakemake("--", TARGET))
    assert (study.folder / TARGET / "manifest.json").is_file()
    last = [job for job in cluster.records() if rule_of(job) == "train_dpo"][-2:]
    assert [(job["JobId"] == orphan, job["JobState"]) for job in last] == [(True, "CANCELLED"), (False, "COMPLETED")]


def test_a_preempted_job_goes_back_to_the_queue_and_ends_well(study, tmp_path):
    shutil.rmtree(study.folder / TARGET)
    site = tmp_path / "site.yaml"
    site.write_text("partitions: {cpu: {max_gpu: 0}, low: {max_gpu: 4}}")
    process = study.snakemake("--slurm-partition-config", str(site), "--", TARGET)
    preempted = study.running_job("train_dpo", process)
    whole_nodes = ["--partition=gpu", "--nodes=2", "--gpus-per-node=4", "--mem=1G", "--output=/dev/null"]
    subprocess.run(["sbatch", *whole_nodes, "--wrap", "sleep 3"], check=True, stdout=subprocess.DEVNULL)
    study.finish(process)
    # SLURM holds a preempted job back for some minutes before it may start again: most of this test's time.
    last = [job for job in cluster.records() if rule_of(job) == "train_dpo"][-1]
    assert (last["JobId"], last["JobState"], last["Restarts"]) == (preempted, "COMPLETED", "1")
    assert (study.folder / TARGET / "manifest.json").is_file()
