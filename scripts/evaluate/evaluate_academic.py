"""What a policy scores on the academic benchmarks (Table 3), by lm-evaluation-harness, and every answer that counted.

One process evaluates all tasks: imports and the start of the engine are paid once. Answers are greedy, and the model
reads the policy folder's own tokenizer and chat template. HumanEval and MBPP ask for the policy's programs to be run:
that takes `--execute-generated-code`, and then happens in a sandbox alone; otherwise both are reported as not run.

    python -m scripts.evaluate.evaluate_academic --policy results/demo/models/sft --dtype float32 \\
        --tasks gsm8k truthfulqa --rows results/demo/data/raw/benchmarks/{gsm8k,truthfulqa}.parquet \\
        --examples results/demo/data/raw/benchmarks/gsm8k_examples.parquet --shots 4 0 \\
        --metrics exact_match,flexible-extract acc --chat-templates True True \\
        --prompts '{{question}}' default --max-new-tokens 32 0 \\
        --scores results/demo/evaluation/academic/sft/scores.parquet \\
        --samples results/demo/evaluation/academic/sft/samples.parquet
"""

import json
import logging
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import command, tables
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName, has_cuda, import_vllm, vllm_options
from scripts.common.errors import StudyError
from scripts.common.models import Dtype, check_model_folder
from scripts.common.seeds import short_digest
from scripts.evaluate import sandbox
from scripts.evaluate.academic_tasks import CODE, AcademicTask, describe, load_group, program, task_manager

if TYPE_CHECKING:
    from lm_eval.api.group import Group
    from lm_eval.api.model import LM
    from lm_eval.api.task import ConfigurableTask

NOT_EXECUTED = (
    "programs that the policy wrote are executed only on demand: set evaluation.academic.execute_generated_code: true, "
    "and they run in a sandbox without network, files or rights"
)
CPU_BATCH = 32

Row = dict[str, Any]


@dataclass(frozen=True)
class Args:
    policy: command.Input
    """Folder of the policy."""
    tasks: tuple[str, ...]
    """Names among gsm8k, mmlu, humaneval, truthfulqa, arc, mbpp."""
    rows: tuple[command.Input, ...]
    """The rows to score of each task, as published."""
    examples: tuple[command.Input, ...]
    """The rows that few-shot examples are drawn from, of each task with shots, in their order."""
    shots: tuple[int, ...]
    """Few-shot examples of each task."""
    metrics: tuple[str, ...]
    """Metric of each task as the harness names it; after a comma the filter, where the task has several."""
    chat_templates: tuple[bool, ...]
    """Whether each task's prompts go through the chat template."""
    prompts: tuple[str, ...]
    """Jinja template of each task's question over a published row; `default`: the definition's own."""
    max_new_tokens: tuple[int, ...]
    """Longest generated answer of each task; 0: as its definition says."""
    scores: command.Output
    """A row a task (table contract: academic scores)."""
    samples: command.Output
    """A row an answer (table contract: academic samples)."""
    dtype: Dtype
    """Type the policy computes in."""
    engine: EngineName = "auto"
    """The harness's backend; auto: vLLM with a GPU where it imports, else transformers."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    execute_generated_code: bool = False
    """Run the programs that the policy writes, each in a sandbox without network, files or rights."""


def main(args: Args) -> dict[str, Any]:
    tasks = list(_tasks(args))
    reason = why_not_executed(args.execute_generated_code)
    wanted = [task for task in tasks if task.name not in CODE or reason is None]
    if left_out := [task.name for task in tasks if task not in wanted]:
        print(f"{', '.join(left_out)}: not run; {reason}", flush=True)
    check_model_folder(args.policy)
    evaluated, facts = _evaluate(args, wanted) if wanted else ({}, {})
    scores: list[Row] = []
    samples: list[Row] = []
    for task in tasks:
        score, answers = evaluated.get(task.name, (_not_run(task, reason), []))
        scores.append(score)
        samples += answers
    tables.write_table(scores, args.scores, tables.ACADEMIC_SCORES)
    tables.write_table(samples, args.samples, tables.ACADEMIC_SAMPLES)
    values = {score["task"]: score["value"] if score["not_run"] is None else "not run" for score in scores}
    return {**values, "answers": len(samples), **facts}


def _tasks(args: Args) -> Iterator[AcademicTask]:
    lists = (args.rows, args.shots, args.metrics, args.chat_templates, args.prompts, args.max_new_tokens)
    if any(len(values) != len(args.tasks) for values in lists):
        raise StudyError(
            "--rows, --shots, --metrics, --chat-templates, --prompts and --max-new-tokens need a value for each of "
            f"the {len(args.tasks)} --tasks."
        )
    if len(args.examples) != sum(shots > 0 for shots in args.shots):
        raise StudyError("--examples: one file for each task with shots, in the order of --tasks.")
    examples = iter(args.examples)
    for name, rows, shots, metric, chat, prompt, tokens in zip(args.tasks, *lists, strict=True):
        yield AcademicTask(name, rows, next(examples) if shots else None, shots, metric, chat, prompt, tokens)


def why_not_executed(wanted: bool) -> str | None:
    """Why programs are not run, with what to do about it; None where they are."""
    if not wanted:
        return NOT_EXECUTED
    try:
        print(f"programs run in a sandbox: {sandbox.isolation()}", flush=True)
    except StudyError as error:
        return str(error)
    return None


def _not_run(task: AcademicTask, reason: str | None) -> Row:
    score = {"task": task.name, "metric": task.metric, "value": None, "stderr": None, "n": 0}
    return score | _setting(task) | {"truncated": 0, "not_run": reason}


def _setting(task: AcademicTask) -> Row:
    return {"shots": task.shots, "chat_template": task.chat_template, "prompt": task.prompt}


# --- the harness ------------------------------------------------------------------------------------------------------


def _evaluate(args: Args, tasks: Sequence[AcademicTask]) -> tuple[dict[str, tuple[Row, list[Row]]], dict[str, Any]]:
    """By task its score and its samples; and what the manifest says about harness, engine and templates."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.setdefault(name, "1")
    import datasets
    import lm_eval

    datasets.disable_progress_bars()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns of what is meant, hundreds of times
    model, engine = _open_model(args)
    manager = task_manager()
    found, definitions = {}, {}
    with tempfile.TemporaryDirectory(prefix="academic-") as cache:
        for chat in sorted({task.chat_template for task in tasks}):
            groups = {task.name: load_group(task, manager, Path(cache)) for task in tasks if task.chat_template == chat}
            results = lm_eval.evaluate(
                lm=model,
                task_dict=manager.load(list(groups.values())),
                apply_chat_template=chat,
                fewshot_as_multiturn=chat,
            )
            for task in (task for task in tasks if task.name in groups):
                found[task.name] = _collect(task, groups[task.name], results, model)
                definitions[task.name] = describe(groups[task.name])
    facts = {
        "engine": engine,
        "lm_eval": lm_eval.__version__,
        "definitions": definitions,
        "chat_template": short_digest(model.tokenizer.chat_template),
    }
    return found, facts


def _open_model(args: Args) -> tuple["LM", str]:
    """The harness's wrapper around an engine, and the engine's name and version."""
    wanted = args.engine == "vllm" or (args.engine == "auto" and has_cuda())
    if wanted and import_vllm(required=args.engine == "vllm"):
        import vllm

        try:
            from lm_eval.models.vllm_causallms import VLLM
        except PackageNotFoundError:
            raise StudyError(
                "lm-evaluation-harness asks for a package named vllm, and the CPU's build has another name. "
                "Choose --engine transformers."
            ) from None
        longest = json.loads((args.policy / "config.json").read_text())["max_position_embeddings"]
        options = vllm_options(args.vllm, longest)
        model = VLLM(pretrained=str(args.policy), dtype=args.dtype, batch_size="auto", **options)
        return model, f"vllm {vllm.__version__}"
    import transformers
    from lm_eval.models.huggingface import HFLM

    device, batch = ("cuda", "auto") if has_cuda() else ("cpu", CPU_BATCH)
    model = HFLM(pretrained=str(args.policy), dtype=args.dtype, device=device, batch_size=batch)
    return model, f"transformers {transformers.__version__}"


def _collect(task: AcademicTask, group: "Group", results: dict[str, Any], model: "LM") -> tuple[Row, list[Row]]:
    """The score of a benchmark and its samples, from what the harness returns."""
    metric, filter_ = task.metric_and_filter
    pairs = [
        (definition, said)
        for definition in group.get_all_tasks()
        for said in results["samples"][definition.task_name]
        if said["filter"] == filter_
    ]
    if task.name in CODE:
        samples = _execute(task, pairs)
        value, stderr = _mean([sample["score"] for sample in samples])
    else:
        reported = results["groups"][group.name]
        if task.metric_key not in reported:
            known = "; ".join(sorted({key for name in results["results"] for key in _metrics(results, name)}))
            raise StudyError(f"{task.name}: no metric '{task.metric}'; the harness reports here: {known}.")
        samples = [_sample(task, definition, said, float(said[metric])) for definition, said in pairs]
        value, stderr = float(reported[task.metric_key]), reported[f"{metric}_stderr,{filter_}"]
        stderr = None if stderr == "N/A" else float(stderr)
    truncated = sum(_is_truncated(said, model) for _, said in pairs)
    if truncated:
        print(
            f"{task.name}: {truncated} prompts exceed the model's {model.max_length} tokens and lose their beginning."
        )
    score = {"task": task.name, "metric": task.metric, "value": value, "stderr": stderr, "n": len(samples)}
    return score | _setting(task) | {"truncated": truncated, "not_run": None}, samples


def _metrics(results: dict[str, Any], name: str) -> list[str]:
    return [key for key in results["results"][name] if "," in key and "_stderr" not in key]


def _sample(task: AcademicTask, definition: "ConfigurableTask", said: dict[str, Any], score: float) -> Row:
    """One answer. Of a choice, the response is the option that the policy finds most likely."""
    answers, target = said["filtered_resps"], said["target"]
    response = said["resps"][0][0]
    if definition.OUTPUT_TYPE == "multiple_choice":
        options = definition.doc_to_choice(said["doc"])
        response = options[max(range(len(options)), key=lambda i: answers[i][0])]
        target = options[target] if isinstance(target, int) else target
    return {
        **{"task": task.name, "subset": definition.task_name, "row": said["doc_id"]},
        **{"prompt": said["arguments"][0][0], "target": str(target), "response": response},
        **{"score": score, "outcome": None},
    }


def _is_truncated(said: dict[str, Any], model: "LM") -> bool:
    """Whether a prompt with the longest of its options, or with room for its answer, is more than the model takes."""
    prompt, following = said["arguments"][0]
    if isinstance(following, dict):
        room = following.get("max_gen_toks", model.max_gen_toks)
    else:
        room = max(len(model.tok_encode(option, add_special_tokens=False)) for _, option in said["arguments"])
    return len(model.tok_encode(prompt)) + room > model.max_length


# --- programs ---------------------------------------------------------------------------------------------------------


def _execute(task: AcademicTask, pairs: Sequence[tuple["ConfigurableTask", dict[str, Any]]]) -> list[Row]:
    """The samples with pass@1 of one greedy answer each: 1 where the program came to its end."""
    from tqdm import tqdm

    programs = [program(task.name, said["doc"], said["filtered_resps"][0], task.chat_template) for _, said in pairs]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        verdicts = list(
            tqdm(pool.map(sandbox.run, programs), total=len(programs), desc=f"Running {task.name} programs")
        )
    return [
        _sample(task, definition, said, float(verdict.passed))
        | {"outcome": f"{verdict.outcome}: {verdict.detail}" if verdict.detail else verdict.outcome}
        for (definition, said), verdict in zip(pairs, verdicts, strict=True)
    ]


def _mean(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and its standard error, as the harness takes them; one value alone has no error."""
    stderr = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return statistics.fmean(values), stderr


if __name__ == "__main__":
    command.run(main, Args)
