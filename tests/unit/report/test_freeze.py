"""The archive of a study: what is in it, that equal content is equal bytes, and that no secret gets in."""

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from scripts.common import config
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT, write_manifests
from scripts.report import freeze
from scripts.report.freeze import Args, File

DEMO = ROOT / "config/demo.yaml"
TINY = ROOT / "config/presets/tiny.yaml"
SECRET = hashlib.sha256(
    b"planted"
).hexdigest()  # made here: written out, it would be found in this file, which goes in too


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def study(tmp_path) -> Path:
    """What a finished study leaves behind, in small; beside it what must stay out."""
    folder = tmp_path / "results/tiny"
    raw = write(folder / "data/raw/prompts.parquet", "rows")
    table = write(folder / "tables/table1.csv", "model,score\nmix1,0.5\n")
    write(folder / "figures/figure8.svg", "<svg/>")
    write(folder / "report/index.html", "<html/>")
    write(folder / "models/sft/model.safetensors", "weights")
    write(folder / "models/.sft.work/checkpoint-8/manifest.json", "{half")
    write(folder / "logs/train_sft.log", "a log")
    own = write(tmp_path / "mine/data.jsonl", "{}")
    template = ROOT / "config/chat_templates/world.jinja"
    write_manifests("scripts.data.retrieve", {"hub": None}, [("local", own)], [("output", raw)], {}, 0.0)
    inputs = [("raw", raw), ("template", template)]
    write_manifests("scripts.report.tabulate_held_out", {}, inputs, [("table", table)], {}, 0.0)
    model = folder / "models/sft"
    origin = {"hub": "maker/model", "revision": "main"}  # a branch; the manifest knows the commit
    write_manifests("scripts.sft.retrieve_model", origin, [], [("output", model)], {"commit": "abc123"}, 0.0)
    return folder


def arguments(study: Path, name: str = "tiny-frozen.tar.gz") -> Args:
    return Args((DEMO, TINY), study.parents[1] / name, study)


def collected(study: Path) -> dict[str, File]:
    return freeze.collect(arguments(study), commit="c0ffee", warnings=[])


def test_holds_what_was_measured_and_the_program_and_nothing_else(study):
    contents = collected(study)
    results = {path.removeprefix("results/tiny/") for path in contents if path.startswith("results/")}
    assert results == {
        "data/raw/prompts.parquet.manifest.json",
        "figures/figure8.svg",
        "models/sft/manifest.json",
        "report/index.html",
        "tables/table1.csv",
        "tables/table1.csv.manifest.json",
    }
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    code = {path.removeprefix("code/") for path in contents if path.startswith("code/")}
    assert code == {path for path in tracked if (ROOT / path).exists()}
    assert "envs/requirements.lock" in code
    others = {path for path in contents if not path.startswith(("code/", "results/"))}
    assert others == {"README.txt", "study.yaml", "SHA256SUMS"}


def test_the_configuration_inside_is_that_of_the_files_merged(study):
    inside = config.load(yaml.safe_load(collected(study)["study.yaml"].data))
    files = config.merge(*(yaml.safe_load(file.read_text()) for file in (DEMO, TINY)))
    assert inside == config.load(files)


def test_settings_win_over_files():
    values = freeze.merged([DEMO, TINY], ["study=other", "seed=7"])
    assert (values["study"], values["seed"]) == ("other", 7)


def test_names_what_must_be_brought_and_only_that(study):
    readme = collected(study)["README.txt"].data.decode()
    needed = readme.split("must be there to repeat it")[1].split("\n- ")[1:]
    own = study.parents[1] / "mine/data.jsonl"
    digest = hashlib.sha256(b"{}").hexdigest()
    assert [line.strip() for line in needed] == [
        f"{own}, sha256 {digest}",
        "from the hub: maker/model, revision abc123",
    ]
    assert "c0ffee" in readme
    assert "WARNING" not in readme


def test_the_same_content_gives_the_same_bytes(study, tmp_path):
    first, second = tmp_path / "first.tar.gz", tmp_path / "second.tar.gz"
    freeze.write_archive("tiny-frozen", collected(study), 1_700_000_000, first)
    for file in study.rglob("*"):
        os.utime(file, (1, 1))
    freeze.write_archive("tiny-frozen", dict(reversed(collected(study).items())), 1_700_000_000, second)
    assert first.read_bytes() == second.read_bytes()
    write(study / "tables/table1.csv", "model,score\nmix1,0.6\n")
    freeze.write_archive("tiny-frozen", collected(study), 1_700_000_000, second)
    assert first.read_bytes() != second.read_bytes()


def test_an_earlier_archive_within_the_study_changes_nothing(study):
    args = Args((DEMO, TINY), study / "tiny-frozen.tar.gz", study)
    before = freeze.collect(args, "c0ffee", [])
    write(study / "tiny-frozen.tar.gz", "an archive")
    write(study / "tiny-frozen.tar.gz.manifest.json", "{}")
    assert freeze.collect(args, "c0ffee", []) == before


def test_unpacks_to_files_that_agree_with_their_digests(study, tmp_path):
    args = arguments(study)
    freeze.main(args)  # with a true dry run, of a study that Snakemake has not made
    with tarfile.open(args.output) as archive:
        archive.extractall(tmp_path / "there", filter="data")
    folder = tmp_path / "there/tiny-frozen"
    check = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    assert (folder / "code/slurm/config.yaml").is_file()  # through the symbolic link
    assert os.access(folder / "code/profiles/slurm/cancel_orphans.sh", os.X_OK)
    readme = (folder / "README.txt").read_text()
    assert "WARNING: the study is not up to date with this configuration and program" in readme
    assert "train_dpo" in readme


@pytest.mark.parametrize("below", ["tables/table1.csv", "figures/figure8.svg", "report/index.html"])
def test_a_secret_of_the_environment_stops_it_and_is_not_repeated(study, monkeypatch, below):
    monkeypatch.setenv("JUDGE_API_KEY", SECRET)
    freeze.refuse_secrets(collected(study), os.environ)
    write(study / below, f"<{SECRET}>")
    with pytest.raises(StudyError, match=f"{below}: holds the value of JUDGE_API_KEY") as refused:
        freeze.refuse_secrets(collected(study), os.environ)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", [SECRET, f'"{SECRET}"', f"\\{SECRET}", f"ü{SECRET}"])
def test_a_secret_in_a_manifest_stops_it_however_json_writes_it(study, secret):
    table = study / "tables/table1.csv"
    write_manifests("scripts.report.tabulate_held_out", {"key": secret}, [], [("table", table)], {}, 0.0)
    with pytest.raises(StudyError, match=r"table1\.csv\.manifest\.json: holds the value of HF_TOKEN"):
        freeze.refuse_secrets(collected(study), {"HF_TOKEN": secret})


@pytest.mark.parametrize(
    "key", ["hf_" + "a1B2" * 9, "sk-" + "x" * 40, "ghp_" + "Z9" * 18, "-----BEGIN " + "PRIVATE KEY"]
)
def test_what_looks_like_a_key_stops_it(key):
    with pytest.raises(StudyError, match="looks like a key"):
        freeze.refuse_secrets({"a.csv": File(f"x,{key},y".encode())}, {})


@pytest.mark.parametrize(("name", "value"), [("HOME", "/home/somebody"), ("TOKENIZERS_PARALLELISM", "false")])
def test_ordinary_variables_do_not_stop_it(name, value):
    freeze.refuse_secrets({"a.csv": File(f"<{value}>".encode())}, {name: value})


def test_another_studys_configuration_is_refused(study):
    with pytest.raises(StudyError, match=r"the configuration is that of the study 'real'"):
        freeze.collect(Args((ROOT / "config/real.yaml",), study / "x.tar.gz", study), "c0ffee", [])


def test_a_study_without_tables_is_refused(tmp_path):
    (tmp_path / "tiny").mkdir()
    with pytest.raises(StudyError, match="no tables"):
        freeze.measurements(tmp_path / "tiny", "tiny", tmp_path / "x.manifest.json")


def test_a_broken_manifest_is_named(study):
    write(study / "tables/table1.csv.manifest.json", "{half")
    with pytest.raises(StudyError, match=r"tables/table1\.csv\.manifest\.json: no manifest"):
        collected(study)


def test_an_output_that_is_no_archive_is_refused(study):
    with pytest.raises(StudyError, match=r"ends in \.tar\.gz"):
        freeze.main(arguments(study, "tiny.zip"))


@pytest.mark.parametrize(("text", "says"), [("a: [", "no YAML"), ("just words", "expected keys and values")])
def test_a_file_that_is_no_configuration_is_refused(tmp_path, text, says):
    with pytest.raises(StudyError, match=says):
        freeze.merged([write(tmp_path / "a.yaml", text)])


def test_a_setting_without_a_value_is_refused():
    with pytest.raises(StudyError, match="expected key=value"):
        freeze.merged([DEMO], ["seed"])


def test_says_what_differs_from_the_commit(tmp_path):
    def git(*words: str) -> None:
        who = ["-c", "user.name=n", "-c", "user.email=e@x"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init")
    write(tmp_path / "kept.py", "1")
    write(tmp_path / "changed.py", "1")
    git("add", ".")
    git("commit", "-m", "first")
    commit, _, changed = freeze.checkout(tmp_path)
    assert len(commit) == 40
    assert changed == []
    assert freeze.dirty(changed) == []
    write(tmp_path / "changed.py", "2")
    write(tmp_path / "new.py", "1")
    assert freeze.checkout(tmp_path)[2] == ["?? new.py", "M changed.py"]
    assert "2 files differ" in freeze.dirty(["?? new.py", "M changed.py"])[0]
    assert freeze.tracked(tmp_path) == {"kept.py": File(b"1"), "changed.py": File(b"2")}


def test_a_folder_without_git_is_refused(tmp_path):
    with pytest.raises(StudyError, match="Freeze from a git checkout"):
        freeze.checkout(tmp_path)
