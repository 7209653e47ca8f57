"""What a chat model behind an endpoint says about RewardBench's pairs, asked which response is better (Table 1, row 1).

The same question as score_pairs asks a model in this process, and the same table. Replies are kept by content: a run
that was cut off, or is repeated, asks only what was not answered.

    python -m scripts.reward.ask_pairs --pairs results/paper/data/raw/benchmarks/reward_bench.parquet \\
        --endpoint.base-url http://localhost:8000/v1 --endpoint.model meta-llama/Meta-Llama-3-8B-Instruct \\
        --cache results/paper/evaluation/replies/llama --output results/paper/evaluation/reward_bench/llama.parquet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command
from scripts.common.config import Endpoint
from scripts.common.preferences import EndpointJudge
from scripts.reward.known_pairs import judge_pairs, read_pairs


@dataclass(frozen=True)
class Args:
    pairs: command.Input
    """RewardBench in its published schema (table contract: RewardBench)."""
    endpoint: Endpoint
    cache: Path
    """Folder of replies."""
    output: command.Output
    """Both scores of each pair (table contract: RewardBench scores), in the order of the pairs."""
    both_orders: bool = True
    """Ask about a pair in both orders and average; otherwise in one that the seed draws."""
    seed: int = 1
    """The study's seed."""


def main(args: Args) -> dict[str, Any]:
    judge = EndpointJudge(args.endpoint, args.cache)
    facts = judge_pairs(read_pairs(args.pairs, "reward_bench"), judge, args.both_orders, args.seed, args.output)
    return {**facts, **judge.facts}


if __name__ == "__main__":
    command.run(main, Args)
