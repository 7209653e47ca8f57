"""Questions of the chat benchmarks, from the layouts in which they are published."""

import json
import os
from pathlib import Path

import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data import retrieve
from scripts.evaluate import standardise_questions
from scripts.evaluate.standardise_questions import Args

REAL = Path(os.environ.get("DATA", Path(__file__).parents[4] / "shared/data"))


def retrieved(folder: Path, name: str, rows: list[dict]) -> Path:
    source, target = folder / f"{name}.jsonl", folder / f"{name}.parquet"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    retrieve.main(retrieve.Args(output=target, local=source))
    return target


def standard(folder: Path, benchmark: str, rows: list[dict], answers: list[dict] | None = None) -> list[dict]:
    raw = retrieved(folder, "raw", rows)
    beside = retrieved(folder, "answers", answers) if answers else None
    output = folder / "questions.parquet"
    standardise_questions.main(Args(benchmark=benchmark, raw=raw, answers=beside, output=output))
    return tables.read_table(output, tables.QUESTIONS).to_pylist()


def test_alpaca_eval_is_numbered_by_place(tmp_path):
    rows = [
        {"dataset": "koala", "instruction": f"do {i}", "output": f"done {i}", "generator": "gpt4_1106_preview"}
        for i in range(12)
    ]
    found = standard(tmp_path, "alpaca_eval", rows)
    assert [row["question_id"] for row in found] == [str(i) for i in range(12)]
    assert found[3] == {
        "question_id": "3",
        "category": "koala",
        "turns": ["do 3"],
        "references": None,
        "baseline": "done 3",
        "baseline_model": "gpt4_1106_preview",
    }


FASTCHAT = [
    {"question_id": 81, "category": "writing", "turns": ["write", "again"], "reference": ["not", "shown"]},
    {"question_id": 111, "category": "math", "turns": ["1 + 1", "2 + 2"], "reference": ["2", "4"]},
    {"question_id": 121, "category": "coding", "turns": ["code", "more"]},
]
HUB = [{"prompt_id": row["question_id"], "prompt": row["turns"], **row} for row in FASTCHAT]
HUB = [{key: value for key, value in row.items() if key not in ("question_id", "turns")} for row in HUB]


@pytest.mark.parametrize("rows", [FASTCHAT, HUB], ids=["as its authors publish it", "as the hub's copies have it"])
def test_mt_bench(tmp_path, rows):
    found = standard(tmp_path, "mt_bench", rows)
    assert [(row["question_id"], row["turns"], row["references"]) for row in found] == [
        ("81", ["write", "again"], None),
        ("111", ["1 + 1", "2 + 2"], ["2", "4"]),
        ("121", ["code", "more"], None),
    ]


def test_reference_answers_of_a_file_come_first(tmp_path):
    answers = [
        {"question_id": i, "model_id": "gpt-4", "choices": [{"index": 0, "turns": ["a", f"b{i}"]}]} for i in (81, 111)
    ]
    found = standard(tmp_path, "mt_bench", FASTCHAT, answers)
    assert [row["references"] for row in found] == [None, ["a", "b111"], None]


def arena(n: int) -> tuple[list[dict], list[dict]]:
    questions = [
        {"question_id": f"q{i}", "category": "arena-hard-v0.1", "cluster": "c", "turns": [{"content": f"ask {i}"}]}
        for i in range(n)
    ]
    answers = [
        {"question_id": f"q{i}", "model_id": "gpt-4-0314"}
        | {"choices": [{"index": 0, "turns": [{"content": f"say {i}", "token_len": 2}]}]}
        for i in reversed(range(n))
    ]
    return questions, answers


def test_arena_hard_finds_the_baseline_of_each_question(tmp_path):
    found = standard(tmp_path, "arena_hard", *arena(3))
    assert [(row["question_id"], row["turns"], row["baseline"]) for row in found] == [
        ("q0", ["ask 0"], "say 0"),
        ("q1", ["ask 1"], "say 1"),
        ("q2", ["ask 2"], "say 2"),
    ]
    assert {row["baseline_model"] for row in found} == {"gpt-4-0314"}


def test_a_question_without_a_baseline_is_named(tmp_path):
    questions, answers = arena(3)
    with pytest.raises(StudyError, match="row 2: question q2 has no answer of the baseline"):
        standard(tmp_path, "arena_hard", questions, answers[1:])


def test_a_question_with_too_few_turns_is_named(tmp_path):
    with pytest.raises(StudyError, match="row 1: mt_bench has 2 turns a question"):
        standard(tmp_path, "mt_bench", [FASTCHAT[0], {**FASTCHAT[1], "turns": ["one"]}])


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "raw.parquet").write_bytes(b"PAR1 and no more")
    args = Args("mt_bench", tmp_path / "raw.parquet", tmp_path / "questions.parquet")
    with pytest.raises(StudyError, match=r"raw\.parquet: not a whole Parquet file"):
        standardise_questions.main(args)


def test_a_file_of_another_kind(tmp_path):
    with pytest.raises(StudyError, match=r"raw\.parquet: not the layout of arena_hard as published"):
        standard(tmp_path, "arena_hard", [{"a": 1}], arena(1)[1])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real questions are not at hand")
def test_the_real_questions_of_mt_bench(tmp_path):
    rows = [json.loads(line) for line in (REAL / "mt_bench/question.jsonl").read_text().splitlines()]
    found = standard(tmp_path, "mt_bench", rows)
    assert len(found) == 80
    shown = [row for row in found if row["references"]]
    assert {row["category"] for row in shown} <= {"math", "coding", "reasoning"}
    assert len(shown) >= 20
