"""How many token slots of SFT's packed blocks are filled: best fit decreasing, beside one conversation a row.

Lengths are those of a study's own instructions, in blocks as its SFT has them, and drawn ones of the paper's case:
log-normal with a mean of 900 tokens and a long tail, in blocks of 8,192. The blocks are made by what SFT calls, TRL's
`pack_dataset`; nothing may be cut but what is longer than a block. Unpacked means batches of 8 rows in the order drawn,
each padded to its longest.

    python -m benchmarks.packing --study results/demo
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import results

PAPER_BLOCK, MEAN, SIGMA = 8192, 900.0, 1.0
UNPACKED_BATCH = 8


@dataclass(frozen=True)
class Args:
    study: Path
    """A study with instructions and a base model."""
    block: int = 256
    """Tokens of a block of its SFT."""
    conversations: int = 100_000
    """Of the paper's case."""
    output: Path = results.RESULTS / "packing.json"


def main(args: Args) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(np.log(MEAN) - SIGMA**2 / 2, SIGMA, args.conversations).clip(16).astype(int)
    found = {
        "study": measured(instruction_lengths(args.study), args.block, rng),
        "paper": measured(drawn.tolist(), PAPER_BLOCK, rng),
    }
    found["filled"] = min(case["filled"] for case in found.values())
    return results.write(args.output, found)


def instruction_lengths(study: Path) -> list[int]:
    """Tokens of each conversation through the chat template, as SFT reads it."""
    import pyarrow.parquet as pq

    from scripts.common.models import load_tokenizer

    tokenizer = load_tokenizer(study / "models/base")
    conversations = pq.read_table(study / "data/instructions.parquet", columns=["messages"])["messages"].to_pylist()
    return [len(tokenizer.apply_chat_template(messages, return_dict=True)["input_ids"]) for messages in conversations]


def measured(lengths: Sequence[int], block: int, rng: np.random.Generator) -> dict[str, Any]:
    from datasets import Dataset
    from trl import pack_dataset

    kept = np.minimum(lengths, block)
    rows = Dataset.from_dict({"input_ids": [np.zeros(n, np.int32) for n in kept]})
    started = time.perf_counter()
    packed = pack_dataset(rows, block, strategy="bfd")
    seconds = time.perf_counter() - started
    sizes = [sum(parts) for parts in packed["seq_lengths"]]
    assert sum(sizes) == kept.sum(), "packing lost tokens"
    assert max(sizes) <= block
    shuffled = rng.permutation(kept)[: len(kept) // UNPACKED_BATCH * UNPACKED_BATCH].reshape(-1, UNPACKED_BATCH)
    return {
        "filled": float(kept.sum() / (len(sizes) * block)),
        "filled_unpacked": float(shuffled.sum() / (shuffled.max(axis=1) * UNPACKED_BATCH).sum()),
        "conversations": len(kept),
        "longer_than_a_block": int((np.asarray(lengths) > block).sum()),
        "blocks": len(sizes),
        "block": block,
        "packing_seconds": seconds,
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
