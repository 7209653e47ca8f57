"""Count the tokens of each pair with the base model's tokenizer: prompt, chosen and rejected response.

A prompt counts as the contents of its messages, without the chat template (Table 5, "Prompt Len."). Every distinct text
is tokenized once, in batches: Arrow out of DuckDB, lengths back into it.

    python -m scripts.data.count_tokens --standard results/demo/data/standard/hh_rlhf.parquet \\
        --tokenizer results/demo/models/base --output results/demo/data/tokens/hh_rlhf.parquet
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import STANDARD, TOKEN_COUNTS
from scripts.data.database import MEMORY_MB, connect, explained, query, view, write

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH = 2048  # texts at a time: some megabytes, and enough to keep every core of the tokenizer busy


@dataclass(frozen=True)
class Args:
    standard: Input
    """Standard pairs."""
    tokenizer: Input
    """Folder of a tokenizer or of a model with its tokenizer."""
    output: Output
    """Token counts, a row for each pair_id, ordered by it."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    import pyarrow as pa
    from tokenizers import Tokenizer

    file = args.tokenizer / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))  # the library itself: transformers takes seconds to import
    except Exception as error:  # the only class that tokenizers raises
        raise StudyError(f"{file}: holds no tokenizer that can be loaded ({error}).") from None
    tokenizer.no_truncation()  # what the file may ask for would change the counts
    tokenizer.no_padding()
    with connect(args.memory_mb) as connection, explained(args.standard):
        view(connection, "standard", args.standard, STANDARD)
        connection.execute("CREATE TABLE lengths (text_id VARCHAR, tokens INTEGER)")
        reader = connection.cursor()  # of the same database: it reads while the other writes
        for batch in reader.sql(query("distinct_texts.sql")).to_arrow_reader(BATCH):
            texts = batch.column("content").to_pylist()
            lengths = pa.table({"text_id": batch.column("text_id"), "tokens": token_counts(tokenizer, texts)})
            connection.register("batch", lengths)
            connection.execute("INSERT INTO lengths FROM batch")
            connection.unregister("batch")
        texts, tokens = connection.execute("SELECT count(*), coalesce(sum(tokens), 0) FROM lengths").fetchone()
        pairs = write(connection, query("token_counts.sql"), args.output, TOKEN_COUNTS)
    return {"pairs": pairs, "texts": texts, "tokens": int(tokens)}


def token_counts(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[int]:
    """The number of tokens of each text, special tokens not counted."""
    return [len(encoding) for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


if __name__ == "__main__":
    command.run(main, Args)
