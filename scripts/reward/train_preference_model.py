"""A pairwise preference model: a language model taught to name the better of two responses, A or B (Section 2.1).

An instruction-following task: the loss is that of the label alone (and of the end of the turn). Comparisons are packed
into blocks without being cut (best fit, decreasing). A killed job resumes from its last whole checkpoint when the same
command runs again.

    python -m scripts.reward.train_preference_model --comparisons results/demo/data/comparisons/mix2.parquet \\
        --base results/demo/models/base --optimisation.learning-rate 3e-4 --optimisation.global-batch 1 \\
        --optimisation.max-tokens 256 --seed 1 --output results/demo/models/preference/pairwise
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command, lora, tables, training
from scripts.common.config import Optimisation
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Args:
    comparisons: command.Input
    """Comparisons (table contract: comparisons); rows with split = train are used."""
    base: command.Input
    """Model to start from: the SFT model, or the base."""
    output: command.Output
    """Folder of the preference model."""
    optimisation: Optimisation
    seed: int = 1


def main(args: Args) -> dict[str, Any]:
    from trl import SFTConfig, SFTTrainer

    from scripts.common.models import load_policy, load_tokenizer
    from scripts.common.preferences import label_ids

    def build(options: dict[str, Any]) -> SFTTrainer:
        tokenizer = load_tokenizer(args.base)
        label_ids(tokenizer)  # refuses a tokenizer whose labels no single token's probability could tell apart
        return SFTTrainer(
            model=load_policy(args.base, **training.load_options(args.optimisation)),
            args=SFTConfig(**options, packing=True, packing_strategy="bfd", completion_only_loss=True),
            train_dataset=labelled(args.comparisons, args.optimisation.max_tokens, Path(options["output_dir"])),
            processing_class=tokenizer,
            peft_config=lora.adapter_config(args.optimisation.lora, "CAUSAL_LM"),
        )

    return training.fit("scripts.reward.train_preference_model", args, build)


def labelled(comparisons: Path, max_tokens: int, work: Path) -> "Dataset":
    """Comparisons of the training split as TRL reads them: a message of the user, and the label that completes it.

    Raises:
        StudyError: a comparison is longer than a block; TRL would cut its label off without a word.
    """
    import duckdb

    tables.open_table(comparisons, tables.COMPARISONS).close()
    rows = duckdb.read_parquet(str(comparisons)).filter("split = 'train'")
    ((longest,),) = rows.aggregate("max(tokens)").fetchall()
    if longest is None:
        raise StudyError(f"{comparisons}: no row has split = train.")
    if longest > max_tokens:
        raise StudyError(
            f"{comparisons}: a comparison has {longest} tokens, more than a block of {max_tokens} "
            f"(optimisation.max_tokens); format the comparisons anew with --max-tokens {max_tokens}."
        )
    prompt, completion = "[{'role': 'user', 'content': comparison}]", "[{'role': 'assistant', 'content': label}]"
    return training.dataset(rows.project(f"{prompt} AS prompt, {completion} AS completion"), work)


if __name__ == "__main__":
    command.run(main, Args)
