"""Some steps of every stage on the device that is there: losses, rewards, memory, tokens a second.

`python -m tests.gpu.steps FOLDER SIZE` takes the same steps on the CPU in float32, and leaves `losses.json` and the
trained models in FOLDER: the answer that a GPU's is compared with.
"""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from scripts.common.config import Lora, Optimisation, VllmJob
from scripts.report.memory import Architecture, architecture, training
from tests.unit.engines_fixtures import WORDS, word_tokenizer
from tests.unit.training_stages import Stages, llama_config, make_stages, text

if TYPE_CHECKING:
    from scripts.common.generation import Response

Task = Literal["sft", "reward", "dpo"]
TASKS: tuple[Task, ...] = get_args(Task)
"""The stages whose memory the plan estimates by name: a preference model is trained as SFT is."""
LOSSES = "losses.json"


@dataclass(frozen=True)
class Size:
    """A model, and how much it is given."""

    shape: Architecture
    tokens: int
    """Longest sequence."""
    batch: int
    steps: int


def sizes() -> dict[str, Size]:
    """`1b`: Llama 3.2 1B; `tiny`: what a CPU does in a moment."""
    one = architecture(Path("nowhere"), "meta-llama/Llama-3.2-1B")
    assert one is not None
    tiny = Architecture(2, 64, 128, 2, 2, 32, len(word_tokenizer()), True)
    return {"tiny": Size(tiny, 64, 2, 4), "1b": Size(one, 256, 2, 4), "1b, long": Size(one, 2048, 4, 8)}


def prepare(folder: Path, size: Size) -> Stages:
    """Tables and two models of random weights."""
    tokenizer = word_tokenizer()
    config = llama_config(
        size.shape,
        max_position_embeddings=4096,
        initializer_range=size.shape.hidden**-0.5,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return make_stages(folder, tokenizer, config, rows=size.batch * size.steps, length=size.tokens - 8)


def optimisation(size: Size, dtype: Literal["bfloat16", "float32"], lora: Lora) -> Optimisation:
    return Optimisation(
        learning_rate=1e-3 if lora.rank or size.shape.layers < 4 else 1e-5,
        schedule="constant",
        warmup=0.0,
        global_batch=size.batch,
        per_device_batch=size.batch,
        max_tokens=size.tokens,
        dtype=dtype,
        lora=lora,
    )


@dataclass(frozen=True)
class Taken:
    """What some steps of a stage showed."""

    losses: list[float]
    gradients: list[float]
    """Norms."""
    tokens_per_second: float
    flops_per_second: float
    """6 N for each token (Kaplan et al., 2020), whatever is computed again."""
    estimate: float
    """Bytes that the plan says, for one GPU."""


def take(
    stages: Stages,
    stage: Task,
    size: Size,
    output: Path,
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
    lora: Lora = Lora(),  # noqa: B008
) -> Taken:
    """Train as a rule would, and read the log that is published beside the model."""
    section = optimisation(size, dtype, lora)
    stages.run(stage, output, section)
    log = [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]
    steps, end = [row for row in log if "loss" in row], log[-1]
    speed = steps[-1]["num_tokens"] / end["train_runtime"]
    return Taken(
        [row["loss"] for row in steps],
        [row["grad_norm"] for row in steps],
        speed,
        6 * size.shape.parameters * speed,
        training(size.shape, section, task=stage).total,
    )


def rewards(folder: Path, count: int, dtype: Literal["bfloat16", "float32"]) -> list[float]:
    """Of made-up responses, four to a prompt, by the reward model in a folder."""
    from scripts.common.models import load_tokenizer
    from scripts.common.scoring import open_scorer, tokenize
    from tests.unit.engines_fixtures import user

    prompts = [user(text(i // 4, 20)) for i in range(count)]
    responses = [text(i + 3, 10 + i % len(WORDS)) for i in range(count)]
    return open_scorer("transformers", folder, dtype).rewards(tokenize(load_tokenizer(folder), prompts, responses))


def generated(folder: Path, engine: str, count: int, length: int) -> tuple[list["Response"], list["Response"], float]:
    """Eight responses to each of some prompts, the same once more, and tokens a second, the engine's start left out."""
    from scripts.common.generation import Request, Settings, open_engine

    beside_others = VllmJob(gpu_memory_utilization=0.5)  # this process has trained before
    settings = Settings(folder, "bfloat16", 64, length, stop_ids=[1], vllm=beside_others)
    opened = open_engine(engine, settings)
    requests = [Request([3, *range(5, 25 + i % 20), 4], 1.0, 8, seed=100 * i) for i in range(count)]
    started = time.perf_counter()
    first, again = ([one for responses in opened.generate(requests) for one in responses] for _ in range(2))
    tokens = sum(len(response.token_ids) for response in [*first, *again])
    return first, again, tokens / (time.perf_counter() - started)


def main(folder: Path, size: Size) -> None:
    """The answer in float32 on the CPU."""
    stages = prepare(folder, size)
    found: dict[str, Any] = {}
    for stage in TASKS:
        taken = take(stages, stage, size, folder / "float32" / stage, dtype="float32")
        found[stage] = {"losses": taken.losses, "gradients": taken.gradients}
    found["rewards"] = rewards(folder / "float32/reward", 32, "float32")
    (folder / LOSSES).write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sizes()[sys.argv[2]])
