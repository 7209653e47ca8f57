"""The README tells the truth about the tree, and the paths and make targets it names exist."""

import re

from benchmarks import findings
from tests.readme_tree import ROOT, block, first_sentence

README = (ROOT / "README.md").read_text()


def test_tree_is_the_tree():
    assert block() in README, "run `python -m tests.readme_tree`"


def test_findings_are_those_measured():
    assert findings.block() in README, "run `python -m benchmarks.findings`"


def test_every_module_and_query_says_what_it_is():
    silent = [p for p in (ROOT / "scripts").rglob("*") if p.suffix in {".py", ".sql"} and p.name != "__init__.py"]
    assert [str(path) for path in silent if not first_sentence(path)] == []


def test_named_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", README.partition("<!-- tree -->")[0], re.MULTILINE))
    assert {first or second for first, second in named} <= targets
    assert len(named) >= 3


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
