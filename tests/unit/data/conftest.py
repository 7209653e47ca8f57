"""Short ways to write raw files and standard pairs, and to find the real data that some tests use."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.provenance import ROOT
from scripts.common.seeds import short_digest
from scripts.data import select_prompts, standardise_instructions, standardise_preferences
from tests.unit.data import reference
from tests.unit.data.hub import Hub, serving


@pytest.fixture
def hh_file():
    """A file of HH-RLHF as published, which is not part of the project."""
    shared = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    file = shared / "hh_rlhf" / "harmless-base-test.jsonl.gz"
    if not file.is_file():
        pytest.skip(f"needs {file}; set SHARED_DATA to the folder that holds hh_rlhf/")
    return file


def standardise(folder, source, rows):
    """Standard pairs made of raw rows, and what the command counted."""
    raw, output = folder / "raw.parquet", folder / "standard.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=reference.LAYOUTS[source]), raw)
    facts = standardise_preferences.main(standardise_preferences.Args(raw, source, output))
    return tables.read_table(output, tables.STANDARD).to_pylist(), facts


def conversations(folder, raw, name):
    """The conversations that are made of a raw file of instructions."""
    output = folder / "instructions.parquet"
    standardise_instructions.main(standardise_instructions.Args((raw,), (name,), output, folder / "dropped.parquet"))
    return tables.read_table(output, tables.INSTRUCTIONS).to_pylist()


def prompt_sets(folder, raw, names, per_iteration, held_out=0, **changes):
    """Three iteration sets and one held out, drawn from collections; what the command counted, and the pool."""
    paths = [folder / f"{name}.parquet" for name in ("pool", "iter1", "iter2", "iter3", "length_bias", "held_out")]
    facts = select_prompts.main(
        select_prompts.Args(
            raw=tuple(raw),
            names=tuple(names),
            iterations=3,
            prompts_per_iteration=per_iteration,
            length_bias=held_out,
            validation=held_out // 2,
            test=held_out // 2,
            seed=42,
            pool=paths[0],
            iteration_outputs=tuple(paths[1:4]),
            length_bias_output=paths[4],
            held_out_output=paths[5],
            dropped=folder / "dropped.parquet",
            **changes,
        )
    )
    return facts, [tables.read_table(path, tables.PROMPTS) for path in paths]


def standard_pair(prompt="q", chosen="good", rejected="bad", scores=(None, None), defect=None, source="s"):
    """A row of standard pairs; a prompt is the user's words, or a list of messages."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    return {
        "pair_id": short_digest(source, messages, chosen, rejected),
        "source": source,
        "prompt_id": short_digest(messages),
        "prompt": messages,
        "chosen": chosen,
        "rejected": rejected,
        "chosen_score": scores[0],
        "rejected_score": scores[1],
        "defect": defect,
    }


def preference_pair(prompt, chosen="good", rejected="bad", source="s"):
    """A row of preference pairs of some tokens."""
    row = standard_pair(prompt, chosen, rejected, source=source)
    del row["defect"]
    return row | {"prompt_tokens": 1, "chosen_tokens": 2, "rejected_tokens": 3}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub without data sets, and an empty cache for what is fetched; processes started in a test see both."""
    from huggingface_hub import constants

    with serving(Hub()) as hub:
        # the tests of vLLM, which may run before in this process, keep it from the network
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets")
        monkeypatch.setattr("scripts.data.retrieve.PAUSE", 0.01)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        yield hub
