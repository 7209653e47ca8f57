"""Rollouts: the shards of responses and rewards to one set of prompts, by one policy or several, joined and checked.

A shard's file says, in its Parquet metadata, which of its prompts were skipped because they are too long for the
policy; so a prompt without responses is either accounted for, or a fault that names the shard.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from scripts.common import tables
from scripts.common.errors import StudyError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SKIPPED = b"skipped_prompts"


def roles(policy: str, prompts: str) -> set[str]:
    """For which of a sampler's actors, by their `policy`, a policy responds to a set of prompts.

    In iteration t the policy of iteration t - 1 is the current one, and that of t - 2 the previous one; before the
    first iteration pi_0 is all of them. To prompts outside of the iterations a policy speaks for every actor.

    >>> roles("iterative-iter1", "iter2"), roles("iterative-iter1", "iter3")
    ({'current'}, {'previous'})
    """
    iteration = re.fullmatch(r"iter(\d+)", prompts)
    if not iteration or (policy, prompts) == ("sft", "iter1"):
        return {"current", "previous", "epoch1"}
    if policy.endswith("-epoch1"):
        return {"epoch1"}
    made_in = 0 if policy == "sft" else int(policy.rpartition("-iter")[2])
    return {"previous"} if made_in == int(iteration[1]) - 2 else {"current"}


def responses_schema(skipped: Sequence[str]) -> pa.Schema:
    """The schema of a shard of responses, with the ids of the prompts it skips."""
    return tables.RESPONSES.columns.with_metadata({_SKIPPED: json.dumps(list(skipped))})


def skipped_prompts(responses: Path) -> list[str]:
    """The ids of the prompts that a shard of responses skips."""
    with tables.open_table(responses, tables.RESPONSES) as file:
        return json.loads((file.schema_arrow.metadata or {}).get(_SKIPPED, b"[]"))


@contextmanager
def joined(prompts: Path, responses: Sequence[Path], rewards: Sequence[Path]) -> Iterator["DuckDBPyConnection"]:
    """A database with the views `prompts` (with `position`), `responses`, `rewards` and the table `skipped`.

    Args:
        prompts: table of prompts; columns beyond the contract are in the view too.
        responses: all shards, in order; those of a policy lie in a folder of their own.
        rewards: the shards of rewards, in the same order.

    Raises:
        StudyError: a shard is missing, cut short, doubled or of other prompts; names file, prompt and what was found.
    """
    import duckdb

    for paths, contract in (([prompts], tables.PROMPTS), (responses, tables.RESPONSES), (rewards, tables.REWARDS)):
        for path in paths:
            tables.open_table(path, contract).close()
    skipped = [prompt_id for path in responses for prompt_id in skipped_prompts(path)]
    with duckdb.connect() as connection:
        positioned = connection.read_parquet([str(prompts)], file_row_number=True)
        positioned.project("* EXCLUDE file_row_number, file_row_number AS position").create_view("prompts")
        for name, paths in (("responses", responses), ("rewards", rewards)):
            connection.read_parquet([str(path) for path in paths], filename=True).create_view(name)
        shards = {"filename": list(map(str, responses)), "folder": [str(path.parent) for path in responses]}
        connection.register("shards", pa.table(shards))
        connection.register("skipped", pa.table({"prompt_id": pa.array(skipped, pa.string())}))
        query = (Path(__file__).parent / "sql" / "rollout_faults.sql").read_text()
        faults = connection.sql(query).to_arrow_table().to_pylist()
        if faults:
            raise StudyError(_explain(faults, responses))
        yield connection


def _explain(faults: list[dict], responses: Sequence[Path]) -> str:
    first = faults[0]
    shards = [path for path in responses if str(path.parent) == first["folder"]]
    file = first["file"] or shards[first["position"] % len(shards)]
    row = f"prompt_id {first['prompt_id']}"
    if first["actor"] is not None:
        row += f", actor {first['actor']}, k {first['k']}"
    same = sum(fault["fault"] == first["fault"] for fault in faults)
    return (
        f"{file}: {first['fault']}: {row}: found {first['found']}, expected {first['expected']} "
        f"(and {same - 1} more such). Delete the file and run the same target again: it will be rebuilt."
    )
