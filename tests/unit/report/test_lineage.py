"""The tree of what made an artifact, on a small study with real manifests; each kind of change is seen, and only it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT, manifest_path, write_manifests
from scripts.report import lineage

STUDY = Path("results/small")
RAW = STUDY / "world/raw"
PROMPTS = STUDY / "data/raw/prompts.parquet"
BASE = STUDY / "models/base"
PAIRS = STUDY / "runs/iter1/pairs.parquet"
DROPPED = STUDY / "runs/iter1/dropped.parquet"
TABLE = STUDY / "tables/table.csv"
TEMPLATE = Path("chat.jinja")


def make(module: str, outputs: Sequence[Path], inputs: dict[str, Path], content: str = "", **settings) -> None:
    """Write outputs and their manifests, as a command does."""
    for path in outputs:
        file = path / "model.safetensors" if path == BASE else path
        if path != RAW:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{path} {content}")
    arguments = {**inputs, "output": outputs[0], **settings}
    named = [("output" if i == 0 else f"output{i}", path) for i, path in enumerate(outputs)]
    write_manifests(module, arguments, inputs.items(), named, {}, started=0.0)
    for path in outputs:
        edit_manifest(path, seconds=2.0)


def edit_manifest(path: Path, **changes) -> None:
    place = manifest_path(path)
    place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))


def make_pairs(content: str = "") -> None:
    inputs = {"prompts": PROMPTS, "model": BASE}
    make("scripts.online.select_pairs", [PAIRS, DROPPED], inputs, content, length_penalty=0.002, nothing=None)


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """raw data -> prompts -> (with a base model) pairs and dropped -> table (with the base model again)"""
    monkeypatch.chdir(tmp_path)
    RAW.mkdir(parents=True)
    (RAW / "prompts.jsonl").write_text("{}")
    TEMPLATE.write_text("template")
    make("scripts.world.generate_world", [RAW], {}, world={"prompts": 7, "noise": 0.1}, seed=3)
    make("scripts.data.retrieve", [PROMPTS], {"local": RAW / "prompts.jsonl"}, hub=None)
    make("scripts.sft.retrieve_model", [BASE], {"chat_template": TEMPLATE}, hub="maker/model", revision="abc")
    make_pairs()
    tabled = {"pairs": PAIRS, "dropped": DROPPED, "model": BASE}
    make("scripts.report.tabulate_held_out", [TABLE], tabled, folder=STUDY, names=["a", "b"])
    return tmp_path


def drawn(artifact: Path) -> str:
    found = lineage.trace(artifact)
    console = Console(width=300, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(lineage.tree(found))
    console.print(lineage.summary(found))
    return console.export_text()


def marks(artifact: Path = TABLE) -> dict[str, list[str]]:
    """The artifacts that have something said of them; the template never has a manifest."""
    found = lineage.trace(artifact).artifacts
    assert found[str(TEMPLATE)].marks == ["no manifest"]
    return {path: a.marks for path, a in found.items() if a.marks and path != str(TEMPLATE)}


def other_reads(artifact: Path = TABLE) -> list[tuple[str, str]]:
    return [(made.path, read.path) for made, read in lineage.trace(artifact).other_reads]


@pytest.mark.usefixtures("study")
def test_leads_from_a_table_back_to_raw_data_and_settings():
    found = lineage.trace(TABLE)
    paths = [TABLE, PAIRS, PROMPTS, RAW / "prompts.jsonl", RAW, BASE, TEMPLATE, DROPPED]
    assert list(found.artifacts) == list(map(str, paths))
    assert found.artifacts[str(RAW)].settings == {"world": {"prompts": 7, "noise": 0.1}, "seed": 3}
    assert found.artifacts[str(PAIRS)].settings == {"length_penalty": 0.002}
    assert found.artifacts[str(BASE)].settings == {"hub": "maker/model", "revision": "abc"}
    assert found.artifacts[str(TABLE)].settings == {"names": ["a", "b"]}
    assert found.artifacts[str(PAIRS)].module == "scripts.online.select_pairs"


@pytest.mark.usefixtures("study")
def test_an_untouched_study_has_nothing_to_be_said():
    assert marks() == {}
    assert other_reads() == []


@pytest.mark.usefixtures("study")
def test_the_tree_draws_what_is_shared_once():
    text = drawn(TABLE)
    assert text.count("scripts.sft.retrieve_model") == 1
    assert text.count(f"{BASE}  ") == 3  # under pairs in full; under dropped and the table by name
    assert text.count("(above)") == 3  # those two, and the prompts under dropped
    assert "world (prompts 7, noise 0.1), seed 3" in text
    assert text.splitlines()[-1] == "8 artifacts, 10 s of work; no manifest: 1"


@pytest.mark.usefixtures("study")
def test_seconds_of_a_command_with_several_outputs_count_once():
    assert lineage.trace(TABLE).seconds == 10  # five commands of 2 s, six artifacts


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("path", [PROMPTS, PAIRS, BASE])
def test_an_edited_artifact_is_seen_where_it_was_edited(path):
    file = path / "model.safetensors" if path == BASE else path
    file.write_text("edited by hand")
    assert marks() == {str(path): ["changed since it was made"]}
    assert {read for _, read in other_reads()} == {str(path)}
    assert "not what was read" in drawn(TABLE)


@pytest.mark.usefixtures("study")
def test_a_rebuilt_input_is_told_from_an_edited_one():
    make_pairs("other pairs")
    assert marks() == {}
    assert other_reads() == [(str(TABLE), str(PAIRS)), (str(TABLE), str(DROPPED))]


@pytest.mark.usefixtures("study")
def test_an_edited_file_of_a_folder_is_seen_by_reader_and_folder():
    (RAW / "prompts.jsonl").write_text("[]")
    assert marks() == {str(RAW): ["changed since it was made"]}
    assert other_reads() == [(str(PROMPTS), str(RAW / "prompts.jsonl"))]


@pytest.mark.usefixtures("study")
def test_what_is_not_here_still_leads_on_by_its_manifest():
    PAIRS.unlink()
    assert marks() == {str(PAIRS): ["not here"]}
    assert str(RAW) in lineage.trace(TABLE).artifacts


@pytest.mark.usefixtures("study")
def test_a_model_of_which_only_the_manifest_was_kept_is_not_here():
    (BASE / "model.safetensors").unlink()
    assert marks() == {str(BASE): ["not here"]}
    assert other_reads() == []


@pytest.mark.usefixtures("study")
def test_changed_and_vanished_code_is_seen():
    edit_manifest(PAIRS, code={"module": "scripts.online.select_pairs", "digest": "0" * 16})
    edit_manifest(PROMPTS, code={"module": "scripts.data.no_longer_there", "digest": "0" * 16})
    assert marks() == {str(PAIRS): ["code changed since"], str(PROMPTS): ["code changed since"]}


@pytest.mark.usefixtures("study")
def test_a_missing_or_broken_manifest_is_said_plainly():
    manifest_path(PAIRS).write_text("{half")
    assert marks(PAIRS.with_name("dropped.parquet")) == {}
    found = lineage.trace(PAIRS).artifacts
    assert list(found) == [str(PAIRS)]
    assert found[str(PAIRS)].marks == ["no manifest"]


def test_a_study_looks_the_same_from_elsewhere_and_when_copied(study, tmp_path_factory, monkeypatch):
    here = lineage.trace(TABLE).as_json()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(study, elsewhere / "copy")
    monkeypatch.chdir(elsewhere)
    assert lineage.trace(study / TABLE).as_json() == here
    assert lineage.trace("copy" / TABLE).as_json() == here


@pytest.mark.usefixtures("study")
def test_a_file_within_a_model_leads_to_the_model():
    found = lineage.trace(BASE / "model.safetensors").artifacts
    assert list(found) == [str(BASE / "model.safetensors"), str(BASE), str(TEMPLATE)]


@pytest.mark.usefixtures("study")
def test_what_is_not_there_is_refused():
    with pytest.raises(StudyError, match=r"no_such\.csv: there is no such file"):
        lineage.trace(STUDY / "tables/no_such.csv")


def test_json_is_all_that_the_command_prints(study):
    command = [sys.executable, "-m", "scripts.report.lineage", str(study / TABLE), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said["artifact"] == str(TABLE)
    assert said["artifacts"] == lineage.trace(study / TABLE).as_json()["artifacts"]
    pairs = next(a for a in said["artifacts"] if a["path"] == str(PAIRS))
    assert [(r["argument"], r["another_now"]) for r in pairs["inputs"]] == [("prompts", False), ("model", False)]
