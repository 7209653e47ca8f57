"""A site's file against what SLURM says, in its own words; the same with a real SLURM is tests/slurm."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.common import site
from scripts.common.errors import StudyError

FILE = Path("site.yaml")


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", 0),
        ("gpu:8", 8),
        ("gpu:a100:8(S:0-1)", 8),
        ("gpu:a100:4(S:0),gpu:v100:2(S:1)", 6),
        ("lustre:1,gpu:h100:8(IDX:0-7)", 8),
        ("nvme:2", 0),
    ],
)
def test_gpus_as_sinfo_writes_them(gres, gpus):
    assert site.partitions(f"part|{gres}\n") == {"part": gpus}


def test_a_partition_has_what_its_best_node_has():
    assert site.partitions("gpu|gpu:4\ngpu|gpu:8\ncpu|(null)\n") == {"gpu": 8, "cpu": 0}


def test_a_section_that_nobody_reads_is_named(tmp_path):
    file = tmp_path / "site.yaml"
    file.write_text("partition: {gpu: {max_gpu: 8}}")
    with pytest.raises(StudyError, match=r"site\.yaml: unknown: partition; known: gpu_jobs, jobs, partitions"):
        site.read(file)
    file.write_text("partitions: {gpu: {max_gpu: 8}}\njobs:\n")
    assert site.read(file) == {"partitions": {"gpu": {"max_gpu": 8}}, "jobs": {}, "gpu_jobs": {}}


def test_the_type_of_gpu_goes_to_sbatch_by_the_words_for_one_node_or_several():
    """As the plugin writes them: --gpus=a100:8 of one node, --gres=gpu:a100:8 of each of several, never both."""
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    said = {"jobs": {"slurm_account": "mine"}, "gpu_jobs": {"gpu_model": "a100", "constraint": "nvlink"}}

    def sbatch(resources, gpus, nodes):
        found = resources | site.wanted(said, gpus, nodes)
        assert (found["slurm_account"], found.get("constraint")) == ("mine", "nvlink" if gpus else None)
        return set_gres_string(SimpleNamespace(resources=SimpleNamespace(**found, get=found.get))).split()

    assert sbatch({"gpu": 8}, gpus=8, nodes=1) == ["--gpus=a100:8"]
    assert sbatch({"gres": "gpu:8"}, gpus=8, nodes=2) == ["--gres=gpu:a100:8"]
    assert sbatch({"gpu": 0}, gpus=0, nodes=1) == []
    assert said["gpu_jobs"]["gpu_model"] == "a100"


def test_the_rule_that_finds_no_gpus_is_named_with_what_there_is():
    wanted = {"train_dpo": 8, "score_responses": 1, "train_sft": 0}
    site.check_gpus(FILE, {"cpu": 0, "gpu": 8}, {"cpu": 0, "gpu": 8}, wanted)
    site.check_gpus(FILE, {}, {"cpu": 0}, {"train_sft": 0})
    expected = r"train_dpo asks for 8 GPUs.*no partition of site\.yaml has them: gpu \(max_gpu 8, its nodes have 4\)\."
    with pytest.raises(StudyError, match=expected):
        site.check_gpus(FILE, {"gpu": 8}, {"gpu": 4, "big": 8}, wanted)


@pytest.fixture
def sacctmgr(tmp_path, monkeypatch):
    """A sacctmgr that prints what the real one would with a database, which no test has."""

    def install(script: str) -> None:
        program = tmp_path / "sacctmgr"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return install


def test_an_account_that_the_user_has_not_is_named_with_those_there_are(sacctmgr):
    sacctmgr("echo project; echo Default; echo project")
    site.check_accounts(FILE, {"Project", "default"})  # SLURM's names are lower case
    with pytest.raises(StudyError, match=r"has no account projct; there is default, project\."):
        site.check_accounts(FILE, {"projct"})


def test_a_cluster_without_accounts_says_so(sacctmgr):
    sacctmgr("echo You are not running a supported accounting_storage plugin >&2; exit 1")
    with pytest.raises(StudyError, match=r"slurm_account: mine: .* remove the line\. \(sacctmgr: You are not running"):
        site.check_accounts(FILE, {"mine"})
