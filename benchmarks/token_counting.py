"""How fast tokens are counted, beside the batch throughput of the tokenizers library alone on the same texts.

Without --tokenizer one of a real model's kind, byte-level BPE, learns its words from the corpus.

python -m benchmarks.token_counting --pairs 200000
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import tyro

from benchmarks import results
from benchmarks.corpus import write_corpus

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SOURCE = "ultrafeedback"
BATCH = 2048
VOCABULARY = 32_000  # at most: the corpus has fewer different words than a real one
LEARNT_FROM = 20_000  # texts
EXPECTED = {"ratio": 1.2}


@dataclass(frozen=True)
class Args:
    tokenizer: Path | None = None
    """Folder with a tokenizer.json."""
    pairs: int = 200_000
    """Pairs of the corpus, of which UltraFeedback's part is counted."""
    output: Path = Path("benchmarks/results/token_counting.json")
    """What was measured."""


def main(args: Args) -> dict[str, Any]:
    import pyarrow.parquet as pq
    from tokenizers import Tokenizer

    from scripts.data import count_tokens, standardise_preferences

    with TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(folder, args.pairs)
        standard = folder / "standard.parquet"
        standardise_preferences.main(standardise_preferences.Args(folder / f"{SOURCE}.parquet", SOURCE, standard))
        table = pq.read_table(standard)
        prompts = {turn["content"] for prompt in table["prompt"].to_pylist() for turn in prompt}
        responses = {text for side in ("chosen", "rejected") for text in table[side].to_pylist() if text is not None}
        texts = sorted(prompts | responses)
        if args.tokenizer is None:
            byte_level(texts[:LEARNT_FROM]).save(str(folder / "tokenizer.json"))
        tokenizer = Tokenizer.from_file(str((args.tokenizer or folder) / "tokenizer.json"))
        started = time.time()
        tokens = sum(
            len(encoding)
            for i in range(0, len(texts), BATCH)
            for encoding in tokenizer.encode_batch_fast(texts[i : i + BATCH], add_special_tokens=False)
        )
        alone = time.time() - started
        started = time.time()
        facts = count_tokens.main(count_tokens.Args(standard, args.tokenizer or folder, folder / "tokens.parquet"))
        counted = time.time() - started
    assert (facts["texts"], facts["tokens"]) == (len(texts), tokens)
    found = {
        "texts": len(texts),
        "tokens": tokens,
        "vocabulary": tokenizer.get_vocab_size(),
        "library_seconds": round(alone, 2),
        "count_tokens_seconds": round(counted, 2),
        "ratio": round(counted / alone, 3),
        "expected": EXPECTED,
    }
    return results.write(args.output, found)


def byte_level(texts: Sequence[str]) -> "Tokenizer":
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
