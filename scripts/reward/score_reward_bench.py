"""Rewards of a reward model on RewardBench: whether it prefers the chosen answer, by subset (Section 2.3, Table 1).

    python -m scripts.reward.score_reward_bench --bench results/demo/data/raw/benchmarks/reward_bench.parquet \\
        --reward-model results/demo/models/reward/mix2 --output results/demo/evaluation/reward_bench/mix2.parquet
"""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from scripts.common import command, tables
from scripts.common.models import Dtype, for_inference, load_reward_model, load_tokenizer
from scripts.common.scoring import pair_rewards


@dataclass(frozen=True)
class Args:
    bench: command.Input
    """RewardBench in its published schema (table contract: RewardBench)."""
    reward_model: command.Input
    """Folder of the reward model."""
    output: command.Output
    """Both rewards of each pair (table contract: RewardBench scores), in the order of the bench."""
    token_budget: int = 16_384
    """Padded tokens of one batch."""
    dtype: Dtype | Literal["auto"] = "auto"
    """Type the reward model computes in; auto: that of its weights."""


def main(args: Args) -> dict[str, Any]:
    bench = tables.read_table(args.bench, tables.REWARD_BENCH)
    prompts = [[{"role": "user", "content": text}] for text in bench["prompt"].to_pylist()]
    chosen, rejected = pair_rewards(
        for_inference(load_reward_model(args.reward_model, args.dtype)),
        load_tokenizer(args.reward_model),
        prompts,
        bench["chosen"].to_pylist(),
        bench["rejected"].to_pylist(),
        args.token_budget,
    )
    columns = [bench["id"], bench["subset"], pa.array(chosen, pa.float64()), pa.array(rejected, pa.float64())]
    tables.write_table(pa.table(columns, schema=tables.BENCH_SCORES.columns), args.output, tables.BENCH_SCORES)
    right = sum(a > b for a, b in zip(chosen, rejected, strict=True))
    return {"pairs": bench.num_rows, "unweighted_accuracy": right / max(bench.num_rows, 1)}


if __name__ == "__main__":
    command.run(main, Args)
