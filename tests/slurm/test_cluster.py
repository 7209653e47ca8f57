"""The private cluster itself: it starts, hands out GPUs, and leaves nothing behind, also where the start failed."""

import os
import subprocess

import pytest

from scripts.common.errors import StudyError
from tests.slurm import cluster

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def _available():
    reason = cluster.unavailable()
    if reason:
        pytest.skip(f"no private SLURM: {reason}")


@pytest.fixture
def started():
    folder = cluster.start()
    yield folder
    cluster.stop()


def visible_gpus(*options: str) -> subprocess.Popen[str]:
    words = ["srun", "--partition=gpu", *options, "sh", "-c", "echo $CUDA_VISIBLE_DEVICES; sleep 5"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_jobs_on_one_node_get_different_gpus(started):
    jobs = [visible_gpus("--gpus=2", "--nodelist=gpu1", "--mem=1G") for _ in range(2)]
    gpus = [job.communicate(timeout=60)[0].strip().split(",") for job in jobs]
    assert sorted(gpus[0] + gpus[1]) == ["0", "1", "2", "3"]


def test_a_second_start_is_refused_and_stop_leaves_nothing(started):
    with pytest.raises(StudyError, match="started already"):
        cluster.start()
    subprocess.run(["sbatch", "--wrap", "sleep 1000", "--output", os.devnull], check=True, capture_output=True)
    assert cluster.marked_processes(started)
    cluster.stop()
    assert (cluster.marked_processes(started), started.exists(), cluster.LINK.is_symlink()) == ([], False, False)
    cluster.stop()  # and nothing happens


def test_a_failed_start_stops_what_it_had_started_and_names_the_logs(tmp_path, monkeypatch):
    broken = tmp_path / "bin/slurmd"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no spool directory >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(StudyError, match=r"slurmd did not start \(exit status 3\)[\s\S]*no spool directory"):
        cluster.start(tmp_path)
    (folder,) = tmp_path.glob("private-slurm-*")
    assert (folder / "log/slurmctld.log").stat().st_size > 0
    assert (cluster.marked_processes(folder), cluster.LINK.is_symlink()) == ([], False)
