"""Contracts are checked when a table is written and when it is read."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError

ROW = {"prompt_id": "p", "actor": 0, "k": 1, "reward": 0.5}


def test_round_trip(tmp_path):
    path = tmp_path / "rewards.parquet"
    assert tables.write_table([ROW], path, tables.REWARDS) == 1
    assert tables.read_table(path, tables.REWARDS).to_pylist() == [ROW]
    assert tables.count_rows(path, tables.REWARDS) == 1
    assert [batch.num_rows for batch in tables.read_batches(path, tables.REWARDS)] == [1]


def test_missing_column_names_what_is_there(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"prompt_id": ["p"], "score": [1.0]}), path)
    with pytest.raises(StudyError, match=r"t\.parquet: no column 'actor'.*the file has prompt_id, score"):
        tables.read_table(path, tables.REWARDS)


def test_wrong_type_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"prompt_id": ["p"], "actor": ["0"], "k": [1], "reward": [1.0]}), path)
    with pytest.raises(StudyError, match="column 'actor' is string; rewards have int32 there"):
        tables.read_table(path, tables.REWARDS)


def test_null_is_refused_before_anything_is_published(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(StudyError, match="column 'reward' has null values"):
        tables.write_table([{**ROW, "reward": None}], path, tables.REWARDS)
    assert list(tmp_path.iterdir()) == []


def test_null_is_allowed_where_the_contract_says_what_it_means(tmp_path):
    row = {"prompt_id": "p", "response": "r", "characters": 1, "tokens": 1, "finished": True, "reward": 0.0}
    tables.write_table([{**row, "gold": None, "log_ratio": 0.0}], tmp_path / "t.parquet", tables.MEASURES)


@pytest.mark.parametrize("keep", [0, 3, 200])
def test_file_cut_short_is_named(tmp_path, keep):
    path = tmp_path / "shard.parquet"
    tables.write_table([ROW] * 100, path, tables.REWARDS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StudyError, match=r"shard\.parquet: not a whole Parquet file"):
        tables.read_table(path, tables.REWARDS)


def test_damage_inside_is_named(tmp_path):
    path = tmp_path / "shard.parquet"
    tables.write_table([{**ROW, "prompt_id": str(i)} for i in range(1000)], path, tables.REWARDS)
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"shard\.parquet: the file is damaged"):
        tables.read_table(path, tables.REWARDS)


def test_missing_file(tmp_path):
    with pytest.raises(StudyError, match="there is no such file; expected a table of rewards"):
        tables.read_table(tmp_path / "no.parquet", tables.REWARDS)
