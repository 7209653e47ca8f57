"""Tables made in chunks: the same bytes however often the job was stopped, and no chunk made twice."""

import os
import signal

import pyarrow as pa
import pytest

from scripts.common import checkpoints, chunks, tables
from scripts.common.errors import StudyError

ROWS = 10


class Killed(BaseException):
    """Stands for the end of the process at this very place."""


def make(part: int) -> pa.Table:
    columns = [[f"p{part}"] * ROWS, [0] * ROWS, list(range(ROWS)), [part / 7] * ROWS]
    return pa.table(columns, schema=tables.REWARDS.columns)


def write(output, made: list[int], fail_at: int | None = None, identity: str = "aaaa", parts: int = 6) -> int:
    def one(part: int) -> pa.Table:
        if part == fail_at:
            raise Killed
        made.append(part)
        return make(part)

    with checkpoints.only_writer(output):
        return chunks.write_table(output, tables.REWARDS, identity, range(parts), one, parts * ROWS, "row")


def test_a_stopped_job_goes_on_and_ends_with_the_same_bytes(tmp_path):
    undisturbed, stopped = tmp_path / "a.parquet", tmp_path / "b.parquet"
    assert write(undisturbed, []) == 0
    made: list[int] = []
    for part in (2, 2, 5):
        with pytest.raises(Killed):
            write(stopped, made, fail_at=part)
        assert not stopped.exists()
    assert write(stopped, made) == 5 * ROWS
    assert made == list(range(6))
    assert stopped.read_bytes() == undisturbed.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_another_identity_starts_anew(tmp_path):
    output, made = tmp_path / "a.parquet", []
    with pytest.raises(Killed):
        write(output, made, fail_at=3)
    assert write(output, made, identity="bbbb") == 0
    assert made == [0, 1, 2, *range(6)]


def test_a_chunk_that_is_not_whole_is_made_again(tmp_path):
    output, made = tmp_path / "a.parquet", []
    with pytest.raises(Killed):
        write(output, made, fail_at=3)
    (chunk,) = tmp_path.glob(".a.parquet.work/aaaa/chunk-000001.parquet")
    chunk.write_bytes(chunk.read_bytes()[:-20])
    assert write(output, made) == 2 * ROWS
    assert made == [0, 1, 2, 1, 3, 4, 5]


def test_what_a_killed_writer_had_begun_is_removed(tmp_path):
    output = tmp_path / "a.parquet"
    work = checkpoints.work_directory(output, "aaaa")
    for begun in (tmp_path / ".a.parquet.123.tmp", work / ".chunk-000000.parquet.123.tmp"):
        begun.write_bytes(b"half")
    write(output, [])
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_sigterm_ends_it_at_once_and_says_how_far_it_came(tmp_path):
    output, earlier = tmp_path / "a.parquet", signal.getsignal(signal.SIGTERM)

    def terminated(part: int) -> pa.Table:
        if part == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return make(part)

    with pytest.raises(SystemExit, match=r"a\.parquet: stopped by SIGTERM with 4 chunks made"):
        with checkpoints.only_writer(output):
            chunks.write_table(output, tables.REWARDS, "aaaa", range(6), terminated, 6 * ROWS, "row")
    assert signal.getsignal(signal.SIGTERM) is earlier
    assert write(output, []) == 4 * ROWS


def test_no_parts_make_an_empty_table(tmp_path):
    assert write(tmp_path / "a.parquet", [], parts=0) == 0
    assert tables.count_rows(tmp_path / "a.parquet", tables.REWARDS) == 0


def test_two_writers_are_refused_before_the_second_begins(tmp_path):
    output = tmp_path / "a.parquet"
    with checkpoints.only_writer(output):
        with pytest.raises(StudyError, match=f'another process is writing it.*"pid": {os.getpid()}'):
            write(output, [])
