"""The preference pairs of one iteration: of n responses the best against the worst by penalised reward (Equation 9).

Other strategies pair the best with a random one or with the second, or two at random (Section 3.3, exploration). All
shards of responses and rewards, of one policy or of several, are put together and checked; a prompt that gives no pair
is counted with the reason. The table does not depend on how many shards there are.

    python -m scripts.online.select_pairs --prompts results/demo/data/prompts/iter1.parquet \\
        --responses results/demo/rollouts/sft/mixed/iter1/responses/{0,1}.parquet \\
        --rewards results/demo/rollouts/sft/mixed/iter1/rewards/mix2/{0,1}.parquet \\
        --length-penalty 0.002 --output results/demo/runs/concise/iter1/pairs.parquet
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from scripts.common import command, rollouts, tables
from scripts.common.config import Strategy
from scripts.common.errors import StudyError


@dataclass(frozen=True)
class Args:
    prompts: command.Input
    """Prompt set of the iteration (table contract: prompts)."""
    responses: tuple[command.Input, ...]
    """All shards of responses, in order, policy by policy."""
    rewards: tuple[command.Input, ...]
    """Their shards of rewards, in the same order."""
    output: command.Output
    """Pairs (table contract: online pairs), in the order of the prompts."""
    strategy: Strategy = "best_worst"
    """Which two responses are paired."""
    minimum_margin: float = 0.0
    """Pairs whose penalised rewards differ by less are dropped."""
    length_penalty: float = 0.0
    """Lambda of Equation 9, reward per character."""
    seed: int = 1
    """Seed of the study: decides what the strategies with a random response draw."""


def main(args: Args) -> dict[str, Any]:
    query = (Path(__file__).parent / "sql" / "pairs_of_responses.sql").read_text()
    keys = ("strategy", "minimum_margin", "length_penalty", "seed")
    with rollouts.joined(args.prompts, args.responses, args.rewards) as connection:
        outcomes = connection.sql(query, params={key: getattr(args, key) for key in keys}).to_arrow_table()
        truncated = connection.execute("SELECT count(*) FROM responses WHERE NOT finished").fetchone()[0]
    pairs = outcomes.filter(pc.is_null(outcomes["dropped"])).select(tables.ONLINE_PAIRS.columns.names)
    if pairs.num_rows == 0:
        raise StudyError(
            f"{args.responses[0]}: none of {outcomes.num_rows} prompts gives a pair; see whether responses are all the "
            "same, all cut off (generation.max_new_tokens) or all within the minimum_margin."
        )
    tables.write_table(pairs.cast(tables.ONLINE_PAIRS.columns), args.output, tables.ONLINE_PAIRS)
    reasons = [reason for reason in outcomes["dropped"].to_pylist() if reason]
    return {
        "prompts": outcomes.num_rows,
        "pairs": pairs.num_rows,
        "prompts_without_pair": len(reasons),
        "dropped_same_text": reasons.count("same text"),
        "dropped_equal_reward": reasons.count("equal reward"),
        "dropped_margin_below_minimum": reasons.count("margin below the minimum"),
        "dropped_fewer_than_two_finished": reasons.count("fewer than two finished"),
        "dropped_prompt_too_long": reasons.count("prompt too long"),
        "truncated_candidates": truncated,
        "mean_margin": pc.mean(pairs["margin"]).as_py(),
        "mean_chosen_characters": pc.mean(pc.utf8_length(pairs["chosen"])).as_py(),
        "mean_rejected_characters": pc.mean(pc.utf8_length(pairs["rejected"])).as_py(),
    }


if __name__ == "__main__":
    command.run(main, Args)
