"""What a model says about pairs whose better response is known: RewardBench (Table 1), or the held-out pairs of a mix.

A reward model gives each response a reward. A preference model, or a chat model that is asked, reads both responses;
a response's score is then the logarithm of the probability that it is the better one, so that differences of scores are
log-odds, as differences of rewards are under the Bradley-Terry model.

    python -m scripts.reward.score_pairs --pairs results/demo/data/raw/benchmarks/reward_bench.parquet \\
        --of reward_bench --model results/demo/models/reward/mix2 --kind reward \\
        --output results/demo/evaluation/reward_bench/mix2.parquet
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from scripts.common import command
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName
from scripts.common.models import Dtype, load_tokenizer
from scripts.common.preferences import LAYOUT, QUESTION, LocalJudge
from scripts.common.scoring import TOKEN_BUDGET, open_scorer, tokenize
from scripts.reward.known_pairs import PairsOf, judge_pairs, read_pairs, write_scores


@dataclass(frozen=True)
class Args:
    pairs: command.Input
    """RewardBench in its published schema (table contract: RewardBench), or a mix (table contract: mix of pairs)."""
    of: PairsOf
    """Which of the two it is; of a mix, the rows with split = held_out are scored."""
    model: command.Input
    """Folder of the model."""
    kind: Literal["reward", "preference", "prompted"]
    """A reward model, a pairwise preference model, or a chat model that is asked which response is better."""
    output: command.Output
    """Both scores of each pair (table contract: RewardBench scores, or held-out scores), in the order of the pairs."""
    both_orders: bool = True
    """Read a pair in both orders and average; otherwise in one that the seed draws. Reward models read no pairs."""
    seed: int = 1
    """The study's seed."""
    engine: EngineName = "auto"
    """vllm or transformers; auto takes vLLM on a GPU where it imports."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    dtype: Dtype | Literal["auto"] = "auto"
    """Type the model computes in; auto: that of its weights."""
    token_budget: int = TOKEN_BUDGET
    """Tokens of one batch of transformers."""


def main(args: Args) -> dict[str, Any]:
    pairs = read_pairs(args.pairs, args.of)
    if args.kind == "reward":
        conversations = tokenize(
            load_tokenizer(args.model), [*pairs.prompts, *pairs.prompts], [*pairs.chosen, *pairs.rejected]
        )
        scorer = open_scorer(args.engine, args.model, args.dtype, args.token_budget, args.vllm)
        rewards = scorer.rewards(conversations)
        return write_scores(pairs, *np.array(rewards).reshape(2, -1), args.output)
    layout = LAYOUT if args.kind == "preference" else QUESTION
    judge = LocalJudge(args.model, args.dtype, layout, args.token_budget, args.engine, progress=True, vllm=args.vllm)
    return judge_pairs(pairs, judge, args.both_orders, args.seed, args.output)


if __name__ == "__main__":
    command.run(main, Args)
