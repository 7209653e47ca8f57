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
from scripts.common.chat import conversation_ids
from scripts.common.models import Dtype, for_inference, load_reward_model, load_tokenizer
from scripts.common.scoring import rewards


@dataclass(frozen=True)
class Args:
    responses: command.Input
    """Shard of responses (table contract: responses)."""
    reward_model: command.Input
    """Folder of the reward model."""
    output: command.Output
    """Shard of rewards (table contract: rewards), rows in the order of the responses."""
    token_budget: int = 16_384
    """Padded tokens of one batch."""
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
    model = for_inference(load_reward_model(args.reward_model, args.dtype))
    started = time.perf_counter()
    tokens = scored_tokens = 0

    def parts() -> Iterator[tuple[pa.RecordBatch, list[list[int]]]]:
        nonlocal tokens
        for batch in tables.read_batches(args.responses, tables.RESPONSES, rows=args.chunk):
            texts = zip(batch["prompt"].to_pylist(), batch["response"].to_pylist(), strict=True)
            conversations = [conversation_ids(tokenizer, prompt, response) for prompt, response in texts]
            tokens += sum(map(len, conversations))
            yield batch, conversations

    def make(part: tuple[pa.RecordBatch, list[list[int]]]) -> pa.Table:
        nonlocal scored_tokens
        batch, conversations = part
        scored_tokens += sum(map(len, conversations))
        found = pa.array(rewards(model, conversations, args.token_budget), pa.float64())
        columns = [batch[name] for name in ("prompt_id", "actor", "k")]
        return pa.table([*columns, found], schema=tables.REWARDS.columns)

    resumed = chunks.write_table(
        args.output,
        tables.REWARDS,
        checkpoints.identity("scripts.online.score_responses", args),
        parts(),
        make,
        total=total,
        unit="response",
    )
    seconds = time.perf_counter() - started
    scored = tables.read_table(args.output, tables.REWARDS, columns=["reward"])
    return {
        "responses": total,
        "resumed_responses": resumed,
        "tokens": tokens,
        "tokens_per_second": scored_tokens / seconds,
        "mean_reward": pc.mean(scored["reward"]).as_py() or 0.0,
    }


if __name__ == "__main__":
    command.run(main, Args)
