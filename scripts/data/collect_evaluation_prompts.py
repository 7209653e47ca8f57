"""Collect the prompts of every benchmark of a study: what its training data must not contain.

The layout of a file is recognised by its columns, so that each benchmark is read as it is published: RewardBench,
AlpacaEval, MT-Bench (both turns), Arena-Hard, and sets of questions such as GSM8K.

    python -m scripts.data.collect_evaluation_prompts --raw results/demo/data/raw/benchmarks/reward_bench.parquet \\
        --names reward_bench --output results/demo/data/evaluation_prompts.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import EVALUATION_PROMPTS
from scripts.data import layouts
from scripts.data.database import connect, explained, query, value, write
from scripts.data.encoding import located

LAYOUTS = (  # the first that fits: the column that holds nothing but the prompt comes first
    "evaluation/turns.sql",
    "evaluation/turns_content.sql",
    "evaluation/prompt_turns.sql",
    "evaluation/instruction.sql",
    "evaluation/question.sql",
    "evaluation/prompt.sql",
    "evaluation/text.sql",
)


@dataclass(frozen=True)
class Args:
    raw: tuple[Input, ...]
    """Benchmarks as published."""
    names: tuple[str, ...]
    """The name of each."""
    output: Output
    """Every prompt once, with the benchmark that asks it."""


def main(args: Args) -> dict:
    with connect() as connection:
        connection.execute("CREATE TABLE prompts (benchmark VARCHAR, prompt VARCHAR)")
        read = {}
        for name, path in layouts.named(args.raw, args.names):
            adapter, select = layouts.recognise(connection, path, LAYOUTS)
            with located(path), explained(f"{name}: {path} as {adapter}"):
                insert = f"INSERT INTO prompts SELECT $name, prompt FROM ({select}) WHERE prompt IS NOT NULL"
                read[name] = value(connection, insert, {"name": name})
            if not read[name]:
                raise StudyError(f"{name}: {path} as {adapter} holds no prompt.")
        prompts = write(connection, query("evaluation_prompts.sql"), args.output, EVALUATION_PROMPTS)
    return {"prompts": prompts, **read}


if __name__ == "__main__":
    command.run(main, Args)
