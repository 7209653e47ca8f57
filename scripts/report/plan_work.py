"""What each job works on, in tokens or rows, and how long that takes by config/throughput.tsv or by its own record."""

import csv
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from scripts.common.config import Study
from scripts.common.errors import StudyError
from scripts.common.provenance import ROOT
from scripts.report.plan_jobs import Job
from scripts.report.plan_sizes import Basis, Sizes, billions

THROUGHPUT = ROOT / "config/throughput.tsv"
COLUMNS = ["rule", "model", "device", "unit", "per_second", "start_up", "basis", "source"]
UNITS = ("generated", "scored", "trained", "tokens", "rows", "jobs")
TOKENS = ("generated", "scored", "trained")
"""Units that are tokens of a language model."""
CORE, ANY = "core", "any"


@dataclass(frozen=True)
class Throughput:
    """A line of config/throughput.tsv: how fast one GPU, or one CPU core, does a rule's work."""

    unit: str
    per_second: float
    """Units a second and device; nothing to count where the unit is `jobs`."""
    start_up: float
    """Seconds before the work begins: imports, loading of the model."""
    basis: Basis
    source: str


@dataclass(frozen=True)
class Cost:
    """What one job costs."""

    unit: str
    amount: float
    seconds: float
    basis: Basis
    source: str


def model_class(study: Study) -> str:
    """How the throughput table calls the study's models: `8B` by the base's name on the hub, or `miniature`."""
    size = billions(study)
    return f"{size}B" if size else "miniature"


def read_throughput(path: Path = THROUGHPUT) -> dict[tuple[str, str, str], Throughput]:
    """(rule, model, device) -> throughput.

    Raises:
        StudyError: a line has not eight fields, repeats a key, or holds a value that is not allowed there.
    """
    found: dict[tuple[str, str, str], Throughput] = {}
    try:
        handle = path.open(newline="")
    except OSError as error:
        raise StudyError(f"{path}: can't be read ({error.strerror}); name a table with --throughput.") from None
    with handle:
        lines = csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
        if next(lines, None) != COLUMNS:
            raise StudyError(f"{path}: the first line must name the columns {', '.join(COLUMNS)}.")
        for line in lines:
            where = f"{path}, line {lines.line_num}"
            if len(line) != len(COLUMNS):
                raise StudyError(f"{where}: {len(line)} fields; expected {len(COLUMNS)}, separated by tabs.")
            rule, model, device, unit, per_second, start_up, basis, source = line
            if unit not in UNITS:
                raise StudyError(f"{where}: unit '{unit}'; allowed: {', '.join(UNITS)}.")
            if basis not in ("measured", "estimated"):
                raise StudyError(f"{where}: basis '{basis}'; allowed: measured, estimated.")
            if not source.strip():
                raise StudyError(f"{where}: no source; say where the figure was measured, or how it was estimated.")
            if (rule, model, device) in found:
                raise StudyError(f"{where}: {rule}, {model}, {device} is given twice.")
            try:
                numbers = float(per_second), float(start_up)
            except ValueError:
                raise StudyError(
                    f"{where}: per_second '{per_second}' and start_up '{start_up}' must be numbers."
                ) from None
            if numbers[0] <= 0 or numbers[1] < 0:
                raise StudyError(f"{where}: per_second must be above 0, start_up not below it; got {line[4:6]}.")
            found[rule, model, device] = Throughput(unit, *numbers, basis, source)
    return found


def throughput_of(job: Job, table: dict[tuple[str, str, str], Throughput], model: str, device: str) -> Throughput:
    """The line for a job: for its model, or for any; a rule without GPUs falls back to the line `*`.

    Raises:
        StudyError: there is none.
    """
    device = device if job.gpus else CORE
    for key in ((job.rule, model, device), (job.rule, ANY, device), ("*", ANY, device)):
        if key in table:
            return table[key]
    known = sorted({f"{m} on {d}" for rule, m, d in table if rule == job.rule}) or ["nothing"]
    raise StudyError(
        f"config/throughput.tsv has no line for rule {job.rule}, model {model}, device {device}; known for this rule: "
        f"{', '.join(known)}. Measure or estimate it, and add a line that names its source; or name another --device."
    )


def cost_of(job: Job, line: Throughput, sizes: Sizes, shards: int, as_configured: bool) -> Cost:
    """Tokens or rows of a job and the seconds it takes.

    Where Snakemake recorded how long the job took, that is taken: for a shard only if the study has as many shards.
    """
    counted = amount(job, sizes, shards)
    if counted is None and line.unit != "jobs":
        raise StudyError(
            f"config/throughput.tsv counts {line.unit} of rule {job.rule}, but the plan does not know how many a job "
            "has. Say the seconds of a job as its start_up with unit 'jobs', or teach scripts/report/plan_work.py."
        )
    recorded = recorded_seconds(job) if as_configured or "shard" not in job.wildcards else None
    work = 0.0 if line.unit == "jobs" else counted or 0.0
    if recorded is not None:
        return Cost(line.unit, work, recorded, "measured", job.benchmark or "")
    devices = job.gpus or job.threads
    seconds = line.start_up + (work / (line.per_second * devices) if work else 0)
    return Cost(line.unit, work, seconds, "estimated", line.source)


def recorded_seconds(job: Job) -> float | None:
    """Seconds of the job's last run, from the file that its rule's `benchmark` names, if the job's output stands."""
    if job.benchmark is None or not Path(job.name).exists():
        return None
    try:
        with Path(job.benchmark).open() as handle:
            return float(next(csv.DictReader(handle, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, ValueError, TypeError):
        return None  # an interrupted job leaves no record: an estimate takes its place


def amount(job: Job, sizes: Sizes, shards: int) -> float | None:
    """Tokens or rows that a job works on, in its rule's unit; None where the plan knows none."""
    study, w = sizes.study, job.wildcards
    match job.rule:
        case "train_base":
            return sizes.document_tokens()
        case "train_sft" if study.sft:
            return study.sft.epochs * sizes.instruction_tokens()
        case "train_reward_model":
            model = study.reward_models[w["reward"]]
            mix = sizes.mix(model.mix)
            tokens = min(mix.tokens, 2 * model.optimisation.max_tokens)
            return model.optimisation.epochs * mix.pairs * (1 - study.data.held_out) * tokens
        case "train_preference_model":
            model = study.preference_models[w["preference"]]
            mix = sizes.mix(model.mix)
            return model.optimisation.epochs * mix.pairs * (1 - study.data.held_out) * mix.comparison_tokens
        case "train_dpo":
            run = study.runs[w["run"]]
            longest = 2 * run.dpo.optimisation.max_tokens
            tokens = 0.0
            if run.offline:
                mix = sizes.mix(run.offline)
                tokens += mix.pairs * min(mix.tokens, longest)
            if run.online:
                pair = min(2 * (sizes.prompt_tokens() + sizes.response_tokens()), longest)
                iterations = range(1 if run.history == "all" else int(w["t"]), int(w["t"]) + 1)
                tokens += pair * sum(sizes.prompts(f"iter{t}") for t in iterations)
            return run.dpo.optimisation.epochs * tokens
        case "generate_responses":
            return _responses(sizes, w, shards) * sizes.response_tokens()
        case "score_responses":
            return _responses(sizes, w, shards) * (sizes.prompt_tokens() + sizes.response_tokens())
        case "rank_responses":
            return _ranked_tokens(sizes, w, shards)
        case "measure_responses" if w["policy"] == "sft":
            return 0  # the reference itself
        case "measure_responses":  # once by the policy, once by its reference
            return 2 * sizes.prompts("held_out") * (sizes.prompt_tokens() + sizes.response_tokens())
        case "score_pairs":
            return _judged_tokens(sizes, w["judge"], w["pairs"])
        case "count_tokens":
            source = sizes.source(w["source"])
            return source.pairs * (source.prompt + source.chosen + source.rejected)
        case "standardise_preferences" | "filter_preferences":
            return sizes.source(w["source"]).pairs
        case "mix_preferences" | "format_comparisons":
            return sizes.mix(w["mix"]).pairs
        case _:
            return None


def _judged_tokens(sizes: Sizes, judge: str, pairs: str) -> float:
    """A reward model reads each response after the prompt; other judges read both together, in one order or both."""
    study = sizes.study
    trained = study.reward_models.get(judge) or study.preference_models.get(judge)
    if pairs == "held_out" and trained:
        mix = sizes.mix(trained.mix)
        count, prompt, responses = mix.pairs * study.data.held_out, mix.prompt, mix.chosen + mix.rejected
    else:
        count, prompt, responses = sizes.bench_pairs(), sizes.prompt_tokens(), 2 * sizes.response_tokens()
    if judge in study.reward_models:
        return count * (2 * prompt + responses)
    both = (study.preference_models | study.prompted_judges)[judge].both_orders
    return count * (prompt + responses) * (2 if both else 1)


def _ranked_tokens(sizes: Sizes, w: dict[str, str], shards: int) -> float:
    """Comparisons of two responses after their prompt, at most as many as the ranking may need."""
    model = sizes.study.preference_models[w["preference"]]
    n = sizes.responses_per_prompt(w["policy"], w["sampler"], w["prompts"])
    matches = n * (n - 1) / 2 if model.ranking == "round_robin" else ceil(3 * n / 2) - 1
    tokens = (sizes.prompt_tokens() + 2 * sizes.response_tokens()) * (2 if model.both_orders else 1)
    return sizes.prompts(w["prompts"]) * matches * tokens / shards


def _responses(sizes: Sizes, w: dict[str, str], shards: int) -> float:
    each = sizes.responses_per_prompt(w["policy"], w["sampler"], w["prompts"])
    return sizes.prompts(w["prompts"]) * each / shards
