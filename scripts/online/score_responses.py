"""Rewards of a shard of responses by a reward model, from which pairs are selected (Section 3.2).

A job that was killed goes on after the last chunk it had finished when the same command runs again.

    python -m scripts.online.score_responses --responses results/demo/rollouts/sft/mixed/iter1/responses/0.parquet \\
        --reward-model results/demo/models/reward/mix2 \\
        --output results/demo/rollouts/sft/mixed/iter1/rewards/mix2/0.parquet
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import checkpoints, chunks, command, tables
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName
from scripts.common.models import Dtype, load_tokenizer
from scripts.common.prefixes import Conversation
from scripts.common.scoring import TOKEN_BUDGET, open_scorer, tokenize


@dataclass(frozen=True)
class Args:
    responses: command.Input
    """Shard of responses (table contract: responses)."""
    reward_model: command.Input
    """Folder of the reward model."""
    output: command.Output
    """Shard of rewards (table contract: rewards), rows in the order of the responses."""
    engine: EngineName = "auto"
    """Who computes: vLLM, transformers, or (auto) vLLM on a GPU where it imports, else transformers."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    token_budget: int = TOKEN_BUDGET
    """Tokens that transformers computes at once."""
    dtype: Dtype | Literal["auto"] = "auto"
    """Type the reward model computes in; auto: that of its weights."""
    chunk: int = 4096
    """Responses scored together and kept when they are: what a killed job scores again at most."""


def main(args: Args) -> dict[str, Any]:
    with checkpoints.only_writer(args.output):
        return _score(args)


def _score(args: Args) -> dict[str, Any]:
    total = tables.count_rows(args.responses, tables.RESPONSES)
    tokenizer = load_tokenizer(args.reward_model)
    scorer = open_scorer(args.engine, args.reward_model, args.dtype, args.token_budget, args.vllm)
    started = time.perf_counter()
    tokens = scored_tokens = 0

    def parts() -> Iterator[tuple[pa.RecordBatch, list[Conversation]]]:
        nonlocal tokens
        for batch in tables.read_batches(args.responses, tables.RESPONSES, rows=args.chunk):
            conversations = tokenize(tokenizer, batch["prompt"].to_pylist(), batch["response"].to_pylist())
            tokens += sum(len(ids) for ids, _ in conversations)
            yield batch, conversations

    def make(part: tuple[pa.RecordBatch, list[Conversation]]) -> pa.Table:
        nonlocal scored_tokens
        batch, conversations = part
        scored_tokens += sum(len(ids) for ids, _ in conversations)
        found = pa.array(scorer.rewards(conversations), pa.float64())
        columns = [batch[name] for name in ("prompt_id", "actor", "k")]
        return pa.table([*columns, found], schema=tables.REWARDS.columns)

    resumed = chunks.write_table(
        args.output,
        tables.REWARDS,
        checkpoints.identity("scripts.online.score_responses", args, scorer.name, scorer.version),
        parts(),
        make,
        total=total,
        unit="response",
    )
    seconds = time.perf_counter() - started
    scored = tables.read_table(args.output, tables.REWARDS, columns=["reward"])
    return {
        "engine": scorer.name,
        "engine_version": scorer.version,
        "responses": total,
        "resumed_responses": resumed,
        "tokens": tokens,
        "tokens_per_second": scored_tokens / seconds,
        "mean_reward": pc.mean(scored["reward"]).as_py() or 0.0,
    }


if __name__ == "__main__":
    command.run(main, Args)
