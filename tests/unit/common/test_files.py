"""Outputs appear complete or not at all."""

import errno
import os

import pytest

from scripts.common.errors import StudyError
from scripts.common.files import publish


def test_file_appears_when_the_block_ends(tmp_path):
    target = tmp_path / "new" / "table.txt"
    with publish(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_failure_leaves_the_old_artifact_and_no_remains(tmp_path):
    target = tmp_path / "table.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="half way"), publish(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_replaces_a_folder(tmp_path):
    target = tmp_path / "model"
    for content in ("first", "second"):
        with publish(target) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [path.name for path in target.iterdir()] == ["second"]


def test_full_disk_is_said_in_one_line(tmp_path):
    with pytest.raises(StudyError, match=r"table\.txt: no space is left on the device.*Nothing was published"):
        with publish(tmp_path / "table.txt") as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(StudyError, match="nothing was written"), publish(tmp_path / "table.txt"):
        pass
