"""What the jobs of a study take of a GPU's memory, and what to change where that is more than it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common.config import Origin, Study
from scripts.report.memory import GB, Architecture, Memory, advice, architecture, reading, serving, training
from scripts.report.plan_disk import optimisation_of
from scripts.report.plan_jobs import Job

TASKS = {"train_sft": "sft", "train_preference_model": "sft", "train_reward_model": "reward", "train_dpo": "dpo"}
SERVED = (
    "generate_responses",
    "answer_questions",
    "score_responses",
    "rank_responses",
    "score_pairs",
    "evaluate_academic",
)
"""Rules whose jobs vLLM computes on a GPU."""
MOST_GPUS = 8
SMALLER = "a smaller model (config/presets/small.yaml)"


@dataclass(frozen=True)
class Need:
    """The largest job of a rule; bytes of each GPU."""

    rule: str
    model: str
    gpus: int
    weights: float
    gradients: float
    optimiser: float
    activations: float
    reference: float
    cache: float
    total: float
    limit: float
    """What the job may take: of vLLM a share of the GPU."""
    gpu: float
    advice: str
    """What to change; empty where the job fits."""


def needs(study: Study, jobs: Sequence[Job]) -> list[Need]:
    """For each rule that asks for GPUs its largest job; models of unknown shape are left out."""
    found: dict[str, Need] = {}
    for job in jobs:
        need = _need(study, job) if job.gpus else None
        if need and (job.rule not in found or need.total > found[job.rule].total):
            found[job.rule] = need
    return list(found.values())


def _need(study: Study, job: Job) -> Need | None:
    name, origin = _model(study, job)
    hub = origin.hub if origin else None
    shape = architecture(Path(f"results/{study.study}/models/{name}"), hub)
    if shape is None:
        return None
    gpu = study.gpu_memory_gb * GB
    if job.rule in TASKS:
        section, task = optimisation_of(study, job), TASKS[job.rule]
        memory = training(shape, section, job.gpus, task)
        words = advice(shape, section, job.gpus, task, gpu) if memory.total > gpu else ""
        return _row(job, hub or name, memory, gpu, gpu, words)
    if job.rule == "measure_responses":
        memory = reading(shape, study.generation.dtype, study.scoring.token_budget)
        return _row(job, hub or name, memory, gpu, gpu, _smaller_batches(study, shape, gpu))
    if job.rule not in SERVED:
        return None
    limit = study.vllm.gpu_memory_utilization * gpu
    memory = _served(study, job, shape, job.gpus)
    return _row(job, hub or name, memory, limit, gpu, _more_gpus(study, job, shape, limit))


def _served(study: Study, job: Job, shape: Architecture, gpus: int) -> Memory:
    """vLLM with one sequence of full length: with less it does not start."""
    longest = study.data.max_tokens
    if job.rule == "generate_responses":
        longest = study.generation.max_prompt_tokens + study.generation.max_new_tokens
    if job.rule == "answer_questions" and study.evaluation:
        longest = study.evaluation.chat.max_prompt_tokens + study.evaluation.chat.max_new_tokens
    return serving(shape, study.generation.dtype, 1, longest, gpus)


def _more_gpus(study: Study, job: Job, shape: Architecture, limit: float) -> str:
    for gpus in range(job.gpus, MOST_GPUS + 1):
        if shape.heads % gpus == 0 and _served(study, job, shape, gpus).total <= limit:
            return f"resources.{job.rule}.gpus: {gpus} (tensor parallel)" if gpus > job.gpus else ""
    return SMALLER


def _smaller_batches(study: Study, shape: Architecture, limit: float) -> str:
    budget = study.scoring.token_budget
    while budget and reading(shape, study.generation.dtype, budget).total > limit:
        budget //= 2
    if budget == study.scoring.token_budget:
        return ""
    return f"scoring.token_budget: {budget}" if budget else SMALLER


def _row(job: Job, model: str, memory: Memory, limit: float, gpu: float, words: str) -> Need:
    parts = (memory.weights, memory.gradients, memory.optimiser, memory.activations, memory.reference, memory.cache)
    return Need(job.rule, model, job.gpus, *parts, memory.total, limit, gpu, words)


def _model(study: Study, job: Job) -> tuple[str, Origin | None]:
    """The folder's name of the model that a job trains or reads, and whence it comes; trained ones have its shape."""
    judge = job.wildcards.get("reward") or job.wildcards.get("preference") or job.wildcards.get("judge")
    one = (study.reward_models | study.preference_models | study.prompted_judges).get(judge or "")
    if external := getattr(one, "external", None):
        return f"reward/{judge}", external
    begun = getattr(one, "initialise", None) or getattr(one, "policy", None)
    return ("instruct", study.models.instruct) if begun == "instruct" else ("base", study.models.base)
