"""The tiny study that workflow and fault tests share, and the private SLURM of fault and SLURM tests."""

import os
import shutil
from pathlib import Path

import pytest

from tests.slurm import cluster
from tests.workflow.study import Study


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Study:
    """The tiny study, run to its end once a session; tests read it and must not change it.

    TINY_STUDY names a folder where it is kept for the next session, for those who work on these tests.
    """
    kept = os.environ.get("TINY_STUDY")
    study = Study(Path(kept) if kept else tmp_path_factory.mktemp("study"))
    study.build()
    return study


@pytest.fixture
def copy(built, tmp_path) -> Study:
    """A copy to change, with Snakemake's own records, so that it counts as built."""
    shutil.copytree(built.folder, tmp_path / "study", symlinks=True, copy_function=shutil.copy2)
    return Study(tmp_path / "study")


@pytest.fixture(scope="module")
def private_cluster():
    reason = cluster.unavailable()
    if reason:
        pytest.skip(f"no private SLURM: {reason}")
    cluster.start()
    yield
    cluster.stop()
