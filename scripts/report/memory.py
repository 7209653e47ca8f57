"""How much memory of a GPU a job takes: weights, gradients, optimiser, activations, KV cache, by closed formulas.

With P parameters, of which M in matrices, h the width, k that of keys, i that of the feed-forward layer, in bytes:

- Parameters of a Llama (Touvron et al., 2023): L layers of 2 h^2 + 2 h k + 3 h i + 2 h, embeddings V h, twice where
  the output has a matrix of its own, and a last norm h. For LLaMA-3-8B that is 8,030,261,248.
- Training with Adam, everything in float32 and computed in bfloat16: weights 4P with copies 2M for a pass, gradients
  4P, moments 8P. Under DeepSpeed with N processes: weights 2P, gradients 2P, and 12P for a float32 copy and moments;
  ZeRO-2 divides the last two by N, ZeRO-3 all three (Rajbhandari et al., 2020, Section 3.1 and Figure 1).
- LoRA: the frozen weights 2P and 16 bytes for each of r (in + out) adapter parameters of a matrix. In nf4 a frozen
  weight takes 4.127 bits: 4, and a scale of 8 bits for 64 and of 32 for 64 x 256 (Dettmers et al., 2023, Section 3).
- Activations of a token and layer that are kept for the backward pass: `activations`, counted tensor by tensor as
  transformers and torch's attention keep them; the unit test compares with what torch really saves. With gradient
  checkpointing only each layer's input is kept, and one layer at a time is computed again (Chen et al., 2016).
- Logits: TRL computes them in tiles of 4,096 tokens by 32,768 words, never all at once.
- KV cache: 2 L k values a token, keys and values of all layers (Kwon et al., 2023, Section 3).

On a CPU a whole step of a small reward model takes 0.83 (with gradient checkpointing) and 0.87 of what this says.
Assumed, not derived: gradients of activations take as much as one layer's activations, and the CUDA context with the
buffers of libraries 1.5 GB.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.common.config import Optimisation
from scripts.common.provenance import ROOT

GB = 1e9
ARCHITECTURES = ROOT / "config/architectures.tsv"
BYTES = {"bfloat16": 2, "float32": 4}
NF4 = (4 + 8 / 64 + 32 / (64 * 256)) / 8
TILE = 4096, 32_768
CONTEXT = 1.5 * GB
BATCHED_TOKENS = 8192
"""Tokens that vLLM computes at once on a GPU, unless told otherwise."""


@dataclass(frozen=True)
class Architecture:
    """A Llama's shape."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    tied: bool

    @property
    def matrices(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of a layer's matrices, by name."""
        h, q, k, i = self.hidden, self.heads * self.head_size, self.kv_heads * self.head_size, self.intermediate
        attention = {"q_proj": (h, q), "k_proj": (h, k), "v_proj": (h, k), "o_proj": (q, h)}
        return attention | {"gate_proj": (h, i), "up_proj": (h, i), "down_proj": (i, h)}

    @property
    def in_layers(self) -> int:
        """Parameters of the matrices of all layers."""
        return self.layers * sum(inputs * outputs for inputs, outputs in self.matrices.values())

    @property
    def output(self) -> int:
        """Parameters of the output matrix, which may be that of the embeddings."""
        return self.vocabulary * self.hidden

    @property
    def parameters(self) -> int:
        embeddings = self.output * (1 if self.tied else 2)
        return self.in_layers + embeddings + (2 * self.layers + 1) * self.hidden

    def adapters(self, rank: int, names: list[str]) -> int:
        """Parameters of LoRA's A and B for the matrices named, or for all."""
        shapes = [shape for name, shape in self.matrices.items() if not names or name in names]
        return self.layers * rank * sum(inputs + outputs for inputs, outputs in shapes)

    def cache(self, dtype: str) -> int:
        """Bytes of the KV cache for a token."""
        return 2 * self.layers * self.kv_heads * self.head_size * BYTES[dtype]


@dataclass(frozen=True)
class Memory:
    """Bytes of one GPU."""

    weights: float
    gradients: float = 0
    optimiser: float = 0
    activations: float = 0
    reference: float = 0
    cache: float = 0

    @property
    def total(self) -> float:
        parts = (self.weights, self.gradients, self.optimiser, self.activations, self.reference, self.cache)
        return sum(parts) + CONTEXT


def architecture(folder: Path, hub: str | None = None) -> Architecture | None:
    """A model's shape: of the folder where it is there, else from the table by its hub id; None: not known."""
    if (folder / "config.json").is_file():
        said = json.loads((folder / "config.json").read_text())
        heads = said["num_attention_heads"]
        return Architecture(
            layers=said["num_hidden_layers"],
            hidden=said["hidden_size"],
            intermediate=said["intermediate_size"],
            heads=heads,
            kv_heads=said.get("num_key_value_heads") or heads,
            head_size=said.get("head_dim") or said["hidden_size"] // heads,
            vocabulary=said["vocab_size"],
            tied=bool(said.get("tie_word_embeddings")),
        )
    with ARCHITECTURES.open(newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["model"] == hub:
                sizes = [int(row[key]) for key in list(row)[1:8]]
                return Architecture(*sizes, tied=row["tied"] == "true")
    return None


def activations(model: Architecture, weights: str, computed: str, rank: int = 0, dropout: bool = False) -> float:
    """Bytes that a layer keeps of a token for the backward pass, attention in tiles (FlashAttention, torch's sdpa).

    Of the feed-forward part gate, up, their product and the activated gate; keys and values; for each head a number in
    float32. Of width h: two norms keep input and normalised input in float32; a matrix keeps its input in the type it
    computes in: one for all that read it or, where float32 weights are computed in bfloat16, one cast each; then
    queries and what attention returns. Adapters keep their inner values and, with dropout, what they read in float32.
    """
    h, k = model.hidden, model.kv_heads * model.head_size
    i, size = model.intermediate, BYTES[computed]
    kept = (4 * i + 2 * k) * size + 4 * model.heads + 8
    if rank:
        return kept + 24 * h + 7 * rank * size + (4 * (6 * h + i) if dropout else 0)
    if weights == computed:
        return kept + (32 * h if computed == "float32" else 20 * h)
    return kept + 30 * h


def training(
    model: Architecture,
    optimisation: Optimisation,
    processes: int = 1,
    task: Literal["sft", "reward", "dpo"] = "sft",
) -> Memory:
    """Of each GPU, at the moment of a step when most is held.

    Args:
        model: the shape.
        optimisation: how it is trained.
        processes: all GPUs that train together.
        task: a reward model has one output instead of the vocabulary's; it and DPO compute the chosen and the rejected
            response together. DPO's reference leaves the GPU before the optimiser comes, so that it counts only where
            it takes more than gradients, optimiser and activations; DeepSpeed's part of it stays.
    """
    computed, lora, p = optimisation.dtype, optimisation.lora, float(model.parameters)
    sharding = optimisation.sharding if processes > 1 else "none"
    divided = 1 / processes
    output = 0 if task == "reward" else model.output
    if task == "reward" and not model.tied:
        p -= model.output
    if lora.rank:
        held, adapters = computed, model.adapters(lora.rank, lora.target_modules)
        matrices = model.in_layers * (NF4 if lora.quantise == "nf4" else BYTES[held])
        frozen = matrices + (p - model.in_layers) * BYTES[held]
        weights, gradients, optimiser, reference = frozen + 4 * adapters, 4 * adapters, 8 * adapters, frozen
    elif sharding == "none":
        held = "float32"
        copies = 2 * (model.in_layers + output) if computed == "bfloat16" else 0
        weights, gradients, optimiser, reference = 4 * p + copies, 4 * p, 8 * p, 4 * p
    else:
        held, size = computed, BYTES[computed]
        whole = size * p
        gathered = 2 * size * model.in_layers / model.layers  # the layer at work, and the next one
        weights = whole if sharding == "zero2" else whole * divided + gathered
        reference = whole if sharding == "zero2" else whole * divided
        gradients, optimiser = whole * divided, (12 if computed == "bfloat16" else 8) * p * divided
    tokens = optimisation.per_device_batch * optimisation.max_tokens * (1 if task == "sft" else 2)
    layer = activations(model, held, computed, lora.rank, bool(lora.dropout)) * tokens
    stream = BYTES[held] * model.hidden * tokens
    kept = model.layers * (stream if optimisation.gradient_checkpointing else layer)
    tile = 2 * 4 * min(tokens, TILE[0]) * min(model.vocabulary, TILE[1]) if output else 0
    summed = 0 if lora.rank else 4 * output  # the output matrix's gradient, in float32 while tiles are added to it
    at_work = max(2 * layer, tile + summed)  # the last layer is done before the one below begins
    if task != "dpo":
        reference = 0.0
    elif sharding == "none":
        reference = max(0.0, reference + layer - gradients - optimiser - kept - at_work)
    return Memory(weights, gradients, optimiser, kept + at_work, reference)


def serving(model: Architecture, dtype: str, sequences: int, max_tokens: int, gpus: int = 1) -> Memory:
    """vLLM with so many sequences of full length in its cache; tensor parallel over the GPUs."""
    layer = (2 * model.intermediate + 6 * model.hidden) * BYTES[dtype] * BATCHED_TOKENS
    cache = sequences * max_tokens * model.cache(dtype)
    return Memory(BYTES[dtype] * model.parameters / gpus, activations=layer, cache=cache / gpus)


def reading(model: Architecture, dtype: str, tokens: int) -> Memory:
    """transformers, that reads so many tokens at once and computes the whole vocabulary's logits for each."""
    of_a_token = (2 * model.intermediate + 6 * model.hidden + model.vocabulary) * BYTES[dtype]
    return Memory(BYTES[dtype] * model.parameters, activations=of_a_token * tokens)


def advice(
    model: Architecture, optimisation: Optimisation, processes: int, task: Literal["sft", "reward", "dpo"], limit: float
) -> str:
    """The smallest single changes of the configuration with which a training job fits into `limit` bytes."""
    batch, adapters = optimisation.per_device_batch, {"rank": 16}
    changes = {
        "gradient_checkpointing: true": {"gradient_checkpointing": True},
        **{
            f"per_device_batch: {size}": {"per_device_batch": size}
            for size in range(batch - 1, 0, -1)
            if optimisation.global_batch % size == 0
        },
        "sharding: zero2": {"sharding": "zero2"},
        "sharding: zero3": {"sharding": "zero3"},
        "lora (config/presets/lora.yaml)": {"sharding": "none", "lora": adapters},
        "4 bits (config/presets/qlora.yaml)": {"sharding": "none", "lora": {**adapters, "quantise": "nf4"}},
    }
    values = optimisation.model_dump()
    fitting = [
        words
        for words, change in changes.items()
        if any(values[key] != value for key, value in change.items())
        and training(model, Optimisation(**{**values, **change}), processes, task).total <= limit
    ]
    if not fitting:
        return "no single change is enough: more or larger GPUs, or a smaller model (config/presets/small.yaml)"
    return "; or ".join(fitting[:2])
