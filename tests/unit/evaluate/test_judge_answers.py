"""From answers to judgments, by judges that are asked over HTTP and by the gold reward; no verdict stays null."""

import copy
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from scripts.common import tables
from scripts.common.config import Endpoint
from scripts.common.endpoint import ChatRequest
from scripts.common.errors import StudyError
from scripts.common.reply_cache import Reply
from scripts.evaluate import judge_answers
from scripts.evaluate.judge_answers import Args
from scripts.evaluate.judging import arena_hard, judges
from tests.unit.chat_server import serve
from tests.unit.engines_fixtures import word_tokenizer

pytest_plugins = ["tests.unit.engines_fixtures"]
ROOT = Path(judge_answers.__file__).parents[2]
KEY = "sk-planted-b81e04d7"
TABLES = {"alpaca_eval": tables.ANNOTATIONS, "mt_bench": tables.RATINGS, "arena_hard": tables.GAMES}


def write(folder: Path, answers: list[list[str | None]], turns: int = 1) -> dict[str, Path]:
    """Sums of the world as questions, and a policy's answers to them."""
    questions = [
        {"question_id": str(i), "category": "math", "turns": [f"what is {i + 1} plus {t + 1} ?" for t in range(turns)]}
        | {"references": None, "baseline": f"the answer is {i + 2} .", "baseline_model": "gpt-4"}
        for i in range(len(answers))
    ]
    rows = [
        {"question_id": str(i), "turn": t, "prompt": [{"role": "user", "content": "?"}], "answer": answer, "tokens": 1}
        | {"finished": True, "temperature": 0.0, "seed": 1}
        for i, said in enumerate(answers)
        for t, answer in enumerate(said, start=1)
    ]
    tables.write_table(questions, folder / "questions.parquet", tables.QUESTIONS)
    tables.write_table(rows, folder / "answers.parquet", tables.ANSWERS)
    return {name: folder / f"{name}.parquet" for name in ("questions", "answers")}


def judged(folder: Path, benchmark: str, files: dict[str, Path], **settings) -> tuple[list[dict], dict]:
    output = folder / "judgments.parquet"
    values = {"judge": "j", "policy_name": "sft", "cache": folder / "replies", "kind": "gold", **settings}
    facts = judge_answers.main(Args(benchmark=benchmark, output=output, **files, **values))
    return tables.read_table(output, TABLES[benchmark]).to_pylist(), facts


# --- the gold reward --------------------------------------------------------------------------------------------------

SAID = [["the answer is 2 ."], ["the answer is 9 ."], [None]]  # as good as the baseline, worse, nothing


def test_gold_preferences(tmp_path):
    rows, facts = judged(tmp_path, "alpaca_eval", write(tmp_path, SAID))
    assert rows[0]["preference"] == 1.5
    assert 1 < rows[1]["preference"] < 1.1
    assert rows[2]["preference"] is None
    assert "nothing to judge" in rows[2]["said"]
    assert (facts["judgments"], facts["no_verdict"], facts["unanswered"]) == (3, 1, 1)


def test_gold_games(tmp_path):
    rows, _ = judged(tmp_path, "arena_hard", write(tmp_path, SAID))
    assert [row["verdict"] for row in rows] == ["A=B", "A=B", "A>>B", "B>>A", None, None]
    assert [row["game"] for row in rows] == [1, 2] * 3


def test_gold_ratings_of_both_turns(tmp_path):
    files = write(tmp_path, [["the answer is 2 .", "the answer is 7 ."], ["the answer is 3 .", None]], turns=2)
    rows, _ = judged(tmp_path, "mt_bench", files)
    assert [(row["question_id"], row["turn"]) for row in rows] == [("0", 1), ("0", 2), ("1", 1), ("1", 2)]
    assert rows[0]["rating"] > rows[1]["rating"] >= 1
    assert (rows[2]["rating"], rows[3]["rating"]) == (None, None)


def test_answers_to_other_questions_are_refused(tmp_path):
    files = write(tmp_path, SAID)
    kept = tables.read_table(files["answers"], tables.ANSWERS).slice(0, 2)
    tables.write_table(kept, files["answers"], tables.ANSWERS)
    with pytest.raises(StudyError, match=r"answers\.parquet: question 2, turn 1 is in only one of"):
        judged(tmp_path, "alpaca_eval", files)


# --- a pairwise preference model --------------------------------------------------------------------------------------


def test_a_preference_model_compares_and_does_not_rate(tmp_path, policy):
    """The same probability as a preference and, mirrored, in both games."""
    files, settings = write(tmp_path, [["w1 w2"], ["w3"], [None]]), {"kind": "preference", "model": policy}
    preferences = [row["preference"] for row in judged(tmp_path, "alpaca_eval", files, **settings)[0]]
    assert all(1 <= value <= 2 for value in preferences[:2])
    assert preferences[2] is None
    verdicts = [row["verdict"] for row in judged(tmp_path, "arena_hard", files, **settings)[0]]
    assert verdicts[0::2][:2] == [arena_hard.verdict_of(2 - value) for value in preferences[:2]]
    assert verdicts[1::2][:2] == [arena_hard.verdict_of(value - 1) for value in preferences[:2]]
    with pytest.raises(StudyError, match="gives no ratings"):
        judged(tmp_path, "mt_bench", files, **settings)


# --- a judge that is asked --------------------------------------------------------------------------------------------


@pytest.fixture
def server():
    with serve() as told:
        yield told


def asks(server, **settings) -> dict:
    return {"kind": "endpoint", "endpoint": server.endpoint(), **settings}


def test_verdicts_are_read_and_what_has_none_is_null(tmp_path, server):
    said = {1: "Rating: [[8]]", 2: "I would say 8", 3: "Rating: [[3]]"}
    server.answer = lambda body: {"content": said[next(i for i in said if f"what is {i} plus" in str(body))]}
    files = write(tmp_path, [["a", "b"]] * 3, turns=2)
    rows, facts = judged(tmp_path, "mt_bench", files, **asks(server))
    assert [row["rating"] for row in rows] == [8.0, 8.0, None, None, 3.0, 3.0]
    assert rows[2]["said"] == "I would say 8"
    assert (facts["no_verdict"], facts["asked"]) == (2, 6)
    assert judged(tmp_path, "mt_bench", files, **asks(server))[1]["asked"] == 0


def test_a_refused_request_is_shown_with_its_reason(tmp_path, server):
    server.script = lambda body, attempt: (400, {}, "context too long") if "what is 2 plus" in str(body) else "ok"
    server.answer = lambda body: {"content": "[[A>B]]"}
    rows, facts = judged(tmp_path, "arena_hard", write(tmp_path, [["a"]] * 3), **asks(server))
    assert [row["verdict"] for row in rows] == ["A>B", "A>B", None, None, "A>B", "A>B"]
    assert rows[2]["said"] == "HTTP 400: context too long"
    assert (facts["no_verdict"], facts["refused"]) == (2, 2)


@pytest.mark.parametrize("verdict", ["logprobs", "function", "text"])
def test_each_annotator_of_alpaca_eval(tmp_path, server, verdict):
    """A judge that always prefers what stands second: by the drawn order, now the policy's and now the baseline's."""
    server.logprobs = {"M": -0.05, "m": -3.0}
    arguments = json.dumps({"ordered_models": [{"model": "M", "rank": 1}, {"model": "m", "rank": 2}]})
    server.answer = lambda body: {"content": "M", "tool_calls": [{"function": {"arguments": arguments}}]}
    rows, _ = judged(tmp_path, "alpaca_eval", write(tmp_path, [["a"]] * 40), **asks(server, verdict=verdict))
    for_policy = sum(row["preference"] > 1.5 for row in rows)
    assert 8 < for_policy < 32
    assert {row["preference"] in (1.0, 2.0) for row in rows} == {verdict != "logprobs"}


def test_a_local_copy_of_the_prompt_is_asked(tmp_path, server):
    (tmp_path / "own.yaml").write_text(
        '{system_prompt: be fair, prompt_template: ["{question_1} | {answer_1} | {answer_2}"]}'
    )
    server.answer = lambda body: {"content": "[[A=B]]"}
    files = write(tmp_path, [["mine"]])
    judged(tmp_path, "arena_hard", files, **asks(server, prompt=tmp_path / "own.yaml"))
    assert {body["messages"][1]["content"] for body in server.seen} == {
        "what is 1 plus 1 ? | the answer is 2 . | mine",
        "what is 1 plus 1 ? | mine | the answer is 2 .",
    }


def test_the_key_is_in_no_log_no_cache_and_no_manifest(tmp_path, server):
    """As a rule runs it: a process whose output is a log, with a manifest beside its table."""
    server.answer = lambda body: {"content": f"[[A>B]] by the way, your key is {KEY}"}
    files = write(tmp_path, [["a"], ["b"]])
    command = [sys.executable, "-m", "scripts.evaluate.judge_answers", "--benchmark", "arena_hard", "--judge", "j"]
    command += ["--kind", "endpoint", "--endpoint.base-url", server.url, "--endpoint.model", "judge-1"]
    command += ["--endpoint.key-variable", "JUDGE_KEY", "--policy-name", "sft", "--cache", str(tmp_path / "replies")]
    command += ["--output", str(tmp_path / "out/judgments.parquet")]
    command += [word for name, path in files.items() for word in (f"--{name}", str(path))]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "JUDGE_KEY": KEY}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    rows = tables.read_table(tmp_path / "out/judgments.parquet", tables.GAMES).to_pylist()
    kept = [tables.read_table(path, tables.REPLIES).to_pylist() for path in (tmp_path / "replies").glob("*.parquet")]
    manifest = (tmp_path / "out/judgments.parquet.manifest.json").read_text()
    assert KEY not in done.stdout + done.stderr + manifest + str(rows) + str(kept)
    assert "JUDGE_KEY" in manifest
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def judge(tmp_path_factory, llama_config) -> Path:
    """A tiny model that always says m or M, by the sign of one logit; it has a word for its verdict."""
    import torch
    from transformers import LlamaForCausalLM

    tokenizer = word_tokenizer("m", "M")
    folder = tmp_path_factory.mktemp("models") / "judge"
    config = copy.deepcopy(llama_config)
    config.vocab_size = len(tokenizer)
    torch.manual_seed(5)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        first, second = tokenizer.convert_tokens_to_ids(["m", "M"])
        direction = torch.randn(config.hidden_size)
        model.lm_head.weight.zero_()
        model.lm_head.weight[first], model.lm_head.weight[second] = direction, -direction
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def has_verdict(row: dict) -> bool:
    """The other letter is among the least likely of all words, so that the probability is 0 or 1."""
    return row["said"].strip() in ("m", "M") and row["preference"] in (1.0, 2.0)


def test_the_judge_of_these_tests_says_one_of_the_two(judge):
    """Of vLLM this needs only what any engine does: the likeliest word."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(judge)
    asked = tokenizer("<user> w1 what is w2 <assistant>", return_tensors="pt", return_token_type_ids=False)
    logits = AutoModelForCausalLM.from_pretrained(judge)(**asked).logits[0, -1]
    assert tokenizer.decode(logits.argmax()) in ("m", "M")
    assert logits.topk(2).values.diff().abs() > 1e-3


@pytest.mark.slow
@pytest.mark.vllm
def test_a_real_server(tmp_path, judge, capfd):
    """vLLM's OpenAI-compatible server with a tiny model: its verdicts are read, and a second pass asks nothing."""
    pytest.importorskip("vllm", reason="vLLM is not installed", exc_type=ImportError)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "OMP_NUM_THREADS": "1",
    }
    settings |= {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(judge), "--port", str(port)]
    command += ["--served-model-name", "tiny", "--dtype", "float32", "--enforce-eager", "--max-model-len", "256"]
    command += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096", "--block-size", "32"]
    log = (tmp_path / "server.log").open("w")
    server = subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", server, tmp_path / "server.log")
        (tmp_path / "short.txt").write_text(
            "<|im_start|>user\nw1 {instruction} w2 {output_1} w3 {output_2}\n<|im_end|>\n"
        )
        files = write(tmp_path, [["w4"], ["w5"], ["w6"]])
        endpoint = Endpoint(base_url=f"http://127.0.0.1:{port}/v1", model="tiny", concurrency=2)
        asked = {"kind": "endpoint", "endpoint": endpoint, "prompt": tmp_path / "short.txt", "verdict": "logprobs"}
        rows, facts = judged(tmp_path, "alpaca_eval", files, **asked)
        assert (facts["asked"], facts["judgments"], facts["no_verdict"]) == (3, 3, 0)
        assert facts["prompt_tokens"] > 0
        assert all(map(has_verdict, rows))
        assert judged(tmp_path, "alpaca_eval", files, **asked)[1]["asked"] == 0
    finally:
        server.kill()
        server.wait()
        log.close()


@pytest.mark.slow
@pytest.mark.vllm
def test_a_chat_model_in_this_process(tmp_path, judge):
    """vLLM without a server: the same requests, the same cache; what is too long for the model is refused and said."""
    pytest.importorskip("vllm", reason="vLLM is not installed", exc_type=ImportError)
    (tmp_path / "short.txt").write_text("<|im_start|>user\nw1 {instruction} w2 {output_1} w3 {output_2}\n<|im_end|>\n")
    files = write(tmp_path, [["w4"], ["w5"], ["w6 " * 300]])
    asked = {"kind": "vllm", "model": judge, "prompt": tmp_path / "short.txt", "verdict": "logprobs"}
    rows, facts = judged(tmp_path, "alpaca_eval", files, **asked)
    assert (facts["asked"], facts["no_verdict"], facts["refused"]) == (3, 1, 1)
    assert all(map(has_verdict, rows[:2]))
    assert "tokens, and prompt and answer may have 256" in rows[2]["said"]
    again, facts = judged(tmp_path, "alpaca_eval", files, **asked)
    assert (again, facts["asked"]) == (rows, 1)  # a refusal is not kept


def test_a_kill_in_the_process_of_the_judge_loses_what_was_in_flight(tmp_path, monkeypatch):
    """Replies are kept as they come; `refused` ones are not."""
    asked = []

    def chat(model, requests, vllm):
        for i, request in enumerate(requests):
            if len(asked) == 2:
                asked.append("killed")
                raise KeyboardInterrupt
            asked.append(request.messages[-1]["content"])
            yield Reply("", refused="too long") if i == 0 else Reply("m")

    monkeypatch.setattr(judges, "_chat", chat)
    ask = judges.ask_in_process(tmp_path / "model", tmp_path / "replies")
    requests = [ChatRequest([{"role": "user", "content": str(i)}], max_tokens=1) for i in range(4)]
    with pytest.raises(KeyboardInterrupt):
        ask(requests)
    found = ask(requests)
    assert asked == ["0", "1", "killed", "0", "2", "3"]
    assert [reply.refused or reply.text for reply in found.replies] == ["too long", "m", "m", "m"]
    assert found.facts == {"model": "model", "requests": 4, "asked": 3, "refused": 1}


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 400  # on a busy machine vLLM takes minutes to import
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).read()
            return
        except OSError:
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.25)
    raise TimeoutError(log.read_text()[-3000:])
