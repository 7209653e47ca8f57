"""The data plane as it is usually written: `datasets.map` and `filter` with plain Python functions, in two processes.

Standardises, filters and counts as `scripts.data` does by SQL, with the same identities and reasons, so that
`benchmarks.data_plane` can compare time and result. The functions are those that the tests hold the SQL against.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.unit.data import reference

NGRAM, OVERLAP = 8, 0.5
Row = dict[str, Any]


def md5(text: str | None) -> str:
    return "null" if text is None else hashlib.md5(text.encode()).hexdigest()


def standard(columns: dict[str, list], source: str) -> dict[str, list]:
    """Standard pairs of a batch of raw rows, which holds all rows of each prompt."""
    return by_column(identified(pair, source) for pair in reference.ADAPTERS[source](by_row(columns)))


def standard_groups(columns: dict[str, list], source: str) -> dict[str, list]:
    """The same where a row is the list of all raw rows of one prompt."""
    rows = (row for group in columns["rows"] for row in group)
    return by_column(identified(pair, source) for pair in reference.ADAPTERS[source](rows))


def identified(pair: Row, source: str) -> Row:
    prompt = json.dumps(pair["prompt"], separators=(",", ":"), ensure_ascii=False)
    prompt_id = hashlib.sha256(prompt.encode()).hexdigest()[:16]
    return {
        "pair_id": md5(f"{source} {prompt_id} {md5(pair['chosen'])} {md5(pair['rejected'])}")[:16],
        "source": source,
        "prompt_id": prompt_id,
        **pair,
    }


def judged(pair: Row, evaluation: dict[tuple[str, ...], list[int]], sizes: list[int], limits: Row) -> Row:
    """The tokens of a pair, the reason why it must go, and the key that its duplicates share."""
    tokens = {f"{side}_tokens": estimated_tokens(pair[side]) for side in ("prompt", "chosen", "rejected")}
    margin = None if pair["chosen_score"] is None else pair["chosen_score"] - pair["rejected_score"]
    texts = [*(turn["content"] for turn in pair["prompt"]), pair["chosen"], pair["rejected"]]
    reason = pair["defect"]
    if reason is None:
        if any(not text.strip() for text in texts):
            reason = "empty_round"
        elif pair["chosen"].strip() == pair["rejected"].strip():
            reason = "same_response"
        elif tokens["prompt_tokens"] + max(tokens["chosen_tokens"], tokens["rejected_tokens"]) > limits["max_tokens"]:
            reason = "too_long"
        elif margin is not None and margin < limits["minimum_margin"] - 1e-9:
            reason = "small_margin"
        elif contaminated(pair["prompt"], evaluation, sizes):
            reason = "contaminated"
    squeezed = [f"{turn['role']}:{''.join(turn['content'].lower().split())}" for turn in pair["prompt"]]
    squeezed += ["".join(text.lower().split()) for text in (pair["chosen"], pair["rejected"])]
    return {**tokens, "reason": reason, "key": hashlib.md5("\0".join(squeezed).encode()).hexdigest()}


def estimated_tokens(text: str | list[Row]) -> int:
    """Characters by four: counting tokens is measured apart."""
    return (len(text) if isinstance(text, str) else sum(len(turn["content"]) for turn in text)) // 4


def contaminated(prompt: list[Row], evaluation: dict[tuple[str, ...], list[int]], sizes: list[int]) -> bool:
    shared: Counter[int] = Counter()
    for gram in {gram for turn in prompt if turn["role"] == "user" for gram in grams(turn["content"])}:
        shared.update(evaluation.get(gram, ()))
    return any(n >= OVERLAP * sizes[i] for i, n in shared.items())


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[i : i + NGRAM]) for i in range(max(len(words) - NGRAM + 1, 1 if words else 0))}


def run(folder: Path, output: Path, sources: Iterable[str], limits: dict[str, Row], processes: int) -> dict[str, Row]:
    """Write `{source}.kept.parquet` and `.dropped.parquet`; returns Table 5 and the filter's counts of each source."""
    import datasets
    import pyarrow.parquet as pq

    datasets.disable_progress_bars()
    prompts = pq.read_table(folder / "evaluation_prompts.parquet")["prompt"].to_pylist()
    held = [grams(prompt) for prompt in prompts]
    evaluation: dict[tuple[str, ...], list[int]] = {}
    for i, found in enumerate(held):
        for gram in found:
            evaluation.setdefault(gram, []).append(i)
    sizes = [len(found) for found in held]
    return {
        source: _run_source(
            folder,
            output,
            source,
            processes,
            partial(judged, evaluation=evaluation, sizes=sizes, limits=limits[source]),
        )
        for source in sources
    }


def _run_source(folder: Path, output: Path, source: str, processes: int, judge: Callable[[Row], Row]) -> Row:
    import datasets

    raw = datasets.Dataset.from_parquet(str(folder / f"{source}.parquet"), cache_dir=str(output / "cache"))
    group = {"shp": "history", "helpsteer": "prompt"}.get(source)
    make = standard
    if group:
        raw = datasets.Dataset.from_generator(
            _groups, gen_kwargs={"raw": raw, "group": group}, cache_dir=str(output / "cache")
        )
        make = standard_groups
    options = {"num_proc": processes, "batched": True, "batch_size": 500}
    pairs = raw.map(partial(make, source=source), remove_columns=raw.column_names, features=features(), **options)
    pairs = pairs.map(judge, num_proc=processes)
    names = ["pair_id"] if pairs["chosen_score"][0] is None else ["pair_id", "chosen_score", "rejected_score"]
    keys = list(zip(*(pairs[name] for name in names), strict=True))
    reasons, texts, seen = list(pairs["reason"]), list(pairs["key"]), set()
    for i in sorted(range(len(pairs)), key=keys.__getitem__):  # the first of equal pairs stays
        if reasons[i] is None:
            if texts[i] in seen:
                reasons[i] = "duplicate"
            seen.add(texts[i])
    pairs = pairs.remove_columns(["reason", "key", "defect"]).add_column("reason", reasons)
    kept = pairs.filter(lambda reason: reason is None, input_columns="reason", num_proc=processes)
    dropped = pairs.filter(lambda reason: reason is not None, input_columns="reason", num_proc=processes)
    tokens = ["prompt_tokens", "chosen_tokens", "rejected_tokens"]
    kept.remove_columns("reason").to_parquet(output / f"{source}.kept.parquet")
    dropped.remove_columns(tokens).to_parquet(output / f"{source}.dropped.parquet")
    table5 = {name: round(sum(kept[name]) / len(kept), 1) for name in tokens}
    table5 |= {"prompts": len(set(kept["prompt_id"])), "pairs": len(kept)}
    return {"table5": table5, "reasons": dict(Counter(reason or "kept" for reason in reasons))}


def _groups(raw: Any, group: str) -> Iterator[Row]:
    """All rows of each prompt as one."""
    members: dict[str, list[int]] = {}
    for i, prompt in enumerate(raw[group]):
        members.setdefault(prompt, []).append(i)
    for found in members.values():
        yield {"rows": by_row(raw[found])}


def features() -> Any:
    from datasets import Features, Value

    text, number = Value("string"), Value("float64")
    return Features(
        dict.fromkeys(("pair_id", "source", "prompt_id"), text)
        | {"prompt": [{"role": text, "content": text}], "chosen": text, "rejected": text}
        | {"chosen_score": number, "rejected_score": number, "defect": text}
    )


def by_row(columns: dict[str, list]) -> list[Row]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def by_column(rows: Iterable[Row]) -> dict[str, list]:
    rows = list(rows)
    return {name: [row[name] for row in rows] for name in features()}
