"""How fast tokens are counted, beside the batch throughput of the tokenizers library alone on the same texts.

python -m benchmarks.token_counting --pairs 50000 --tokenizer results/demo/models/base
"""

import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from benchmarks import results
from benchmarks.corpus import write_corpus

SOURCE = "ultrafeedback"
BATCH = 2048
EXPECTED = {"ratio": 1.2}


@dataclass(frozen=True)
class Args:
    tokenizer: Path
    """Folder with a tokenizer.json, of a real model for real figures."""
    pairs: int = 50_000
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
        tokenizer = Tokenizer.from_file(str(args.tokenizer / "tokenizer.json"))
        started = time.time()
        tokens = sum(
            len(encoding)
            for i in range(0, len(texts), BATCH)
            for encoding in tokenizer.encode_batch_fast(texts[i : i + BATCH], add_special_tokens=False)
        )
        alone = time.time() - started
        started = time.time()
        facts = count_tokens.main(count_tokens.Args(standard, args.tokenizer, folder / "tokens.parquet"))
        counted = time.time() - started
    assert (facts["texts"], facts["tokens"]) == (len(texts), tokens)
    found = {
        "texts": len(texts),
        "tokens": tokens,
        "library_seconds": round(alone, 2),
        "count_tokens_seconds": round(counted, 2),
        "ratio": round(counted / alone, 3),
        "expected": EXPECTED,
    }
    return results.write(args.output, found)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
