"""DPO as the pipeline trains, beside TRL's trainer with its defaults and beside the floor: same pairs, same batches.

Both trainers start from a study's SFT policy, read its pairs and end with a saved model, each in a process of its own
with the environment it has in use. The clock runs while the reference's log-probabilities are computed and while steps
are made, checkpoints included; from files to a saved model, imports aside, is a figure of its own. TRL's defaults:
passes of 8 pairs in the order drawn, the reference computed beside the policy in every epoch. Different from its
defaults are float32 and no gradient checkpointing, as in the demo, since the losses are to be compared. The floor is
what no trainer can do without: the policy, forward and backward, through the pipeline's own batches of tokens; no
reference, optimiser, logs or checkpoints. Rounds alternate between the three; a figure is the median of the ratios
within a round.

    python -m benchmarks.dpo --study results/demo --output benchmarks/results/dpo.json
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from benchmarks import results
from scripts.common.config import DPO, Optimisation

if TYPE_CHECKING:
    from trl import DPOTrainer

GLOBAL_BATCH, TRL_BATCH = 32, 8
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "2000000000"}
Losses = list[float]


@dataclass(frozen=True)
class Args:
    study: Path
    """A finished demo: its SFT policy is both policy and reference."""
    pairs: str = "runs/iterative/iter1/pairs.parquet"
    """In the study's folder."""
    output: Path = results.RESULTS / "dpo.json"
    per_device_batch: int = 16
    """Of the pipeline's way; the demo's."""
    epochs: int = 2
    rounds: int = 5
    threads: int = 1
    """Of torch, on a CPU."""


def main(args: Args) -> dict[str, Any]:
    rounds: dict[str, list[dict[str, Any]]] = {"trl": [], "pipeline": [], "floor": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs, tokens = whole_batches(args.study / args.pairs, args.study / "models/sft", folder)
        for i in range(args.rounds):
            for way in list(rounds)[:: (1, -1)[i % 2]]:
                rounds[way].append(in_its_process(way, pairs, folder / f"{way}{i}", args))
    trl, ours, floor = rounds.values()

    def over(clock: str) -> list[float]:
        return [theirs[clock] / own[clock] for theirs, own in zip(trl, ours, strict=True)]

    losses = zip(trl[-1]["losses"], ours[-1]["losses"], strict=True)
    found = {
        "speed_up": statistics.median(over("seconds")),
        "speed_ups": over("seconds"),
        "speed_up_by_cpu_seconds": statistics.median(over("cpu_seconds")),
        "speed_up_from_files_to_model": statistics.median(over("whole")),
        "over_floor": statistics.median(
            own["seconds"] / least["seconds"] for own, least in zip(ours, floor, strict=True)
        ),
        "largest_loss_difference": max(abs(theirs - own) for theirs, own in losses),
        "steps": len(ours[-1]["losses"]),
        "tokens": tokens * args.epochs,
        "tokens_per_second": {
            way: tokens * args.epochs / statistics.median(run["seconds"] for run in runs)
            for way, runs in rounds.items()
        },
        "per_device_batch": {"trl": TRL_BATCH, "pipeline": args.per_device_batch},
        "threads": args.threads,
    }
    return results.write(args.output, found)


def in_its_process(way: str, pairs: Path, output: Path, args: Args) -> dict[str, Any]:
    """Seconds, CPU seconds and losses of one training; all but TRL's has the variables that rules/common.smk sets."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    if way != "trl":
        environment |= MALLOC
    words = (way, args.study / "models/sft", pairs, output, args.per_device_batch, args.epochs)
    command = [sys.executable, "-m", "benchmarks.dpo", *map(str, words)]
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return json.loads(output.with_suffix(".json").read_text())


def child(way: str, policy: str, pairs: str, output: str, per_device_batch: str, epochs: str) -> None:
    from transformers.utils import logging
    from trl import DPOTrainer

    logging.disable_progress_bar()
    clock = Clock()
    if way == "floor":
        DPOTrainer.train = clock.timed(forward_and_backward)
    else:
        for name in ("train", "_precompute_ref_logps"):
            setattr(DPOTrainer, name, clock.timed(getattr(DPOTrainer, name)))
    train = {"trl": trl_defaults, "pipeline": pipeline, "floor": floor}[way]
    started = time.perf_counter()
    losses = train(Path(pairs), Path(policy), Path(output), settings(int(per_device_batch), int(epochs)))
    found = {"seconds": clock.seconds, "cpu_seconds": clock.cpu_seconds, "whole": time.perf_counter() - started}
    Path(output).with_suffix(".json").write_text(json.dumps(found | {"losses": losses}))


@dataclass
class Clock:
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose time is added up."""

        @wraps(function)
        def run(*args: Any, **keywords: Any) -> Any:
            started, cpu_started = time.perf_counter(), time.process_time()
            try:
                return function(*args, **keywords)
            finally:
                self.seconds += time.perf_counter() - started
                self.cpu_seconds += time.process_time() - cpu_started

        return run


def settings(per_device_batch: int, epochs: int) -> DPO:
    """The demo's."""
    optimisation = Optimisation(
        learning_rate=1e-4,
        epochs=epochs,
        global_batch=GLOBAL_BATCH,
        per_device_batch=per_device_batch,
        max_tokens=256,
        dtype="float32",
        gradient_checkpointing=False,
    )
    return DPO(beta=0.1, optimisation=optimisation)


def whole_batches(pairs: Path, policy: Path, folder: Path) -> tuple[Path, int]:
    """As many pairs as fill whole batches: of what is left over, TRL makes a smaller one. And their tokens."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from scripts.common.chat import conversation_ids
    from scripts.common.models import load_tokenizer

    table, tokenizer = pq.read_table(pairs), load_tokenizer(policy)
    table = table.slice(0, len(table) // GLOBAL_BATCH * GLOBAL_BATCH)
    if not len(table):
        raise SystemExit(f"{pairs}: {GLOBAL_BATCH} pairs at least are needed.")
    pq.write_table(pa.table(table), folder / "pairs.parquet")
    rows = table.select(["prompt", "chosen", "rejected"]).to_pylist()
    texts = [conversation_ids(tokenizer, row["prompt"], row[side]) for row in rows for side in ("chosen", "rejected")]
    return folder / "pairs.parquet", sum(map(len, texts))


def pipeline(pairs: Path, policy: Path, output: Path, dpo: DPO) -> Losses:
    from scripts.online import train_dpo

    train_dpo.main(train_dpo.Args(pairs=(pairs,), policy=policy, reference=policy, output=output, dpo=dpo))
    rows = map(json.loads, (output / "training_log.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if "loss" in row]


class Passed(Exception):
    """All batches have been through the policy: there is nothing to save."""


def floor(pairs: Path, policy: Path, output: Path, dpo: DPO) -> Losses:
    """The pipeline up to its training, then `forward_and_backward` in the place of that."""
    try:
        pipeline(pairs, policy, output, dpo)
    except Passed:
        return []
    raise AssertionError("the pipeline trained otherwise")


def forward_and_backward(trainer: "DPOTrainer", **_: Any) -> None:
    """The batches of all epochs through the policy, with the likelihood of the responses as the loss."""
    trainer.model.train()
    for epoch in range(int(trainer.args.num_train_epochs)):
        batches = trainer.get_train_dataloader()
        trainer.state.global_step = epoch * len(batches) // trainer.args.gradient_accumulation_steps
        for batch in batches:
            labels = batch["input_ids"].masked_fill(batch["completion_mask"] == 0, -100)
            trainer.model(batch["input_ids"], attention_mask=batch["attention_mask"], labels=labels).loss.backward()
    raise Passed


def trl_defaults(pairs: Path, policy: Path, output: Path, dpo: DPO) -> Losses:
    import torch
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer

    from scripts.common import training
    from scripts.common.models import load_policy, load_tokenizer

    output.mkdir()
    optimisation = dpo.optimisation
    set_seed(1)
    trainer = DPOTrainer(
        model=load_policy(policy, "float32"),
        ref_model=load_policy(policy, "float32"),
        args=DPOConfig(
            output_dir=str(output),
            seed=1,
            beta=dpo.beta,
            learning_rate=optimisation.learning_rate,
            num_train_epochs=optimisation.epochs,
            per_device_train_batch_size=TRL_BATCH,
            gradient_accumulation_steps=GLOBAL_BATCH // TRL_BATCH,
            warmup_steps=optimisation.warmup,
            lr_scheduler_type=optimisation.schedule,
            adam_beta2=optimisation.adam_beta2,
            weight_decay=optimisation.weight_decay,
            max_length=optimisation.max_tokens,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=not torch.cuda.is_available(),
            logging_steps=1,
            report_to="none",
        ),
        train_dataset=training.conversational_pairs([pairs], output),
        processing_class=load_tokenizer(policy),
    )
    trainer.train()
    trainer.save_model(str(output / "model"))
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


if __name__ == "__main__":
    if sys.argv[1:2] in (["trl"], ["pipeline"], ["floor"]):
        child(*sys.argv[1:])
    else:
        main(tyro.cli(Args, description=__doc__))
