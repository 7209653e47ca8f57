"""A Bradley-Terry reward model: the SFT model with a scalar head, maximum likelihood on a mix of pairs (Section 2.1).

The loss is -log sigmoid(r(x, chosen) - r(x, rejected) - m) + c (r(x, chosen) + r(x, rejected))^2, where the margin m is
a multiple of the difference of the annotators' scores and c the weight of centring; the paper has neither. The head
starts at zero, so that without margins the first loss is ln 2, and no seed decides where the model starts.

    python -m scripts.reward.train_reward_model --mix results/demo/data/mixes/mix2.parquet \\
        --base results/demo/models/sft --optimisation.learning-rate 5e-4 --optimisation.global-batch 8 \\
        --optimisation.max-tokens 256 --seed 1 --output results/demo/models/reward/mix2
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command, launch, lora, tables, training
from scripts.common.config import Optimisation


@dataclass(frozen=True)
class Args:
    mix: command.Input
    """Pairs (table contract: mix of pairs); rows with split = train are used."""
    base: command.Input
    """Model to start from: the SFT model, or the base."""
    output: command.Output
    """Folder of the reward model."""
    optimisation: Optimisation
    centring: float = 0.0
    """Weight of the term (r(x, chosen) + r(x, rejected))^2, which keeps rewards near zero."""
    margin: float = 0.0
    """By how much rewards are to be apart, times the difference of the annotators' scores; 0 where they gave none."""
    seed: int = 1


def main(args: Args) -> dict[str, Any]:
    import torch
    from trl import RewardConfig, RewardTrainer

    from scripts.common.models import load_reward_model, load_tokenizer

    def build(options: dict[str, Any]) -> RewardTrainer:
        tables.open_table(args.mix, tables.MIX).close()
        pairs = training.conversational_pairs([args.mix], Path(options["output_dir"]), "split = 'train'", args.margin)
        tokenizer = load_tokenizer(args.base)
        model = load_reward_model(
            args.base, pad_token_id=tokenizer.pad_token_id, **training.load_options(args.optimisation)
        )
        with launch.gathered(model.score.weight):
            torch.nn.init.zeros_(model.score.weight)
        trainer = RewardTrainer(
            model=model,
            args=RewardConfig(**options, center_rewards_coefficient=args.centring or None),
            train_dataset=pairs,
            processing_class=tokenizer,
            peft_config=lora.adapter_config(args.optimisation.lora, "SEQ_CLS"),
        )
        # TRL leaves out pairs with a side longer than max_length once the chat template is on; say how many.
        print(f"pairs: {len(pairs)} given, {len(trainer.train_dataset)} within {options['max_length']} tokens")
        return trainer

    return training.fit("scripts.reward.train_reward_model", args, build)


if __name__ == "__main__":
    command.run(main, Args)
