"""Mix preference sources into a training set for reward models (Section 2: MIX1, MIX2), with held-out prompts.

Which pairs a cap or a weight lets through, their order and their split follow from the seed and the pair's or prompt's
identity: the order of the files does not matter, and a prompt that is held out from one mix is held out from all.

    python -m scripts.data.mix_preferences --seed 1 --held-out 0.02 --output results/demo/data/mixes/mix1.parquet \\
        --preferences results/demo/data/preferences/hh_rlhf.parquet results/demo/data/preferences/ultrafeedback.parquet
"""

from dataclasses import dataclass, field

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import MIX, PREFERENCES
from scripts.data.database import MEMORY_MB, connect, explained, query, view, write


@dataclass(frozen=True)
class Args:
    preferences: tuple[Input, ...]
    """Preference pairs, a file for each source."""
    output: Output
    """The mix, in the order of training, with the column split: train | held_out."""
    seed: int
    """The study's seed."""
    held_out: float = 0.02
    """Share of the prompts that is kept from training."""
    cap: int | None = None
    """At most so many pairs of each source."""
    caps: dict[str, int] = field(default_factory=dict)
    """At most so many pairs of single sources, by name; goes before `cap`."""
    weights: dict[str, float] = field(default_factory=dict)
    """How often a source's training pairs are taken, by name; 1 for those not named."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    with connect(args.memory_mb) as connection:
        view(connection, "preferences", args.preferences, PREFERENCES)
        with explained(", ".join(map(str, args.preferences))):
            repeated = connection.execute(query("repeated_pairs.sql")).fetchone()
            if repeated:
                raise StudyError(
                    f"{args.output}: pair {repeated[0]} of {repeated[1]} is in the sources {repeated[2]} times. "
                    "Name each source of a mix once."
                )
            connection.execute("CREATE TABLE shares (source VARCHAR, cap BIGINT, weight DOUBLE)")
            connection.executemany("INSERT INTO shares VALUES (?, ?, ?)", shares(args))
            values = {"seed": args.seed, "held_out": args.held_out}
            connection.execute(f"CREATE TEMP TABLE mix_of_pairs AS {query('mix_of_pairs.sql')}", values)
            splits = dict(connection.execute(query("pairs_by_split.sql")).fetchall())
        if not splits.get("train"):
            raise StudyError(
                f"{args.output}: no pair is left for training: {splits.get('held_out', 0)} were read and held out "
                f"(held_out = {args.held_out}). Look at the dropped pairs of the sources, or hold out less."
            )
        write(connection, "FROM mix_of_pairs", args.output, MIX)
    return {"pairs": sum(splits.values()), "train": splits["train"], "held_out": splits.get("held_out", 0)}


def shares(args: Args) -> list[list[str | float | None]]:
    """[source, cap, weight] of each source; a file bears its source's name.

    Raises:
        StudyError: a cap or a weight is of no source of the mix.
    """
    names = [path.stem for path in args.preferences]
    if unknown := sorted({*args.caps, *args.weights}.difference(names)):
        raise StudyError(f"--caps or --weights: {', '.join(unknown)}: not among the sources {', '.join(names)}.")
    return [[name, args.caps.get(name, args.cap), args.weights.get(name, 1.0)] for name in names]


if __name__ == "__main__":
    command.run(main, Args)
