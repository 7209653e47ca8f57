"""One iteration's policy: direct preference optimisation on its pairs (Equation 5, Algorithm 2 line 3).

The paper's reference is pi_0, the SFT model, in every iteration; the weights start from the last iteration's policy.
The offline baseline is the same command on a mix of off-policy pairs; hybrid learning and full history are the same
command on several tables of pairs.

    python -m scripts.online.train_dpo --pairs results/demo/runs/iterative/iter1/pairs.parquet \\
        --policy results/demo/models/sft --reference results/demo/models/sft --dpo.beta 0.1 \\
        --dpo.optimisation.learning-rate 1e-4 --dpo.optimisation.global-batch 32 \\
        --dpo.optimisation.max-tokens 256 --seed 1 --output results/demo/runs/iterative/iter1/policy
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command, launch, lora, training
from scripts.common.config import DPO, Optimisation
from scripts.common.errors import StudyError
from scripts.common.provenance import digest

TOLERANCE = {"float32": 2e-4, "bfloat16": 4e-2}
"""How far the first step's margin, beta (log-ratio chosen - log-ratio rejected), may lie from 0 when policy and
reference are the same model, in nats."""


@dataclass(frozen=True)
class Args:
    pairs: tuple[command.Input, ...]
    """Tables of pairs with the columns prompt, chosen and rejected: online pairs, mixes."""
    policy: command.Input
    """Model to start from: last iteration's policy."""
    reference: command.Input
    """The policy from which the KL divergence is counted: pi_0, or the last iteration's."""
    output: command.Output
    """Folder of the new policy."""
    dpo: DPO
    epoch1: command.Output | None = None
    """Folder of the policy as it was after its first epoch, for samplers that generate with it too."""
    seed: int = 1

    @property
    def optimisation(self) -> Optimisation:
        return self.dpo.optimisation


def main(args: Args) -> dict[str, Any]:
    from trl import DPOConfig, DPOTrainer

    from scripts.common.models import load_policy, load_tokenizer

    def build(options: dict[str, Any]) -> DPOTrainer:
        loaded = training.load_options(args.optimisation)
        reference = load_policy(args.reference, **loaded)
        trainer = DPOTrainer(
            model=load_policy(args.policy, **loaded),
            ref_model=reference,
            # The reference's log-probabilities are computed once, not once an epoch beside the policy's.
            args=DPOConfig(**options, **loss(args.dpo), beta=args.dpo.beta, precompute_ref_log_probs=True),
            train_dataset=training.conversational_pairs(args.pairs, Path(options["output_dir"])),
            processing_class=load_tokenizer(args.policy),
            peft_config=lora.adapter_config(args.optimisation.lora, "CAUSAL_LM"),
        )
        if not launch.sharded(args.optimisation):
            reference.to("cpu")  # all that it is asked for has been computed: its room on the GPU is the optimiser's
        return trainer

    def check_reference(steps: list[dict[str, Any]]) -> None:
        """Where policy and reference are the same model, the first step's margin is 0: another reference shows here."""
        margin = steps[0]["rewards/margins"]
        if digest(args.policy) == digest(args.reference) and abs(margin) > TOLERANCE[args.optimisation.dtype]:
            raise StudyError(
                f"{args.output}: the first step's margin is {margin:.4f}, not 0, though policy and reference are the "
                "same model: the trainer used another reference. Nothing was published."
            )

    return training.fit("scripts.online.train_dpo", args, build, check_reference, args.epoch1)


def loss(dpo: DPO) -> dict[str, Any]:
    """The loss in TRL's words: a weighted sum of named losses.

    With z the margin and e the label smoothing, conservative DPO is -(1 - e) log s(z) - e log s(-z). TRL's `sigmoid`
    ignores e; but `robust` is (-(1 - e) log s(z) + e log s(-z)) / (1 - 2 e), so that conservative DPO is
    2 (1 - e) sigmoid - (1 - 2 e) robust, exactly.
    """
    weights = {dpo.loss: 1.0}
    if dpo.loss == "sigmoid" and dpo.label_smoothing:
        weights = {"sigmoid": 2 * (1 - dpo.label_smoothing), "robust": -(1 - 2 * dpo.label_smoothing)}
    if dpo.sft_weight:
        weights["sft"] = dpo.sft_weight
    return {
        "loss_type": list(weights),
        "loss_weights": list(weights.values()),
        "label_smoothing": dpo.label_smoothing,
    }


if __name__ == "__main__":
    command.run(main, Args)
