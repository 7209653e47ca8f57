"""Put aside the noisy pairs of a source, each with its reason; what passes is ready for training (Appendix B.1).

The reasons, of which the first that holds counts:
  the adapter's defect  null_value, unparsable, roles_do_not_alternate, contexts_differ, contradicted_label,
                        equal_score, single_response, empty_round, low_score_ratio, beyond_five_pairs,
                        in_gsm8k_train
  empty_round           a turn of the prompt or a response has no text
  same_response         chosen and rejected are the same text
  too_long              the prompt and its longer response have more than `max_tokens` tokens
  small_margin          the two scores differ by less than `minimum_margin` (sources with scores only)
  contaminated          the prompt holds a prompt of an evaluation, by n-grams of words (scripts/data/contamination.py)
  duplicate             the pair is there already, case and white space aside
  near_duplicate        the prompt is nearly that of other pairs (scripts/data/near_duplicates.py), where asked for

    python -m scripts.data.filter_preferences --standard results/demo/data/standard/helpsteer.parquet \\
        --tokens results/demo/data/tokens/helpsteer.parquet --minimum-margin 0.5 --max-tokens 256 \\
        --evaluation-prompts results/demo/data/evaluation_prompts.parquet --decontamination.ngram 13 \\
        --kept results/demo/data/preferences/helpsteer.parquet --dropped results/demo/data/dropped/helpsteer.parquet
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.config import Decontamination, NearDuplicates
from scripts.common.errors import StudyError
from scripts.common.tables import DROPPED, PREFERENCES, STANDARD, TOKEN_COUNTS, count_rows
from scripts.data.contamination import find_contaminated
from scripts.data.database import MEMORY_MB, check_count, connect, explained, query, view, write
from scripts.data.near_duplicates import find_near_duplicates


@dataclass(frozen=True)
class Args:
    standard: Input
    """Standard pairs."""
    tokens: Input
    """Token counts of the same pairs."""
    max_tokens: int
    """Longest prompt with its longer response."""
    kept: Output
    """Preference pairs, in the order of the standard pairs."""
    dropped: Output
    """The other pairs, each with its reason."""
    minimum_margin: float = 0.0
    """Least difference of the two scores."""
    evaluation_prompts: Input | None = None
    """What no prompt may hold."""
    decontamination: Decontamination = field(default_factory=Decontamination)
    """When a prompt holds one of them."""
    drop_near_duplicates: bool = False
    """Of prompts that are nearly the same, keep the pairs of one."""
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    """When they are nearly the same."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    read = count_rows(args.standard, STANDARD)
    with connect(args.memory_mb) as connection:
        view(connection, "standard", args.standard, STANDARD, numbered=True)
        view(connection, "tokens", args.tokens, TOKEN_COUNTS)
        with explained(args.standard):
            limits = {"minimum_margin": args.minimum_margin, "max_tokens": args.max_tokens}
            connection.execute(f"CREATE TABLE judged_texts AS {query('judged_texts.sql')}", limits)
            connection.execute(f"CREATE VIEW asked AS {query('asked_prompts_of_pairs.sql')}")
            find_contaminated(connection, args.evaluation_prompts, args.decontamination)
            connection.execute(f"CREATE VIEW distinct_prompts AS {query('distinct_prompts_of_pairs.sql')}")
            find_near_duplicates(connection, args.near_duplicates if args.drop_near_duplicates else None)
            connection.execute(f"CREATE TABLE judged_pairs AS {query('judged_pairs.sql')}")
            reasons = connection.execute(query("reasons.sql")).fetchall()
        judged = sum(pairs for _, pairs in reasons)
        if judged != read:
            raise StudyError(
                f"{args.tokens}: does not belong to {args.standard}: {read} pairs were read and {judged} have counts. "
                "Delete both and run the same target again."
            )
        # a positional join reads with one thread; a connection serves one query at a time, its cursor another one
        with ThreadPoolExecutor() as writers:
            keeping = writers.submit(write, connection, query("kept_pairs.sql"), args.kept, PREFERENCES)
            dropped = write(connection.cursor(), query("dropped_pairs.sql"), args.dropped, DROPPED)
            kept = keeping.result()
        check_count(args.standard, read, kept, dropped)
    return {"read": read, "kept": kept, "dropped": dropped} | {reason: n for reason, n in reasons if reason}


if __name__ == "__main__":
    command.run(main, Args)
