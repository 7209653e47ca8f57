"""Which prompts hold evaluation prompts: n-grams of words in common, after Lambert et al. (2024), Tulu 3, Section 2.

An evaluation prompt is held by a prompt in which at least the share `overlap` of its n-grams is found; one that has
fewer than n words is held where a user's turn has its words and no others. Case and punctuation do not count.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.config import Decontamination
from scripts.common.tables import EVALUATION_PROMPTS
from scripts.data.database import query, view
from scripts.data.ngrams import read_ngrams

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def find_contaminated(
    connection: "DuckDBPyConnection", evaluation_prompts: Path | None, settings: Decontamination
) -> None:
    """Create the table `contaminated` (prompt_id) of the prompts in the view `asked` (prompt_id, prompt) that hold one.

    Args:
        connection: knows the view `asked`.
        evaluation_prompts: the table of evaluation prompts; None: the study has none, and nothing is contaminated.
        settings: n-grams, and the share of them that counts.
    """
    if evaluation_prompts is None:
        connection.execute("CREATE TABLE contaminated (prompt_id VARCHAR)")
        return
    view(connection, "evaluation_prompts", evaluation_prompts, EVALUATION_PROMPTS)
    _collect(connection, "evaluation_grams", "evaluation_words.sql", settings.ngram)
    _collect(connection, "shared_grams", "asked_words.sql", settings.ngram, "SEMI JOIN evaluation_grams USING (gram)")
    connection.execute(
        f"CREATE TABLE contaminated AS {query('contaminated_prompts.sql')}", {"overlap": settings.overlap}
    )


def _collect(connection: "DuckDBPyConnection", table: str, words: str, n: int, condition: str = "") -> None:
    """Create a table (text_id, gram) of the n-grams of the texts in a query."""
    import pyarrow as pa

    connection.execute(f"CREATE TABLE {table} (text_id VARCHAR, gram UBIGINT)")
    for ids, texts, grams in read_ngrams(connection, query(words), n):
        connection.register("batch", pa.table({"text_id": ids.take(pa.array(texts)), "gram": grams}))
        connection.execute(f"INSERT INTO {table} SELECT DISTINCT text_id, gram FROM batch {condition}")
        connection.unregister("batch")
