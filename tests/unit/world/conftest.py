"""A world of the demo's size, made once for all tests of this folder, and a reader for its files."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from scripts.common.config import Optimisation, World
from scripts.world import generate_world

PAIRS = {
    "hh_rlhf": 2200,
    "ultrafeedback": 1700,
    "helpsteer": 500,
    "pku_saferlhf": 1400,
    "ultrainteract": 2200,
    "nectar": 1800,
    "shp": 500,
    "summarisation": 600,
    "code_ultrafeedback": 300,
    "argilla_math": 150,
    "distilabel_orca": 200,
    "distilabel_capybara": 200,
}
Read = Callable[[str], list[dict[str, Any]]]


def world_section(**changes: Any) -> World:
    values = {
        "pretraining_documents": 12_000,
        "instructions": 2_400,
        "prompts": 2_600,
        "pairs": PAIRS,
        "reward_bench": 100,
        "chat_questions": {"alpaca_eval": 120, "mt_bench": 40, "arena_hard": 60},
        "length_bias": {"fact": 1.2, "list": 1.2, "math": 0.7, "safe": 0.7},
        "label_noise": 0.06,
        "optimisation": Optimisation(learning_rate=2e-3, global_batch=16, max_tokens=256),
    }
    return World(**{**values, **changes})


@pytest.fixture(scope="session")
def demo_world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    generate_world.main(generate_world.Args(output=folder, world=world_section(), seed=1))
    return folder


@pytest.fixture(scope="session")
def read(demo_world) -> Read:
    def read(name: str) -> list[dict[str, Any]]:
        path = demo_world / name
        if path.suffix == ".parquet":
            return pq.read_table(path).to_pylist()
        with gzip.open(path, "rt") as lines:
            return [json.loads(line) for line in lines]

    return read
