"""Gold rewards of a shard of responses, as a reward model would give them: what the world knows and no model sees.

    python -m scripts.world.score_gold \\
        --responses results/demo/rollouts/sft/length_bias/length_bias/responses/0.parquet \\
        --output results/demo/rollouts/sft/length_bias/length_bias/rewards/gold/0.parquet
"""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from scripts.common import command, tables
from scripts.world.gold import gold_reward


@dataclass(frozen=True)
class Args:
    responses: command.Input
    """Shard of responses (table contract: responses)."""
    output: command.Output
    """Shard of rewards (table contract: rewards), rows in the order of the responses."""


def main(args: Args) -> dict[str, Any]:
    rows = tables.read_table(args.responses, tables.RESPONSES)
    texts = rows.select(["prompt", "response", "finished"]).to_pylist()
    found = [gold_reward(row["prompt"][-1]["content"], row["response"], row["finished"]) for row in texts]
    rewards = rows.select(["prompt_id", "actor", "k"]).append_column("reward", pa.array(found, pa.float64()))
    tables.write_table(rewards, args.output, tables.REWARDS)
    return {"responses": len(found), "mean_gold": sum(found) / max(len(found), 1)}


if __name__ == "__main__":
    command.run(main, Args)
