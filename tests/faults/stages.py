"""The five stages that a fault may strike, each as its true command on inputs of a few kilobytes.

Models have random weights and the world's tokenizer; tables are made here. Steps and chunks are many and small, so that
a job can be struck after it has saved something and before it has ended.
"""

import json
import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from scripts.common import rollouts, tables

PAIRS, CONVERSATIONS, PROMPTS, RESPONSES = 160, 200, 32, 1600
EXISTING = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


@dataclass(frozen=True)
class Stage:
    """A command that can be killed and run again."""

    name: str
    module: str
    options: str
    """Its arguments but for the output; `{inputs}` is the folder that `make_inputs` fills."""
    product: str
    """The output's file whose bytes must be those of an undisturbed run; empty: the output itself."""

    def command(self, inputs: Path, output: Path) -> list[str]:
        words = self.options.format(inputs=inputs).split()
        return [sys.executable, "-m", self.module, *words, "--output", str(output)]

    def result(self, output: Path) -> bytes:
        return (output / self.product if self.product else output).read_bytes()

    def saved(self, output: Path) -> list[Path]:
        """What a new attempt can go on from, oldest first: chunks, or checkpoints that are marked as whole."""
        found = output.parent.glob(f".{output.name}.work/*/{'checkpoint-*/whole.json' if self.product else 'chunk-*'}")
        return sorted(found, key=lambda path: path.stat().st_mtime_ns)

    def units(self, saved: Path) -> int:
        """The step of a checkpoint, the rows of a chunk."""
        return int(saved.parent.name.rpartition("-")[2]) if self.product else pq.read_metadata(saved).num_rows

    def units_saved(self, output: Path) -> int:
        """Steps or rows that are saved."""
        units = [self.units(path) for path in self.saved(output)]
        return max(units, default=0) if self.product else sum(units)

    def units_resumed(self, output: Path) -> int:
        """Steps or rows that the attempt which ended well took over, as its manifest says."""
        manifest = output / "manifest.json" if self.product else output.with_name(output.name + ".manifest.json")
        facts = json.loads(manifest.read_text())["facts"]
        return facts["resumed_at_step" if self.product else "resumed_responses"]


def _optimisation(prefix: str, **settings: object) -> str:
    common = {
        "learning-rate": 1e-3,
        "max-tokens": 128,
        "dtype": "float32",
        "global-batch": 4,
        "per-device-batch": 4,
        "checkpoint-steps": 10,
    }
    flags = " ".join(f"--{prefix}optimisation.{key} {value}" for key, value in {**common, **settings}.items())
    return f"{flags} --{prefix}optimisation.no-gradient-checkpointing --seed 3"


STAGES = {
    stage.name: stage
    for stage in (
        Stage(
            "generation",
            "scripts.online.generate_responses",
            "--prompts {inputs}/prompts.parquet --policy {inputs}/policy --policy-name sft --sampler-name mixed"
            " --prompt-set iter1 --actors 0 1"
            " --temperatures 1.0 0.7 --counts 4 4 --max-new-tokens 40 --max-prompt-tokens 64"
            " --dtype float32 --engine transformers --seed 3 --chunk 8",
            product="",
        ),
        Stage(
            "scoring",
            "scripts.online.score_responses",
            "--responses {inputs}/responses.parquet --reward-model {inputs}/reward --chunk 32",
            product="",
        ),
        Stage(
            "SFT",
            "scripts.sft.train_sft",
            "--instructions {inputs}/instructions.parquet --base {inputs}/policy " + _optimisation("", epochs=12),
            product="model.safetensors",
        ),
        Stage(
            "reward model",
            "scripts.reward.train_reward_model",
            "--mix {inputs}/mix.parquet --base {inputs}/policy " + _optimisation("", epochs=3),
            product="model.safetensors",
        ),
        Stage(
            "DPO",
            "scripts.online.train_dpo",
            "--pairs {inputs}/pairs.parquet --policy {inputs}/policy --reference {inputs}/policy "
            + _optimisation("dpo.", epochs=3),
            product="model.safetensors",
        ),
    )
}


def environment() -> dict[str, str]:
    """Of the commands: the repository on the path, one thread each; glibc as the Snakefile sets it."""
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", **dict.fromkeys(EXISTING, "1000000000")}


# --- inputs -----------------------------------------------------------------------------------------------------------


def make_inputs(folder: Path) -> None:
    """Two models and five tables."""
    _make_models(folder)
    draw = random.Random(3)
    pairs = [_pair(i, draw) for i in range(PAIRS)]
    tokens = dict.fromkeys(("prompt_tokens", "chosen_tokens", "rejected_tokens"), 10)
    mix = [
        {"pair_id": f"pair{i}", "source": "test", "chosen_score": None, "rejected_score": None, "split": "train"}
        | {**pair, **tokens}
        for i, pair in enumerate(pairs)
    ]
    tables.write_table(mix, folder / "mix.parquet", tables.MIX)
    rewards = {"chosen_reward": 1.0, "rejected_reward": 0.0, "margin": 1.0, "chosen_actor": 0, "rejected_actor": 0}
    tables.write_table([{**pair, **rewards} for pair in pairs], folder / "pairs.parquet", tables.ONLINE_PAIRS)
    conversations = [
        {
            "source": "test",
            "conversation_id": f"c{i}",
            "messages": [*_asked(draw), {"role": "assistant", "content": _text(draw, 30)}],
        }
        for i in range(CONVERSATIONS)
    ]
    tables.write_table(conversations, folder / "instructions.parquet", tables.INSTRUCTIONS)
    prompts = [{"prompt_id": f"p{i:03}", "source": "test", "prompt": _asked(draw)} for i in range(PROMPTS)]
    tables.write_table(prompts, folder / "prompts.parquet", tables.PROMPTS)
    responses = [
        {"prompt_id": f"p{i:04}", "prompt": _asked(draw), "actor": 0, "k": 0, "temperature": 1.0, "seed": i}
        | {"response": _text(draw, 60), "tokens": 61, "finished": True}
        for i in range(RESPONSES)
    ]
    contract = tables.Contract("responses", rollouts.responses_schema([]))
    tables.write_table(responses, folder / "responses.parquet", contract)


def _make_models(folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from scripts.world.tokenizer import build_tokenizer
    from scripts.world.train_base import new_model

    torch.manual_seed(3)
    tokenizer = build_tokenizer()
    new_model(tokenizer, hidden=32, layers=1, positions=128).save_pretrained(folder / "policy")
    reward = AutoModelForSequenceClassification.from_pretrained(folder / "policy", num_labels=1)
    reward.save_pretrained(folder / "reward")
    for name in ("policy", "reward"):
        tokenizer.save_pretrained(folder / name)


def _pair(number: int, draw: random.Random) -> dict[str, object]:
    texts = {"chosen": _text(draw, 12), "rejected": _text(draw, 9)}
    return {"prompt_id": f"p{number}", "prompt": _asked(draw), **texts}


def _asked(draw: random.Random) -> list[dict[str, str]]:
    return [{"role": "user", "content": _text(draw, 8)}]


def _text(draw: random.Random, most: int) -> str:
    from scripts.world.tokenizer import vocabulary

    return " ".join(draw.choices(vocabulary()[:200], k=draw.randint(3, most)))
