"""What a judge has answered, kept by the digest of what it was asked: a rerun asks nothing twice, a kill loses nothing.

A folder of Parquet files (table contract: judge replies). While a job runs, each answer is appended to a journal beside
them as it arrives; when the job ends, the journal becomes one more Parquet file. A journal that a killed job left is
taken in by the next one: a lock tells it from the journal of a job that lives.
"""

import fcntl
import hashlib
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from scripts.common import tables
from scripts.common.files import remove


@dataclass(frozen=True)
class Reply:
    """What a model answered to one request."""

    text: str
    arguments: str | None = None  # of the function that it was told to call, as JSON text
    logprobs: dict[str, float] | None = None  # of the likeliest first tokens, where they were asked for
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    refused: str | None = None  # why the endpoint would not take this request; such a reply is never kept


def digest(request: str) -> str:
    """The identity of a request's body: all that decides the answer, and nothing of where it is asked."""
    return hashlib.sha256(request.encode()).hexdigest()


class ReplyCache:
    """`get` what is known, `put` what arrives; several jobs may share a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Reply] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for journal in sorted(self._folder.glob("*.jsonl")):
            self._take_in(journal)
        for part in sorted(self._folder.glob("*.parquet")):
            for row in tables.read_table(part, tables.REPLIES).to_pylist():
                self._known[row["digest"]] = _reply(row)
        self._journal = self._folder / f"{uuid.uuid4().hex}.jsonl"
        self._handle = self._journal.open("a")
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._handle.close()
        self._take_in(self._journal)

    def get(self, key: str) -> Reply | None:
        return self._known.get(key)

    def put(self, key: str, model: str, request: str, reply: Reply) -> None:
        row = {"digest": key, "model": model, "request": request, **vars(reply)}
        del row["refused"]
        row["logprobs"] = None if reply.logprobs is None else json.dumps(reply.logprobs)
        self._handle.write(json.dumps(row) + "\n")
        self._handle.flush()  # to the system, which outlives this process
        self._known[key] = reply

    def _take_in(self, journal: Path) -> None:
        """Turn a journal that nobody writes to into a Parquet file; a line cut short by a kill is left out."""
        try:
            handle = journal.open()
        except FileNotFoundError:  # another job has just taken it in
            return
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            rows = [row for row in map(_parsed, handle) if row]
            if rows:
                tables.write_table(rows, journal.with_suffix(".parquet"), tables.REPLIES)
            remove(journal)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _reply(row: dict[str, Any]) -> Reply:
    logprobs = None if row["logprobs"] is None else json.loads(row["logprobs"])
    names = ("text", "arguments", "finish_reason", "prompt_tokens", "completion_tokens")
    return Reply(**{name: row[name] for name in names}, logprobs=logprobs)
