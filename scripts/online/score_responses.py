"""Rewards of a shard of responses by a reward model, from which pairs are selected (Section 3.2).

    python -m scripts.online.score_responses --responses results/demo/rollouts/sft/mixed/iter1/responses/0.parquet \\
        --reward-model results/demo/models/reward/mix2 \\
        --output results/demo/rollouts/sft/mixed/iter1/rewards/mix2/0.parquet
"""

import time
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from scripts.common import command, tables
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


def main(args: Args) -> dict[str, Any]:
    import pyarrow.parquet as pq
    from tqdm import tqdm

    total = tables.count_rows(args.responses, tables.RESPONSES)
    tokenizer = load_tokenizer(args.reward_model)
    model = for_inference(load_reward_model(args.reward_model, args.dtype))
    tokens, sum_of_rewards = 0, 0.0
    started = time.perf_counter()
    with (
        tables.checked(args.output, tables.REWARDS) as temporary,
        pq.ParquetWriter(temporary, tables.REWARDS.columns, compression="zstd") as writer,
        tqdm(total=total, unit="response", mininterval=5) as progress,
    ):
        for batch in tables.read_batches(args.responses, tables.RESPONSES):
            texts = zip(batch["prompt"].to_pylist(), batch["response"].to_pylist(), strict=True)
            conversations = [conversation_ids(tokenizer, prompt, response) for prompt, response in texts]
            found = rewards(model, conversations, args.token_budget)
            columns = [batch[name] for name in ("prompt_id", "actor", "k")]
            writer.write_table(pa.table([*columns, pa.array(found, pa.float64())], schema=tables.REWARDS.columns))
            tokens += sum(map(len, conversations))
            sum_of_rewards += sum(found)
            progress.update(batch.num_rows)
    return {
        "responses": total,
        "tokens": tokens,
        "tokens_per_second": tokens / (time.perf_counter() - started),
        "mean_reward": sum_of_rewards / max(total, 1),
    }


if __name__ == "__main__":
    command.run(main, Args)
