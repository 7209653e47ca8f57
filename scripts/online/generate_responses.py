"""Responses of a policy to a shard of a prompt set, by all actors of a sampler (Section 3.2, data generation).

An actor draws `count` responses at its temperature; the paper mixes temperatures 1.0 and 0.7. Where a sampler mixes
policies, each policy draws for its own actors, which keep their index in the sampler. The seed of a response
comes from its identity (study, policy, sampler, prompt set, prompt, actor, k), so that shards may be cut at will. A
prompt longer than --max-prompt-tokens is skipped; the log lists it and the file's metadata counts it. A job that was
killed goes on after the last chunk it had finished when the same command runs again.

    python -m scripts.online.generate_responses --prompts results/demo/data/prompts/iter1.parquet \\
        --policy results/demo/models/sft --policy-name sft --sampler-name mixed --prompt-set iter1 \\
        --actors 0 1 --temperatures 1.0 0.7 --counts 4 4 --max-new-tokens 72 --max-prompt-tokens 256 --dtype float32 \\
        --seed 1 --shard 0 --shards 2 --output results/demo/rollouts/sft/mixed/iter1/responses/0.parquet
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import checkpoints, chunks, command, rollouts, tables
from scripts.common.chat import end_of_turn_id, prompt_ids
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.errors import StudyError
from scripts.common.generation import RESPONSES_AT_ONCE, EngineName, Request, Response, Settings, open_engine
from scripts.common.generation import chunks as cuts
from scripts.common.models import Dtype, load_tokenizer
from scripts.common.seeds import seed_from

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Args:
    prompts: command.Input
    """Prompt set (table contract: prompts)."""
    policy: command.Input
    """Folder of the policy that responds."""
    output: command.Output
    """Shard of responses (table contract: responses)."""
    policy_name: str
    """Name of the policy; part of every response's identity."""
    sampler_name: str
    """Name of the sampler; part of every response's identity."""
    prompt_set: str
    """Name of the prompt set; part of every response's identity."""
    temperatures: tuple[float, ...]
    """Temperature of each actor."""
    counts: tuple[int, ...]
    """Responses per prompt of each actor."""
    actors: tuple[int, ...]
    """Index of each in the sampler's list; part of every response's identity."""
    max_new_tokens: int
    """A response is cut off here."""
    max_prompt_tokens: int
    """Longer prompts are skipped and counted."""
    dtype: Dtype
    """Type the policy computes in."""
    engine: EngineName = "auto"
    """auto: vLLM where it imports."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    seed: int = 1
    """Seed of the study."""
    shard: int = 0
    """This shard takes the prompts at positions shard, shard + shards, ..."""
    shards: int = 1
    chunk: int = RESPONSES_AT_ONCE
    """Responses handed to the engine together and kept when they are there: what a killed job makes again at most."""


@dataclass(frozen=True)
class _Task:
    """What one actor is asked about one prompt: the constant part of its rows, and the request."""

    row: dict[str, Any]
    request: Request


def main(args: Args) -> dict[str, Any]:
    _check(args)
    with checkpoints.only_writer(args.output):
        return _generate(args)


def _generate(args: Args) -> dict[str, Any]:
    tokenizer = load_tokenizer(args.policy)
    prompts = _shard(args)
    ids = {prompt["prompt_id"]: prompt_ids(tokenizer, prompt["prompt"]) for prompt in prompts}
    skipped = [prompt_id for prompt_id, tokens in ids.items() if len(tokens) > args.max_prompt_tokens]
    for prompt_id in skipped:
        print(f"skipped: prompt {prompt_id} has {len(ids[prompt_id])} tokens, more than {args.max_prompt_tokens}")
    tasks = [
        _Task(
            {**prompt, "actor": actor, "temperature": temperature},
            Request(ids[prompt["prompt_id"]], temperature, n, request_seed(args, prompt["prompt_id"], actor)),
        )
        for prompt in prompts
        if len(ids[prompt["prompt_id"]]) <= args.max_prompt_tokens
        for actor, temperature, n in zip(args.actors, args.temperatures, args.counts, strict=True)
    ]
    stop_ids = sorted({end_of_turn_id(tokenizer), tokenizer.eos_token_id} - {None})
    settings = Settings(args.policy, args.dtype, args.max_prompt_tokens, args.max_new_tokens, stop_ids, args.vllm)
    engine = open_engine(args.engine, settings)

    counts = [task.request.n for task in tasks]
    started, made = time.perf_counter(), 0

    def make(part: tuple[int, int]) -> pa.Table:
        nonlocal made
        asked = tasks[slice(*part)]
        rows = _rows(tokenizer, asked, engine.generate([task.request for task in asked]))
        made += sum(row["tokens"] for row in rows)
        return pa.Table.from_pylist(rows, schema=tables.RESPONSES.columns)

    resumed = chunks.write_table(
        args.output,
        tables.RESPONSES,
        # where --engine is auto, a job may find another engine when it runs again; their responses are not mixed
        checkpoints.identity("scripts.online.generate_responses", args, engine.name, engine.version),
        cuts(counts, args.chunk),
        make,
        total=sum(counts),
        unit="response",
        schema=rollouts.responses_schema(skipped),
    )
    seconds = time.perf_counter() - started
    responses = tables.read_table(args.output, tables.RESPONSES, columns=["tokens", "finished"])
    return {
        "prompts": len(prompts),
        "skipped_prompts": len(skipped),
        "responses": responses.num_rows,
        "resumed_responses": resumed,
        "tokens": pc.sum(responses["tokens"]).as_py() or 0,
        "truncated_share": 1 - (pc.mean(responses["finished"]).as_py() or 0.0) if responses.num_rows else 0.0,
        "tokens_per_second": made / seconds,
        "engine": engine.name,
        "engine_version": engine.version,
    }


def request_seed(args: Args, prompt_id: str, actor: int) -> int:
    """The seed of an actor's first response to a prompt; response k has this seed + k."""
    return seed_from(args.seed, args.policy_name, args.sampler_name, args.prompt_set, prompt_id, actor)


def _check(args: Args) -> None:
    if not len(args.actors) == len(args.temperatures) == len(args.counts) > 0:
        raise StudyError(
            f"--actors has {len(args.actors)} values, --temperatures {len(args.temperatures)} and "
            f"--counts {len(args.counts)}; give one of each for every actor."
        )
    if min(args.temperatures) <= 0 or min(args.counts) < 1:
        raise StudyError(f"--temperatures {args.temperatures} --counts {args.counts}: all must be above 0.")
    if not 0 <= args.shard < args.shards:
        raise StudyError(f"--shard {args.shard}: with --shards {args.shards} it lies between 0 and {args.shards - 1}.")


def _shard(args: Args) -> list[dict[str, Any]]:
    """The shard's rows of the prompt table: prompt_id and prompt."""
    table = tables.read_table(args.prompts, tables.PROMPTS, columns=["prompt_id", "prompt"])
    repeated = table.num_rows - len(table["prompt_id"].unique())
    if repeated:
        raise StudyError(f"{args.prompts}: {repeated} rows repeat a prompt_id; every prompt must be there once.")
    return table.take(pa.array(range(args.shard, table.num_rows, args.shards), pa.int64())).to_pylist()


def _rows(
    tokenizer: "PreTrainedTokenizerBase", tasks: Sequence[_Task], drawn: Sequence[Sequence[Response]]
) -> list[dict[str, Any]]:
    """Rows of the responses table in the order of the tasks."""
    rows: list[dict[str, Any]] = []
    for task, responses in zip(tasks, drawn, strict=True):
        texts = tokenizer.batch_decode(
            [response.token_ids for response in responses], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        rows += [
            {
                **task.row,
                "k": k,
                "seed": task.request.seed + k,
                "response": text,
                "tokens": len(response.token_ids),
                "finished": response.finished,
            }
            for k, (text, response) in enumerate(zip(texts, responses, strict=True))
        ]
    return rows


if __name__ == "__main__":
    command.run(main, Args)
