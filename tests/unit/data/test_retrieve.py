"""Local copies and hub sets come out as published; what is damaged is named, and nothing half-written stays."""

import gzip
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import config
from scripts.common.catalogue import CATALOGUE as CATALOGUE_FILE
from scripts.common.catalogue import read_catalogue
from scripts.common.errors import StudyError
from scripts.data import pin_sources, retrieve
from scripts.data.retrieve import Args, is_transient, main
from tests.unit.data.hub import Repository

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
        ("cut.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-3000], "compressed data ends or breaks after line"),
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
    ids=lambda value: value if isinstance(value, str) else "",  # the contents would be names of megabytes
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


# --- the hub: a server that speaks its protocol -----------------------------------------------------------------------

COMMIT, OTHER = "a" * 40, "b" * 40
CARD = b"---\nconfigs:\n- config_name: default\n  data_files: train.jsonl\n---\n"
PUBLISHED = [{"text": "a", "parts": [{"x": 1}]}, {"text": "b", "parts": []}]


@pytest.fixture
def hub(hub):
    """A hub with one public and one gated data set."""
    files = {"README.md": CARD, "train.jsonl": lines(PUBLISHED), "extra/train.jsonl": lines([{"text": "c"}])}
    hub.repositories["some/set"] = Repository(files, {"main": COMMIT, "refs/convert/parquet": OTHER})
    hub.repositories["gated/set"] = Repository({"train.jsonl": lines(PUBLISHED)}, {"main": COMMIT}, gated=True)
    return hub


def test_hub_sets_come_out_with_their_nesting_and_their_commit(tmp_path, hub):
    facts = main(Args(tmp_path / "raw.parquet", hub="some/set", revision="main"))
    assert pq.read_table(tmp_path / "raw.parquet").to_pylist() == PUBLISHED
    assert (facts["rows"], facts["hub"], facts["commit"]) == (2, "some/set", COMMIT)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        ({"subset": "extra"}, ["c"]),  # no configuration of that name: a folder
        ({"files": "extra/*.jsonl"}, ["c"]),
        ({"revision": "refs/convert/parquet"}, ["a", "b"]),
        ({"revision": OTHER}, ["a", "b"]),
    ],
)
def test_parts_and_revisions_of_a_hub_set(tmp_path, hub, arguments, texts):
    facts = main(Args(tmp_path / "raw.parquet", hub="some/set", **arguments))
    assert pq.read_table(tmp_path / "raw.parquet")["text"].to_pylist() == texts
    assert facts["commit"] == (OTHER if "revision" in arguments else COMMIT)
    if "files" in arguments:
        assert set(hub.downloads()) == {"README.md", "train.jsonl"}
        assert hub.downloads()["train.jsonl"] == 1  # that of the folder alone


def test_a_hub_set_is_fetched_once_and_found_again_without_a_network(tmp_path, hub, monkeypatch):
    from huggingface_hub import constants

    main(Args(tmp_path / "one.parquet", hub="some/set", revision="main"))
    fetched = hub.downloads()
    main(Args(tmp_path / "two.parquet", hub="some/set", revision="main"))
    assert hub.downloads() == fetched
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    facts = main(Args(tmp_path / "three.parquet", hub="some/set", revision="main"))
    assert (facts["commit"], len(hub.asked)) == (COMMIT, asked)
    with pytest.raises(StudyError, match=r"HF_HUB_OFFLINE=1.*'local' must name a copy"):
        main(Args(tmp_path / "four.parquet", hub="some/set", revision=OTHER))  # another commit is not taken for it


def test_a_gated_set_names_its_page_and_the_token(tmp_path, hub, monkeypatch):
    with pytest.raises(StudyError, match="gated") as error:
        main(Args(tmp_path / "raw.parquet", hub="gated/set"))
    for word in ("https://huggingface.co/datasets/gated/set", "HF_TOKEN", "https://huggingface.co/settings/tokens"):
        assert word in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "let-me-in")
    assert main(Args(tmp_path / "raw.parquet", hub="gated/set"))["rows"] == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"hub": "no/such"}, "no/such: there is no such data set, or it is private"),
        ({"hub": "some/set", "revision": "nowhere"}, "some/set: has no revision 'nowhere'.*make pin"),
        ({"hub": "some/set", "split": "nowhere"}, rf"some/set at {COMMIT}: was fetched but can't be read \(.*nowhere"),
        ({"hub": "some/set", "files": "*.parquet"}, "was fetched but can't be read"),
    ],
)
def test_what_the_hub_has_not_is_one_clear_error(tmp_path, hub, arguments, complaint):
    with pytest.raises(StudyError, match=complaint) as error:
        main(Args(tmp_path / "out" / "raw.parquet", **arguments))
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("b.jsonl", GOOD + b'{"text": \n', r"b\.jsonl: line 5001 is not JSON"),
        ("b.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-3000], r"b\.jsonl\.gz: the compressed data ends or breaks"),
        ("b.parquet", b"PAR1 this is no parquet file at all", r"b\.parquet: can't be read as parquet"),
        ("b.jsonl", b'{"other": 1}\n', r"a\.jsonl, b\.jsonl: do not go together.*other: int64"),
    ],
    ids=["not JSON", "cut gz", "no Parquet", "other columns"],
)
def test_a_damaged_file_of_a_hub_set_is_named(tmp_path, hub, name, content, complaint):
    files = {"a.jsonl": GOOD, name: content} if "jsonl" in name else {name: content}
    hub.repositories["some/set"].files = files
    with pytest.raises(StudyError, match=rf"^some/set at {COMMIT}: .*{complaint}") as error:
        main(Args(tmp_path / "out" / "raw.parquet", hub="some/set"))
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "out").iterdir())


def test_a_busy_hub_is_asked_again(tmp_path, hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.busy = 2
    assert main(Args(tmp_path / "raw.parquet", hub="some/set"))["rows"] == 2


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    content = b"0123456789abcdef" * (3 * 2**19)  # 24 MiB: the client writes 10 at a time
    hub.repositories["some/set"].files["large.bin"] = content
    hub.cut["large.bin"] = 1
    folder = retrieve.download("some/set", "main", "large.bin")
    assert (folder / "large.bin").read_bytes() == content
    ranges = [r for method, path, r in hub.asked if method == "GET" and path.endswith("large.bin")]
    assert ranges[0] is None
    assert int(ranges[1].removeprefix("bytes=").partition("-")[0]) >= 10 * 2**20


def test_the_command_shows_its_progress_and_records_the_commit(tmp_path, hub):
    output = tmp_path / "raw.parquet"
    command = [sys.executable, "-m", "scripts.data.retrieve", "--hub", "some/set", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Fetching 3 files" in done.stderr
    manifest = json.loads((tmp_path / "raw.parquet.manifest.json").read_text())
    assert manifest["facts"]["commit"] == COMMIT
    assert manifest["output"]["sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()


def test_without_a_network_the_error_says_what_to_do(tmp_path):
    environment = {"HF_HUB_OFFLINE": "1", "PATH": "", "HF_HOME": str(tmp_path)}
    output = tmp_path / "raw.parquet"
    command = [sys.executable, "-m", "scripts.data.retrieve", "--hub", "no/such-set", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "error: no/such-set: can't be retrieved" in done.stderr
    assert "HF_HUB_OFFLINE=1" in done.stderr
    assert "Traceback" not in done.stderr


# --- pinning ----------------------------------------------------------------------------------------------------------

CATALOGUE = """# what it is
preferences:
  one:  # a comment stays
    hub: some/set
    revision: main
  two: {hub: some/set, revision: refs/convert/parquet, licence: "main"}  # and so does `main` elsewhere
  three: {hub: some/set, revision: 0123456789012345678901234567890123456789}
models:
  base: {hub: some/model, revision: main}
"""


def test_pinning_changes_the_revisions_and_nothing_else(tmp_path, hub, capsys):
    hub.repositories["some/model"] = Repository({}, {"main": "c" * 40}, kind="models")
    catalogue = tmp_path / "sources.yaml"
    catalogue.write_text(CATALOGUE)
    pin_sources.main(pin_sources.Args((catalogue,)))
    expected = CATALOGUE.replace("revision: main}", f"revision: {'c' * 40}}}")
    expected = expected.replace("revision: main", f"revision: {COMMIT}").replace("refs/convert/parquet", OTHER)
    assert catalogue.read_text() == expected
    assert capsys.readouterr().out.count(COMMIT) == 1
    asked = len(hub.asked)
    pin_sources.main(pin_sources.Args((catalogue,)))  # nothing is left to pin
    assert (catalogue.read_text(), len(hub.asked)) == (expected, asked)


def test_what_cannot_be_pinned_is_named_and_the_rest_is_pinned(tmp_path, hub):
    catalogue = tmp_path / "sources.yaml"
    catalogue.write_text(CATALOGUE)
    with pytest.raises(StudyError, match=r"1 not pinned\.\n  .*/sources\.yaml: some/model at main"):
        pin_sources.main(pin_sources.Args((catalogue,)))
    assert f"revision: {COMMIT}" in catalogue.read_text()
    assert "some/model, revision: main" in catalogue.read_text()


def test_the_catalogue_itself_can_be_pinned(tmp_path, hub):
    text = CATALOGUE_FILE.read_text()
    pins = list(pin_sources.unpinned(text, CATALOGUE_FILE))
    for pin in pins:
        commit = f"{len(hub.repositories):c>40}"
        hub.repositories[pin.hub] = Repository({}, {pin.revision: commit}, kind=f"{pin.kind}s")
    catalogue = tmp_path / "sources.yaml"
    catalogue.write_text(text)
    pin_sources.main(pin_sources.Args((catalogue,)))
    before, after = (read_catalogue(path) for path in (CATALOGUE_FILE, catalogue))
    for collection, entries in after.items():
        for name, entry in entries.items():
            (commit,) = hub.repositories[entry["hub"]].branches.values() if pins else [entry["revision"]]
            assert entry == before[collection][name] | {"revision": commit}
    assert [line.partition("#")[2] for line in text.splitlines()] == [
        line.partition("#")[2] for line in catalogue.read_text().splitlines()
    ]


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


def test_pinning_leaves_no_warning_of_the_papers_study(tmp_path, hub):
    """What `make pin` is said to mend: the study's own entries, such as Table 2's open models, are pinned too."""
    text = pin_sources.PAPER.read_text()
    for pin in pin_sources.unpinned(text, pin_sources.PAPER):
        hub.repositories[pin.hub] = Repository({}, {pin.revision: "c" * 40}, kind=f"{pin.kind}s")
    paper = tmp_path / "paper.yaml"
    paper.write_text(text)
    pin_sources.main(pin_sources.Args((paper,)))
    named = {entry["hub"] for entries in read_catalogue().values() for entry in entries.values()}
    left = config.unpinned(config.load(yaml.safe_load(paper.read_text())))
    assert [said for said in left if not any(f"({hub} at" in said for hub in named)] == []


def test_a_study_that_takes_only_the_repository_from_the_catalogue_can_be_pinned_where_it_says_a_branch():
    alone = "data: {preferences: {shp: {revision: %s}}}"
    assert list(pin_sources.unpinned(alone % COMMIT, Path("mine.yaml"))) == []
    with pytest.raises(StudyError, match=r"mine\.yaml: data\.preferences\.shp must say both 'hub' and 'revision'"):
        list(pin_sources.unpinned(alone % "main", Path("mine.yaml")))
