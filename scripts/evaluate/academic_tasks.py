"""The six academic benchmarks (Table 6) as tasks of lm-evaluation-harness: its own definitions, our rows and shots.

Prompts, filters and metrics of GSM8K, MMLU, TruthfulQA and ARC are those that the harness ships, so that scores compare
with everybody's. Of HumanEval and MBPP, prompts and where an answer ends are the harness's too, read from its
definitions; but these ask the hub for a metric and run programs without walls, so the rest of them is ours
(`config/academic`). All rows come from local files, none from the hub.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT
from scripts.common.seeds import short_digest

if TYPE_CHECKING:
    from lm_eval.api.group import Group
    from lm_eval.tasks import TaskManager

OWN_TASKS = ROOT / "config" / "academic"
HARNESS_TASKS = {"gsm8k": "gsm8k", "mmlu": "mmlu/default", "truthfulqa": "truthfulqa", "arc": "arc"}
"""Folders of the harness's definitions."""
NAMES = {"truthfulqa": "truthfulqa_mc2", "arc": "arc_challenge"}
"""The harness's names of tasks, where they differ from ours."""
CODE = ("humaneval", "mbpp")
"""Tasks whose answers are programs."""
GENERATION = ("doc_to_text", "target_delimiter", "generation_kwargs", "metadata")
"""What of the harness's definitions of these is taken as it is shipped."""
DONE = "[DONE]"
DEFAULT_PROMPT = "default"
FEWSHOT_SEED = 1234  # the harness's own, so that its random examples are everybody's
TEXTS = ("description", "doc_to_text", "doc_to_choice", "doc_to_target", "target_delimiter", "fewshot_delimiter")
"""What of a definition makes the text that a model reads."""
COLUMNS = {
    "gsm8k": ("question", "answer"),
    "mmlu": ("question", "subject", "choices", "answer"),
    "truthfulqa": ("question", "mc1_targets", "mc2_targets"),
    "arc": ("question", "choices", "answerKey"),
    "humaneval": ("prompt", "canonical_solution", "test", "entry_point"),
    "mbpp": ("text", "code", "test_list", "test_setup_code"),
}
"""What a published row holds, as far as a task uses it."""


@dataclass(frozen=True)
class AcademicTask:
    """How one benchmark is run: what a row of Table 6 says."""

    name: str
    rows: Path
    examples: Path | None
    """Rows that few-shot examples are drawn from; None without shots."""
    shots: int
    metric: str
    """As the harness names it: `acc`, or with the filter that extracts the answer `exact_match,strict-match`."""
    chat_template: bool
    """Few-shot examples as turns of a conversation, the question as the last; otherwise one plain text."""
    prompt: str
    """Jinja template of the question over a row; `default`: the definition's own."""
    max_new_tokens: int
    """Of a generated answer; 0: as the task's definition says."""

    @property
    def metric_and_filter(self) -> tuple[str, str]:
        metric, _, filter_ = self.metric.partition(",")
        return metric, filter_ or "none"

    @property
    def metric_key(self) -> str:
        """As the harness's results name it."""
        return ",".join(self.metric_and_filter)


def task_manager() -> "TaskManager":
    """The definitions that are used here; the index of all of the harness's thousands takes seconds to build."""
    import lm_eval.tasks
    from lm_eval.tasks import TaskManager

    shipped = Path(lm_eval.tasks.__file__).parent
    folders = [OWN_TASKS, *(shipped / folder for folder in HARNESS_TASKS.values())]
    return TaskManager(include_path=folders, include_defaults=False)


def load_group(task: AcademicTask, manager: "TaskManager", cache: Path) -> "Group":
    """The benchmark as a group of the harness's tasks, ready to be evaluated.

    MMLU has a task for each subject, since description and few-shot examples are the subject's; its score weighs
    subjects by their rows, as the harness's own group does. Each of the others is a group of one.

    Raises:
        StudyError: the rows lack a column, are too few, or name a subject that MMLU does not have.
    """
    from lm_eval.api.group import AggMetricConfig, Group

    check_rows(task)
    if task.name == "mmlu":
        parts = {f"mmlu_{subject}": [("subject", "==", subject)] for subject in subjects(task.rows)}
    else:
        parts = {NAMES.get(task.name, task.name): []}
    texts = _shipped(task.name) if task.name in CODE else {}
    members = [{"task": name, **texts, **_data(task, cache, filters)} for name, filters in parts.items()]
    metric, filter_ = task.metric_and_filter
    group = Group(f"academic_{task.name}", aggregate_metric_list=[AggMetricConfig(metric, [filter_])])
    for definition in manager.load({"group": group.name, "task": members})["tasks"].values():
        definition.set_fewshot_seed(FEWSHOT_SEED)
        if task.max_new_tokens and definition.OUTPUT_TYPE == "generate_until":
            definition.set_config("generation_kwargs", {"max_gen_toks": task.max_new_tokens}, update=True)
        if (
            task.chat_template and task.name in CODE
        ):  # the end of the turn ends a program, not what the program may hold
            definition.set_config("generation_kwargs", {"until": []}, update=True)
        group.add(definition)
    return group


def describe(group: "Group") -> dict[str, Any]:
    """What a manifest says of a benchmark's definition: how many tasks, their version, and a digest of their texts."""
    definitions = group.get_all_tasks()
    texts = [
        json.dumps({key: getattr(definition.config, key) for key in TEXTS}, sort_keys=True, default=repr)
        for definition in definitions
    ]
    versions = sorted({str(definition.VERSION) for definition in definitions})
    return {"tasks": len(definitions), "version": ", ".join(versions), "template": short_digest(*sorted(texts))}


def _data(task: AcademicTask, cache: Path, filters: Sequence[tuple[str, str, str]] = ()) -> dict[str, Any]:
    files = {"rows": str(task.rows), **({"examples": str(task.examples)} if task.examples else {})}
    return {
        "dataset_path": "parquet",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(cache), "filters": list(filters) or None},
        "training_split": None,
        "validation_split": None,
        "test_split": "rows",
        "fewshot_split": "examples" if task.examples else None,
        "num_fewshot": task.shots,
        **({} if task.prompt == DEFAULT_PROMPT else {"doc_to_text": task.prompt}),
    }


def _shipped(name: str) -> dict[str, Any]:
    """Prompt and end of an answer as the harness defines them, read without importing the functions that it names."""
    import lm_eval.tasks
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!function", lambda loader, node: None)
    path = Path(lm_eval.tasks.__file__).parent / name / f"{name}.yaml"
    definition = yaml.load(path.read_text(), Loader)
    return {key: definition[key] for key in GENERATION if key in definition}


def subjects(rows: Path) -> list[str]:
    import pyarrow.parquet as pq

    return sorted(set(pq.read_table(rows, columns=["subject"])["subject"].to_pylist()))


def check_rows(task: AcademicTask) -> None:
    """Make sure that the files hold rows in the schema as published, and enough of them to draw examples from."""
    if task.shots and task.examples is None:
        raise StudyError(f"{task.name}: {task.shots} shots need few-shot rows; name their origin as 'examples'.")
    for path, least in [(task.rows, 1), *([(task.examples, task.shots)] if task.examples else [])]:
        found, columns = _rows_and_columns(path)
        if missing := [name for name in COLUMNS[task.name] if name not in columns]:
            raise StudyError(
                f"{path}: no column {', '.join(missing)}; rows of {task.name} hold {', '.join(COLUMNS[task.name])}; "
                f"the file has {', '.join(columns)}."
            )
        if found < least:
            raise StudyError(f"{path}: {found} rows; {task.name} needs at least {least} for {task.shots} shots.")
    if task.name == "mmlu":
        _check_subjects(task)


def _rows_and_columns(path: Path) -> tuple[int, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows, file.schema_arrow.names
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise StudyError(
            f"{path}: not a whole Parquet file ({reason}). Delete it: it will be retrieved again."
        ) from None


def _check_subjects(task: AcademicTask) -> None:
    import lm_eval.tasks

    shipped = Path(lm_eval.tasks.__file__).parent / HARNESS_TASKS["mmlu"]
    known = {path.stem.removeprefix("mmlu_") for path in shipped.glob("mmlu_*.yaml")}
    if unknown := sorted(set(subjects(task.rows)) - known):
        raise StudyError(
            f"{task.rows}: column 'subject' holds {', '.join(unknown)}; MMLU has {', '.join(sorted(known))}."
        )
    if task.examples is None:
        return
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    drawn = {
        count["values"]: count["counts"]
        for count in pc.value_counts(pq.read_table(task.examples, columns=["subject"])["subject"]).to_pylist()
    }
    for subject in subjects(task.rows):
        if drawn.get(subject, 0) < task.shots:
            raise StudyError(
                f"{task.examples}: {drawn.get(subject, 0)} rows of subject '{subject}'; {task.shots} shots are wanted."
            )


# --- programs ---------------------------------------------------------------------------------------------------------


def program(task: str, row: dict[str, Any], answer: str, chat: bool) -> str:
    """The program whose end means that an answer to a row of HumanEval or MBPP is right.

    Of a chat's answer, a fenced block counts without the fence and what is around it. An answer to MBPP ends at [DONE].
    """
    code = _fenced(answer) if chat else None
    if task == "mbpp":
        written = code or answer.partition(DONE)[0]
        return "\n".join([row["test_setup_code"] or "", written, *row["test_list"]]) + "\n"
    body = row["prompt"] + (f"\n{code}" if code else answer)
    return f"{body}\n\n{row['test']}\n\ncheck({row['entry_point']})\n"


def _fenced(answer: str) -> str | None:
    if "```" not in answer:
        return None
    return "\n".join(_lines_of_first_fence(answer.splitlines()))


def _lines_of_first_fence(lines: Sequence[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if line.lstrip().startswith("```"):
            if inside:
                return
            inside = True
        elif inside:
            yield line
