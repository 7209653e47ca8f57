"""What generation loses around its engine: the pipeline's command beside the bare engine, in tokens a second.

Both give the same responses: identical prompts, seeds and sampling, by one engine that has started before the clock.
The bare engine is handed all prompts as tokens at once; the command reads its table, applies the chat template, hands
over chunks, decodes, and writes its shard chunk by chunk. Rounds alternate; the figure is the median of the ratios
within a round. Two responses that differ end the benchmark.

    python -m benchmarks.generation --study results/demo
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from benchmarks import results
from scripts.common.generation import Engine, EngineName, Request

COUNTS, TEMPERATURES = (4, 4), (1.0, 0.7)


@dataclass(frozen=True)
class Args:
    study: Path
    """A finished demo, for its SFT policy and its prompts."""
    prompts: str = "data/prompts/iter1.parquet"
    """In the study's folder."""
    engine: EngineName = "vllm"
    max_new_tokens: int = 72
    max_prompt_tokens: int = 184
    rounds: int = 5
    output: Path = results.RESULTS / "generation.json"


def main(args: Args) -> dict[str, Any]:
    from scripts.common.chat import end_of_turn_id
    from scripts.common.generation import Settings, open_engine
    from scripts.common.models import load_tokenizer
    from scripts.online import generate_responses

    policy = args.study / "models/sft"
    tokenizer = load_tokenizer(policy)
    stop_ids = sorted({end_of_turn_id(tokenizer), tokenizer.eos_token_id} - {None})
    engine = open_engine(
        args.engine, Settings(policy, "float32", args.max_prompt_tokens, args.max_new_tokens, stop_ids)
    )
    generate_responses.open_engine = lambda choice, settings: engine  # the command would start another one
    seconds: dict[str, list[float]] = {"command": [], "engine": []}
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(args.rounds + 1):
            command = generate_responses.Args(
                prompts=args.study / args.prompts,
                policy=policy,
                output=Path(folder) / f"{i}.parquet",
                policy_name="sft",
                sampler_name="benchmark",
                prompt_set=f"round{i}",  # seeds of its own
                temperatures=TEMPERATURES,
                counts=COUNTS,
                actors=tuple(range(len(COUNTS))),
                max_new_tokens=args.max_new_tokens,
                max_prompt_tokens=args.max_prompt_tokens,
                dtype="float32",
                engine=args.engine,
            )
            requests = as_requests(command, tokenizer)
            ways: dict[str, Callable[[], Any]] = {
                "command": partial(generate_responses.main, command),
                "engine": partial(bare, engine, requests, args.max_new_tokens, stop_ids),
            }
            for name in list(ways)[:: (1, -1)[i % 2]]:
                started = time.perf_counter()
                found = ways[name]()
                seconds[name].append(time.perf_counter() - started)
                made = found if name == "engine" else made
            compare(made, command.output, tokenizer)
    first = 1  # of the rounds that count: before it, memory is allocated and kernels are compiled
    ratios = [alone / whole for alone, whole in zip(seconds["engine"][first:], seconds["command"][first:], strict=True)]
    tokens = sum(map(len, made))
    found = {
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "tokens_per_second": {name: tokens / statistics.median(times[first:]) for name, times in seconds.items()},
        "tokens": tokens,
        "responses": len(made),
        "engine": engine.name,
        "engine_version": engine.version,
    }
    return results.write(args.output, found)


def as_requests(command: Any, tokenizer: Any) -> list[Request]:
    """What the command will ask of the engine, in its order."""
    from scripts.common import tables
    from scripts.common.chat import prompt_ids
    from scripts.online.generate_responses import request_seed

    rows = tables.read_table(command.prompts, tables.PROMPTS).to_pylist()
    ids = [(row["prompt_id"], prompt_ids(tokenizer, row["prompt"])) for row in rows]
    return [
        Request(tokens, temperature, n, request_seed(command, prompt_id, actor))
        for prompt_id, tokens in ids
        if len(tokens) <= command.max_prompt_tokens
        for actor, (temperature, n) in enumerate(zip(TEMPERATURES, COUNTS, strict=True))
    ]


def bare(engine: Engine, requests: Sequence[Request], max_new_tokens: int, stop_ids: list[int]) -> list[list[int]]:
    """The tokens of all responses, from the engine alone: vLLM's `generate` as its users call it."""
    if engine.name != "vllm":
        return [response.token_ids for responses in engine.generate(requests) for response in responses]
    from vllm import SamplingParams

    outputs = engine._llm.generate(
        [{"prompt_token_ids": list(request.prompt_ids)} for request in requests],
        [
            SamplingParams(
                n=request.n,
                seed=request.seed,
                temperature=request.temperature,
                max_tokens=max_new_tokens,
                stop_token_ids=stop_ids,
            )
            for request in requests
        ],
        use_tqdm=False,
    )
    return [list(one.token_ids) for output in outputs for one in sorted(output.outputs, key=lambda one: one.index)]


def compare(made: Sequence[Sequence[int]], table: Path, tokenizer: Any) -> None:
    from scripts.common import tables

    rows = tables.read_table(table, tables.RESPONSES, columns=["response"])["response"].to_pylist()
    texts = tokenizer.batch_decode(made, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if rows != texts:
        raise SystemExit(f"{sum(a != b for a, b in zip(rows, texts, strict=True))} of {len(rows)} responses differ")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
