"""A policy's answers to the questions of the chat benchmarks, turn by turn, all benchmarks in one start of the engine.

The seed of an answer comes from its identity (study, policy, benchmark, question, turn). Temperatures are the
benchmarks' own: MT-Bench prescribes one for each category, Arena-Hard 0; AlpacaEval prescribes none, and 0.7 is usual.
A question that is too long for the policy, with all that was said before, gets no answer, and so do its later turns.

    python -m scripts.evaluate.answer_questions --policy results/demo/models/sft --policy-name sft \\
        --benchmarks alpaca_eval mt_bench \\
        --questions results/demo/evaluation/{alpaca_eval,mt_bench}/questions.parquet \\
        --max-new-tokens 72 --max-prompt-tokens 184 --dtype float32 --seed 1 \\
        --output results/demo/evaluation/{alpaca_eval,mt_bench}/answers/sft.parquet
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.common import command, tables
from scripts.common.chat import Message, end_of_turn_id, prompt_ids
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.errors import StudyError
from scripts.common.generation import Engine, EngineName, Request, Settings, generate, open_engine
from scripts.common.models import Dtype, load_tokenizer
from scripts.common.seeds import seed_from

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEMPERATURE = {"alpaca_eval": 0.7, "arena_hard": 0.0}
MT_BENCH_TEMPERATURE = {"writing": 0.7, "roleplay": 0.7, "stem": 0.1, "humanities": 0.1}  # 0 elsewhere


@dataclass(frozen=True)
class Args:
    policy: command.Input
    """Folder of the policy that answers."""
    policy_name: str
    """Name of the policy; part of every answer's identity."""
    benchmarks: tuple[str, ...]
    """Names of the benchmarks."""
    questions: tuple[command.Input, ...]
    """Their questions, in the same order (table contract: benchmark questions)."""
    output: tuple[command.Output, ...]
    """The answers, in the same order (table contract: benchmark answers)."""
    max_new_tokens: int
    """An answer is cut off here."""
    max_prompt_tokens: int
    """Longer prompts, earlier turns included, get no answer."""
    dtype: Dtype
    """Type the policy computes in."""
    engine: EngineName = "auto"
    """auto: vLLM where it imports."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    seed: int = 1
    """Seed of the study."""


@dataclass
class Dialogue:
    """A question, and what has been said so far."""

    benchmark: str
    question: dict[str, Any]
    said: list[Message] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)


def main(args: Args) -> dict[str, Any]:
    if not len(args.benchmarks) == len(args.questions) == len(args.output):
        raise StudyError("--benchmarks, --questions and --output must have the same number of values.")
    dialogues = [
        Dialogue(benchmark, question)
        for benchmark, path in zip(args.benchmarks, args.questions, strict=True)
        for question in tables.read_table(path, tables.QUESTIONS).to_pylist()
    ]
    tokenizer = load_tokenizer(args.policy)
    stop_ids = sorted({end_of_turn_id(tokenizer), tokenizer.eos_token_id} - {None})
    settings = Settings(args.policy, args.dtype, args.max_prompt_tokens, args.max_new_tokens, stop_ids, args.vllm)
    engine = open_engine(args.engine, settings)
    started = time.perf_counter()
    for turn in range(1, 1 + max(len(dialogue.question["turns"]) for dialogue in dialogues)):
        answer_turn(args, engine, tokenizer, turn, [d for d in dialogues if len(d.question["turns"]) >= turn])
    for benchmark, output in zip(args.benchmarks, args.output, strict=True):
        rows = [row for dialogue in dialogues if dialogue.benchmark == benchmark for row in dialogue.rows]
        tables.write_table(rows, output, tables.ANSWERS)
    rows = [row for dialogue in dialogues for row in dialogue.rows]
    tokens = sum(row["tokens"] for row in rows)
    return {
        "answers": len(rows),
        "unanswered": sum(row["answer"] is None for row in rows),
        "tokens": tokens,
        "truncated_share": sum(not row["finished"] for row in rows) / max(len(rows), 1),
        "tokens_per_second": tokens / (time.perf_counter() - started),
        "engine": engine.name,
        "engine_version": engine.version,
    }


def temperature(benchmark: str, category: str | None) -> float:
    """What the benchmark asks for."""
    if benchmark == "mt_bench":
        return MT_BENCH_TEMPERATURE.get(category or "", 0.0)
    return TEMPERATURE[benchmark]


def answer_turn(
    args: Args, engine: Engine, tokenizer: "PreTrainedTokenizerBase", turn: int, dialogues: Sequence[Dialogue]
) -> None:
    """Put the user's turn to every dialogue, and let the policy answer where the whole is not too long."""
    from tqdm import tqdm

    asked: list[tuple[Dialogue, Request]] = []
    for dialogue in dialogues:
        question = dialogue.question
        cut = any(row["answer"] is None for row in dialogue.rows)
        dialogue.said.append({"role": "user", "content": question["turns"][turn - 1]})
        ids = prompt_ids(tokenizer, dialogue.said)
        request = Request(
            ids,
            temperature(dialogue.benchmark, question["category"]),
            1,
            seed_from(args.seed, args.policy_name, dialogue.benchmark, question["question_id"], turn),
        )
        if cut or len(ids) > args.max_prompt_tokens:
            print(f"no answer: {dialogue.benchmark} {question['question_id']}, turn {turn}: {len(ids)} tokens")
            dialogue.rows.append(_row(dialogue, turn, request, None, 0, True))
        else:
            asked.append((dialogue, request))
    drawn = generate(engine, [request for _, request in asked])
    for (dialogue, request), (_, (response,)) in tqdm(
        zip(asked, drawn, strict=True), total=len(asked), unit="answer", mininterval=5
    ):
        text = tokenizer.decode(response.token_ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        dialogue.rows.append(_row(dialogue, turn, request, text, len(response.token_ids), response.finished))
        dialogue.said.append({"role": "assistant", "content": text})


def _row(
    dialogue: Dialogue, turn: int, request: Request, answer: str | None, tokens: int, finished: bool
) -> dict[str, Any]:
    return {
        "question_id": dialogue.question["question_id"],
        "turn": turn,
        "prompt": list(dialogue.said),
        "answer": answer,
        "tokens": tokens,
        "finished": finished,
        "temperature": request.temperature,
        "seed": request.seed,
    }


if __name__ == "__main__":
    command.run(main, Args)
