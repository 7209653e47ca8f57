"""Real preference pairs, as published, from the raw file to a reward model's accuracy: `make real`."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.study import ROOT, Study

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared/data"))
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "hh_rlhf/harmless-base-test.jsonl.gz").exists(),
        reason=f"{DATA}/hh_rlhf/harmless-base-test.jsonl.gz is not there (SHARED_DATA names another folder)",
    ),
]


def test_real_pairs_go_from_raw_to_held_out_accuracy(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA", str(DATA.resolve()))
    study = Study(tmp_path, (ROOT / "config/real.yaml",), "real")
    study = study.with_changes("data: {mixes: {harmless: {cap: 400}}}")  # the whole file is `make real`'s
    study.build()

    kept = pl.read_parquet(study.results / "data/preferences/hh_rlhf.parquet")
    dropped = pl.read_parquet(study.results / "data/dropped/hh_rlhf.parquet")
    assert kept.height + dropped.height == 2312  # no pair of the published file is lost
    assert dropped["reason"].null_count() == 0
    assert dropped.height < 0.1 * 2312

    table5 = pl.read_csv(study.results / "tables/table5_preference_data.csv")
    assert table5["pairs"].to_list() == [kept.height]

    accuracy = pl.read_csv(study.results / "tables/reward_models_held_out.csv").filter(pl.col("source") == "all")
    manifest = json.loads((study.results / "models/reward/harmless/manifest.json").read_text())
    assert accuracy["n"].item() + manifest["facts"]["examples"] <= 400
    assert 0 < accuracy["low"].item() <= accuracy["accuracy"].item() <= accuracy["high"].item() < 1
    assert accuracy["n"].item() > 40
    assert manifest["facts"]["mean_loss"] < 0.75
