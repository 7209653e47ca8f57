"""Draw disjoint sets of prompts from one pool: a set for each iteration, one for Figure 3, one held out (Section 3.2).

Prompts that differ only in case and white space, or that are nearly the same, count as one; those that hold a prompt of
an evaluation are left out. All sets are stratified by source and drawn by seed and identity; a collection may be
capped, and then what is read of it is drawn likewise. The held-out prompts are drawn first and the iterations last: one
more iteration changes no other set.

    python -m scripts.data.select_prompts --raw results/demo/data/raw/prompts/world.parquet --names world \\
        --iterations 3 --prompts-per-iteration 600 --length-bias 100 --validation 200 --test 300 --seed 1 \\
        --pool results/demo/data/prompts/pool.parquet --iteration-outputs results/demo/data/prompts/iter1.parquet \\
        results/demo/data/prompts/iter2.parquet results/demo/data/prompts/iter3.parquet \\
        --length-bias-output results/demo/data/prompts/length_bias.parquet \\
        --held-out-output results/demo/data/prompts/held_out.parquet \\
        --dropped results/demo/data/dropped_prompts.parquet
"""

from dataclasses import dataclass, field

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.config import Decontamination, NearDuplicates
from scripts.common.errors import StudyError
from scripts.common.tables import DROPPED_PROMPTS, PROMPTS
from scripts.data import layouts
from scripts.data.contamination import find_contaminated
from scripts.data.database import MEMORY_MB, check_adapted, check_count, connect, explained, query, value, write
from scripts.data.encoding import located
from scripts.data.near_duplicates import find_near_duplicates

LAYOUTS = (  # the first that fits: prompts that name their source come before those that do not
    "prompts/plain.sql",
    "prompts/messages.sql",
    "prompts/conversation.sql",
    "prompts/trajectory.sql",
    "prompts/question.sql",
    "prompts/instruction.sql",
    "prompts/prompt.sql",
)


@dataclass(frozen=True)
class Args:
    raw: tuple[Input, ...]
    """Prompt collections as published."""
    names: tuple[str, ...]
    """The name of each, and the source of those of its prompts that name none."""
    iterations: int
    """How many iterations need prompts of their own."""
    prompts_per_iteration: int
    """Prompts of each iteration."""
    length_bias: int
    """Prompts of Figure 3."""
    validation: int
    """Held-out prompts that choose the best iteration."""
    test: int
    """Held-out prompts that compare the policies."""
    seed: int
    """The study's seed."""
    pool: Output
    """Every usable prompt once."""
    iteration_outputs: tuple[Output, ...]
    """A set for each iteration."""
    length_bias_output: Output
    """The set of Figure 3."""
    held_out_output: Output
    """Held-out prompts with the column split: validation | test."""
    dropped: Output
    """The prompts that the pool does not take, each with its reason."""
    caps: dict[str, int] = field(default_factory=dict)
    """At most so many prompts of a collection, by its name."""
    evaluation_prompts: Input | None = None
    """What no prompt may hold."""
    decontamination: Decontamination = field(default_factory=Decontamination)
    """When a prompt holds one of them."""
    near_duplicates: NearDuplicates = field(default_factory=NearDuplicates)
    """When prompts are nearly the same."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    if len(args.iteration_outputs) != args.iterations:
        raise StudyError(
            f"--iteration-outputs names {len(args.iteration_outputs)} files for {args.iterations} iterations."
        )
    files = layouts.named(args.raw, args.names)
    with connect(args.memory_mb) as connection:
        connection.execute("CREATE TABLE prompts (source VARCHAR, prompt STRUCT(role VARCHAR, content VARCHAR)[])")
        left_out = 0
        for name, path in files:
            adapter, select = layouts.recognise(connection, path, LAYOUTS)
            with located(path), explained(f"{name}: {path} as {adapter}"):
                connection.execute(f"CREATE OR REPLACE TEMP VIEW collection AS {select}")
                rows = layouts.number_of_rows(connection, path, adapter)
                values = {"name": name, "seed": args.seed, "cap": args.caps.get(name)}
                drawn = value(connection, f"INSERT INTO prompts {query('drawn_prompts.sql')}", values)
                check_adapted(f"{path} as {adapter}", min(rows, args.caps.get(name, rows)), drawn)
                left_out += rows - drawn
        with explained(", ".join(map(str, args.raw))):
            connection.execute(f"CREATE TABLE read_prompts AS {query('read_prompts.sql')}")
            connection.execute(f"CREATE VIEW asked AS {query('asked_prompts.sql')}")
            find_contaminated(connection, args.evaluation_prompts, args.decontamination)
            connection.execute(f"CREATE VIEW distinct_prompts AS {query('distinct_prompts.sql')}")
            find_near_duplicates(connection, args.near_duplicates)
            connection.execute(f"CREATE TEMP TABLE judged_prompts AS {query('judged_prompts.sql')}")
            reasons = dict(connection.execute(query("prompt_reasons.sql")).fetchall())
            available = reasons.pop(None, 0)
            sets = stretches(args)
            needed = sets[-1][2]
            if needed > available:
                raise StudyError(
                    f"{', '.join(args.names)}: {needed} prompts are needed ({args.iterations} iterations x "
                    f"{args.prompts_per_iteration}, {args.length_bias} for Figure 3, {args.validation} for validation, "
                    f"{args.test} for the test), {available} are available; dropped: {reasons or 'none'}. "
                    "Ask for fewer in the section 'data', or add prompts."
                )
            connection.execute("CREATE TABLE sets (name VARCHAR, first_position BIGINT, last_position BIGINT)")
            connection.executemany("INSERT INTO sets VALUES (?, ?, ?)", [list(row) for row in sets])
            connection.execute(
                f"CREATE TEMP TABLE placed_prompts AS {query('placed_prompts.sql')}", {"seed": args.seed}
            )
        read = value(connection, "SELECT count(*) FROM prompts")
        kept = write(connection, query("prompt_pool.sql"), args.pool, PROMPTS)
        dropped = write(connection, query("dropped_prompts.sql"), args.dropped, DROPPED_PROMPTS)
        check_count(", ".join(map(str, args.raw)), read, kept, dropped)
        write(connection, query("held_out_prompts.sql"), args.held_out_output, PROMPTS)
        named_sets = {"length_bias": args.length_bias_output}
        named_sets |= {f"iter{t}": path for t, path in enumerate(args.iteration_outputs, start=1)}
        for name, path in named_sets.items():
            write(connection, query("prompt_set.sql"), path, PROMPTS, {"set_name": name})
    counts = {"read": read, "pool": kept, "used": needed, "dropped": dropped, **reasons}
    return counts | ({"beyond_cap": left_out} if left_out else {})


def stretches(args: Args) -> list[tuple[str, int, int]]:
    """The sets as stretches (name, first, last) of positions 1, 2, ..., without a gap."""
    sizes = [("test", args.test), ("validation", args.validation), ("length_bias", args.length_bias)]
    sizes += [(f"iter{t}", args.prompts_per_iteration) for t in range(1, args.iterations + 1)]
    sets, last = [], 0
    for name, size in sizes:
        sets.append((name, last + 1, last + size))
        last += size
    return sets


if __name__ == "__main__":
    command.run(main, Args)
