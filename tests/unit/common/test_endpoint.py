"""The client of chat endpoints, against a real server that refuses, fails, dawdles, cuts lines and talks nonsense."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.common import endpoint as client
from scripts.common import tables
from scripts.common.config import Endpoint
from scripts.common.endpoint import ChatRequest, ask
from scripts.common.errors import StudyError
from tests.unit.chat_server import serve

KEY = "sk-planted-9f3a77c2e1"


@pytest.fixture
def server():
    with serve() as told:
        yield told


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.3)


def requests(n: int, **settings) -> list[ChatRequest]:
    return [ChatRequest([{"role": "user", "content": f"question {i}"}], max_tokens=8, **settings) for i in range(n)]


def replies(asked) -> list[str]:
    return [reply.text for reply in asked.replies]


def test_answers_come_in_the_order_of_the_questions_and_are_counted(server, tmp_path):
    asked = ask(server.endpoint(input_price=10.0, output_price=30.0), requests(20), tmp_path)
    assert replies(asked) == [f"re: question {i}" for i in range(20)]
    assert asked.facts["asked"] == 20
    assert (asked.facts["prompt_tokens"], asked.facts["completion_tokens"]) == (140, 60)
    assert asked.facts["dollars"] == pytest.approx((140 * 10 + 60 * 30) / 1e6)


def test_a_rerun_asks_nothing_and_a_new_question_only_itself(server, tmp_path):
    ask(server.endpoint(), requests(5), tmp_path)
    again = ask(server.endpoint(), requests(6), tmp_path)
    assert replies(again) == [f"re: question {i}" for i in range(6)]
    assert again.facts["asked"] == 1
    assert len(server.seen) == 6


def test_costs_are_estimated_before_and_counted_after_whenever_it_was_asked(server, tmp_path):
    endpoint, asked = server.endpoint(input_price=10.0, output_price=30.0), requests(5)
    first, again = ask(endpoint, [*asked, asked[0]], tmp_path).facts, ask(endpoint, asked, tmp_path).facts
    characters = sum(len(f"question {i}") for i in range(5))
    assert first["estimated"]["completion_tokens"] == 5 * 8
    assert first["estimated"]["dollars"] == pytest.approx((characters / 4 * 10 + 40 * 30) / 1e6)
    assert first["counted"] == {"prompt_tokens": 35, "completion_tokens": 15, "dollars": pytest.approx(800e-6)}
    assert (again["asked"], again["dollars"]) == (0, 0)
    assert (again["estimated"], again["counted"]) == (first["estimated"], first["counted"])


def test_another_model_temperature_or_function_is_another_question(server, tmp_path):
    function = {"name": "rank", "parameters": {"type": "object", "properties": {}}}
    for settings in ({}, {"temperature": 0.5}, {"top_logprobs": 5}, {"function": function}):
        ask(server.endpoint(), requests(1, **settings), tmp_path)
    ask(server.endpoint().model_copy(update={"model": "judge-2"}), requests(1), tmp_path)
    assert len(server.seen) == 5
    assert server.seen[3]["tool_choice"] == {"type": "function", "function": {"name": "rank"}}


def test_equal_questions_are_asked_once(server, tmp_path):
    asked = ask(server.endpoint(), requests(1) * 3, tmp_path)
    assert replies(asked) == ["re: question 0"] * 3
    assert len(server.seen) == 1


FAULTS = {
    "too many requests": (429, {"Retry-After": "0.05"}, "slow down"),
    "server failed": (500, {}, "oops"),
    "overloaded": (503, {}, ""),
    "time-out": "slow",
    "cut connection": "cut",
    "malformed JSON": (200, {}, '{"choices": [{"mess'),
    "JSON of another shape": (200, {}, '{"choices": []}'),
    "not an object": (200, {}, "[1, 2]"),
    "null": (200, {}, '{"choices": [{"message": null}]}'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_tried_again(server, tmp_path, fault):
    server.script = lambda body, attempt: FAULTS[fault] if attempt == 1 else "ok"
    asked = ask(server.endpoint(), requests(3), tmp_path)
    assert replies(asked) == ["re: question 0", "re: question 1", "re: question 2"]
    assert asked.facts["tried_again"] == 3


def test_it_waits_as_long_as_the_endpoint_says(server, tmp_path):
    server.script = lambda body, attempt: (429, {"Retry-After": "0.25"}, "") if attempt == 1 else "ok"
    started = time.perf_counter()
    ask(server.endpoint(), requests(1), tmp_path)
    assert time.perf_counter() - started > 0.25


def test_what_fails_for_good_is_reported_and_the_rest_is_kept(server, tmp_path):
    server.script = lambda body, attempt: (500, {}, "oops") if "question 2" in str(body) else "ok"
    with pytest.raises(StudyError, match=r"1 of 5 requests failed after 4 attempts.*HTTP 500: oops"):
        ask(server.endpoint(), requests(5), tmp_path)
    server.script = lambda body, attempt: "ok"
    asked = ask(server.endpoint(), requests(5), tmp_path)
    assert asked.facts["asked"] == 1


def test_a_request_that_is_refused_gets_no_answer_and_stops_no_other(server, tmp_path):
    server.script = lambda body, attempt: (400, {}, "too long") if "question 1" in str(body) else "ok"
    asked = ask(server.endpoint(), requests(3), tmp_path)
    assert replies(asked) == ["re: question 0", "", "re: question 2"]
    assert asked.replies[1].refused == "HTTP 400: too long"
    assert asked.facts["refused"] == 1


def test_where_all_are_refused_nothing_is_made_of_it(server, tmp_path):
    server.script = lambda body, attempt: (400, {}, "no such parameter")
    with pytest.raises(StudyError, match="took none of the requests: HTTP 400: no such parameter"):
        ask(server.endpoint(), requests(2), tmp_path)


def test_a_wrong_key_stops_at_once(server, tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    server.script = lambda body, attempt: (401, {}, f"incorrect key {KEY}")
    with pytest.raises(StudyError, match="JUDGE_KEY") as error:
        ask(server.endpoint(key_variable="JUDGE_KEY", concurrency=2), requests(50), tmp_path)
    assert KEY not in str(error.value)
    assert len(server.seen) <= 4


def test_a_key_that_is_not_set_is_named(server, tmp_path, monkeypatch):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(StudyError, match="JUDGE_KEY is not set"):
        ask(server.endpoint(key_variable="JUDGE_KEY"), requests(1), tmp_path)
    assert server.seen == []


def test_the_key_is_sent_and_kept_nowhere(server, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    server.answer = lambda body: {"content": f"you sent {KEY}"}  # an endpoint that gives it away
    server.script = lambda body, attempt: (500, {}, f"key {KEY} failed") if "question 1" in str(body) else "ok"
    with pytest.raises(StudyError) as error:
        ask(server.endpoint(key_variable="JUDGE_KEY"), requests(3), tmp_path)
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    said = str(error.value) + "".join(capfd.readouterr())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    rows = str([tables.read_table(path, tables.REPLIES).to_pylist() for path in tmp_path.glob("*.parquet")])
    assert "(key)" in rows
    assert KEY not in said + rows
    assert KEY.encode() not in kept


def test_at_most_so_many_at_once(server, tmp_path):
    server.seconds = 0.03
    ask(server.endpoint(concurrency=5), requests(20), tmp_path)
    assert 3 <= server.most_at_once <= 5


def test_it_keeps_to_the_rate(server, tmp_path):
    started = time.perf_counter()
    ask(server.endpoint(requests_per_minute=600), requests(6), tmp_path)
    assert time.perf_counter() - started > 0.45  # five gaps of a tenth of a second


def test_a_budget_stops_before_the_first_question(server, tmp_path):
    priced = server.endpoint(input_price=10.0, output_price=30.0, budget=0.0001)
    with pytest.raises(StudyError, match=r"may cost \$0\.\d\d, and its budget is"):
        ask(priced, requests(5), tmp_path)
    assert server.seen == []


def test_log_probabilities_and_function_calls_are_read(server, tmp_path):
    server.logprobs = {"m": -0.1, "M": -2.4}
    server.answer = lambda body: {"tool_calls": [{"function": {"name": "rank", "arguments": '{"best": "m"}'}}]}
    reply = ask(server.endpoint(), requests(1, top_logprobs=2), tmp_path).replies[0]
    assert reply.logprobs == {"m": -0.1, "M": -2.4}
    assert json.loads(reply.arguments) == {"best": "m"}
    assert ask(server.endpoint(), requests(1, top_logprobs=2), tmp_path).replies[0] == reply  # from the cache


@pytest.mark.parametrize("url", ["http://user:secret@host/v1", "https://host/v1?key=secret"])
def test_no_secret_in_the_address(url):
    with pytest.raises(ValueError, match="key_variable"):
        Endpoint(base_url=url, model="judge-1")


def test_a_killed_job_loses_at_most_what_was_in_flight(server, tmp_path):
    server.seconds = 0.02
    program = (
        "from pathlib import Path\nfrom tests.unit.common.test_endpoint import *\n"
        f"endpoint = Endpoint(base_url={server.url!r}, model='judge-1', concurrency=4)\n"
        f"ask(endpoint, requests(400), Path({str(tmp_path)!r}))"
    )
    root = Path(client.__file__).parents[2]
    job = subprocess.Popen(
        [sys.executable, "-c", program], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.time() + 60
    while len(server.seen) < 60 and time.time() < deadline:
        time.sleep(0.01)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    time.sleep(0.1)
    before = len(server.seen)
    asked = ask(server.endpoint(), requests(400), tmp_path)
    assert before >= 60
    assert before + asked.facts["asked"] <= 400 + 4
    assert replies(asked) == [f"re: question {i}" for i in range(400)]
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_line_cut_short_in_a_journal_is_asked_again(server, tmp_path):
    ask(server.endpoint(), requests(2), tmp_path)
    (part,) = tmp_path.glob("*.parquet")
    rows = tables.read_table(part, tables.REPLIES).to_pylist()
    part.unlink()
    (tmp_path / "left.jsonl").write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[1])[:40])
    assert ask(server.endpoint(), requests(2), tmp_path).facts["asked"] == 1
