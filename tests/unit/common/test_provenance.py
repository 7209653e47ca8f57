"""Digests: what changes them and what does not; manifests."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.common import command, provenance
from scripts.common.errors import StudyError

SOURCE = '''"""Docstring."""
def f(x):
    """What it does."""
    return x + 1  # why
'''


def test_comments_docstrings_and_layout_do_not_count():
    bare = "def f(x):\n\n    return (x + 1)\n"
    assert provenance.logic(SOURCE) == provenance.logic(bare)


def test_logic_counts():
    assert provenance.logic(SOURCE) != provenance.logic(SOURCE.replace("1", "2"))


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A small copy of the layout: a module with a sibling, a helper in common and a query."""
    for name, text in {
        "online/select.py": 'from scripts.online import rank\nfrom scripts.common import files\nQUERY = "pairs.sql"\n',
        "online/rank.py": "BEST = max\n",
        "online/other.py": "OTHER = 1\n",
        "online/sql/pairs.sql": "SELECT 1",
        "common/files.py": "A = 1\n",
    }.items():
        path = tmp_path / "scripts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.code_digest.cache_clear()
    yield tmp_path / "scripts"
    provenance.code_digest.cache_clear()


@pytest.mark.parametrize(
    ("file", "text", "reruns"),
    [
        ("online/select.py", 'from scripts.online import rank\nQUERY = "pairs.sql"\nX = 2\n', True),
        ("online/rank.py", "BEST = min\n", True),
        ("online/sql/pairs.sql", "SELECT 2", True),
        ("online/other.py", "OTHER = 2\n", False),
        ("common/files.py", "A = 2\n", False),
        ("online/rank.py", "BEST = max  # the best\n", False),
    ],
)
def test_code_digest_follows_what_the_module_runs(tree, file, text, reruns):
    before = provenance.code_digest("scripts.online.select")
    (tree / file).write_text(text)
    provenance.code_digest.cache_clear()
    assert (provenance.code_digest("scripts.online.select") != before) is reruns


def test_folder_digest_ignores_its_manifest_but_no_content(tmp_path):
    (tmp_path / "weights").write_text("a")
    before = provenance.digest(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    assert provenance.digest(tmp_path) == before
    (tmp_path / "weights").write_text("b")
    assert provenance.digest(tmp_path) != before


@dataclass(frozen=True)
class Args:
    source: command.Input
    output: command.Output
    times: int = 2


def double(args: Args) -> dict:
    if args.times < 0:
        raise StudyError("times: is negative")
    args.output.write_text(args.source.read_text() * args.times)
    return {"times": args.times}


def test_command_writes_a_manifest_last(tmp_path, monkeypatch, capsys):
    source, output = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_text("ab")
    monkeypatch.setattr("sys.argv", ["double", "--source", str(source), "--output", str(output)])
    monkeypatch.setattr(provenance, "code_digest", lambda module: "c0de")
    command.run(double, Args)
    manifest = json.loads((tmp_path / "out.txt.manifest.json").read_text())
    assert manifest["inputs"] == [{"argument": "source", "path": str(source), "sha256": provenance.digest(source)}]
    assert manifest["output"]["sha256"] == provenance.digest(output)
    assert manifest["facts"] == {"times": 2}
    assert "times  2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--source", "nowhere"], "error: --source nowhere: there is no such file"), (["--times", "-1"], "error: times")],
)
def test_command_ends_with_one_line(tmp_path, monkeypatch, arguments, message):
    source = tmp_path / "in.txt"
    source.touch()
    given = {"--source": str(source), "--output": str(tmp_path / "o"), **{arguments[0]: arguments[1]}}
    monkeypatch.setattr("sys.argv", ["double", *(word for pair in given.items() for word in pair)])
    with pytest.raises(SystemExit) as ended:
        command.run(double, Args)
    assert str(ended.value.code).startswith(message)
    assert not Path(tmp_path / "o.manifest.json").exists()
