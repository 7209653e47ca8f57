"""What can be said about the SLURM profile without a SLURM."""

import re
import subprocess
import sys

import yaml

from tests.workflow.study import ROOT


def test_the_literal_command_plans_the_papers_study_and_every_job_has_a_partition(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    partitions = yaml.safe_load((ROOT / "profiles/slurm/site.yaml").read_text())["partitions"]
    gpus = {int(n) for n in re.findall(r"\bgpu=(\d+)", done.stdout)}
    assert gpus - {0} == {1, 8}  # 0: a rule whose GPUs the study does not ask for here, such as a judge elsewhere
    assert max(gpus) <= max(limits["max_gpu"] for limits in partitions.values())
    assert min(limits["max_gpu"] for limits in partitions.values()) == 0


def test_no_rule_has_what_the_plugin_gets_wrong():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    resources = "".join(re.findall(r"^    resources:\n((?:        .*\n)+)", rules, re.MULTILINE))
    assert re.findall(r"^ +retries:.*", rules, re.MULTILINE) == []
    assert re.findall(r"^ +(?:gpus=|tasks=).*", resources, re.MULTILINE) == []
