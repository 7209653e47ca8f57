"""Pairs of a mix as a pairwise preference model reads them (Section 2.1): one text with both responses, label A or B.

Where the better response stands is drawn from the seed by the pair's identity. A comparison that is longer than the
block which it would be packed into is left out and counted: cut on the right, it would lose its label.

    python -m scripts.data.format_comparisons --mix results/demo/data/mixes/mix2.parquet \\
        --tokenizer results/demo/models/base --max-tokens 256 --seed 1 \\
        --output results/demo/data/comparisons/mix2.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.preferences import LAYOUT
from scripts.common.tables import COMPARISONS, MIX, checked, count_rows
from scripts.data.database import connect, explained, query, view

BATCH = 2048


@dataclass(frozen=True)
class Args:
    mix: Input
    """Pairs (table contract: mix of pairs)."""
    tokenizer: Input
    """Model folder with the tokenizer and chat template."""
    output: Output
    """The comparisons, in the order of the mix (table contract: comparisons)."""
    max_tokens: int
    """Longest comparison, chat template and label included: the block size of training."""
    seed: int
    """The study's seed."""


def main(args: Args) -> dict:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tqdm import tqdm

    from scripts.common.chat import conversation_ids
    from scripts.common.models import load_tokenizer
    from scripts.common.preferences import label_ids

    tokenizer = load_tokenizer(args.tokenizer)
    label_ids(tokenizer)  # refuse a tokenizer without the labels before, not after, all texts are written
    found = kept = first = 0
    with connect() as connection, explained(args.mix), checked(args.output, COMPARISONS) as temporary:
        view(connection, "mix", args.mix, MIX)
        rows = connection.sql(query("comparisons.sql"), params={"seed": args.seed, "layout": LAYOUT})
        with (
            pq.ParquetWriter(temporary, COMPARISONS.columns, compression="zstd") as writer,
            tqdm(total=count_rows(args.mix, MIX), unit="pair", mininterval=5) as progress,
        ):
            for batch in rows.to_arrow_reader(BATCH):
                texts = zip(batch["comparison"].to_pylist(), batch["label"].to_pylist(), strict=True)
                tokens = [
                    len(conversation_ids(tokenizer, [{"role": "user", "content": text}], label))
                    for text, label in texts
                ]
                table = pa.table([*batch.columns, pa.array(tokens, pa.int32())], schema=COMPARISONS.columns)
                fitting = table.filter(pa.array([count <= args.max_tokens for count in tokens]))
                writer.write_table(fitting)
                found, kept = found + table.num_rows, kept + fitting.num_rows
                first += fitting["label"].to_pylist().count("A")
                progress.update(table.num_rows)
        if not kept:
            raise StudyError(f"{args.mix}: none of {found} pairs fits into {args.max_tokens} tokens; raise max_tokens.")
    return {"pairs": found, "comparisons": kept, "dropped_too_long": found - kept, "share_of_label_A": first / kept}


if __name__ == "__main__":
    command.run(main, Args)
