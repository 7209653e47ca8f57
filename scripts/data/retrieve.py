"""Retrieve a data set as published into one Parquet file: from the hub at a pinned revision, or from a copy on disk.

A copy is a file or a folder of files: JSON Lines or JSON (.jsonl, .json, also .gz), Parquet, or CSV. Rows, their order
and all columns stay as they are; text stays text, also where it looks like a date. Nothing is loaded whole.

    python -m scripts.data.retrieve --hub Anthropic/hh-rlhf --revision 09be8c5bbc57cb3887f3a9732ad6aa7ec602a1fa \\
        --split train --output results/paper/data/raw/preferences/hh_rlhf.parquet
    python -m scripts.data.retrieve --local harmless-base-test.jsonl.gz \\
        --output results/real/data/raw/preferences/hh_rlhf.parquet
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.files import publish
from scripts.data.database import COPY_OPTIONS, connect, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from duckdb.sqltypes import DuckDBPyType

PAUSE = 2  # seconds before a failed download is tried again; then twice, four times as many
LARGEST_ROW = 64 * 2**20  # bytes of one JSON object; DuckDB keeps two such buffers a thread
TEXT_TYPES = {"date", "time", "time with time zone", "timestamp", "timestamp with time zone", "uuid"}
KINDS = {
    ".jsonl": "json", ".jsonl.gz": "json", ".json": "json", ".json.gz": "json",
    ".parquet": "parquet",
    ".csv": "csv", ".csv.gz": "csv",
}  # fmt: skip


@dataclass(frozen=True)
class Args:
    output: Output
    """The data set as one Parquet file."""
    hub: str | None = None
    """Hub id, e.g. Anthropic/hh-rlhf."""
    revision: str | None = None
    """Commit or tag on the hub."""
    subset: str | None = None
    """Configuration of the hub data set, or a folder of it (a pattern names several)."""
    files: str | None = None
    """Data files of the hub data set, a pattern; only these are fetched."""
    split: str = "train"
    """Split of the hub data set."""
    local: Input | None = None
    """A copy on disk, instead of the hub."""


def main(args: Args) -> dict:
    if (args.hub is None) == (args.local is None):
        raise StudyError("give exactly one of --hub and --local.")
    with publish(args.output) as temporary:
        facts = {"rows": copy_local(args.local, temporary)} if args.local else copy_hub(args, temporary)
        if not facts["rows"]:
            raise StudyError(f"{args.local or args.hub}: holds no rows.")
    return facts | {"bytes": args.output.stat().st_size}


# --- a copy on disk ---------------------------------------------------------------------------------------------------


def copy_local(where: Path, target: Path) -> int:
    """Write a file, or the files of a folder in the order of their names, as Parquet; returns the number of rows.

    Raises:
        StudyError: a file is missing, empty, cut short, not UTF-8, or malformed; names the file and the line.
    """
    import duckdb

    files, kind = find_files(where)
    with connect() as connection:
        try:
            reader = READERS[kind](connection, [str(file) for file in files])
            copy = f"COPY (FROM {reader}) TO '{quoted(target)}' {COPY_OPTIONS}"
            return connection.execute(copy).fetchone()[0]
        except duckdb.Error as error:
            raise StudyError(_diagnosis(files, kind, error)) from None


def find_files(where: Path) -> tuple[list[Path], str]:
    """The files of a local copy and what they are: json, parquet or csv."""
    if not where.exists():
        raise StudyError(f"{where}: there is no such file or folder. Set the 'local' path of the source in the study.")
    files = sorted(where.iterdir()) if where.is_dir() else [where]
    files = [file for file in files if where.is_file() or (_kind(file) and not file.name.startswith("."))]
    kinds = {_kind(file) for file in files}
    if len(kinds) != 1 or None in kinds:
        names = ", ".join(file.name for file in files) or "no such file"
        raise StudyError(f"{where}: expected files of one kind among {', '.join(KINDS)}; found {names}.")
    for file in files:
        if file.stat().st_size == 0:
            raise StudyError(f"{file}: the file is empty. Copy or download it again.")
    return files, kinds.pop()


def _kind(file: Path) -> str | None:
    return next((kind for ending, kind in KINDS.items() if file.name.lower().endswith(ending)), None)


def _json_reader(connection: "DuckDBPyConnection", files: list[str]) -> str:
    """The table function that reads JSON: the first pass finds every row's columns, the second reads them."""
    options = f"maximum_object_size={LARGEST_ROW}, union_by_name=true, map_inference_threshold=-1"
    sniffed = connection.sql(
        f"FROM read_json({_listed(files)}, {options}, sample_size=-1, field_appearance_threshold=0)"
    )
    if sniffed.columns == ["json"] and sniffed.limit(1).fetchall():  # what DuckDB calls values that are not all objects
        raise StudyError(f"{', '.join(files)}: expected JSON objects, one a row; some rows are other values.")
    columns = {name: as_text(kind) for name, kind in zip(sniffed.columns, sniffed.types, strict=True)}
    listed = ", ".join(f"'{_escaped(name)}': '{_escaped(kind)}'" for name, kind in columns.items())
    return f"read_json({_listed(files)}, {options}, columns={{{listed}}})"


def _parquet_reader(connection: "DuckDBPyConnection", files: list[str]) -> str:
    return f"read_parquet({_listed(files)}, union_by_name=true)"


def _csv_reader(connection: "DuckDBPyConnection", files: list[str]) -> str:
    quoting = "header=true, delim=',', quote='\"', escape='\"', strict_mode=true"
    types = "sample_size=-1, auto_type_candidates=['BOOLEAN', 'BIGINT', 'DOUBLE', 'VARCHAR']"
    return f"read_csv({_listed(files)}, {quoting}, {types}, union_by_name=true)"


READERS = {"json": _json_reader, "parquet": _parquet_reader, "csv": _csv_reader}


def as_text(kind: "DuckDBPyType") -> str:
    """A type in SQL, where the dates, times and UUIDs that DuckDB sees in text become text again."""
    if kind.id == "list":
        return f"{as_text(kind.children[0][1])}[]"
    if kind.id == "struct":
        fields = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {as_text(child)}' for name, child in kind.children)
        return f"STRUCT({fields})"
    return "VARCHAR" if kind.id in TEXT_TYPES else str(kind)


def _listed(files: list[str]) -> str:
    return "[" + ", ".join(f"'{_escaped(file)}'" for file in files) + "]"


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def _diagnosis(files: list[Path], kind: str, error: Exception) -> str:
    """Which file can't be read, and for JSON Lines which line; DuckDB's own line numbers are not exact."""
    for file in files:
        if kind == "json" and ".jsonl" in file.name.lower() and (problem := _first_bad_line(file)):
            return f"{file}: {problem} Repair the file, or copy or download it again."
    named = next((file for file in files if str(file) in str(error)), files[0])
    return f"{named}: can't be read as {kind}: {str(error).splitlines()[0].rstrip('.')}. Copy or download it again."


def _first_bad_line(file: Path) -> str | None:
    """What is wrong with the first line of a JSON Lines file that can't be read; nothing when all can."""
    import gzip
    import zlib

    opened = gzip.open if file.name.lower().endswith(".gz") else open
    read = 0
    try:
        with opened(file, "rb") as lines:
            for line in lines:
                if line.strip():
                    json.loads(line.decode())
                read += 1
    except UnicodeDecodeError as error:
        return f"line {read + 1} is not UTF-8 at byte {error.start + 1}."
    except json.JSONDecodeError as error:
        return f"line {read + 1} is not JSON at character {error.pos + 1} ({error.msg})."
    except (EOFError, OSError, zlib.error) as error:
        return f"the compressed data ends or breaks after line {read} ({error})."
    return None


# --- the hub ----------------------------------------------------------------------------------------------------------


def copy_hub(args: Args, target: Path) -> dict[str, Any]:
    """Write a split of a hub data set as Parquet; returns the rows and the commit that they come from.

    The repository's snapshot is fetched into the hub's cache first, where complete files are kept and broken ones
    resumed; without a network (HF_HUB_OFFLINE=1) that of an earlier call is taken. `datasets` then reads the folder.

    Raises:
        StudyError: the data set, revision or split does not exist, needs a licence to be accepted, or can't be reached;
            or a file of it is damaged.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError
    from pyarrow import ArrowInvalid

    snapshot = download(args.hub, args.revision, args.files)
    try:
        try:
            data = load_dataset(str(snapshot), name=args.subset, data_files=args.files, split=args.split)
        except ValueError as error:
            if args.subset is None or "BuilderConfig" not in str(error):
                raise
            data = load_dataset(str(snapshot), data_dir=args.subset, split=args.split)  # a folder, no configuration
    except (DatasetGenerationError, ArrowInvalid) as error:
        raise StudyError(f"{args.hub} at {snapshot.name}: {explain_files(snapshot, error, target)}") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise StudyError(
            f"{args.hub} at {snapshot.name}: was fetched but can't be read ({_first_line(error)}). Are 'subset' "
            f"({args.subset}), 'files' ({args.files}) and 'split' ({args.split}) those that {page(args.hub)} names?"
        ) from None
    data.to_parquet(target)
    return {"rows": data.num_rows, "hub": args.hub, "commit": snapshot.name}


def explain_files(snapshot: Path, error: Exception, scratch: Path) -> str:
    """Which file of a snapshot is damaged, where `datasets` says only that one is; its words where each can be read.

    Args:
        scratch: a file that may be written to.
    """
    files = [file for file in sorted(snapshot.rglob("*")) if _kind(file)]
    for file in files:
        try:
            copy_local(file, scratch)
        except StudyError as damage:
            return str(damage)
    said = " ".join(str(error.__cause__ or error).split())
    return f"{', '.join(file.name for file in files)}: do not go together, or hold what can't be read ({said})."


def download(hub: str, revision: str | None, files: str | None = None) -> Path:
    """The snapshot of a hub data set as a folder named after its commit; failures of the network are tried again.

    Args:
        files: pattern of the data files; all files of the repository where it is not given.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

    @retry(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(1 if os.environ.get("HF_HUB_OFFLINE") == "1" else 5),
        wait=wait_exponential(multiplier=PAUSE, max=60),
        reraise=True,
    )
    def fetch() -> str:
        wanted = [files, "README.md"] if files else None
        return snapshot_download(hub, repo_type="dataset", revision=revision, allow_patterns=wanted)

    try:
        return Path(fetch())
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise StudyError(explain_hub(hub, revision, error)) from error


def is_transient(error: BaseException) -> bool:
    """Whether to ask again: a connection that broke, a server that is busy or failed, or what was caused by that."""
    import httpx

    status = getattr(getattr(error, "response", None), "status_code", None)
    broken = isinstance(error, (ConnectionError, TimeoutError, httpx.TransportError))
    caused = error.__cause__ is not None and is_transient(error.__cause__)
    return broken or status in (429, 500, 502, 503, 504) or caused


def page(hub: str) -> str:
    return f"https://huggingface.co/datasets/{hub}"


def explain_hub(hub: str, revision: str | None, error: Exception) -> str:
    """What a failed download means and what to do, in one line."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    at = f" at revision {revision}" if revision else ""
    if isinstance(error, GatedRepoError):
        return (
            f"{hub}: the data set is gated. Accept its terms on {page(hub)}, then set HF_TOKEN to a token of that "
            "account (https://huggingface.co/settings/tokens; it needs read access to gated repositories)."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{hub}: has no revision '{revision}'. {page(hub)}/commits/main lists all; `make pin` writes the newest."
    if isinstance(error, RepositoryNotFoundError):
        return f"{hub}: there is no such data set, or it is private and HF_TOKEN gives no right to read it."
    return (
        f"{hub}{at}: can't be retrieved ({_first_line(error)}). What has arrived is kept: run the same command again. "
        "Without a network (HF_HUB_OFFLINE=1) it must be in the cache already, or 'local' must name a copy."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


if __name__ == "__main__":
    command.run(main, Args)
