"""Bring instruction data from its published layout to conversations {role, content} for SFT (Section 3.1).

The layout of a file is recognised by its columns: turns as in ShareGPT, messages, or an instruction or question with
its answer. Conversations with an empty turn, or whose turns do not alternate up to the assistant's last word, are
put aside, each with its reason; a system message may come first.

    python -m scripts.data.standardise_instructions --raw results/demo/data/raw/instructions/world.parquet \\
        --names world --output results/demo/data/instructions.parquet \\
        --dropped results/demo/data/dropped_instructions.parquet
"""

from dataclasses import dataclass

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.tables import DROPPED_INSTRUCTIONS, INSTRUCTIONS
from scripts.data import layouts
from scripts.data.database import MEMORY_MB, check_adapted, check_count, connect, explained, query, value, write
from scripts.data.encoding import located

LAYOUTS = (  # the first that fits: those with an input come before those that do without
    "instructions/sharegpt.sql",
    "instructions/messages.sql",
    "instructions/conversations.sql",
    "instructions/instruction_input_output.sql",
    "instructions/instruction_input_response.sql",
    "instructions/instruction_output.sql",
    "instructions/instruction_response.sql",
    "instructions/question_answer.sql",
)


@dataclass(frozen=True)
class Args:
    raw: tuple[Input, ...]
    """Instruction data sets as published."""
    names: tuple[str, ...]
    """The name of each."""
    output: Output
    """Conversations, ordered by conversation_id."""
    dropped: Output
    """The other conversations, each with its reason."""
    memory_mb: int = MEMORY_MB
    """Memory of the job."""


def main(args: Args) -> dict:
    files = layouts.named(args.raw, args.names)
    with connect(args.memory_mb) as connection:
        connection.execute(
            "CREATE TABLE conversations (source VARCHAR, messages STRUCT(role VARCHAR, content VARCHAR)[])"
        )
        for name, path in files:
            adapter, select = layouts.recognise(connection, path, LAYOUTS)
            with located(path), explained(f"{path} as {adapter}"):
                insert = f"INSERT INTO conversations SELECT $name, messages FROM ({select})"
                made = value(connection, insert, {"name": name})
                check_adapted(f"{path} as {adapter}", layouts.number_of_rows(connection, path, adapter), made)
        with explained(", ".join(map(str, args.raw))):
            connection.execute(f"CREATE TEMP TABLE judged_conversations AS {query('judged_conversations.sql')}")
            reasons = connection.execute(query("conversation_reasons.sql")).fetchall()
            read = value(connection, "SELECT count(*) FROM conversations")
        if sum(dict(reasons).values()) == read:
            raise StudyError(
                f"{', '.join(map(str, args.raw))}: none of {read} conversations can be used; dropped: {dict(reasons)}."
            )
        kept = write(connection, query("instructions.sql"), args.output, INSTRUCTIONS)
        dropped = write(connection, query("dropped_instructions.sql"), args.dropped, DROPPED_INSTRUCTIONS)
        check_count(", ".join(map(str, args.raw)), read, kept, dropped)
    return {"read": read, "kept": kept, "dropped": dropped} | dict(reasons)


if __name__ == "__main__":
    command.run(main, Args)
