"""One iteration's policy: direct preference optimisation on its pairs (Equation 5, Algorithm 2 line 3).

The reference is pi_0, the SFT model, in every iteration; the weights start from the last iteration's policy. The
offline baseline is the same command on a mix of off-policy pairs.

    python -m scripts.online.train_dpo --pairs results/demo/runs/iterative/iter1/pairs.parquet \\
        --policy results/demo/models/sft --reference results/demo/models/sft --dpo.beta 0.1 \\
        --dpo.optimisation.learning-rate 1e-4 --dpo.optimisation.global-batch 32 \\
        --dpo.optimisation.max-tokens 256 --seed 1 --output results/demo/runs/iterative/iter1/policy
"""

import math
from dataclasses import dataclass
from typing import Any

from scripts.common import command, training
from scripts.common.config import DPO, Optimisation
from scripts.common.errors import StudyError
from scripts.common.provenance import digest

TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}
"""How far the first loss may lie from ln 2 when policy and reference are the same model, in nats."""


@dataclass(frozen=True)
class Args:
    pairs: command.Input
    """Pairs with the columns prompt, chosen and rejected (online pairs, or a mix)."""
    policy: command.Input
    """Model to start from: last iteration's policy."""
    reference: command.Input
    """pi_0, from which the KL divergence is counted."""
    output: command.Output
    """Folder of the new policy."""
    dpo: DPO
    seed: int = 1

    @property
    def optimisation(self) -> Optimisation:
        return self.dpo.optimisation


def main(args: Args) -> dict[str, Any]:
    from trl import DPOConfig, DPOTrainer

    from scripts.common.models import load_policy, load_tokenizer

    def build(options: dict[str, Any]) -> DPOTrainer:
        dtype = training.load_dtype(args.optimisation)
        return DPOTrainer(
            model=load_policy(args.policy, dtype),
            ref_model=load_policy(args.reference, dtype),
            # The reference's log-probabilities are computed once, not once an epoch beside the policy's.
            args=DPOConfig(**options, beta=args.dpo.beta, precompute_ref_log_probs=True),
            train_dataset=training.conversational_pairs(args.pairs),
            processing_class=load_tokenizer(args.policy),
        )

    def check_reference(losses: list[float]) -> None:
        """The first loss is ln 2 where policy and reference agree: a swapped or forgotten reference shows here."""
        same = digest(args.policy) == digest(args.reference)
        if same and abs(losses[0] - math.log(2)) > TOLERANCE[args.optimisation.dtype]:
            raise StudyError(
                f"{args.output}: the first loss is {losses[0]:.4f}, not ln 2 = 0.6931, though policy and reference "
                "are the same model: the trainer used another reference. Nothing was published."
            )

    return training.fit("scripts.online.train_dpo", args, build, check_reference)


if __name__ == "__main__":
    command.run(main, Args)
