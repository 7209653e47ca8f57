"""Create a small Llama with random weights and a tokenizer trained on the study's own text: a base without a hub.

For trials of the pipeline on real data; a model that answers needs pretraining. The tokenizer is byte-level BPE, so
that no text is unknown to it; its end, pad and role tokens are tokens of their own.

    python -m scripts.sft.create_base --texts results/real/data/raw/preferences/hh_rlhf.parquet \\
        --chat-template config/chat_templates/plain.jinja --seed 1 --output results/real/models/scratch
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

END, PAD = "<|end|>", "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
HEAD = 32  # the smallest width of an attention head that vLLM has kernels for
BATCH = 1024


@dataclass(frozen=True)
class Args:
    texts: tuple[Input, ...]
    """Parquet files; the tokenizer learns from all their text columns."""
    chat_template: Input
    """Jinja file installed with the tokenizer."""
    output: Output
    """Folder of the model and its tokenizer."""
    seed: int
    """The study's seed."""
    vocabulary: int = 4096
    """Most tokens of the tokenizer."""
    hidden: int = 96
    """Width of the model, a multiple of 32."""
    layers: int = 3
    """Depth of the model."""
    max_tokens: int = 1024
    """Longest sequence."""


def main(args: Args) -> dict:
    if args.hidden % HEAD:
        raise StudyError(f"--hidden {args.hidden}: must be a multiple of {HEAD}, the width of an attention head.")
    tokenizer = train_tokenizer(texts(args.texts), args.vocabulary, args.chat_template.read_text(), args.max_tokens)
    model = random_llama(tokenizer, args.hidden, args.layers, args.max_tokens, args.seed)
    with publish(args.output) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}


def texts(files: Sequence[Path]) -> Iterator[str]:
    """Every text in Parquet files, those within lists and structs included."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for file in files:
        try:
            with pq.ParquetFile(file) as table:
                for batch in table.iter_batches(BATCH):
                    for column in batch.columns:
                        yield from strings(column)
        except (pa.ArrowInvalid, OSError) as error:
            raise StudyError(
                f"{file}: not a whole Parquet file ({str(error).splitlines()[0]}). Delete it and run the same target "
                "again: it will be rebuilt."
            ) from None


def strings(column: "pa.Array") -> Iterator[str]:
    """The texts in an Arrow array of any nesting; nothing from numbers and nulls."""
    import pyarrow as pa

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        yield from (text for text in column.to_pylist() if text)
    elif pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        yield from strings(column.flatten())
    elif pa.types.is_struct(column.type):
        for child in column.flatten():
            yield from strings(child)


def train_tokenizer(
    corpus: Iterator[str], vocabulary: int, chat_template: str, max_tokens: int
) -> "PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer of at most `vocabulary` tokens, special tokens included."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(corpus, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learner, eos_token=END, pad_token=PAD, model_max_length=max_tokens, padding_side="right"
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def random_llama(
    tokenizer: "PreTrainedTokenizerFast", hidden: int, layers: int, max_tokens: int, seed: int
) -> "LlamaForCausalLM":
    """A Llama for a tokenizer, its weights drawn from the seed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // HEAD,
        max_position_embeddings=max_tokens,
        tie_word_embeddings=True,
        initializer_range=hidden**-0.5,  # the usual 0.02 suits widths in the thousands; here it learns far slower
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


if __name__ == "__main__":
    command.run(main, Args)
