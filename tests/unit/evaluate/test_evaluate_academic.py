"""Academic benchmarks through the real harness with a tiny model: shots, templates and metrics are Table 6's."""

import copy
import math
import os
import random
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import lm_eval.tasks
import pyarrow.parquet as pq
import pytest
import yaml

from scripts.common import config, tables
from scripts.common.errors import StudyError
from scripts.data.retrieve import Args as Retrieve
from scripts.data.retrieve import main as retrieve
from scripts.evaluate import evaluate_academic, sandbox
from scripts.evaluate.academic_tasks import CODE, AcademicTask, check_rows, load_group, program, task_manager
from scripts.world.academic import benchmarks
from scripts.world.generate_world import _write
from tests.unit.engines_fixtures import save_policy

pytest_plugins = ["tests.unit.engines_fixtures"]

ROOT = Path(__file__).resolve().parents[3]
REAL = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data")) / "gsm8k" / "test.jsonl.gz"
TABLE6 = {"gsm8k": 8, "mmlu": 5, "humaneval": 0, "truthfulqa": 0, "arc": 25, "mbpp": 0}
N = 6


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    """Every benchmark of the miniature world, retrieved as the pipeline does it; enough examples for 25 shots."""
    folder = tmp_path_factory.mktemp("rows")
    content = benchmarks(N, random.Random(3))
    content["arc_examples"] = (content["arc_examples"] * 2)[:25]
    for name, lines in content.items():
        _write(folder / f"{name}.jsonl.gz", lines)
        retrieve(Retrieve(folder / f"{name}.parquet", local=folder / f"{name}.jsonl.gz"))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer, llama_config) -> Path:
    """It takes prompts of 25 examples."""
    longer = copy.deepcopy(llama_config)
    longer.max_position_embeddings = 2048
    return save_policy(tmp_path_factory.mktemp("models") / "longer", tokenizer, longer, seed=0)


def arguments(rows: Path, model: Path, tasks: dict[str, config.AcademicTask], output: Path, **more):
    listed = list(tasks.values())
    return evaluate_academic.Args(
        policy=model,
        tasks=tuple(tasks),
        rows=tuple(rows / f"{name}.parquet" for name in tasks),
        examples=tuple(rows / f"{name}_examples.parquet" for name, task in tasks.items() if task.shots),
        shots=tuple(task.shots for task in listed),
        metrics=tuple(task.metric for task in listed),
        chat_templates=tuple(task.chat_template for task in listed),
        prompts=tuple(task.prompt for task in listed),
        max_new_tokens=tuple(task.max_new_tokens for task in listed),
        scores=output / "scores.parquet",
        samples=output / "samples.parquet",
        dtype="float32",
        **{"engine": "transformers", **more},
    )


def results(args) -> tuple[dict[str, dict], dict[str, list[dict]]]:
    scores = {row["task"]: row for row in tables.read_table(args.scores, tables.ACADEMIC_SCORES).to_pylist()}
    samples = defaultdict(list)
    for row in tables.read_table(args.samples, tables.ACADEMIC_SAMPLES).to_pylist():
        samples[row["task"]].append(row)
    return scores, samples


def study(name: str) -> dict[str, config.AcademicTask]:
    return config.load(yaml.safe_load((ROOT / "config" / name).read_text())).evaluation.academic.tasks


@pytest.fixture(scope="module")
def paper(rows, model, tmp_path_factory):
    """The benchmarks as the paper's study has them, short answers apart, with programs run."""
    tasks = {
        name: task.model_copy(update={"max_new_tokens": 8 if name in ("gsm8k", *CODE) else 0})
        for name, task in study("paper.yaml").items()
    }
    args = arguments(rows, model, tasks, tmp_path_factory.mktemp("paper"), execute_generated_code=True)
    return evaluate_academic.main(args), *results(args)


def test_the_papers_study_has_the_shots_of_table6():
    assert {name: task.shots for name, task in study("paper.yaml").items()} == TABLE6


def test_prompts_hold_the_shots_and_the_harness_templates(paper):
    _, scores, samples = paper
    question = r"^Question: .*\nAnswer:"
    marks = {"gsm8k": question, "mmlu": r"\nA\. .*\nB\. .*\nC\. .*\nD\. .*\nAnswer:", "arc": question}
    for name, mark in marks.items():
        for sample in samples[name]:
            assert len(re.findall(mark, sample["prompt"], flags=re.MULTILINE)) == TABLE6[name] + 1
            assert sample["prompt"].endswith("Answer:")
    assert all("about" in sample["prompt"].split("\n")[0] for sample in samples["mmlu"])  # the subject, once
    assert all(sample["prompt"].startswith("def ") for sample in samples["humaneval"])
    assert all(
        re.search(r"task: Write a function.*\n(\nassert.*){3}\n\[BEGIN\]\n?$", s["prompt"]) for s in samples["mbpp"]
    )
    assert all(sample["prompt"].startswith("Q: ") for sample in samples["truthfulqa"])
    assert not any("<user>" in sample["prompt"] for content in samples.values() for sample in content)
    assert {name: score["shots"] for name, score in scores.items()} == TABLE6


def test_mmlu_shows_examples_of_the_own_subject(paper, rows):
    _, _, samples = paper
    examples = pq.read_table(rows / "mmlu_examples.parquet").to_pylist()
    for sample in samples["mmlu"]:
        own = [row["question"] for row in examples if f"mmlu_{row['subject']}" == sample["subset"]]
        assert all(question in sample["prompt"] for question in own)


def test_scores_are_means_of_their_samples(paper):
    """Of MMLU too: the harness weighs subjects by their questions."""
    said, scores, samples = paper
    for name, score in scores.items():
        values = [sample["score"] for sample in samples[name]]
        assert score["n"] == len(values) == (N // 3 + 1 if name in CODE else N)
        assert score["value"] == pytest.approx(sum(values) / len(values))
        assert said[name] == score["value"]
        assert score["not_run"] is None
    assert len({sample["subset"] for sample in samples["mmlu"]}) > 1
    values = [sample["score"] for sample in samples["truthfulqa"]]
    mean = sum(values) / N
    assert scores["truthfulqa"]["stderr"] == pytest.approx(
        math.sqrt(sum((v - mean) ** 2 for v in values) / (N - 1) / N)
    )
    assert all(0 < value < 1 for value in values)  # probabilities of the true answers


def test_facts_name_versions_and_templates(paper):
    said, *_ = paper
    assert said["lm_eval"]
    assert said["engine"].startswith("transformers ")
    assert said["definitions"]["gsm8k"]["version"] == "3.0"
    assert said["definitions"]["mmlu"]["tasks"] > 1
    digests = [said["chat_template"], *(definition["template"] for definition in said["definitions"].values())]
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)


def test_chat_template_makes_turns_of_the_examples(rows, model, tmp_path):
    task = config.AcademicTask.model_validate(
        {"data": {"local": "x"}, "examples": {"local": "x"}, "shots": 3, "metric": "acc_norm", "chat_template": True}
    )
    plain = task.model_copy(update={"chat_template": False, "prompt": "{{question}} ?"})
    for name, one in (("chat", task), ("plain", plain)):
        args = arguments(rows, model, {"arc": one}, tmp_path / name)
        evaluate_academic.main(args)
        scores, samples = results(args)
        prompts = [sample["prompt"] for sample in samples["arc"]]
        assert scores["arc"]["chat_template"] == one.chat_template
        assert {prompt.count("<user>") for prompt in prompts} == {4 if name == "chat" else 0}
        assert {prompt.count("<eos>") for prompt in prompts} == {3 if name == "chat" else 0}
        assert all("Question:" in prompt for prompt in prompts) == (name == "chat")


def test_what_the_model_cannot_take_is_counted(rows, policy, tmp_path):
    """Eight sums do not fit into 256 tokens with a room of 200 for the answer."""
    task = study("paper.yaml")["gsm8k"].model_copy(update={"max_new_tokens": 200})
    args = arguments(rows, policy, {"gsm8k": task}, tmp_path)
    evaluate_academic.main(args)
    scores, _ = results(args)
    assert scores["gsm8k"]["truncated"] == N


# --- programs ---------------------------------------------------------------------------------------------------------


def test_programs_are_not_run_unless_asked_for(rows, model, tmp_path, capsys):
    tasks = {name: task for name, task in study("paper.yaml").items() if name in CODE}
    args = arguments(rows, model, tasks, tmp_path)
    said = evaluate_academic.main(args)
    scores, samples = results(args)
    for name in CODE:
        assert scores[name]["value"] is None
        assert scores[name]["n"] == 0
        assert "execute_generated_code: true" in scores[name]["not_run"]
        assert said[name] == "not run"
    assert not samples
    assert "humaneval, mbpp: not run" in capsys.readouterr().out


def test_programs_are_not_run_without_walls(rows, model, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "_tried", lambda: (None, ["bubblewrap (bwrap is not installed)"]))
    tasks = {"mbpp": study("paper.yaml")["mbpp"]}
    args = arguments(rows, model, tasks, tmp_path, execute_generated_code=True)
    evaluate_academic.main(args)
    scores, _ = results(args)
    assert "Install bubblewrap" in scores["mbpp"]["not_run"]


def test_outcomes_of_programs_are_kept(paper):
    _, _, samples = paper
    for name in CODE:
        assert all(re.match("passed|failed|timed out", sample["outcome"]) for sample in samples[name])
    assert all(sample["outcome"] is None for sample in samples["gsm8k"])


@pytest.mark.parametrize("name", CODE)
def test_right_programs_pass_and_wrong_ones_fail(name, rows):
    for row in pq.read_table(rows / f"{name}.parquet").to_pylist():
        right = row["canonical_solution"] if name == "humaneval" else row["code"]
        assert sandbox.run(program(name, row, right, chat=False)).passed
        assert not sandbox.run(program(name, row, right.replace("return", "return not"), chat=False)).passed
        assert not sandbox.run(program(name, row, "    pass\n", chat=False)).passed


@pytest.mark.parametrize("name", CODE)
def test_prompts_and_ends_of_programs_are_the_harness_own(name, rows, tmp_path):
    shipped = (Path(lm_eval.tasks.__file__).parent / name / f"{name}.yaml").read_text()
    one = task(name, rows / f"{name}.parquet")
    (definition,) = load_group(one, task_manager(), tmp_path).get_all_tasks()
    assert definition.config.doc_to_text.replace("\n", "\\n") in shipped
    assert definition.config.num_fewshot == 0
    for end in definition.config.generation_kwargs["until"]:
        assert end.replace("\n", "\\n") in shipped
    (chat,) = load_group(replace(one, chat_template=True), task_manager(), tmp_path).get_all_tasks()
    assert chat.config.generation_kwargs["until"] == []


def test_an_answer_to_mbpp_ends_where_it_says_so():
    row = {"text": "", "test_setup_code": "", "test_list": ["assert f(4) == 2"]}
    answer = "def f(x):\n    return x // 2\n[DONE]\n\nYou are an expert"
    assert sandbox.run(program("mbpp", row, answer, chat=True)).passed


def test_a_fenced_answer_counts_without_its_fence():
    row = {"text": "", "test_setup_code": "import math", "test_list": ["assert f(4) == math.sqrt(4)"]}
    answer = "Here it is:\n```python\ndef f(x):\n    return 2.0\n```\nIt always gives 2.\n```\nnot this\n```"
    assert sandbox.run(program("mbpp", row, answer, chat=True)).passed
    assert not sandbox.run(program("mbpp", row, answer, chat=False)).passed  # it is no program
    row = {
        "prompt": 'def f(x):\n    """Double."""\n',
        "test": "def check(c):\n    assert c(2) == 4",
        "entry_point": "f",
    }
    assert sandbox.run(program("humaneval", row, "```python\ndef f(x):\n    return 2 * x\n```", chat=True)).passed
    assert sandbox.run(program("humaneval", row, "    return 2 * x\n", chat=True)).passed


# --- what users can mend ----------------------------------------------------------------------------------------------


def task(name: str, rows: Path, examples: Path | None = None, shots: int = 0) -> AcademicTask:
    return AcademicTask(name, rows, examples, shots, "acc", False, "default", 0)


def test_rows_of_another_layout_are_named(rows):
    with pytest.raises(StudyError, match=r"gsm8k\.parquet: no column subject, choices; rows of mmlu hold question"):
        check_rows(task("mmlu", rows / "gsm8k.parquet"))


def test_too_few_examples_are_named(rows):
    with pytest.raises(StudyError, match=r"16 rows; gsm8k needs at least 17"):
        check_rows(task("gsm8k", rows / "gsm8k.parquet", rows / "gsm8k_examples.parquet", 17))
    with pytest.raises(StudyError, match=r"5 rows of subject '\w+'; 6 shots"):
        check_rows(task("mmlu", rows / "mmlu.parquet", rows / "mmlu_examples.parquet", 6))


def test_unknown_subjects_are_named(tmp_path):
    rows = [{"question": "?", "subject": "alchemy", "choices": ["a"] * 4, "answer": 0}]
    _write(tmp_path / "mmlu.jsonl.gz", rows)
    retrieve(Retrieve(tmp_path / "mmlu.parquet", local=tmp_path / "mmlu.jsonl.gz"))
    with pytest.raises(StudyError, match=r"'subject' holds alchemy; MMLU has abstract_algebra, "):
        check_rows(task("mmlu", tmp_path / "mmlu.parquet"))


def test_unknown_metrics_are_named(rows, model, tmp_path):
    wrong = study("paper.yaml")["gsm8k"].model_copy(update={"metric": "acc", "max_new_tokens": 8})
    with pytest.raises(StudyError, match="no metric 'acc'; the harness reports here: exact_match,flexible-extract; "):
        evaluate_academic.main(arguments(rows, model, {"gsm8k": wrong}, tmp_path))


def test_real_gsm8k(model, tmp_path):
    """Rows as OpenAI published them."""
    if not REAL.exists():
        pytest.skip(f"no copy of GSM8K at {REAL}; SHARED_DATA names the folder")
    retrieve(Retrieve(tmp_path / "gsm8k_examples.parquet", local=REAL))
    pq.write_table(pq.read_table(tmp_path / "gsm8k_examples.parquet")[:3], tmp_path / "gsm8k.parquet")
    real = study("paper.yaml")["gsm8k"].model_copy(update={"max_new_tokens": 8})
    args = arguments(tmp_path, model, {"gsm8k": real}, tmp_path / "out")
    evaluate_academic.main(args)
    scores, samples = results(args)
    assert scores["gsm8k"]["n"] == 3
    assert scores["gsm8k"]["value"] == 0
    assert all(sample["prompt"].count("####") == 8 for sample in samples["gsm8k"])
    assert all(re.search(r"#### -?[\d,]+$", sample["target"]) for sample in samples["gsm8k"])
