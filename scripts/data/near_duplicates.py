"""Which prompts nearly repeat an earlier one: MinHash signatures find candidates, their n-grams decide (Broder, 1997).

Prompts come in an order that their identities give, and the first of those alike stays: a prompt goes when the Jaccard
similarity of its n-grams of words to those of one that has stayed is at least `threshold`. MinHash may overlook a pair
close to the threshold; it drops none that is not as similar as that.
"""

from typing import TYPE_CHECKING

import numpy as np

from scripts.common.config import NearDuplicates
from scripts.data.database import query
from scripts.data.ngrams import read_ngrams

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def find_near_duplicates(connection: "DuckDBPyConnection", settings: NearDuplicates | None) -> None:
    """Create the table `near_duplicates` (text_id) of the prompts that nearly repeat an earlier one.

    Args:
        connection: knows the view `distinct_prompts` (text_id, prompt, precedence); a smaller precedence comes first.
        settings: what is alike; None: nobody asks, and nothing is found.
    """
    connection.execute("CREATE TABLE near_duplicates (text_id VARCHAR)")
    if settings is None:
        return
    import pyarrow as pa
    from datasketch import MinHash, MinHashLSH

    options = {"num_perm": settings.permutations, "seed": 1, "hashfunc": int, "scheme": "affine64"}  # grams are hashed
    index = MinHashLSH(
        settings.threshold, settings.permutations, weights=(0.1, 0.9)
    )  # misses cost more than candidates
    stayed: dict[str, np.ndarray] = {}
    gone: list[str] = []
    for ids, texts, grams in read_ngrams(connection, query("prompt_words.sql"), settings.ngram):
        found = [np.unique(part) for part in np.split(grams, np.searchsorted(texts, np.arange(1, len(ids))))]
        for text_id, own, signature in zip(ids.to_pylist(), found, MinHash.generator(found, **options), strict=True):
            if any(similarity(own, stayed[other]) >= settings.threshold for other in index.query(signature)):
                gone.append(text_id)
            elif own.size:  # what has no word at all is like nothing
                index.insert(text_id, signature)
                stayed[text_id] = own
    connection.register("gone", pa.table({"text_id": pa.array(gone, pa.string())}))
    connection.execute("INSERT INTO near_duplicates FROM gone")
    connection.unregister("gone")


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Jaccard similarity of two sets, given as arrays without repetition."""
    common = np.intersect1d(one, other, assume_unique=True).size
    return common / (one.size + other.size - common)
