"""What surrounds a study: a results folder that can't be written, a second Snakemake in the same folder."""

import os
import signal
import subprocess
import sys

import pytest

from scripts.common import tables
from tests.faults.attempts import wait_for
from tests.faults.stages import environment
from tests.workflow.study import DEMO, ROOT, TINY, Study

pytestmark = pytest.mark.workflow


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only file system needs root")
def test_a_read_only_results_folder_is_said_in_one_line(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    row = {"prompt_id": "p0", "prompt": [{"role": "user", "content": "a"}], "actor": 0, "k": 0, "temperature": 1.0}
    row |= {"seed": 1, "response": "b", "tokens": 2, "finished": True}
    tables.write_table([row], tmp_path / "responses.parquet", tables.RESPONSES)
    (tmp_path / "model").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(results)], check=False).returncode:
        pytest.skip("this sandbox mounts no tmpfs")
    try:
        command = [sys.executable, "-m", "scripts.online.score_responses", "--output", f"{results}/rewards/0.parquet"]
        command += ["--responses", f"{tmp_path}/responses.parquet", "--reward-model", f"{tmp_path}/model"]
        done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["umount", str(results)], check=True)
    assert done.returncode == 1
    expected = f"error: {results}/rewards/0.parquet: the file system is read-only. Nothing was published."
    assert done.stderr.strip().splitlines()[-1] == expected
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only file system needs root")
@pytest.mark.parametrize("below", ["results", ""])
def test_snakemake_says_so_before_the_first_job(tmp_path, below):
    """Of results/ alone, a link to another disk for instance, and of the working folder, where Snakemake writes too."""
    folder = tmp_path / "work"
    (folder / "results").mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder / below)], check=False).returncode:
        pytest.skip("this sandbox mounts no tmpfs")
    try:
        done = Study(folder).snakemake("results/tiny/world/raw/defects.json")
    finally:
        subprocess.run(["umount", str(folder / below)], check=True)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert f"{folder / below}: the file system is read-only. Nothing was started. Name a folder" in said
    assert "Traceback" not in said
    assert "rule generate_world:" not in said


def test_a_second_snakemake_in_the_same_folder_is_refused(tmp_path):
    target = "results/tiny/world/raw/defects.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", f"{ROOT}/Snakefile", "--directory", str(tmp_path)]
    command += ["--cores", "1", "--configfile", str(DEMO), str(TINY), "--", target]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: any(tmp_path.glob(".snakemake/locks/*")) or first.poll() is not None, "the first one's lock")
    first.send_signal(signal.SIGSTOP)  # it may not end before the second has looked
    second = Study(tmp_path).snakemake(target)
    first.send_signal(signal.SIGCONT)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert first.wait() == 0
    assert (tmp_path / target).is_file()
