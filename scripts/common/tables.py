"""Table contracts: columns, types, what null means; stated once, checked when a table is written and when it is read.

A column is never null unless it is listed as nullable; what null means there is said beside it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scripts.common.errors import StudyError
from scripts.common.files import publish

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


@dataclass(frozen=True)
class Contract:
    """What a table holds. `columns` may hold more in a file than the contract names; never fewer."""

    name: str
    columns: pa.Schema
    nullable: frozenset[str] = frozenset()


def _contract(name: str, columns: Sequence[tuple[str, pa.DataType]], nullable: Iterable[str] = ()) -> Contract:
    return Contract(name, pa.schema(columns), frozenset(nullable))


_PAIR = [
    ("pair_id", pa.string()),  # digest of source, prompt and both responses
    ("source", pa.string()),
    ("prompt_id", pa.string()),  # digest of the prompt's messages
    ("prompt", MESSAGES),  # ends with the user's turn
    ("chosen", pa.string()),
    ("rejected", pa.string()),
    ("chosen_score", pa.float64()),  # null: the source has no scores
    ("rejected_score", pa.float64()),  # null: as above
]
_TOKENS = [("prompt_tokens", pa.int32()), ("chosen_tokens", pa.int32()), ("rejected_tokens", pa.int32())]
_SCORES = ("chosen_score", "rejected_score")

STANDARD = _contract(
    "standard pairs",
    [*_PAIR, ("defect", pa.string())],  # defect, null: the adapter found none; else why the filter must drop the row
    [*_SCORES, "defect", "prompt", "chosen", "rejected"],  # the text is null only where a defect explains it
)
TOKEN_COUNTS = _contract("token counts", [("pair_id", pa.string()), *_TOKENS])
PREFERENCES = _contract("preference pairs", [*_PAIR, *_TOKENS], _SCORES)
DROPPED = _contract(
    "dropped pairs",
    [*_PAIR, ("reason", pa.string())],
    [*_SCORES, "prompt", "chosen", "rejected"],  # null where that is the reason
)
MIX = _contract(
    "mix of pairs",
    [*_PAIR, *_TOKENS, ("split", pa.string())],  # split: train | held_out, by prompt
    _SCORES,
)
COMPARISONS = _contract(
    "comparisons",
    [
        ("pair_id", pa.string()),
        ("source", pa.string()),
        ("comparison", pa.string()),  # the instruction of a preference model: context and both responses
        ("label", pa.string()),  # A | B: the chosen response is the first | the second
        ("split", pa.string()),  # train | held_out, as in the mix
        ("tokens", pa.int32()),  # of the chat template with comparison and label
    ],
)
INSTRUCTIONS = _contract(
    "instructions", [("source", pa.string()), ("conversation_id", pa.string()), ("messages", MESSAGES)]
)
DROPPED_INSTRUCTIONS = _contract(
    "dropped instructions",
    [("source", pa.string()), ("conversation_id", pa.string()), ("messages", MESSAGES), ("reason", pa.string())],
    ["messages"],  # null where that is the reason
)
PROMPTS = _contract("prompts", [("prompt_id", pa.string()), ("source", pa.string()), ("prompt", MESSAGES)])
DROPPED_PROMPTS = _contract(
    "dropped prompts",
    [("prompt_id", pa.string()), ("source", pa.string()), ("prompt", MESSAGES), ("reason", pa.string())],
    ["prompt"],  # null where that is the reason
)
EVALUATION_PROMPTS = _contract("evaluation prompts", [("benchmark", pa.string()), ("prompt", pa.string())])
RESPONSES = _contract(
    "responses",
    [
        ("prompt_id", pa.string()),
        ("prompt", MESSAGES),
        ("actor", pa.int32()),  # index in the sampler's list of actors
        ("k", pa.int32()),  # 0 .. n-1 among the actor's responses
        ("temperature", pa.float64()),
        ("seed", pa.int64()),
        ("response", pa.string()),
        ("tokens", pa.int32()),  # of the response, the end token included
        ("finished", pa.bool_()),  # false: cut off at max_new_tokens
    ],
)
REWARDS = _contract(
    "rewards", [("prompt_id", pa.string()), ("actor", pa.int32()), ("k", pa.int32()), ("reward", pa.float64())]
)
ONLINE_PAIRS = _contract(
    "online pairs",
    [
        ("prompt_id", pa.string()),
        ("prompt", MESSAGES),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("chosen_actor", pa.int32()),  # index in the sampler's list of actors: whose policy and temperature it was
        ("rejected_actor", pa.int32()),
        ("chosen_reward", pa.float64()),  # of the reward model, before the length penalty
        ("rejected_reward", pa.float64()),
        ("margin", pa.float64()),  # after the length penalty; never negative
    ],
)
REWARD_BENCH = _contract(
    "RewardBench",
    [
        ("id", pa.int64()),
        ("subset", pa.string()),
        ("prompt", pa.string()),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
    ],
)
BENCH_SCORES = _contract(
    "RewardBench scores",
    [
        ("id", pa.int64()),
        ("subset", pa.string()),
        ("chosen_reward", pa.float64()),
        ("rejected_reward", pa.float64()),
    ],
)
HELD_OUT_SCORES = _contract(
    "held-out scores",
    [
        ("pair_id", pa.string()),
        ("source", pa.string()),
        ("chosen_reward", pa.float64()),
        ("rejected_reward", pa.float64()),
    ],
)
VERDICTS = _contract(
    "verdicts",  # in the tables of scores of judges that read both responses
    [
        ("chosen_as_a", pa.float64()),  # log-odds that the chosen response is better, read as A; null: no verdict
        ("chosen_as_b", pa.float64()),  # the same, read as B
    ],
    ["chosen_as_a", "chosen_as_b"],
)
MEASURES = _contract(
    "measured answers",
    [
        ("prompt_id", pa.string()),
        ("response", pa.string()),
        ("characters", pa.int32()),
        ("tokens", pa.int32()),
        ("finished", pa.bool_()),
        ("reward", pa.float64()),  # of evaluation.reward
        ("gold", pa.float64()),  # null: the study has no gold reward
        ("log_ratio", pa.float64()),  # log pi(response|prompt) - log pi_0(response|prompt), nats
    ],
    ["gold"],
)
QUESTIONS = _contract(
    "benchmark questions",
    [
        ("question_id", pa.string()),
        ("category", pa.string()),  # null: the benchmark has none
        ("turns", pa.list_(pa.string())),  # the user's messages, one after the other
        ("references", pa.list_(pa.string())),  # null: none are given; else a right answer for each turn
        ("baseline", pa.string()),  # null: answers are rated alone; else the answer that they are compared with
        ("baseline_model", pa.string()),  # null: as above
    ],
    ["category", "references", "baseline", "baseline_model"],
)
ANSWERS = _contract(
    "benchmark answers",
    [
        ("question_id", pa.string()),
        ("turn", pa.int32()),  # 1, 2, ..
        ("prompt", MESSAGES),  # all that was said before
        ("answer", pa.string()),  # null: the prompt is too long for the policy; shown as unanswered
        ("tokens", pa.int32()),
        ("finished", pa.bool_()),  # false: cut off at max_new_tokens
        ("temperature", pa.float64()),
        ("seed", pa.int64()),
    ],
    ["answer"],
)
_SAID = ("said", pa.string())  # null: a judge of few words; else what it answered
ANNOTATIONS = _contract(
    "AlpacaEval annotations",
    [
        ("question_id", pa.string()),
        ("instruction", pa.string()),
        ("output_1", pa.string()),  # of the baseline
        ("generator_1", pa.string()),
        ("output_2", pa.string()),  # of the policy
        ("generator_2", pa.string()),
        ("annotator", pa.string()),
        ("preference", pa.float64()),  # 1: the baseline's is better .. 2: the policy's is; null: no verdict
        _SAID,
    ],
    ["preference", "said"],
)
RATINGS = _contract(
    "MT-Bench ratings",
    [
        ("question_id", pa.string()),
        ("category", pa.string()),  # null: the benchmark has none
        ("turn", pa.int32()),
        ("judge", pa.string()),
        ("rating", pa.float64()),  # 1 .. 10; null: no verdict
        _SAID,
    ],
    ["category", "rating", "said"],
)
GAMES = _contract(
    "Arena-Hard games",
    [
        ("question_id", pa.string()),
        ("game", pa.int32()),  # 1: the baseline is A; 2: the policy is A
        ("judge", pa.string()),
        ("verdict", pa.string()),  # A>>B, A>B, A=B, B>A, B>>A; null: no verdict
        ("characters", pa.int32()),  # of the policy's answer
        _SAID,
    ],
    ["verdict", "said"],
)
REPLIES = _contract(
    "judge replies",
    [
        ("digest", pa.string()),  # of the request
        ("model", pa.string()),
        ("request", pa.string()),  # JSON: all that was sent, without the key
        ("text", pa.string()),
        ("arguments", pa.string()),  # null: no function was called; else JSON
        ("logprobs", pa.string()),  # null: not asked for; else JSON: first token -> log-probability, nats
        ("finish_reason", pa.string()),  # null: not said
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
    ],
    ["arguments", "logprobs", "finish_reason"],
)
MONITOR = _contract(
    "monitor",
    [
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("low", pa.float64()),  # of the 95% interval; null: the measure is one number for all prompts together
        ("high", pa.float64()),
        ("n", pa.int64()),  # validation prompts
    ],
    ["low", "high"],
)
CASE_STUDIES = _contract(
    "case studies",
    [
        ("prompt_id", pa.string()),
        ("prompt", MESSAGES),
        ("offline_response", pa.string()),
        ("online_response", pa.string()),
        ("offline_score", pa.float64()),  # of the study's judge
        ("online_score", pa.float64()),
        ("difference", pa.float64()),  # online - offline; never 0
    ],
)
ACADEMIC_SCORES = _contract(
    "academic scores",
    [
        ("task", pa.string()),
        ("metric", pa.string()),  # as the harness names it, the filter after a comma
        ("value", pa.float64()),  # a share of 1; null: not run
        ("stderr", pa.float64()),  # null: as above, or a single row (of MMLU: in one of the subjects)
        ("n", pa.int32()),
        ("shots", pa.int32()),
        ("chat_template", pa.bool_()),
        ("prompt", pa.string()),  # `default`: the definition's own
        ("truncated", pa.int32()),  # prompts that lost their beginning, for the model takes no more tokens
        ("not_run", pa.string()),  # why; null: it was run
    ],
    ["value", "stderr", "not_run"],
)
ACADEMIC_SAMPLES = _contract(
    "academic samples",
    [
        ("task", pa.string()),
        ("subset", pa.string()),  # the harness's task; of MMLU one a subject
        ("row", pa.int32()),  # within the subset
        ("prompt", pa.string()),  # the whole text that the model read
        ("target", pa.string()),
        ("response", pa.string()),  # generated, or the option found most likely
        ("score", pa.float64()),
        ("outcome", pa.string()),  # what became of a program; null: the answer is none
    ],
    ["outcome"],
)

REGRET = _contract(
    "regret",
    [
        ("coverage", pa.string()),
        ("method", pa.string()),  # who responded: a method of scripts/theory/simulate_regret.py
        ("batch", pa.int32()),  # m, pairs an iteration
        ("seed", pa.int32()),  # which world
        ("iteration", pa.int32()),  # batches learned from; 0: pi_0
        ("regret", pa.float64()),  # J(pi*) - J(pi), in units of reward
        ("divergence", pa.float64()),  # eta E KL(pi* || pi), which Theorem 1 adds
    ],
)


# --- reading ----------------------------------------------------------------------------------------------------------


def open_table(path: Path, contract: Contract) -> pq.ParquetFile:
    """Open a Parquet file and check it against its contract, by its footer alone.

    Raises:
        StudyError: the file is missing, cut short or no Parquet, or it breaks the contract.
    """
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file; expected a table of {contract.name}.") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(
            f"{path}: not a whole Parquet file ({str(error).splitlines()[0]}); expected a table of {contract.name}. "
            "Delete it and run the same target again: it will be rebuilt."
        ) from None
    _check(path, file, contract)
    return file


def read_table(path: Path, contract: Contract, columns: list[str] | None = None) -> pa.Table:
    """The whole table, or some of its columns; for what is larger than memory see `read_batches`."""
    with open_table(path, contract) as file:
        return _guarded(path, lambda: file.read(columns=columns or contract.columns.names))


def read_batches(path: Path, contract: Contract, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """The table, `rows` at a time."""
    with open_table(path, contract) as file:
        batches = file.iter_batches(batch_size=rows, columns=contract.columns.names)
        while (batch := _guarded(path, lambda: next(batches, None))) is not None:
            yield batch


def count_rows(path: Path, contract: Contract) -> int:
    with open_table(path, contract) as file:
        return file.metadata.num_rows


# --- writing ----------------------------------------------------------------------------------------------------------


def write_table(rows: pa.Table | list[dict], path: Path, contract: Contract) -> int:
    """Write a table, checked, atomically; returns the number of rows."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema=contract.columns)
    with checked(path, contract) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return table.num_rows


@contextmanager
def checked(path: Path, contract: Contract) -> Iterator[Path]:
    """A temporary path to write a Parquet file to (DuckDB's COPY, say); published when it keeps the contract."""
    with publish(path) as temporary:
        yield temporary
        open_table(temporary, contract).close()


def _check(path: Path, file: pq.ParquetFile, contract: Contract) -> None:
    schema = file.schema_arrow
    for column in contract.columns:
        if column.name not in schema.names:
            raise StudyError(
                f"{path}: no column '{column.name}'; {contract.name} hold {', '.join(contract.columns.names)}; "
                f"the file has {', '.join(schema.names)}."
            )
        found = schema.field(column.name).type
        if not _same_type(found, column.type):
            raise StudyError(f"{path}: column '{column.name}' is {found}; {contract.name} have {column.type} there.")
        if column.name not in contract.nullable and _nulls(file, column.name):
            raise StudyError(f"{path}: column '{column.name}' has null values; {contract.name} allow none there.")


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Equal types, where the large variants that Polars writes and the names of list items make no difference."""
    if pa.types.is_large_string(found) and pa.types.is_string(expected):
        return True
    if (pa.types.is_list(found) or pa.types.is_large_list(found)) and pa.types.is_list(expected):
        return _same_type(found.value_type, expected.value_type)
    if pa.types.is_struct(found) and pa.types.is_struct(expected):
        return [f.name for f in found] == [f.name for f in expected] and all(
            _same_type(found.field(i).type, expected.field(i).type) for i in range(expected.num_fields)
        )
    return found == expected


def _nulls(file: pq.ParquetFile, column: str) -> int:
    """Null values of a flat column, from the statistics in the footer (nested columns are not checked)."""
    total = 0
    index = next((i for i, c in enumerate(file.schema) if c.path == column), None)
    if index is None:
        return 0
    for group in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(group).column(index).statistics
        total += (statistics.null_count or 0) if statistics else 0
    return total


def _guarded(path: Path, read):
    try:
        return read()
    except (pa.ArrowInvalid, OSError) as error:
        raise StudyError(
            f"{path}: the file is damaged ({str(error).splitlines()[0]}). Delete it and run the same target again."
        ) from None
