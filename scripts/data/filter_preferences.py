"""Put aside the noisy pairs of a source, each with its reason; what passes is ready for training (Appendix B.1).

The reasons, of which the first that holds counts:
  the adapter's defect  null_value, unparsable, roles_do_not_alternate, contexts_differ, contradicted_label,
                        equal_score, single_response, empty_round
  empty_round           a turn of the prompt or a response has no text
  same_response         chosen and rejected are the same text
  too_long              the prompt and its longer response have more than `max_tokens` tokens
  small_margin          the two scores differ by less than `minimum_margin` (sources with scores only)
  duplicate             the pair is there already, case and white space aside

    python -m scripts.data.filter_preferences --standard results/demo/data/standard/helpsteer.parquet \\
        --tokens results/demo/data/tokens/helpsteer.parquet --minimum-margin 0.5 --max-tokens 256 \\
        --kept results/demo/data/preferences/helpsteer.parquet --dropped results/demo/data/dropped/helpsteer.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import DROPPED, PREFERENCES, STANDARD, TOKEN_COUNTS, count_rows
from scripts.data.database import connect, explained, query, view, write


@dataclass(frozen=True)
class Args:
    standard: Input
    """Standard pairs."""
    tokens: Input
    """Token counts of the same pairs."""
    max_tokens: int
    """Longest prompt with its longer response."""
    kept: Output
    """Preference pairs, ordered by pair_id."""
    dropped: Output
    """The other pairs, each with its reason."""
    minimum_margin: float = 0.0
    """Least difference of the two scores."""


def main(args: Args) -> dict:
    read = count_rows(args.standard, STANDARD)
    with connect() as connection:
        view(connection, "standard", args.standard, STANDARD)
        view(connection, "tokens", args.tokens, TOKEN_COUNTS)
        with explained(args.standard):
            connection.execute(
                f"CREATE TEMP TABLE judged_pairs AS {query('judged_pairs.sql')}",
                {"minimum_margin": args.minimum_margin, "max_tokens": args.max_tokens},
            )
            reasons = connection.execute(query("reasons.sql")).fetchall()
        judged = sum(pairs for _, pairs in reasons)
        if judged != read:
            raise StudyError(
                f"{args.tokens}: does not belong to {args.standard}: {read} pairs were read and {judged} have counts. "
                "Delete both and run the same target again."
            )
        kept = write(connection, query("kept_pairs.sql"), args.kept, PREFERENCES)
        dropped = write(connection, query("dropped_pairs.sql"), args.dropped, DROPPED)
    if kept + dropped != read:
        raise StudyError(f"{args.standard}: {read} pairs were read, but {kept} kept and {dropped} dropped.")
    return {"read": read, "kept": kept, "dropped": dropped} | {reason: n for reason, n in reasons if reason}


if __name__ == "__main__":
    command.run(main, Args)
