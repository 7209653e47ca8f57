"""The initial policy pi_0: supervised fine-tuning of the base model on instructions (Section 3.1).

Conversations are packed into blocks without being cut (best fit, decreasing), and only the assistant's tokens are
learned. A killed job resumes from its last whole checkpoint when the same command runs again.

    python -m scripts.sft.train_sft --instructions results/demo/data/instructions.parquet \\
        --base results/demo/models/base --optimisation.learning-rate 1e-3 --optimisation.global-batch 2 \\
        --optimisation.max-tokens 256 --seed 1 --output results/demo/models/sft
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common import command, lora, tables, training
from scripts.common.config import Optimisation


@dataclass(frozen=True)
class Args:
    instructions: command.Input
    """Conversations (table contract: instructions)."""
    base: command.Input
    """Model to start from; its tokenizer's chat template must mark the assistant's tokens with {% generation %}."""
    output: command.Output
    """Folder of the fine-tuned model."""
    optimisation: Optimisation
    seed: int = 1


def main(args: Args) -> dict[str, Any]:
    import duckdb
    from trl import SFTConfig, SFTTrainer

    from scripts.common.models import load_policy, load_tokenizer

    def build(options: dict[str, Any]) -> SFTTrainer:
        tables.open_table(args.instructions, tables.INSTRUCTIONS).close()
        conversations = duckdb.read_parquet(str(args.instructions)).project("messages")
        return SFTTrainer(
            model=load_policy(args.base, **training.load_options(args.optimisation)),
            args=SFTConfig(**options, packing=True, packing_strategy="bfd", assistant_only_loss=True),
            train_dataset=training.dataset(conversations, Path(options["output_dir"])),
            processing_class=load_tokenizer(args.base),
            peft_config=lora.adapter_config(args.optimisation.lora, "CAUSAL_LM"),
        )

    return training.fit("scripts.sft.train_sft", args, build)


if __name__ == "__main__":
    command.run(main, Args)
