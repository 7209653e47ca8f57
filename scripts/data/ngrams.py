"""The n-grams of words of texts, as numbers: DuckDB splits texts into words, NumPy slides over them.

What decontamination and the search for near-duplicates compare. In SQL alone the sliding takes ten times as long.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

BATCH = 2048  # texts at a time
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, its bits without a pattern: the golden ratio in 64 bits


def read_ngrams(
    connection: "DuckDBPyConnection", select: str, n: int
) -> Iterator[tuple["pa.Array", np.ndarray, np.ndarray]]:
    """The n-grams of the texts that a query returns as (text_id, words), batch by batch.

    `words` are digests of words, a list for each text. The tables that the query reads must not be temporary ones.

    Yields:
        The text_ids of a batch, [texts], and its n-grams as `ngrams` returns them.
    """
    reader = connection.cursor()  # of the same database: it reads while the other writes
    for batch in reader.sql(select).to_arrow_reader(BATCH):
        words = batch.column("words")
        values = words.flatten().to_numpy(zero_copy_only=False)
        yield batch.column("text_id"), *ngrams(values, words.offsets.to_numpy(), n)


def ngrams(words: np.ndarray, offsets: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Every n-gram as one number, and the index of its text; a text of fewer than n words is one gram, the whole of it.

    Args:
        words: [words] uint64, those of all texts one after the other.
        offsets: [texts + 1], where each text begins; the last is the number of words.
        n: words in a gram.

    Returns:
        The texts' indices and the grams, [grams] each, in the order of the texts. A polynomial of the words in 64 bits,
        so that other words or another order give another number.
    """
    offsets = offsets.astype(np.int64) - offsets[0]
    lengths = np.diff(offsets)
    number = np.where(lengths == 0, 0, np.maximum(lengths - n + 1, 1))
    texts = np.repeat(np.arange(len(lengths)), number)
    starts = offsets[texts] + np.arange(len(texts)) - np.repeat(np.cumsum(number) - number, number)
    length = np.minimum(lengths, n)[texts]
    grams = length.astype(np.uint64)
    for i in range(n):
        inside = i < length
        following = words[np.minimum(starts + i, len(words) - 1)] if len(words) else words
        grams = np.where(inside, grams * FACTOR + following, grams)
    return texts, grams
