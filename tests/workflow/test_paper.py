"""The paper's study without its hardware: what would run, from local copies alone; and in miniature, to its end."""

import json

import polars as pl
import pytest

from tests.unit.chat_server import serve
from tests.workflow import miniature
from tests.workflow.study import Study

pytestmark = pytest.mark.workflow


@pytest.mark.slow  # about 260 jobs, 1,000 CPU seconds
def test_the_papers_study_in_miniature_runs_to_its_end(tmp_path):
    with serve() as judge:
        judge.logprobs = {"M": -0.05, "m": -3.0}
        ranking = json.dumps({"ordered_models": [{"model": "M", "rank": 1}, {"model": "m", "rank": 2}]})
        judge.answer = lambda body: {
            "content": "[[A>B]], or in points: [[7]]",
            "tool_calls": [{"function": {"arguments": ranking}}],
        }
        study = Study(tmp_path, (miniature.PAPER, miniature.plant(tmp_path, 100, judge.url)), "paper")
        done = study.snakemake("--keep-going", OPENAI_API_KEY="sk-planted", HF_HUB_OFFLINE="1")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    assert study.planned() == []  # every table, every figure, the page
    assert {body["model"] for body in judge.seen} == {"gpt-4-1106-preview", "gpt-4"}

    tables = study.results / "tables"
    assert [path.name for path in tables.glob("*.csv") if pl.read_csv(path, infer_schema_length=None).is_empty()] == []
    chat = pl.read_csv(tables / "table2_chat.csv", infer_schema_length=None).filter(pl.col("policy").is_not_null())
    trained = {"sft", "iterative-iter1", "iterative-iter2", "concise-iter1", "ultrarm-iter1", "offline-iter1"}
    assert set(chat["policy"]) == trained | {"gemma_7b_it", "zephyr_7b_beta", "llama_3_8b_it"}
    for column in ("lc_alpaca_eval", "alpaca_eval", "mt_bench", "arena_hard"):
        assert chat[column].null_count() == 0
    assert set(pl.read_csv(tables / "table1_reward_models.csv")["model"]) >= {"prompted", "mix1", "mix2", "ultrarm"}
    two_ranks = json.loads((study.results / "models/preference/pairwise/manifest.json").read_text())
    assert two_ranks["facts"]["processes"] == 2
