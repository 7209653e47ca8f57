"""Evaluation prompts of every published layout, and real files of some where they are at hand."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT
from scripts.data import collect_evaluation_prompts, retrieve
from scripts.data.collect_evaluation_prompts import Args

SHARED = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))


def collected(folder, **raw):
    """(benchmark, prompt) of raw rows by benchmark, and what the command counted."""
    paths = {name: folder / f"{name}.parquet" for name in raw}
    for name, rows in raw.items():
        pq.write_table(pa.Table.from_pylist(rows), paths[name])
    output = folder / "evaluation_prompts.parquet"
    facts = collect_evaluation_prompts.main(Args(tuple(paths.values()), tuple(raw), output))
    rows = tables.read_table(output, tables.EVALUATION_PROMPTS).to_pylist()
    return [(row["benchmark"], row["prompt"]) for row in rows], facts


@pytest.mark.parametrize(
    ("row", "prompts"),
    [
        ({"prompt": "q", "chosen": "a", "rejected": "b", "subset": "s", "id": 1}, ["q"]),  # RewardBench
        ({"dataset": "helpful_base", "instruction": "q", "output": "a", "generator": "g"}, ["q"]),  # AlpacaEval
        ({"question_id": 81, "category": "writing", "turns": ["q", "then p"]}, ["q", "then p"]),  # MT-Bench
        ({"prompt": ["q", "then p"], "prompt_id": 81, "reference": []}, ["q", "then p"]),  # MT-Bench as the hub has it
        ({"question_id": "x", "cluster": "c", "turns": [{"content": "q"}]}, ["q"]),  # Arena-Hard v0.1
        ({"uid": "x", "category": "hard_prompt", "prompt": "q"}, ["q"]),  # Arena-Hard v2
        ({"question": "q", "answer": "#### 1"}, ["q"]),  # GSM8K
        ({"question": "q", "subject": "s", "choices": ["a", "b"], "answer": 1}, ["q"]),  # MMLU
        ({"question": "q", "mc1_targets": {"choices": ["a"], "labels": [1]}}, ["q"]),  # TruthfulQA
        ({"id": "x", "question": "q", "choices": {"text": ["a"], "label": ["A"]}}, ["q"]),  # ARC
        ({"task_id": "HumanEval/0", "prompt": "def f():", "test": "t"}, ["def f():"]),
        ({"task_id": 1, "text": "q", "code": "c", "test_list": ["t"]}, ["q"]),  # MBPP
    ],
)
def test_each_layout(tmp_path, row, prompts):
    assert collected(tmp_path, bench=[row])[0] == [("bench", prompt) for prompt in prompts]


def test_prompts_are_there_once_a_benchmark_and_blank_ones_not(tmp_path):
    rows = [{"question": "q"}, {"question": "q"}, {"question": " \n"}, {"question": None}, {"question": "p"}]
    found, facts = collected(tmp_path, one=rows, other=[{"prompt": "q"}])
    assert found == [("one", "p"), ("one", "q"), ("other", "q")]
    assert facts == {"prompts": 3, "one": 4, "other": 1}


def test_other_layouts_and_benchmarks_without_prompts_are_refused(tmp_path):
    with pytest.raises(StudyError, match=r"evaluation/turns.sql: there is no column 'turns' .*The file has asked"):
        collected(tmp_path, bench=[{"asked": "q"}])
    empty = pa.table({"question": pa.array([None], pa.string())}).to_pylist()
    with pytest.raises(StudyError, match=r"bench: .* holds no prompt|not in a layout"):
        collected(tmp_path, bench=empty)


@pytest.mark.parametrize(
    ("file", "prompts"),
    [
        ("mt_bench/question.jsonl", 160),
        ("gsm8k/test.jsonl.gz", 1319),
        ("alpaca_eval/alpaca-7b.annotations.json.gz", 805),
    ],
)
def test_real_benchmarks(tmp_path, file, prompts):
    if not (SHARED / file).is_file():
        pytest.skip(f"needs {SHARED / file}; set SHARED_DATA to the folder that holds it")
    raw, output = tmp_path / "raw.parquet", tmp_path / "evaluation_prompts.parquet"
    retrieve.main(retrieve.Args(raw, local=SHARED / file))
    facts = collect_evaluation_prompts.main(Args((raw,), ("bench",), output))
    assert facts["bench"] == prompts
    assert prompts - 5 <= facts["prompts"] <= prompts
