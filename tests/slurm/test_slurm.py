"""The demo in small through a real SLURM with `--profile slurm`, to its page.

One run serves nearly all tests. A CPU job and a GPU job are cancelled by hand; one shard of the generation is held up;
Snakemake is killed once DPO has saved a checkpoint, and the documented commands take it from there to its end. The GPUs
are fake, torch sees none, and so ranks talk through gloo; that they are started, counted and placed as on true GPUs is
what is tested.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from scripts.common import site
from scripts.common.errors import StudyError
from tests.faults.attempts import wait_for_state
from tests.slurm import cluster
from tests.workflow.study import DEMO, ROOT, TINY, reduced

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

SFT, POLICY = "results/tiny/models/sft", "results/tiny/runs/iterative/iter1/policy"
SECRETS = {"HF_TOKEN": "hf_planted_token_that_must_not_be_seen", "OPENAI_API_KEY": "sk-planted-key-not-to-be-seen"}
SCRIPT = ROOT / "profiles/slurm/cancel_orphans.sh"
# jobs by their comments, without `rule_`
CANCELLED = {"train_base": "train_base_wildcards_tiny", "train_reward_model": "train_reward_model_wildcards_tiny_mix2"}
DPO = "train_dpo_wildcards_tiny_iterative_1"
SHARDS = "tiny_sft_mixed_temperatures_iter1"
HELD_UP = f"generate_responses_wildcards_{SHARDS}_1"
LEFT_OUT = {  # what adds jobs and no kind of job: 61 are left of 196
    "": ("preference_models", "prompted_judges"),
    "reward_models": ("mix1",),
    "runs": ("concise", "offline"),
    "evaluation": ("academic", "chat", "judges"),
}


@dataclass
class ClusterStudy:
    """A study in a folder of its own, its jobs on the private cluster."""

    folder: Path
    configs: tuple[Path, ...]
    struck: dict[str, str] = field(default_factory=dict)  # comment -> number of the job that was cancelled or held up
    orphans: dict[str, str] = field(default_factory=dict)  # number -> comment of what a killed Snakemake left
    said: str = ""  # by the command that cancels them
    resumed_at: int = 0  # the step from which the next DPO job went on
    jobs: list[dict[str, str]] = field(default_factory=list)  # of all this

    def snakemake(self, *arguments: str) -> subprocess.Popen[bytes]:
        """`snakemake --profile slurm` from the repository, with waits that suit a cluster on one machine."""
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(self.folder)]
        command += ["--configfile", *map(str, self.configs)]
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
        assert process.wait(timeout=1800) == 0, self.output.read_text()[-6000:]

    def when_running(self, process: subprocess.Popen[bytes], *comments: str) -> Iterator[tuple[str, str]]:
        """Wait for a job of each comment to run: comment and number of each, in the order in which they begin."""
        waiting = {f"rule_{comment}" for comment in comments}
        while waiting:
            assert process.poll() is None, f"Snakemake ended before {waiting}:\n{self.output.read_text()[-6000:]}"
            for job in cluster.records():
                if job["JobState"] == "RUNNING" and job.get("Comment") in waiting:
                    waiting.remove(job["Comment"])
                    yield job["Comment"].removeprefix("rule_"), job["JobId"]
            time.sleep(0.2)

    def freeze_with_a_checkpoint(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until DPO has saved a whole checkpoint, and stop its first rank there; SLURM wakes it to end it."""
        work = (self.folder / POLICY).with_name(".policy.work")
        while not list(work.glob("*/checkpoint-*/whole.json")):
            assert process.poll() is None, (
                f"Snakemake ended before DPO's checkpoint:\n{self.output.read_text()[-6000:]}"
            )
            time.sleep(0.02)
        os.kill(json.loads((work / "owner.json").read_text())["pid"], signal.SIGSTOP)

    def of(self, rule: str, of: str = "") -> list[dict[str, str]]:
        return [job for job in self.jobs if rule_of(job) == rule and job["Comment"].endswith(of)]

    def facts(self, artifact: str) -> dict:
        return json.loads((self.folder / artifact / "manifest.json").read_text())["facts"]


def rule_of(job: dict[str, str]) -> str:
    return job.get("Comment", "").removeprefix("rule_").split("_wildcards_")[0]


@pytest.fixture(scope="module")
def study(private_cluster, tmp_path_factory) -> ClusterStudy:
    """Built to its end, with all that befalls it on the way."""
    folder = tmp_path_factory.mktemp("slurm")
    configuration = folder / "study.yaml"
    configuration.write_text(reduced((DEMO, TINY, Path(__file__).with_name("tiny_gpus.yaml")), LEFT_OUT))
    study = ClusterStudy(folder, (configuration,))
    process = study.snakemake()
    try:
        for comment, number in study.when_running(process, *CANCELLED.values(), HELD_UP):
            subprocess.run(["scontrol", "suspend", number] if comment == HELD_UP else ["scancel", number], check=True)
            study.struck[comment] = number
        list(study.when_running(process, f"score_responses_wildcards_{SHARDS}_mix2_0"))
        subprocess.run(["scontrol", "resume", study.struck[HELD_UP]], check=True)
        study.freeze_with_a_checkpoint(process)
        process.kill()
        process.wait()
        left = [line.split("|") for line in cluster.command("squeue", "--noheader", "--format=%i|%k").stdout.split()]
        study.orphans.update(left)
        study.said = subprocess.run([SCRIPT, study.folder], capture_output=True, text=True, check=True).stdout
        assert cluster.command("squeue", "--noheader").stdout == ""
        study.finish(study.snakemake("--unlock"))
        process = study.snakemake()
        study.finish(process)
    finally:
        process.kill()  # where a check above failed; else it has ended
    study.resumed_at = study.facts(POLICY)["resumed_at_step"]
    study.jobs.extend(cluster.records())
    return study


@pytest.mark.parametrize(
    ("rule", "nodes", "gpus", "cpus", "memory", "limit"),
    [
        ("train_sft", "2", {"TresPerNode": "gres:gpu:1"}, "4", "3G", "01:00:00"),
        ("train_reward_model", "1", {"TresPerJob": "gres:gpu:1"}, "2", "3G", "02:00:00"),
        ("generate_responses", "1", {"TresPerJob": "gres:gpu:1"}, "2", "2G", "00:30:00"),
        ("score_responses", "1", {"TresPerJob": "gres:gpu:1"}, "1", "2G", "00:15:00"),
        ("score_pairs", "1", {"TresPerJob": "gres:gpu:1"}, "1", "2G", "00:45:00"),
        ("measure_responses", "1", {"TresPerJob": "gres:gpu:1"}, "1", "2G", "00:30:00"),
        ("train_dpo", "1", {"TresPerJob": "gres:gpu:2"}, "2", "3G", "01:30:00"),
    ],
)
def test_gpu_rules_ask_for_what_the_configuration_says(study, rule, nodes, gpus, cpus, memory, limit):
    first = study.of(rule)[0]
    expected = {"Partition": "gpu", "NumNodes": nodes, **gpus, "NumCPUs": cpus, "MinMemoryNode": memory}
    expected |= {"TimeLimit": limit, "Requeue": "1"}
    assert {key: first[key] for key in expected} == expected
    assert {"TresPerNode", "TresPerJob"} & set(first) == set(gpus)


def test_rules_without_gpus_ask_for_none_and_stay_on_the_cpu_partition(study):
    with_gpus = {"train_sft", "train_reward_model", "generate_responses", "score_responses", "train_dpo"}
    with_gpus |= {"score_pairs", "measure_responses"}
    others = [job for job in study.jobs if rule_of(job) not in with_gpus]
    assert {"generate_world", "select_pairs", "build_page"} <= {rule_of(job) for job in others}
    assert {job["Partition"] for job in others} == {"cpu"}
    assert not any("gpu" in job.get("TresPerJob", "") for job in others)


def test_one_training_runs_on_two_nodes(study):
    (job,) = study.of("train_sft")
    assert (job["NodeList"], job["NumTasks"], job["JobState"]) == ("gpu[1-2]", "2", "COMPLETED")
    assert study.facts(SFT)["processes"] == 2
    log = (study.folder / "results/tiny/logs/train_sft.log").read_text()
    assert log.count("processes: 2, global batch: 2") == 2  # each of the two counts both


def test_one_training_takes_two_gpus_of_one_node(study):
    *_, job = study.of("train_dpo")
    assert (job["NumNodes"], job["TresPerJob"], job["JobState"]) == ("1", "gres:gpu:2", "COMPLETED")
    assert (study.facts(POLICY)["processes"], study.facts(POLICY)["global_batch"]) == (2, 32)


def test_shards_are_generated_side_by_side(study):
    first, second = study.of("generate_responses", "_iter1_0") + study.of("generate_responses", "_iter1_1")
    assert first["StartTime"] < second["EndTime"]
    assert second["StartTime"] < first["EndTime"]
    assert {first["NodeList"], second["NodeList"]} <= {"gpu1", "gpu2"}


def test_a_shard_is_scored_as_soon_as_it_exists(study):
    """The other one was held up meanwhile, and is scored later."""
    (first,), (second,) = (study.of("generate_responses", f"_iter1_{shard}") for shard in (0, 1))
    (scored,), (later,) = (study.of("score_responses", f"_iter1_mix2_{shard}") for shard in (0, 1))
    assert second["JobId"] == study.struck[HELD_UP]
    assert first["EndTime"] <= scored["StartTime"] < second["EndTime"] <= later["StartTime"]


@pytest.mark.parametrize("rule", ["train_base", "train_reward_model"])
def test_a_job_cancelled_from_outside_is_noticed_and_run_again(study, rule):
    states = [(job["JobId"], job["JobState"]) for job in study.of(rule)]
    assert states[0] == (study.struck[CANCELLED[rule]], "CANCELLED")
    assert [state for _, state in states[1:]] == ["COMPLETED"]


@pytest.mark.parametrize(("rule", "memory"), [("train_base", ["4G", "8G"]), ("train_reward_model", ["3G", "4G"])])
def test_the_second_attempt_asks_for_more_memory_up_to_the_limit(study, rule, memory):
    assert [job["MinMemoryNode"] for job in study.of(rule)] == memory


def test_after_a_kill_of_snakemake_the_documented_commands_find_its_jobs_and_go_on(study):
    assert f"rule_{DPO}" in study.orphans.values()
    cancelled = dict(line.removeprefix("cancelling job ").rstrip(")").split(" (") for line in study.said.splitlines())
    assert cancelled.items() <= study.orphans.items()  # a short one may have ended in between
    assert f"rule_{DPO}" in cancelled.values()
    assert [job["JobState"] for job in study.of("train_dpo")] == ["CANCELLED", "COMPLETED"]
    assert 0 < study.resumed_at < study.facts(POLICY)["steps"]
    elsewhere = subprocess.run([SCRIPT, ROOT], capture_output=True, text=True, check=True)
    assert elsewhere.stdout == f"no jobs from {ROOT} are in the queue\n"


def test_the_study_is_whole_and_no_other_job_ran_twice(study):
    assert (study.folder / "results/tiny/report/index.html").is_file()
    times = Counter(job["Comment"] for job in study.jobs)
    twice = {comment for comment, n in times.items() if n > 1}
    assert twice <= {f"rule_{comment}" for comment in CANCELLED.values()} | set(study.orphans.values())


def test_secrets_of_the_environment_are_written_nowhere(study):
    """Results, logs, manifests, the page and Snakemake's records; and the job scripts, as SLURM holds them."""
    written = {str(path): path.read_bytes() for path in study.folder.rglob("*") if path.is_file()}
    kinds = ("slurm_logs", "manifest.json", "report/index.html", ".snakemake/log", "results/tiny/logs", ".parquet")
    assert [kind for kind in kinds if not any(kind in path for path in written)] == []
    for job in study.jobs:
        script = cluster.command("scontrol", "write", "batch_script", job["JobId"], "-").stdout
        assert "snakemake" in script
        written[f"job {job['JobId']}"] = script.encode() + repr(job).encode()
    planted = [value.encode() for value in SECRETS.values()]
    assert [path for path, text in written.items() if any(secret in text for secret in planted)] == []


def test_what_the_cluster_has_not_is_said_in_one_line_before_any_job(study, tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text("partitions: {cpu: {max_gpu: 0}, gpus: {max_gpu: 4}}")
    before = len(cluster.records())
    said = study.output.stat().st_size
    process = study.snakemake("--slurm-partition-config", str(file), "--forcerun", "build_page")
    assert process.wait(timeout=300) == 1
    message = study.output.read_text()[said:]
    assert f"{file}: partitions: this cluster has no partition gpus; it has cpu, gpu, low." in message
    assert ("sbatch" in message, len(cluster.records())) == (False, before)


@pytest.mark.parametrize(
    ("written", "gpus", "expected"),
    [
        ("jobs: {slurm_account: mine}", 4, r"slurm_account: mine: .*if it keeps none, remove the line\."),
        ("gpu_jobs: {}", 8, r"train_dpo asks for 8 GPUs of a node, .*: gpu \(max_gpu 8, its nodes have 4\)\."),
        ("gpu_jobs: {}", 4, None),
    ],
)
def test_accounts_and_gpus_are_those_of_the_cluster(private_cluster, tmp_path, written, gpus, expected):
    file = tmp_path / "site.yaml"
    file.write_text(f"partitions: {{gpu: {{max_gpu: 8}}}}\n{written}\n")
    if expected is None:
        site.check(file, {"train_dpo": gpus})
    else:
        with pytest.raises(StudyError, match=expected):
            site.check(file, {"train_dpo": gpus})


def test_a_preempted_job_goes_back_to_the_queue_and_ends_well(study, tmp_path):
    shutil.rmtree(study.folder / POLICY)
    file = tmp_path / "site.yaml"
    file.write_text("partitions: {cpu: {max_gpu: 0}, low: {max_gpu: 4}}")
    process = study.snakemake("--slurm-partition-config", str(file), "--", POLICY)
    ((_, preempted),) = study.when_running(process, DPO)
    whole_nodes = ["--partition=gpu", "--nodes=2", "--gpus-per-node=4", "--mem=1G", "--output=/dev/null"]
    subprocess.run(["sbatch", *whole_nodes, "--wrap", "sleep 3"], check=True, stdout=subprocess.DEVNULL)
    wait_for_state(preempted, "PENDING")
    # SLURM holds a preempted job back for two minutes; an operator may let it go at once, as here.
    subprocess.run(["scontrol", "update", f"JobId={preempted}", "StartTime=now"], check=True)
    study.finish(process)
    last = [job for job in cluster.records() if rule_of(job) == "train_dpo"][-1]
    assert (last["JobId"], last["JobState"], last["Restarts"]) == (preempted, "COMPLETED", "1")
    assert study.facts(POLICY)["processes"] == 2
