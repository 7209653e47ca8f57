"""What judging the chat benchmarks takes: requests, tokens, and dollars by the prices that the configuration names.

Judgments that are there count as their manifests record; the rest is estimated from the number of questions and the
lengths below. benchmarks' own upper limits on a judge's answer are not what it writes, so an estimate is no maximum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import tables
from scripts.common.config import Judge, Study
from scripts.common.provenance import read_manifest
from scripts.report.plan_jobs import Job

QUESTIONS = {"alpaca_eval": 805, "mt_bench": 80, "arena_hard": 500}  # as published
REQUESTS = {"alpaca_eval": 1, "mt_bench": 2, "arena_hard": 2}  # a question: comparisons, turns, games
PROMPT = {  # tokens: the judge's instructions and the question, then answers of some 500 tokens each
    "alpaca_eval": 225 + 2 * 500,
    "mt_bench": 350 + 1.5 * 500,  # one turn, or both
    "arena_hard": 350 + 2 * 500,
}
ANSWER = {"mt_bench": 200, "arena_hard": 800}  # tokens; Arena-Hard's judge answers the question first
VERDICT = {"logprobs": 1, "text": 1, "function": 40}  # tokens of AlpacaEval's judge, by how it is asked
IN_WORDS = ("endpoint", "vllm")


@dataclass(frozen=True)
class Judging:
    """One judge on one benchmark, all policies together."""

    judge: str
    model: str
    """What the endpoint calls it; without an endpoint what kind of judge it is."""
    benchmark: str
    policies: int
    requests: float
    prompt_tokens: float
    """0 where a judge is not asked in words."""
    completion_tokens: float
    dollars: float
    measured_policies: int
    """Policies whose judgments are there, so that their tokens are counted and not estimated."""


def judging(study: Study, jobs: Sequence[Job]) -> list[Judging]:
    """What each judge takes on each benchmark, in the order of the jobs."""
    grouped: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        if job.rule == "judge_answers":
            grouped.setdefault((job.wildcards["annotator"], job.wildcards["benchmark"]), []).append(job)
    assert study.evaluation or not grouped
    return [
        _together(study, name, study.evaluation.judges[name], benchmark, of)
        for (name, benchmark), of in grouped.items()
    ]


def _together(study: Study, name: str, judge: Judge, benchmark: str, jobs: Sequence[Job]) -> Judging:
    in_words = judge.kind in IN_WORDS
    prompt = PROMPT[benchmark] * in_words
    answer = (VERDICT[judge.verdict] if benchmark == "alpaca_eval" else ANSWER[benchmark]) * in_words
    requests = questions(study, benchmark) * REQUESTS[benchmark]
    found = [counted(Path(job.name)) for job in jobs]
    known = [one for one in found if one]
    new = (len(jobs) - len(known)) * requests
    tokens = [
        sum(one[key] for one in known) + new * each
        for key, each in (("prompt_tokens", prompt), ("completion_tokens", answer))
    ]
    endpoint = judge.endpoint
    return Judging(
        judge=name,
        model=endpoint.model if endpoint else judge.kind,
        benchmark=benchmark,
        policies=len(jobs),
        requests=sum(one["requests"] for one in known) + new,
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        dollars=endpoint.dollars(*tokens) if endpoint else 0.0,
        measured_policies=len(known),
    )


def questions(study: Study, benchmark: str) -> int:
    """Questions of a benchmark: those that are there, or as the world or the benchmark has them."""
    table = Path(f"results/{study.study}/evaluation/{benchmark}/questions.parquet")
    if table.is_file():
        return tables.count_rows(table, tables.QUESTIONS)
    return study.world.chat_questions[benchmark] if study.world else QUESTIONS[benchmark]


def counted(judgments: Path) -> dict[str, Any] | None:
    """Requests and tokens that judgments took, whenever they were asked; None where there are no judgments."""
    facts = read_manifest(judgments).get("facts")
    if facts is None:
        return None
    nothing = {"prompt_tokens": 0, "completion_tokens": 0}
    return {"requests": facts.get("requests", facts.get("judgments", 0)), **facts.get("counted", nothing)}
