"""What the page says of the study's state: what is stale, how long jobs took, what judging cost."""

import json
from pathlib import Path

from scripts.common.provenance import code_digest
from scripts.report import page_facts, page_state
from scripts.report.page_state import artifacts, judging, overview

from .conftest import manifest

MIX = "scripts.data.mix_preferences"


def made(path: Path, module: str = MIX, seconds: float = 3.0, gpus: int = 0, **changes) -> Path:
    """An artifact with its manifest, current unless changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("there")
    manifest(path, module, seconds, {})
    beside = path.with_name(path.name + ".manifest.json")
    content = json.loads(beside.read_text())
    content["code"]["digest"] = code_digest(module)
    content["machine"]["gpus"] = ["H100"] * gpus
    beside.write_text(json.dumps(content | changes))
    return path


def states(folder: Path) -> dict[str, str]:
    return {Path(row["path"]).name: row["state"] for row in artifacts(page_facts.manifests_in(folder))}


def read(path: Path, digest: str) -> list[dict]:
    return [{"argument": "x", "path": str(path), "sha256": digest}]


def test_what_is_stale_and_why(tmp_path):
    source = made(tmp_path / "source")
    made(tmp_path / "good", inputs=read(source, "source") + read(tmp_path / "without manifest", "?"))
    made(tmp_path / "older", inputs=read(source, "another"))
    made(tmp_path / "edited", code={"module": MIX, "digest": "0" * 16})
    made(tmp_path / "renamed", code={"module": "scripts.data.no_more", "digest": "0" * 16})
    made(tmp_path / "gone").unlink()
    assert states(tmp_path) == {
        "source": "current",
        "good": "current",
        "older": "input changed",
        "edited": "code changed",
        "renamed": "code gone",
        "gone": "not here",
    }


def test_a_command_with_two_outputs_counts_its_time_once(tmp_path):
    for name in ("a", "b"):
        made(tmp_path / name, seconds=1800.0, gpus=4, arguments={"same": "command"})
    made(tmp_path / "c", "scripts.online.generate_responses", seconds=1800.0)
    (tmp_path / "d.manifest.json").write_text("cut short")
    found = page_facts.manifests_in(tmp_path)
    rows = artifacts(found)
    assert len(page_facts.jobs(found)) == 2
    assert page_state.gpu_hours(rows) == 2
    table = overview(rows)
    assert [row["step"] for row in table.rows] == [
        "data / <b>mix_preferences</b>",
        "online / <b>generate_responses</b>",
    ]
    mix, generate = table.rows
    assert (mix["artifacts"], mix["time"], mix["share"], mix["GPU-hours"]) == ("2", "30 min", "50%", "2.0")
    assert (generate["GPU-hours"], generate["state"]) == ("–", '<span class="badge good">current</span>')
    assert overview([]) is None


def test_judging_counts_what_was_estimated_and_paid(tmp_path):
    for policy, asked in (("sft", 5), ("offline", 0)):
        bill = {"prompt_tokens": 1000, "completion_tokens": 5, "dollars": 1.5}
        facts = {"judgments": 5, "no_verdict": 1, "requests": 5, "asked": asked, "model": "gpt", "counted": bill}
        facts["estimated"] = {"prompt_tokens": 1200, "completion_tokens": 40, "dollars": 2.0}
        arguments = {"judge": "annotator", "benchmark": "alpaca_eval", "kind": "endpoint", "policy": policy}
        made(tmp_path / policy, page_state.JUDGE, facts=facts, arguments=arguments)
    gold = {"judge": "gold", "benchmark": "mt_bench", "kind": "gold"}
    made(tmp_path / "gold", page_state.JUDGE, facts={"judgments": 8, "no_verdict": 0}, arguments=gold)
    found = page_facts.manifests_in(tmp_path)
    rows = {row["benchmark"]: row for row in judging(found).rows}
    assert rows["alpaca_eval"]["prompt tokens"] == '2,000<span class="ci">estimated 2,400</span>'
    assert rows["alpaca_eval"]["dollars"] == '3.00<span class="ci">estimated 4.00</span>'
    assert (rows["alpaca_eval"]["requests"], rows["alpaca_eval"]["no verdict"]) == ("10", "2")
    assert (rows["mt_bench"]["judgments"], rows["mt_bench"]["dollars"]) == ("8", "–")
    assert page_state.dollars(found) == 3.0
    assert judging([]) is None


def test_the_page_says_what_is_stale(study):
    """The manifests of this study name code that never was."""
    page = study.page.read_text()
    assert 'id="exhibit-state"' in page
    assert "code changed" in page
    assert "<b>5 are stale</b>" in page
