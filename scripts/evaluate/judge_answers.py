"""A judge's verdicts on a policy's answers to a chat benchmark: preferences, ratings, or games.

The judge is an OpenAI-compatible endpoint, a chat model in this process, a pairwise preference model, or the demo's
gold reward. What a judge says in words is kept under --cache by the digest of what it was asked, so that a rerun asks
nothing twice. A reply without a verdict is a row with null there: counted, shown, never guessed.

    python -m scripts.evaluate.judge_answers --benchmark mt_bench --judge gold --kind gold --policy-name sft \\
        --questions results/demo/evaluation/mt_bench/questions.parquet \\
        --answers results/demo/evaluation/mt_bench/answers/sft.parquet --cache results/demo/evaluation/replies/gold \\
        --output results/demo/evaluation/mt_bench/judgments/gold/sft.parquet
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scripts.common import command, tables
from scripts.common.config import ONE_GPU, Endpoint, VllmJob
from scripts.common.endpoint import ask
from scripts.common.errors import StudyError
from scripts.evaluate.judging import alpaca_eval, arena_hard, mt_bench
from scripts.evaluate.judging.cases import Asking, Case, Verdict, read_cases
from scripts.evaluate.judging.judges import Ask, Numbers, ask_in_process, gold_reward, preference_model
from scripts.evaluate.judging.prompts import Prompts, read_prompts

BENCHMARKS = {"alpaca_eval": alpaca_eval, "mt_bench": mt_bench, "arena_hard": arena_hard}
UNANSWERED = "(nothing to judge: the question is too long for the policy)"
NOWHERE = Endpoint(base_url="", model="")


@dataclass(frozen=True)
class Args:
    benchmark: Literal["alpaca_eval", "mt_bench", "arena_hard"]
    questions: command.Input
    """Table contract: benchmark questions."""
    answers: command.Input
    """The policy's answers (table contract: benchmark answers)."""
    output: command.Output
    """The judgments (table contract: AlpacaEval annotations, MT-Bench ratings or Arena-Hard games)."""
    policy_name: str
    judge: str
    """The judge's name in the tables."""
    kind: Literal["endpoint", "vllm", "preference", "gold"]
    """What the judge is."""
    cache: Path
    """Folder of what the judge has said; shared by all that it judges."""
    endpoint: Endpoint = NOWHERE
    """kind endpoint: where, which model, how fast, at what price."""
    model: command.Input | None = None
    """kind vllm: folder of a chat model; kind preference: folder of a preference model."""
    vllm: VllmJob = ONE_GPU
    """kind vllm: how it uses GPUs."""
    verdict: Verdict = "text"
    """How AlpacaEval's preference is asked for and read."""
    prompt: command.Input | None = None
    """A local copy of the benchmark's official judge prompt, in place of this project's wording."""
    seed: int = 1
    """The study's seed: it draws the order of AlpacaEval's answers."""


def main(args: Args) -> dict[str, Any]:
    benchmark, cases = BENCHMARKS[args.benchmark], read_cases(args.questions, args.answers)
    asking = Asking(args.policy_name, args.judge, args.verdict, args.seed)
    judged = [(case, unit) for case in cases if not case.unanswered for unit in benchmark.units(case)]
    if args.kind in ("endpoint", "vllm"):
        prompts = read_prompts(args.benchmark, args.prompt)
        outcomes, said, facts = in_words(benchmark, judged, prompts, asking, _judge_of_words(args))
    else:
        outcomes, said, facts = benchmark.from_numbers(judged, _judge_of_numbers(args)), [None] * len(judged), {}
    rows = [
        {**benchmark.row(case, unit, asking), benchmark.OUTCOME: outcome, "said": words}
        for (case, unit), outcome, words in zip(judged, outcomes, said, strict=True)
    ]
    unanswered = [(case, unit) for case in cases if case.unanswered for unit in benchmark.units(case)]
    nothing = {benchmark.OUTCOME: None, "said": UNANSWERED}
    rows += [{**benchmark.row(case, unit, asking), **nothing} for case, unit in unanswered]
    tables.write_table(rows, args.output, benchmark.TABLE)
    missing = sum(row[benchmark.OUTCOME] is None for row in rows)
    return {"judgments": len(rows), "no_verdict": missing, "unanswered": len(unanswered), **facts}


def in_words(
    benchmark: Any, judged: Sequence[tuple[Case, int]], prompts: Prompts, asking: Asking, ask: Ask
) -> tuple[list[Any], list[str], dict[str, Any]]:
    """Verdicts, what was said, and what it took: all is asked together."""
    asked = ask([benchmark.request(case, unit, prompts, asking) for case, unit in judged])
    outcomes = [
        benchmark.read(case, unit, reply, asking) for (case, unit), reply in zip(judged, asked.replies, strict=True)
    ]
    return outcomes, [reply.refused or reply.arguments or reply.text for reply in asked.replies], asked.facts


def _judge_of_words(args: Args) -> Ask:
    if args.kind == "vllm":
        return ask_in_process(_folder(args), args.cache, args.vllm)
    if not args.endpoint.base_url or not args.endpoint.model:
        raise StudyError("--kind endpoint needs --endpoint.base-url and --endpoint.model.")
    return lambda requests: ask(args.endpoint, requests, args.cache)


def _judge_of_numbers(args: Args) -> Numbers:
    return gold_reward() if args.kind == "gold" else preference_model(_folder(args))


def _folder(args: Args) -> Path:
    if args.model is None:
        raise StudyError(f"--kind {args.kind} needs --model, the folder of the model.")
    return args.model


if __name__ == "__main__":
    command.run(main, Args)
