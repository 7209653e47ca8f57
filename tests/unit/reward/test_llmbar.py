"""Real rows of RewardBench: LLMBar's five sets are its llmbar subsets, from the published files to Table 1."""

import copy
import os
from pathlib import Path

import pytest

from scripts.common import tables
from scripts.common.provenance import ROOT
from scripts.report import tabulate_reward_models
from scripts.report.csv_tables import read_csv
from scripts.reward import score_pairs

pytest_plugins = ["tests.unit.engines_fixtures"]

DATA = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
ROWS = {
    "llmbar-natural": 100,
    "llmbar-adver-neighbor": 134,
    "llmbar-adver-GPTInst": 92,
    "llmbar-adver-GPTOut": 47,
    "llmbar-adver-manual": 46,
}


@pytest.fixture
def bench(tmp_path):
    """LLMBar in the schema of RewardBench; it is no part of the project."""
    import duckdb

    files = sorted(map(str, (DATA / "llmbar").glob("*.json")))
    if not files:
        pytest.skip(f"needs the published files in {DATA / 'llmbar'}; set SHARED_DATA to the folder that holds llmbar/")
    rows = duckdb.sql(Path(__file__).with_name("llmbar.sql").read_text(), params={"files": files}).to_arrow_table()
    tables.write_table(rows, tmp_path / "bench.parquet", tables.REWARD_BENCH)
    return tmp_path / "bench.parquet"


@pytest.fixture
def models(tmp_path, tokenizer, llama_config):
    """A reward model and a policy that take long texts; they know no word of English, so they are near chance."""
    import torch
    from transformers import LlamaForCausalLM, LlamaForSequenceClassification

    config = copy.deepcopy(llama_config)
    config.max_position_embeddings, config.num_labels = 4096, 1
    torch.manual_seed(0)
    folders = tmp_path / "reward", tmp_path / "policy"
    for folder, model in zip(folders, (LlamaForSequenceClassification, LlamaForCausalLM), strict=True):
        model(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folders


def test_from_the_published_files_to_table_1(bench, models, tmp_path):
    subsets = tables.read_table(bench, tables.REWARD_BENCH)["subset"].to_pylist()
    assert {subset: subsets.count(subset) for subset in subsets} == ROWS
    scores = tuple(tmp_path / f"{kind}.parquet" for kind in ("reward", "preference", "prompted"))
    for folder, output in zip((*models, models[1]), scores, strict=True):
        facts = score_pairs.main(score_pairs.Args(bench, "reward_bench", folder, output.stem, output))
        assert facts["pairs"] == sum(ROWS.values()) == 419
    outputs = [tmp_path / name for name in ("table.csv", "subsets.csv", "differences.csv", "table.md")]
    named = (("bt", "pairwise", "asked"), ("mix1", "mix2", "none"), ("BT", "Preference", "Prompting"))
    tabulate_reward_models.main(tabulate_reward_models.Args(*named, scores, *outputs))
    for row in read_csv(outputs[1], tabulate_reward_models.SUBSETS).to_dicts():
        assert (row["section"], row["n"], row["weight"]) == ("Chat Hard", ROWS[row["subset"]], ROWS[row["subset"]])
    found = read_csv(outputs[0], tabulate_reward_models.COLUMNS).to_dicts()
    assert [(row["model"], row["section"], row["n"], row["paper"]) for row in found] == [
        ("bt", "Chat Hard", 419, 0.555),
        ("pairwise", "Chat Hard", 419, 0.658),
        ("asked", "Chat Hard", 419, 0.443),
    ]
    for row in found:
        assert 0.25 < row["accuracy"] < 0.75  # nothing is learnt, and no side is favoured
