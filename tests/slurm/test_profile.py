"""What can be said about the SLURM profile without a SLURM."""

import logging
import os
import re
import shlex
import subprocess
import sys
import time
from types import SimpleNamespace

import yaml

from tests.workflow.study import DEMO, ROOT, TINY

GPUS = {"train_preference_model": 3, "rank_responses": 2, "score_pairs": 4, "measure_responses": 5}
GPUS |= {"answer_questions": 6, "judge_answers": 7, "evaluate_academic": 8, "plot_prompts": 1}
OTHERS = f"""
runs: {{preference: {{reward: pairwise, sampler: mixed_temperatures, iterations: 1}}}}
resources: {{{", ".join(f"{rule}: {{gpus: {n}, threads: 2, memory_gb: {n}, hours: 0.5}}" for rule, n in GPUS.items())}}}
"""


class Asked(dict):
    """Resources of a job as Snakemake hands them to an executor."""

    __getattr__ = dict.__getitem__


def asked(text: str) -> Asked:
    pairs = (pair.split("=", 1) for pair in text.split(", "))
    return Asked({name: int(value) if value.isdigit() else value for name, value in pairs})


def test_every_other_gpu_rule_asks_sbatch_for_what_the_configuration_says(tmp_path):
    """The rules that tests/slurm/test_slurm.py does not run on GPUs: what the plugin makes of their resources."""
    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    (tmp_path / "others.yaml").write_text(OTHERS)
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(tmp_path), "--dry-run"]
    command += ["--cores", "2", "--configfile", str(DEMO), str(TINY), str(tmp_path / "others.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = re.findall(r"^rule (\w+):\n(?:    .*\n)*?(?:    threads: (\d+)\n)?    resources: (.*)$", done.stdout, re.M)
    resources = {rule: (int(threads or 1), asked(text)) for rule, threads, text in found}
    partitions = read_partition_file(ROOT / "profiles/slurm/site.yaml")
    words = dict.fromkeys(("run_uuid", "slurm_logfile", "comment_str", "account", "partition", "workdir"), "")
    for rule, gpus in GPUS.items():
        threads, wanted = resources[rule]
        job = SimpleNamespace(name=rule, threads=threads, resources=wanted)
        assert get_best_partition(partitions, job, logging.getLogger()) == "gpu"
        sbatch = shlex.split(get_submit_command(job, words) + set_gres_string(job))
        assert {f"--gpus={gpus}", "--cpus-per-task=2"} <= set(sbatch)
        assert (sbatch[sbatch.index("--mem") + 1], sbatch[sbatch.index("-t") + 1]) == (str(1024 * gpus), "30")


def test_the_literal_command_plans_the_papers_study_and_every_job_has_a_partition(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(tmp_path), "--dry-run"]
    command += ["--printshellcmds"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    partitions = yaml.safe_load((ROOT / "profiles/slurm/site.yaml").read_text())["partitions"]
    assert "GPUS_ASKED=8 torchrun --standalone --nproc-per-node=8" in done.stdout + done.stderr
    gpus = {int(n) for n in re.findall(r"\bgpu=(\d+)", done.stdout)}
    assert gpus - {0} == {1, 8}  # 0: a rule whose GPUs the study does not ask for here, such as a judge elsewhere
    assert max(gpus) <= max(limits["max_gpu"] for limits in partitions.values())
    assert min(limits["max_gpu"] for limits in partitions.values()) == 0


def test_jobs_ask_as_the_file_says_that_the_command_line_names(tmp_path):
    """Commands that answer as a cluster's keep what sbatch was told, and submit nothing."""
    site = tmp_path / "other.yaml"
    site.write_text("partitions: {cpu: {max_gpu: 0}, gpu: {max_gpu: 8}}\njobs: {slurm_account: mine, qos: night}\n")
    for name, says in {
        "sinfo": 'printf "cpu|(null)\\ngpu|gpu:8\\n"',
        "sacctmgr": "echo mine",
        "sbatch": f'printf "%s " "$@" > {tmp_path}/words; mv {tmp_path}/words {tmp_path}/told; exit 1',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "--executor", "slurm", "--jobs", "1", "--directory", str(tmp_path)]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(ROOT / "config/demo.yaml")]
    command += ["--slurm-partition-config", str(site), "--"]
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    target, told = "results/demo/world/raw/defects.json", tmp_path / "told"
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen([*command, target], cwd=ROOT, env=environment, stdout=said, stderr=said)
    while not told.exists() and process.poll() is None:
        time.sleep(0.1)
    process.kill()  # after a refusal the plugin sleeps for 40 s
    process.wait()
    assert told.exists(), (tmp_path / "said").read_text()
    words = told.read_text()
    assert " -A mine " in words
    assert " --qos=night " in words


def test_no_rule_has_what_the_plugin_gets_wrong():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    resources = "".join(re.findall(r"^    resources:\n((?:        .*\n)+)", rules, re.MULTILINE))
    assert re.findall(r"^ +retries:.*", rules, re.MULTILINE) == []
    assert re.findall(r"^ +(?:gpus=|tasks=).*", resources, re.MULTILINE) == []
