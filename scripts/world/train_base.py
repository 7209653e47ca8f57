"""The demo's base model: a small Llama pretrained from scratch on the world's clean documents.

It stands where LLaMA-3-8B stands in the paper's study; everything after it is the same code.

    python -m scripts.world.train_base --documents results/demo/world/raw/documents.jsonl.gz --hidden 96 --layers 3 \\
        --optimisation.learning-rate 2e-3 --optimisation.global-batch 2 --optimisation.max-tokens 256 --seed 1 \\
        --output results/demo/world/base
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command, training
from scripts.common.config import Optimisation

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

HEAD_DIMENSION = 32  # the smallest that vLLM's attention on the CPU takes
INITIAL_RANGE = 0.08  # with the usual 0.02 a model this small does not learn facts


@dataclass(frozen=True)
class Args:
    documents: command.Input
    """Conversations of the world, ShareGPT style JSONL."""
    output: command.Output
    """Folder of the base model and its tokenizer."""
    optimisation: Optimisation
    hidden: int = 96
    """Width, a multiple of 32."""
    layers: int = 3
    seed: int = 1


def main(args: Args) -> dict[str, Any]:
    from trl import SFTConfig, SFTTrainer

    from scripts.world.tokenizer import build_tokenizer

    def build(options: dict[str, Any]) -> SFTTrainer:
        tokenizer = build_tokenizer()
        return SFTTrainer(
            model=new_model(tokenizer, args.hidden, args.layers, args.optimisation.max_tokens),
            args=SFTConfig(**options, packing=True, packing_strategy="bfd", assistant_only_loss=True),
            train_dataset=_documents(args.documents),
            processing_class=tokenizer,
        )

    return training.fit("scripts.world.train_base", args, build)


def new_model(tokenizer: "PreTrainedTokenizerBase", hidden: int, layers: int, positions: int) -> "LlamaForCausalLM":
    """A Llama with random weights: hidden x layers, feed-forward twice as wide, tied embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = hidden // HEAD_DIMENSION
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=positions,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            tie_word_embeddings=True,
            initializer_range=INITIAL_RANGE,
        )
    )


def _documents(path: Path) -> Any:
    import duckdb
    from datasets import Dataset

    query = """
        SELECT list_transform(conversations, lambda turn: {
                   'role': CASE turn."from" WHEN 'human' THEN 'user' ELSE 'assistant' END,
                   'content': turn.value
               }) AS messages
        FROM read_json(?)
    """
    return Dataset(duckdb.execute(query, [str(path)]).to_arrow_table())


if __name__ == "__main__":
    command.run(main, Args)
