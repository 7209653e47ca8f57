"""What SFT, reward models and DPO share: arguments from an `Optimisation`, checkpoints, resuming, publishing."""

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common import checkpoints, kernels, launch, lora
from scripts.common.config import Optimisation
from scripts.common.errors import StudyError
from scripts.common.files import explained, link_folder, publish, remove

if TYPE_CHECKING:
    from datasets import Dataset
    from duckdb import DuckDBPyRelation
    from transformers import Trainer


def fit(
    module: str,
    args: Any,
    build: Callable[[dict[str, Any]], "Trainer"],
    check: Callable[[list[dict[str, Any]]], None] = lambda steps: None,
    epoch1: Path | None = None,
) -> dict[str, Any]:
    """Train to the end, from the last whole checkpoint if there is one, and publish the model at `args.output`.

    Args:
        module: the command's name; the digest of its code is part of what a checkpoint is good for.
        args: the command's arguments, with `output`, `optimisation` and `seed`.
        build: makes the TRL trainer, given the keywords of its config that `args` decides.
        check: raises if what was logged of the steps shows that something is wrong; called before publishing.
        epoch1: where the model as it was after its first epoch is published too.

    Returns the facts of the run: examples, steps, tokens, losses, where it resumed.
    """
    import torch
    from transformers import set_seed

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.use_deterministic_algorithms(not torch.cuda.is_available())
    # filling takes a sixth of a CPU's time and decides nothing
    torch.utils.deterministic.fill_uninitialized_memory = False
    main_process = int(os.environ.get("RANK", 0)) == 0
    with checkpoints.only_writer(args.output) if main_process else nullcontext():
        kept = ["epoch1"] if epoch1 else []  # what is to be published decides what the work directory must hold
        work = checkpoints.work_directory(args.output, checkpoints.identity(module, args, *kept))
        resumed = checkpoints.latest_whole(work)
        if main_process:
            checkpoints.tidy(work)
        deepspeed = launch.join(args.optimisation)
        set_seed(args.seed)
        trainer = build({**_options(args.optimisation, args.seed, work), "deepspeed": deepspeed and str(deepspeed)})
        lora.settle(trainer.model, args.optimisation.lora)
        repeated = _use_global_batches(trainer, args.optimisation.global_batch)
        begun = checkpoints.shape(resumed) if resumed else None
        _check_shape(trainer, args.optimisation.global_batch, work, begun)
        asked_to_stop = _replace_callbacks(trainer)
        if epoch1:
            _keep_first_epoch(trainer, work / "epoch1", args.optimisation)
        with explained(args.output):
            result = trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
        _check_steps(trainer, work, begun)
        if asked_to_stop():
            done = f"step {trainer.state.global_step} of {trainer.state.max_steps}"
            raise StudyError(
                f"{args.output}: stopped by SIGTERM after {done}, with a checkpoint. The same command goes on there."
            )
        history = trainer.state.log_history
        steps = [row for row in history if "loss" in row]
        check(steps)
        if epoch1 and main_process:
            with publish(epoch1) as folder:
                link_folder(work / "epoch1", folder)
        _publish(trainer, args.output, args.optimisation)
        if trainer.is_world_process_zero():
            remove(work)
    return {
        "examples": len(trainer.train_dataset),
        "repeated_examples": repeated,
        "steps": trainer.state.global_step,
        "tokens": trainer.state.num_input_tokens_seen,  # in all steps, by all processes
        "resumed_at_step": int(resumed.name.rpartition("-")[2]) if resumed else 0,
        "first_loss": steps[0]["loss"],
        "last_loss": steps[-1]["loss"],
        "mean_loss": result.training_loss,
        "processes": trainer.args.world_size,
        "global_batch": args.optimisation.global_batch,
        **kernels.peak_memory(),
    }


def load_options(optimisation: Optimisation) -> dict[str, Any]:
    """How a model is loaded that is to be trained, and its reference alike.

    Weights that are trained are float32, computed in bfloat16 where asked: plain bfloat16 would lose most updates of a
    step of 5e-7 to rounding. DeepSpeed keeps a float32 copy of its own, and an adapter is float32 on frozen weights.
    """
    dtype = optimisation.dtype if launch.sharded(optimisation) or optimisation.lora.rank else "float32"
    return {
        "dtype": dtype,
        "attn_implementation": kernels.attention(optimisation.dtype),
        **lora.loading(optimisation.lora, optimisation.dtype),
    }


def dataset(rows: "DuckDBPyRelation", work: Path) -> "Dataset":
    """Rows to train on, kept in the work directory and mapped from there: never in memory as a whole.

    All processes of a training, and those that resume it, map the same file, so that what TRL derives from it
    (tokens, the reference's log-probabilities) is computed by one and found by the others.
    """
    from datasets import Dataset
    from filelock import FileLock

    file = work / "train.parquet"
    with FileLock(work / "train.lock"):
        if not file.exists():
            with publish(file) as temporary:
                rows.write_parquet(str(temporary), compression="zstd")
    return Dataset.from_parquet(str(file), cache_dir=str(work / "datasets"))


def conversational_pairs(pairs: Sequence[Path], work: Path, where: str = "true", margin: float = 0) -> "Dataset":
    """Rows of pair tables as TRL reads them: prompt, chosen and rejected as lists of messages.

    With `margin`, a column of it: `margin` times the difference of the annotators' scores, 0 where there are none.
    """
    import duckdb

    margins = f", {margin} * coalesce(chosen_score - rejected_score, 0) AS margin" if margin else ""
    select = f"""prompt,
        [{{'role': 'assistant', 'content': chosen}}] AS chosen,
        [{{'role': 'assistant', 'content': rejected}}] AS rejected
        {margins}"""
    rows = duckdb.read_parquet([str(path) for path in pairs], union_by_name=True).filter(where)
    if rows.aggregate("count(*)").fetchall() == [(0,)]:
        raise StudyError(f"{', '.join(map(str, pairs))}: no pairs to train on (where {where}).")
    return dataset(rows.project(select), work)


def _options(optimisation: Optimisation, seed: int, work: Path) -> dict[str, Any]:
    import torch

    return {
        "output_dir": str(work),
        "seed": seed,
        "learning_rate": optimisation.learning_rate,
        "num_train_epochs": optimisation.epochs,
        "per_device_train_batch_size": optimisation.per_device_batch,
        "gradient_accumulation_steps": launch.accumulation(optimisation),
        "warmup_steps": optimisation.warmup,  # below 1, transformers reads it as a share of the steps
        "lr_scheduler_type": optimisation.schedule,
        "adam_beta2": optimisation.adam_beta2,
        "weight_decay": optimisation.weight_decay,
        "max_length": optimisation.max_tokens,
        "bf16": optimisation.dtype == "bfloat16",
        "gradient_checkpointing": optimisation.gradient_checkpointing,
        "use_liger_kernel": kernels.liger(),
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "steps",
        "save_steps": optimisation.checkpoint_steps,
        "save_total_limit": 2,
        "include_num_input_tokens_seen": "non_padding",  # TRL's own num_tokens begins anew where a job resumes
        "logging_steps": 1,
        "report_to": "none",
    }


def _use_global_batches(trainer: "Trainer", size: int) -> int:
    """Train on the same batches whatever the number of processes; returns how many rows an epoch has twice for it."""
    from scripts.common.global_batches import GlobalBatches

    def sampler(rows: "Dataset") -> GlobalBatches:
        return GlobalBatches(rows, size, trainer.args.seed, lambda: trainer.state.global_step)

    trainer._get_train_sampler = sampler
    return len(sampler(trainer.train_dataset)) - len(trainer.train_dataset)


def _check_shape(trainer: "Trainer", global_batch: int, work: Path, begun: Mapping[str, Any] | None) -> None:
    """The processes that were started count each other, have a GPU each, and can go on with what others began.

    Args:
        work: the work directory.
        begun: the shape of the job that saved the checkpoint to resume from, where there is one.

    Raises:
        StudyError: a launcher that was misread started processes that each believe to be alone; a GPU is missing; the
            global batch would be another; or ZeRO's parts of a checkpoint belong to another number of processes.
    """
    import torch

    args = trainer.args
    asked = int(os.environ.get("GPUS_ASKED", 0))  # by the rule, of this node; without a rule the CPU will do
    if args.world_size != launch.processes():
        raise StudyError(f"{launch.processes()} processes were started, but the trainer counts {args.world_size}.")
    if torch.version.cuda and torch.cuda.device_count() < asked:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise StudyError(
            f"{asked} GPUs are needed and {torch.cuda.device_count()} are visible (CUDA_VISIBLE_DEVICES: {visible}). "
            "See what the job was given (scontrol show job), or ask for fewer (resources in the configuration)."
        )
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    if batch != global_batch:
        raise StudyError(f"global_batch is {global_batch}, and {args.world_size} processes would make it {batch}.")
    print(f"processes: {args.world_size}, global batch: {batch}")
    if begun is None or begun["processes"] == args.world_size:
        return
    if trainer.is_deepspeed_enabled:
        raise StudyError(
            f"{work}: saved by {begun['processes']} processes, each with its part of the optimizer's state, and this "
            f"job has {args.world_size}. Run it with {begun['processes']} again, or remove the folder to start anew."
        )
    print(
        f"{args.world_size} processes go on with what {begun['processes']} began: the global batch remains "
        f"{global_batch}, and each accumulates {args.gradient_accumulation_steps} batches"
    )


def _check_steps(trainer: "Trainer", work: Path, begun: Mapping[str, Any] | None) -> None:
    """A job that resumed has as many steps in all as the one that began it."""
    steps = trainer.state.max_steps
    if begun is not None and begun["max_steps"] != steps:
        raise StudyError(
            f"{work}: of a job of {begun['max_steps']} steps, and this one has {steps}: the batches differ. "
            "Remove the folder to start anew."
        )


def _publish(trainer: "Trainer", output: Path, optimisation: Optimisation) -> None:
    """Save the model in a folder that appears whole; under ZeRO every process takes part in gathering the weights."""
    if not trainer.is_world_process_zero():
        trainer.save_model(str(output))
        return
    with publish(output) as folder:
        trainer.save_model(str(folder))
        lora.merge(trainer.model, folder, optimisation.lora, optimisation.dtype)
        if not any(folder.glob("*.safetensors")):
            raise StudyError(f"{output}: no weights were saved; is stage3_gather_16bit_weights_on_model_save on?")
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle: nothing here is loaded that can run code
        with (folder / "training_log.jsonl").open("w") as log:
            log.writelines(json.dumps(row) + "\n" for row in trainer.state.log_history)


def _keep_first_epoch(trainer: "Trainer", folder: Path, optimisation: Optimisation) -> None:
    """Save the model when its first epoch ends, before that step's checkpoint: who resumes later finds it there."""
    from transformers import TrainerCallback

    class KeepFirstEpoch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step * args.num_train_epochs == state.max_steps:
                _publish(trainer, folder, optimisation)

    trainer.add_callback(KeepFirstEpoch())


def _replace_callbacks(trainer: "Trainer") -> Callable[[], bool]:
    """A bar without a line for each step (these go to training_log.jsonl), marks on whole checkpoints, and SIGTERM.

    A scheduler that takes a node back sends SIGTERM some seconds before it kills: save at once and stop. What is
    returned tells whether that has happened.
    """
    import torch.distributed as distributed
    from transformers import PrinterCallback, ProgressCallback, TrainerCallback

    received = []
    several = distributed.is_available() and distributed.is_initialized()

    class Bar(ProgressCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            pass

    class MarkCheckpoints(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if several:
                distributed.barrier()  # every process has written its part
            if state.is_world_process_zero:
                checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
                shape = {"processes": args.world_size, "max_steps": state.max_steps}
                checkpoints.mark_whole(checkpoint, shape)

    class SaveAndStop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            flags = [bool(received)]
            if several:  # the signal may reach processes in different steps; all must stop after the same one
                flags = [False] * distributed.get_world_size()
                distributed.all_gather_object(flags, bool(received))
            if any(flags) and state.global_step < state.max_steps:
                received.append("by some process")
                control.should_save = control.should_training_stop = True

    signal.signal(signal.SIGTERM, lambda number, frame: received.append("by this process"))
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    for callback in (Bar(), MarkCheckpoints(), SaveAndStop()):
        trainer.add_callback(callback)
    return lambda: bool(received) and trainer.state.global_step < trainer.state.max_steps
