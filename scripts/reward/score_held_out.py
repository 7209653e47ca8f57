"""Rewards of a reward model on the held-out pairs of a mix, which no reward model was trained on.

    python -m scripts.reward.score_held_out --mix results/demo/data/mixes/mix2.parquet \\
        --reward-model results/demo/models/reward/mix2 --output results/demo/evaluation/held_out/mix2.parquet
"""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import command, tables
from scripts.common.errors import StudyError
from scripts.common.models import Dtype, for_inference, load_reward_model, load_tokenizer
from scripts.common.scoring import pair_rewards


@dataclass(frozen=True)
class Args:
    mix: command.Input
    """Pairs (table contract: mix of pairs); rows with split = held_out are scored."""
    reward_model: command.Input
    """Folder of the reward model."""
    output: command.Output
    """Both rewards of each pair (table contract: held-out scores), in the order of the mix."""
    token_budget: int = 16_384
    """Padded tokens of one batch."""
    dtype: Dtype | Literal["auto"] = "auto"
    """Type the reward model computes in; auto: that of its weights."""


def main(args: Args) -> dict[str, Any]:
    mix = tables.read_table(
        args.mix, tables.MIX, columns=["pair_id", "source", "prompt", "chosen", "rejected", "split"]
    )
    pairs = mix.filter(pc.equal(mix["split"], "held_out"))
    if pairs.num_rows == 0:
        raise StudyError(f"{args.mix}: no row has split = held_out; set data.held_out above 0.")
    chosen, rejected = pair_rewards(
        for_inference(load_reward_model(args.reward_model, args.dtype)),
        load_tokenizer(args.reward_model),
        pairs["prompt"].to_pylist(),
        pairs["chosen"].to_pylist(),
        pairs["rejected"].to_pylist(),
        args.token_budget,
    )
    scores = [pairs["pair_id"], pairs["source"], pa.array(chosen, pa.float64()), pa.array(rejected, pa.float64())]
    tables.write_table(pa.table(scores, schema=tables.HELD_OUT_SCORES.columns), args.output, tables.HELD_OUT_SCORES)
    right = sum(a > b for a, b in zip(chosen, rejected, strict=True))
    return {"pairs": pairs.num_rows, "accuracy": right / pairs.num_rows}


if __name__ == "__main__":
    command.run(main, Args)
