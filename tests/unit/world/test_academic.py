"""The miniature world's academic benchmarks: right answers are right, programs pass, nothing is asked twice."""

import random
from collections import Counter

import pytest

from scripts.world import academic, facts
from scripts.world.gold import gold_reward
from scripts.world.prompts import Fact, Sum, every_prompt, parse

N = 30


@pytest.fixture(scope="module")
def rows():
    return academic.benchmarks(N, random.Random(1))


def test_sizes_and_columns(rows):
    from scripts.evaluate.academic_tasks import CODE, COLUMNS

    for name, columns in COLUMNS.items():
        assert len(rows[name]) == (N // 3 + 1 if name in CODE else N)
        assert set(columns) <= set(rows[name][0])
    assert Counter(row["subject"] for row in rows["mmlu_examples"]) == dict.fromkeys(
        ("elementary_mathematics", "high_school_biology", "miscellaneous", "nutrition"), 5
    )


def plain(question: str) -> str:
    """A question without its opener of two words."""
    return " ".join(question.split()[2:])


def test_no_question_is_asked_anywhere_else(rows):
    drawn = [content for name, content in rows.items() if name not in ("truthfulqa", "humaneval", "mbpp")]
    asked = [row["question"] for content in drawn for row in content]
    assert len(asked) == len(set(asked))
    pool = {prompt.text for family in facts.FAMILIES for prompt in every_prompt(family)}
    assert not pool & {*asked, *(row["question"] for row in rows["truthfulqa"])}


def test_sums_are_right(rows):
    for row in rows["gsm8k"] + rows["gsm8k_examples"]:
        task = parse(plain(row["question"]))
        assert isinstance(task, Sum)
        text, number = row["answer"].split("\n#### ")
        assert int(number) == task.total
        assert gold_reward(plain(row["question"]), text, finished=True) == 4  # right, with a right detail


def test_choices_hold_one_right_answer(rows):
    for row in rows["mmlu"] + rows["mmlu_examples"]:
        task = parse(plain(row["question"]))
        right = task.category if isinstance(task, Fact) else str(task.total)
        assert row["choices"].count(right) == 1
        assert len(set(row["choices"])) == 4
        assert row["choices"][row["answer"]] == right
    for row in rows["arc"]:
        right = f"{facts.belongs(parse(plain(row['question'])).word, parse(plain(row['question'])).category)} ."
        assert row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])] == right
        assert len(set(row["choices"]["text"])) == 4


def test_truths_are_worth_more_than_myths(rows):
    for row in rows["truthfulqa"]:
        target = row["mc2_targets"]
        assert len(set(target["choices"])) == len(target["choices"])
        worth = [gold_reward(plain(row["question"]), choice, finished=True) for choice in target["choices"]]
        true = [w for w, label in zip(worth, target["labels"], strict=True) if label]
        false = [w for w, label in zip(worth, target["labels"], strict=True) if not label]
        assert min(true) > max(false)
        assert row["mc1_targets"]["labels"] == [1] + [0] * len(false)


def test_canonical_solutions_pass_and_others_fail(rows):
    from scripts.evaluate.academic_tasks import program

    for name in ("humaneval", "mbpp"):
        for row in rows[name][:5]:
            right = row["canonical_solution"] if name == "humaneval" else row["code"]
            exec(program(name, row, right, chat=False), {})
            wrong = (
                "    return None\n" if name == "humaneval" else f"def {row['code'].split('(')[0][4:]}(x): return None\n"
            )
            with pytest.raises(AssertionError):
                exec(program(name, row, wrong, chat=False), {})
