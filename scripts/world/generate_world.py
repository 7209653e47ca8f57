"""Make the raw data of the miniature world: what a study would otherwise retrieve, in the schemas as published.

The preference sources hold exactly the pairs asked for that survive the filters, and beside them planted defects, whose
number is written to `defects.json`; so do the files of prompts and of instructions. All prompts are different: no
source shares one with another, with the prompts of the online iterations or with RewardBench, save where that is the
defect; only the pretraining documents repeat prompts of the sources.

    python -m scripts.world.generate_world --seed 1 --output results/demo/world/raw \\
        --world.pretraining-documents 12000 --world.instructions 2400 --world.prompts 2600 --world.reward-bench 100 \\
        --world.chat-questions alpaca_eval 120 mt_bench 40 arena_hard 60 \\
        --world.pairs hh_rlhf 2900 ultrafeedback 2100 --world.length-bias fact 1.2 list 1.2 math 0.7 safe 0.7 \\
        --world.label-noise 0.06 --world.optimisation.learning-rate 2e-3 --world.optimisation.global-batch 16 \\
        --world.optimisation.max-tokens 256
"""

import gzip
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from scripts.common import command
from scripts.common.command import Output
from scripts.common.config import World
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.common.seeds import seed_from
from scripts.world import academic, benchmarks, corpora, rated_sources, reddit_sources, sources
from scripts.world.annotators import Annotator
from scripts.world.defects import KEPT
from scripts.world.items import Desk
from scripts.world.prompts import Prompt, PromptPool, parse
from scripts.world.sources import Raw, Row


@dataclass(frozen=True)
class Args:
    output: Output
    """Folder of the raw files."""
    world: World
    """The section `world` of the study's configuration."""
    seed: int = 1
    """The study's seed."""


def main(args: Args) -> dict[str, Any]:
    """Write all files of the world; returns the number of rows in each and of the pairs to be dropped."""
    pool = PromptPool(args.seed)
    bench = corpora.reward_bench(args.world.reward_bench, pool, _stream(args.seed, "reward_bench"))
    evaluated = [Prompt(row["prompt"], parse(row["prompt"])) for row in bench]
    prompts, planted_prompts = corpora.prompts(args.world.prompts, pool, evaluated)
    raw = {name: make(_desk(args, name, pool, evaluated), n) for name, make, n in _wanted(args.world)}
    instructions, planted_instructions = corpora.instructions(
        args.world.instructions, pool, _stream(args.seed, "instructions")
    )
    chat = chat_benchmarks(args, pool)
    asked = benchmarks.texts(*(chat[f"{name}.jsonl.gz"] for name in ("alpaca_eval", "mt_bench", "arena_hard")))
    unseen = {row["prompt"] for row in (*bench, *prompts)} | asked
    rows = {
        "reward_bench.parquet": bench,
        "prompts.jsonl.gz": prompts,
        **chat,
        **{_file_name(name): made.rows for name, made in raw.items()},
        "instructions.jsonl.gz": instructions,
        **{
            f"{name}.jsonl.gz": questions
            for name, questions in academic.benchmarks(args.world.academic, _stream(args.seed, "academic")).items()
        },
        "documents.jsonl.gz": corpora.documents(
            args.world.pretraining_documents, _stream(args.seed, "documents"), without=unseen
        ),
    }
    for name, content in rows.items():
        _write(args.output / name, content)
    planted = {name: {why: made.fates[why] for why in sorted(made.fates) if why != KEPT} for name, made in raw.items()}
    planted |= {"prompts": planted_prompts, "instructions": planted_instructions}
    with publish(args.output / "defects.json") as temporary:
        temporary.write_text(json.dumps(planted, indent=1) + "\n")
    return {
        **{name: len(content) for name, content in rows.items()},
        "usable pairs": sum(made.fates[KEPT] for made in raw.values()),
        "rows to be dropped": sum(sum(counts.values()) for counts in planted.values()),
    }


def chat_benchmarks(args: Args, pool: PromptPool) -> dict[str, list[Row]]:
    """The files of the chat benchmarks."""
    sizes = args.world.chat_questions
    alpaca_eval, mt_bench, arena_hard = (_stream(args.seed, name) for name in ("alpaca_eval", "mt_bench", "arena_hard"))
    instructions = benchmarks.alpaca_eval(sizes["alpaca_eval"], pool, alpaca_eval)
    difficulty = benchmarks.difficulty(instructions, alpaca_eval)
    questions = benchmarks.arena_hard(sizes["arena_hard"], pool)
    return {
        "alpaca_eval.jsonl.gz": instructions,
        "alpaca_eval_difficulty.jsonl.gz": difficulty,
        "alpaca_eval_gamed.jsonl.gz": benchmarks.gamed(instructions, difficulty, alpaca_eval),
        "mt_bench.jsonl.gz": benchmarks.mt_bench(sizes["mt_bench"], pool, mt_bench),
        "arena_hard.jsonl.gz": questions,
        "arena_hard_answers.jsonl.gz": benchmarks.arena_hard_answers(questions, arena_hard),
    }


def _wanted(world: World) -> list[tuple[str, Callable[[Desk, int], Raw], int]]:
    """Name, maker and number of pairs of each source asked for, in a fixed order."""
    makers = (
        sources.hh_rlhf,
        sources.ultrafeedback,
        sources.helpsteer,
        sources.pku_saferlhf,
        sources.ultrainteract,
        sources.nectar,
        reddit_sources.shp,
        reddit_sources.summarisation,
        rated_sources.code_ultrafeedback,
        rated_sources.argilla_math,
        rated_sources.distilabel_orca,
        rated_sources.distilabel_capybara,
    )
    known = {make.__name__: make for make in makers}
    if unknown := sorted(set(world.pairs) - set(known)):
        raise StudyError(f"world.pairs: there is no source {', '.join(unknown)}; the world has {', '.join(known)}.")
    return [(name, make, world.pairs[name]) for name, make in known.items() if name in world.pairs]


def _desk(args: Args, source: str, pool: PromptPool, evaluated: Sequence[Prompt]) -> Desk:
    annotator = Annotator(args.world.length_bias, args.world.label_noise)
    return Desk(source, pool, annotator, _stream(args.seed, source), evaluated)


def _stream(seed: int, name: str) -> random.Random:
    """Every file has a stream of chance of its own; only the pool of prompts is common to them."""
    return random.Random(seed_from(seed, "world", name))


SCHEMAS = {
    "ultrainteract.parquet": sources.ULTRAINTERACT_SCHEMA,
    "nectar.parquet": sources.NECTAR_SCHEMA,
    "summarisation.parquet": reddit_sources.SUMMARISATION_SCHEMA,
    "code_ultrafeedback.parquet": rated_sources.CODE_ULTRAFEEDBACK_SCHEMA,
    "argilla_math.parquet": rated_sources.ARGILLA_MATH_SCHEMA,
    "distilabel_orca.parquet": rated_sources.DISTILABEL_ORCA_SCHEMA,
    "distilabel_capybara.parquet": rated_sources.DISTILABEL_CAPYBARA_SCHEMA,
    "reward_bench.parquet": corpora.REWARD_BENCH_SCHEMA,
}


def _file_name(source: str) -> str:
    return f"{source}.parquet" if f"{source}.parquet" in SCHEMAS else f"{source}.jsonl.gz"


def _write(path: Path, rows: Iterable[Row]) -> None:
    with publish(path) as temporary:
        if path.name in SCHEMAS:
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[path.name]), temporary, compression="zstd")
        else:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            temporary.write_bytes(gzip.compress(lines.encode(), mtime=0))  # no time inside: the same bytes every time


if __name__ == "__main__":
    command.run(main, Args)
