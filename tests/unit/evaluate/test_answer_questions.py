"""Answers to benchmark questions: turn by turn, seeded by identity, and none where the question is too long."""

import pytest

from scripts.common import tables
from scripts.common.seeds import seed_from
from scripts.evaluate import answer_questions
from scripts.evaluate.answer_questions import Args, temperature
from tests.unit.engines_fixtures import WORDS

pytest_plugins = ["tests.unit.engines_fixtures"]


def question(identity: str, *turns: str, category: str | None = None) -> dict:
    return {
        "question_id": identity,
        "category": category,
        "turns": list(turns),
        "references": None,
        "baseline": "b",
    } | {"baseline_model": "gpt-4"}


@pytest.fixture
def asked(tmp_path, policy):
    """Two benchmarks put to a policy; the answers of each."""
    sets = {
        "alpaca_eval": [question(str(i), " ".join(WORDS[i : i + 4])) for i in range(6)],
        "mt_bench": [
            question("81", "w1 w2", "w3", category="writing"),
            question("111", "w4", "w5 w6", category="math"),
            question("112", " ".join(["w7"] * 60), "w8", category="math"),
            question("113", "w7", " ".join(["w7"] * 60), category="math"),
        ],
    }
    for name, rows in sets.items():
        tables.write_table(rows, tmp_path / f"{name}.parquet", tables.QUESTIONS)

    def ask(*benchmarks: str, seed: int = 1) -> dict[str, list[dict]]:
        outputs = tuple(tmp_path / "answers" / f"{name}.parquet" for name in benchmarks)
        facts = answer_questions.main(
            Args(
                policy=policy,
                policy_name="sft",
                benchmarks=benchmarks,
                questions=tuple(tmp_path / f"{name}.parquet" for name in benchmarks),
                output=outputs,
                max_new_tokens=12,
                max_prompt_tokens=40,
                dtype="float32",
                engine="transformers",
                seed=seed,
            )
        )
        found = [tables.read_table(path, tables.ANSWERS).to_pylist() for path in outputs]
        assert facts["answers"] == sum(map(len, found))
        return dict(zip(benchmarks, found, strict=True))

    return ask


def test_every_turn_is_answered_with_what_was_said_before(asked):
    found = asked("alpaca_eval", "mt_bench")
    assert [(row["question_id"], row["turn"]) for row in found["alpaca_eval"]] == [(str(i), 1) for i in range(6)]
    first, second = found["mt_bench"][:2]
    assert (first["turn"], second["turn"]) == (1, 2)
    assert [message["role"] for message in second["prompt"]] == ["user", "assistant", "user"]
    assert second["prompt"][1]["content"] == first["answer"]
    assert second["prompt"][2]["content"] == "w3"
    assert first["seed"] == seed_from(1, "sft", "mt_bench", "81", 1)


def test_too_long_a_question_has_no_answer_and_neither_have_its_later_turns(asked):
    answers = {(row["question_id"], row["turn"]): row["answer"] for row in asked("mt_bench")["mt_bench"]}
    assert answers["112", 1] is None
    assert answers["112", 2] is None
    assert answers["113", 1] is not None
    assert answers["113", 2] is None


def test_identity_decides_and_not_the_company(asked):
    together = asked("alpaca_eval", "mt_bench")
    assert asked("mt_bench")["mt_bench"] == together["mt_bench"]
    assert asked("mt_bench", seed=2)["mt_bench"][0]["answer"] != together["mt_bench"][0]["answer"]
    maths = [
        [row["answer"] for row in asked("mt_bench", seed=s)["mt_bench"] if row["question_id"] == "111"] for s in (1, 2)
    ]
    assert maths[0] == maths[1]  # greedy: no seed matters


def test_temperatures_are_those_of_the_benchmarks():
    assert [temperature("mt_bench", c) for c in ("writing", "stem", "math", "coding")] == [0.7, 0.1, 0.0, 0.0]
    assert (temperature("arena_hard", "x"), temperature("alpaca_eval", None)) == (0.0, 0.7)
