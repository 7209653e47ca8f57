"""Local copies and hub sets come out as published; what is damaged is named, and nothing half-written stays."""

import gzip
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.data.retrieve import Args, explain_hub, is_transient, main

ROWS = [
    {"day": "2024-01-01", "at": "12:00:00", "id": "550e8400-e29b-41d4-a716-446655440000", "n": 1, "parts": None},
    {"day": "2024-01-02", "at": "13:00:00", "id": "550e8400-e29b-41d4-a716-446655440001", "n": 2,
     "parts": [{"fine-grained_score": 4.25, "it's \"odd\"": "2024-01-01"}, {"late": True}]},
]  # fmt: skip


def retrieved(folder, source):
    output = folder / "out" / "raw.parquet"
    facts = main(Args(output, local=source))
    rows = pq.read_table(output).to_pylist()
    assert facts["rows"] == len(rows)
    return rows


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def written(path, content):
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.json", "x.json.gz"])
def test_json_keeps_names_nesting_and_text_that_looks_like_something_else(tmp_path, name):
    content = lines(ROWS) if "jsonl" in name else json.dumps(ROWS, indent=1).encode()
    first, second = retrieved(tmp_path, written(tmp_path / name, content))
    assert first == ROWS[0]
    assert {k: v for k, v in second.items() if k != "parts"} == {k: v for k, v in ROWS[1].items() if k != "parts"}
    assert second["parts"] == [
        {"fine-grained_score": 4.25, 'it\'s "odd"': "2024-01-01", "late": None},
        {"fine-grained_score": None, 'it\'s "odd"': None, "late": True},
    ]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"text": st.text(st.characters(blacklist_categories=["Cs"])), "number": st.integers(-9, 9)}
        ),
        min_size=1,
        max_size=6,
    ),
    st.booleans(),
)
def test_texts_come_out_as_they_went_in(tmp_path_factory, rows, compressed):
    folder = tmp_path_factory.mktemp("raw")
    assert retrieved(folder, written(folder / ("x.jsonl.gz" if compressed else "x.jsonl"), lines(rows))) == rows


def test_a_column_that_begins_late_is_found(tmp_path):
    rows = [{"a": i} for i in range(30_000)] + [{"a": 0, "late": "here"}]
    assert retrieved(tmp_path, written(tmp_path / "x.jsonl", lines(rows)))[-1] == {"a": 0, "late": "here"}


def test_a_row_larger_than_the_databases_usual_limit(tmp_path):
    text = "word " * (4 * 2**20)  # 20 MiB
    assert retrieved(tmp_path, written(tmp_path / "x.jsonl", lines([{"text": text}]))) == [{"text": text}]


def test_parquet_and_csv(tmp_path):
    table = pa.table({"text": ["a", None], "scores": [[1.0], []]})
    pq.write_table(table, tmp_path / "x.parquet")
    assert retrieved(tmp_path, tmp_path / "x.parquet") == table.to_pylist()
    rows = retrieved(
        tmp_path, written(tmp_path / "x.csv", b'prompt,day,n\n"a, ""b""\nc",2024-01-01,1\nd,2024-01-02,2\n')
    )
    assert rows == [{"prompt": 'a, "b"\nc', "day": "2024-01-01", "n": 1}, {"prompt": "d", "day": "2024-01-02", "n": 2}]


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "README.md").write_text("not data")
    for name, n in (("b.jsonl", 2), ("a.jsonl", 1), ("c.jsonl", 3)):
        written(folder / name, lines([{"n": n, f"only_{n}": True}]))
    rows = retrieved(tmp_path, folder)
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert [row["only_2"] for row in rows] == [None, True, None]


GOOD = lines([{"text": f"row {i}"} for i in range(5000)])


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("none.jsonl", None, "there is no such file or folder"),
        ("empty.jsonl", b"", "the file is empty"),
        ("blank.jsonl", b"\n\n", "holds no rows"),
        ("cut.jsonl.gz", gzip.compress(GOOD)[:-3000], "compressed data ends or breaks after line"),
        ("plain.jsonl.gz", GOOD, "compressed data ends or breaks after line 0"),
        ("latin.jsonl", GOOD + b'{"text": "caf\xe9"}\n', "line 5001 is not UTF-8"),
        ("open.jsonl", GOOD + b'{"text": "row\n' + GOOD, "line 5001 is not JSON"),
        ("cut.jsonl", GOOD[:-6], "line 5000 is not JSON"),
        ("values.jsonl", b'{"text": "a"}\n[1, 2]\n', "expected JSON objects"),
        ("cut.json", b'[{"text": "a"}, {"te', "can't be read as json"),
        ("text.parquet", b"this is no parquet file at all", "can't be read as parquet"),
        ("latin.csv", b"text\ncaf\xe9\n", "can't be read as csv"),
        ("notes.txt", b"text", "expected files of one kind among .jsonl"),
    ],
)
def test_damage_is_one_clear_error(tmp_path, name, content, complaint):
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(StudyError, match=complaint) as error:
        retrieved(tmp_path, source)
    assert str(source) in str(error.value)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_parquet_is_named(tmp_path, damage):
    source = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"{i * 7919 % 10007}" for i in range(20_000)]}), source, use_dictionary=False)
    content = bytearray(source.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = b"" if damage == "cut" else bytes(300)
    source.write_bytes(content)
    with pytest.raises(StudyError, match="can't be read as parquet") as error:
        retrieved(tmp_path, source)
    assert str(source) in str(error.value)


def test_files_of_two_kinds_are_refused(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    written(folder / "a.jsonl", GOOD)
    written(folder / "b.csv", b"text\nx\n")
    with pytest.raises(StudyError, match=r"files of one kind .* found a.jsonl, b.csv"):
        retrieved(tmp_path, folder)


def test_one_origin_is_needed(tmp_path):
    for origin in ({}, {"hub": "a/b", "local": tmp_path}):
        with pytest.raises(StudyError, match="exactly one of --hub and --local"):
            main(Args(tmp_path / "raw.parquet", **origin))


def test_the_command_prints_one_line_and_leaves_nothing(tmp_path):
    source = written(tmp_path / "bad.jsonl", b'{"text": 1}\n{"text": \n')
    output = tmp_path / "raw.parquet"
    command = [sys.executable, "-m", "scripts.data.retrieve", "--local", str(source), "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {source}: line 2 is not JSON")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [source]


# --- the hub: a data set in a folder stands for one, since `datasets` reads both the same way -------------------------


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data set with a default configuration and a second one in a folder of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "published"
    (folder / "extra").mkdir(parents=True)
    written(folder / "train.jsonl", lines([{"text": "a", "parts": [{"x": 1}]}, {"text": "b", "parts": []}]))
    written(folder / "extra" / "train.jsonl", lines([{"text": "c", "parts": []}]))
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train.jsonl\n---\n")
    return folder


def test_hub_sets_come_out_with_their_nesting(tmp_path, published):
    assert main(Args(tmp_path / "raw.parquet", hub=str(published)))["rows"] == 2
    rows = pq.read_table(tmp_path / "raw.parquet").to_pylist()
    assert rows == [{"text": "a", "parts": [{"x": 1}]}, {"text": "b", "parts": []}]


def test_a_subset_may_be_a_folder(tmp_path, published):
    (published / "README.md").unlink()
    main(Args(tmp_path / "raw.parquet", hub=str(published), subset="extra"))
    assert [row["text"] for row in pq.read_table(tmp_path / "raw.parquet").to_pylist()] == ["c"]


def test_an_unknown_split_is_explained(tmp_path, published):
    with pytest.raises(
        StudyError, match=r"published: can't be retrieved \(.*nowhere.*with this revision, subset and split"
    ):
        main(Args(tmp_path / "raw.parquet", hub=str(published), split="nowhere"))


def test_without_a_network_the_error_says_what_to_do(tmp_path):
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-m",
        "scripts.data.retrieve",
        "--hub",
        "no/such-set",
        "--output",
        str(tmp_path / "r.parquet"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "error: no/such-set: can't be retrieved" in done.stderr
    assert "HF_HUB_OFFLINE=1" in done.stderr
    assert "Traceback" not in done.stderr


def test_gated_sets_name_their_page_and_the_token():
    message = explain_hub("a/b", None, ValueError("Dataset 'a/b' is a gated dataset on the Hub."))
    assert "https://huggingface.co/datasets/a/b" in message
    assert "HF_TOKEN" in message


def test_only_failures_of_the_network_are_tried_again():
    import httpx

    request = httpx.Request("GET", "https://example.org")
    busy, absent = (
        httpx.HTTPStatusError("", request=request, response=httpx.Response(status, request=request))
        for status in (503, 404)
    )
    assert is_transient(busy)
    assert is_transient(ConnectionError())
    assert is_transient(httpx.ReadTimeout("slow"))
    assert not is_transient(absent)
    assert not is_transient(ValueError("no such split"))
