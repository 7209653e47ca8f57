"""Which checkpoint a job resumes from, and who may write."""

import json
import subprocess
import sys

import pytest

from scripts.common import checkpoints
from scripts.common.errors import StudyError


def save(work, step: int, whole: bool = True):
    folder = work / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"x" * step)
    if whole:
        checkpoints.mark_whole(folder)
    return folder


def test_newest_whole_checkpoint_is_taken(tmp_path):
    save(tmp_path, 9)
    newest = save(tmp_path, 100)
    assert checkpoints.latest_whole(tmp_path) == newest


def test_unmarked_checkpoint_is_passed_over_and_removed(tmp_path):
    whole = save(tmp_path, 10)
    half = save(tmp_path, 20, whole=False)
    assert checkpoints.latest_whole(tmp_path) == whole
    checkpoints.tidy(tmp_path)
    assert not half.exists()
    assert whole.exists()


def test_truncated_file_and_missing_file_are_recognised(tmp_path):
    whole = save(tmp_path, 10)
    truncated, emptied = save(tmp_path, 20), save(tmp_path, 30)
    (truncated / "model.safetensors").write_bytes(b"x")
    (emptied / "model.safetensors").unlink()
    assert checkpoints.latest_whole(tmp_path) == whole


def test_nothing_to_resume_from(tmp_path):
    assert checkpoints.latest_whole(tmp_path) is None


def test_another_configuration_has_a_directory_of_its_own_and_forgets_the_others(tmp_path):
    output = tmp_path / "policy"
    save(checkpoints.work_directory(output, "aaaa"), 10)
    work = checkpoints.work_directory(output, "bbbb")
    assert checkpoints.latest_whole(work) is None
    checkpoints.tidy(work)
    assert [path.name for path in work.parent.iterdir()] == ["bbbb"]
    assert checkpoints.work_directory(output, "bbbb") == work


def test_second_writer_is_refused_by_name_and_the_lock_dies_with_its_holder(tmp_path):
    output = tmp_path / "policy"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib, time; from scripts.common import checkpoints\n"
            "with checkpoints.only_writer(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)",
            str(output),
        ],
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StudyError, match=f'another process is writing it.*"pid": {holder.pid}'):
            with checkpoints.only_writer(output):
                pass
    finally:
        holder.kill()
        holder.wait()
    with checkpoints.only_writer(output):
        owner = json.loads((output.with_name(".policy.work") / "owner.json").read_text())
    assert owner["pid"] != holder.pid
