"""How much room a study's artifacts take: the files that exist, and estimates for those that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.common.config import Optimisation, Resources, Study
from scripts.report.plan_jobs import Job
from scripts.report.plan_sizes import Pairs, Sizes
from scripts.report.plan_work import Cost

BYTES_PER_TOKEN = 2  # of text in zstd-compressed Parquet; the demo's responses take 1.7
BYTES_PER_REWARD = 12
BYTES_PER_WEIGHT = {"bfloat16": 2, "float32": 4}
CHECKPOINT_BYTES = {"bfloat16": 14, "float32": 12}  # a parameter's weight, and Adam's two moments, all in float32;
# where it computes in bfloat16 under DeepSpeed, the weight in bfloat16 besides
KEPT_CHECKPOINTS = 2  # a job keeps its last two; the room of a third is needed while it is written
SMALL_FILE = 100_000  # a table, figure or page of the report


@dataclass(frozen=True)
class Room:
    kind: str
    bytes: float
    measured: float
    """The part of `bytes` that lies on the disk already."""
    source: str


def rooms(jobs: Sequence[Job], costs: Mapping[str, Cost], sizes: Sizes) -> list[Room]:
    """Bytes by kind of artifact, and what the checkpoints of one training job take while it runs."""
    totals: dict[str, tuple[float, float, str]] = {}
    seen: set[int] = set()
    for job in jobs:
        kind, estimate, source = _estimate(job, costs[job.name], sizes)
        written = sum(_size_of(Path(output), seen) for output in job.outputs)
        total, measured, _ = totals.get(kind, (0.0, 0.0, ""))
        totals[kind] = total + (written or estimate), measured + written, source
    found = [Room(kind, *values) for kind, values in sorted(totals.items())]
    if bytes_each := [CHECKPOINT_BYTES[section.dtype] for section in _trainings(sizes.study) if not section.lora.rank]:
        held = (KEPT_CHECKPOINTS + 1) * max(bytes_each)
        words = f"{KEPT_CHECKPOINTS + 1} of {max(bytes_each)} bytes a parameter, removed at the job's end"
        found.append(Room("checkpoints of a training job", held * sizes.parameters(), 0, words))
    return found


def _size_of(path: Path, seen: set[int]) -> int:
    """Bytes of a file, or of all files of a folder; a file that two names link to is counted once."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    total = 0
    for status in (file.stat() for file in files):
        if status.st_ino not in seen:
            seen.add(status.st_ino)
            total += status.st_size
    return total


def _estimate(job: Job, cost: Cost, sizes: Sizes) -> tuple[str, float, str]:
    """Kind, bytes, and how they were estimated."""
    study, w = sizes.study, job.wildcards
    text = f"{BYTES_PER_TOKEN} bytes a token"
    match job.rule:
        case "retrieve_model" | "retrieve_reward_model" | "train_base" | "create_base":
            return "models", sizes.parameters() * 2, "2 or 4 bytes a parameter, by dtype"
        case "train_sft" | "train_reward_model" | "train_preference_model" | "train_dpo":
            size = sizes.parameters() * BYTES_PER_WEIGHT[_published(study, job)]
            return "models", size * len(job.outputs), "2 or 4 bytes a parameter, by dtype"
        case "generate_responses":
            return "responses", cost.amount * BYTES_PER_TOKEN, text
        case "score_responses":
            tokens = sizes.prompt_tokens() + sizes.response_tokens()
            return "rewards", cost.amount / tokens * BYTES_PER_REWARD, f"{BYTES_PER_REWARD} bytes a response"
        case "select_pairs":
            tokens = sizes.prompt_tokens() + 2 * sizes.response_tokens()
            return "pairs of the runs", sizes.prompts(f"iter{w['t']}") * tokens * BYTES_PER_TOKEN, text
        case "retrieve" if w.get("collection") == "preferences":
            return "preference data", _text(sizes.source(w["source"])), f"{text}, raw, standard, filtered and mixed"
        case "standardise_preferences" | "filter_preferences":
            return "preference data", _text(sizes.source(w["source"])), f"{text}, raw, standard, filtered and mixed"
        case "mix_preferences" | "format_comparisons":
            return "preference data", _text(sizes.mix(w["mix"])), f"{text}, raw, standard, filtered and mixed"
        case "standardise_instructions":
            return "instructions", sizes.instruction_tokens() * BYTES_PER_TOKEN, f"{text}, raw and standard"
        case "retrieve" if w.get("collection") == "instructions":
            count = len(study.data.instructions)
            return "instructions", sizes.instruction_tokens() / count * BYTES_PER_TOKEN, f"{text}, raw and standard"
        case "select_best":
            return "models", 0, "2 or 4 bytes a parameter, by dtype"  # hard links to the chosen policy
        case _:
            return "tables, figures, the rest", SMALL_FILE * len(job.outputs), "100 KB a file"


def _text(pairs: Pairs) -> float:
    return pairs.pairs * pairs.comparison_tokens * BYTES_PER_TOKEN


def optimisation_of(study: Study, job: Job) -> Optimisation:
    """How a training job trains."""
    if job.rule == "train_sft" and study.sft:
        return study.sft
    if job.rule == "train_reward_model":
        return study.reward_models[job.wildcards["reward"]].optimisation
    if job.rule == "train_preference_model":
        return study.preference_models[job.wildcards["preference"]].optimisation
    return study.runs[job.wildcards["run"]].dpo.optimisation


def _published(study: Study, job: Job) -> str:
    """The type of the weights that a training job publishes: one process that trains all of them keeps float32."""
    section, needs = optimisation_of(study, job), study.resources.get(job.rule, Resources())
    divided = section.sharding != "none" and needs.gpus * needs.nodes > 1
    return section.dtype if divided or section.lora.rank else "float32"


def _trainings(study: Study) -> list[Optimisation]:
    models = [model.optimisation for model in (*study.reward_models.values(), *study.preference_models.values())]
    runs = [run.dpo.optimisation for run in study.runs.values()]
    return [section for section in (study.sft, *models, *runs) if section]
