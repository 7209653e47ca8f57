"""What there is to judge: a question with a policy's answers, and how the judge is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.common import tables
from scripts.common.errors import StudyError

Verdict = Literal["text", "logprobs", "function"]


@dataclass(frozen=True)
class Case:
    """A question (a row of the benchmark's questions) and the answers to its turns; None where there is none."""

    question: dict[str, Any]
    answers: list[str | None]

    @property
    def identity(self) -> str:
        return self.question["question_id"]

    @property
    def asked(self) -> str:
        return self.question["turns"][0]

    @property
    def answer(self) -> str:
        return self.answers[0] or ""

    @property
    def unanswered(self) -> bool:
        return None in self.answers  # a turn without an answer leaves those after it without one, too


@dataclass(frozen=True)
class Asking:
    """Who judges whom, and how."""

    policy: str
    judge: str
    verdict: Verdict
    seed: int


def read_cases(questions: Path, answers: Path) -> list[Case]:
    """Each question with its answers, in the order of the questions.

    Raises:
        StudyError: the answers are to other questions, or some are missing.
    """
    asked = tables.read_table(questions, tables.QUESTIONS).to_pylist()
    rows = tables.read_table(answers, tables.ANSWERS).to_pylist()
    said = {(row["question_id"], row["turn"]): row["answer"] for row in rows}
    turns = {question["question_id"]: range(1, len(question["turns"]) + 1) for question in asked}
    wanted = {(question, turn) for question, numbers in turns.items() for turn in numbers}
    if wanted != set(said):
        question, turn = min(wanted ^ set(said))
        raise StudyError(
            f"{answers}: question {question}, turn {turn} is in only one of this file and {questions}. "
            "Delete the answers and run the same target again."
        )
    return [
        Case(question, [said[question["question_id"], turn] for turn in turns[question["question_id"]]])
        for question in asked
    ]
