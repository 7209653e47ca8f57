"""Rewards a second: responses that share their prompt, against the released code's way and against sorted batches.

Each round scores the same conversations (8 responses a prompt) in every way, one after another, in an order that
rotates; the figures are medians over rounds of the ratios within a round. The ways:

    released   transformers' text-classification pipeline with batch size 1, as the authors' code does it
    sorted     transformers in batches sorted by length, padded to the longest; the fastest of several batch sizes
    shared     scripts/common/scoring.py, engine transformers
    vllm       the same, engine vllm (with --vllm; started before the clock)

Prompts and responses have the mean lengths of data sets in the paper's Table 5, spread as a log-normal. How much can be
gained depends on them: with P tokens of a prompt and R of a response, 8 (P + R) tokens become P + 8 R. The model has
random weights, which decide neither speed nor whether the ways agree. All ways run with the two variables of memory
that rules/common.smk gives to every job.

    MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=2000000000 \\
        python -m benchmarks.scoring --output benchmarks/results/scoring.json
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks import results
from scripts.report.paper import paper_value

RESPONSES = 8
SPREAD = 0.5  # of the logarithm of a length
WORDS = 2_000
BATCH_SIZES = (4, 8, 16)

Texts = tuple[list[list[dict[str, str]]], list[str]]
Way = Callable[[Texts], list[float]]


@dataclass(frozen=True)
class Args:
    output: Path
    """JSON file for the result."""
    lengths: tuple[str, ...] = ("HelpSteer", "HH-RLHF", "UltraFeedback")
    """Data sets of Table 5 whose lengths are taken; the targets are held against the first."""
    prompts: int = 8
    rounds: int = 5
    hidden: int = 256
    layers: int = 4
    threads: int = 1
    """Of torch, on a CPU."""
    vllm: bool = False
    """Measure vLLM's pooling as well."""
    target_released: float = 3.0
    target_sorted: float = 1.3


def main(args: Args) -> None:
    import torch

    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(Path(folder), args.hidden, args.layers)
        ways = make_ways(model, args.vllm)
        weights = matrix_weights(model)
        profiles = {name: measure(ways, make_texts(name, args.prompts), args.rounds) for name in args.lengths}
        deviation = bfloat16_deviation(model, make_texts(args.lengths[0], args.prompts))
    first = profiles[args.lengths[0]]
    difference = max(profile["largest_difference"] for profile in profiles.values())
    result = {
        "largest_difference": difference,
        "lengths": profiles,
        "bfloat16": deviation,
        "targets": {"released": args.target_released, "sorted": args.target_sorted, "lengths": args.lengths[0]},
        "holds": first["speed_up_over"]["released"] >= args.target_released
        and all(profile["speed_up_over"]["sorted"] >= args.target_sorted for profile in profiles.values())
        and difference <= 1e-4,
        "model": {"hidden": args.hidden, "layers": args.layers, "dtype": "float32"},
        "rounds": args.rounds,
        "threads": args.threads,
        "matrix_rate": matrix_rate(),
    }
    for profile in profiles.values():  # of its matrix products with weights, attention left out
        rate = 2 * weights * profile["computed_tokens_per_second"]
        profile["share_of_matrix_rate"] = rate / result["matrix_rate"]
    results.write(args.output, result)


def make_model(folder: Path, hidden: int, layers: int) -> Path:
    """A reward model of random weights, with a tokenizer of numbered words and a chat template that begins with BOS."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<unk>", "<user>", "<assistant>"]
    vocabulary = {word: i for i, word in enumerate([*special, *map("w{}".format, range(WORDS))])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="right"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ '<' + m.role + '> ' + m.content + ' <eos> ' }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant> {% endif %}"
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        intermediate_size=8 * hidden // 3,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        max_position_embeddings=8192,
        initializer_range=0.05,
        num_labels=1,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_texts(name: str, prompts: int) -> Texts:
    """Prompts and responses, 8 of them to each prompt, with the mean lengths of a data set of Table 5."""
    columns = ("Prompt Len.", "Preferred Len.", "Rejected Len.")
    prompt, chosen, rejected = (paper_value("table5", name, column) for column in columns)
    if prompt is None or chosen is None or rejected is None:
        raise SystemExit(f"error: Table 5 has no lengths of '{name}'; config/paper.tsv has the names.")
    draw = np.random.default_rng(0)

    def words(mean: float) -> str:
        length = draw.lognormal(np.log(mean) - SPREAD**2 / 2, SPREAD)  # the mean is `mean`
        return " ".join(f"w{i}" for i in draw.integers(0, WORDS, size=max(1, round(length))))

    asked = [[{"role": "user", "content": words(prompt)}] for _ in range(prompts)]
    return [p for p in asked for _ in range(RESPONSES)], [
        words(chosen if k % 2 else rejected) for _ in asked for k in range(RESPONSES)
    ]


def make_ways(folder: Path, vllm: bool) -> dict[str, Way]:
    from transformers import pipeline

    from scripts.common.models import for_inference, load_reward_model, load_tokenizer
    from scripts.common.scoring import open_scorer, tokenize

    tokenizer = load_tokenizer(folder)
    plain = for_inference(load_reward_model(folder, "float32"))
    released_pipeline = pipeline("text-classification", model=plain, tokenizer=tokenizer, device=plain.device)
    engines = {"shared": "transformers"} | ({"vllm": "vllm"} if vllm else {})
    scorers = {way: open_scorer(engine, folder, "float32") for way, engine in engines.items()}

    def said(texts: Texts) -> list[list[dict[str, str]]]:
        return [[*prompt, {"role": "assistant", "content": text}] for prompt, text in zip(*texts, strict=True)]

    def released(texts: Texts) -> list[float]:
        written = [tokenizer.apply_chat_template(conversation, tokenize=False) for conversation in said(texts)]
        return [found["score"] for found in released_pipeline(written, function_to_apply="none", batch_size=1)]

    def sorted_batches(size: int) -> Way:
        return lambda texts: padded(plain, tokenizer.apply_chat_template(said(texts), return_dict=False), size)

    return {
        "released": released,
        **{f"sorted in {size}": sorted_batches(size) for size in BATCH_SIZES},
        **{
            way: (lambda texts, scorer=scorer: scorer.rewards(tokenize(tokenizer, *texts)))
            for way, scorer in scorers.items()
        },
    }


def padded(model: Any, conversations: list[list[int]], size: int) -> list[float]:
    """Batches of `size` conversations of like length, padded to the longest."""
    import torch

    order = sorted(range(len(conversations)), key=lambda i: len(conversations[i]))
    found = [0.0] * len(order)
    with torch.inference_mode():
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            width = max(len(conversations[i]) for i in batch)
            ids = torch.tensor([conversations[i] + [0] * (width - len(conversations[i])) for i in batch])
            mask = torch.arange(width) < torch.tensor([[len(conversations[i])] for i in batch])
            output = model(input_ids=ids.to(model.device), attention_mask=mask.long().to(model.device))
            for i, reward in zip(batch, output.logits[:, 0].tolist(), strict=True):
                found[i] = reward
    return found


def measure(ways: dict[str, Way], texts: Texts, rounds: int) -> dict[str, Any]:
    """Seconds of each way in each round, what they make of it, and by how much the rewards differ."""
    rewards = {name: way(texts) for name, way in ways.items()}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for round_ in range(rounds):
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            started = time.perf_counter()
            ways[name](texts)
            seconds[name].append(time.perf_counter() - started)
    fastest = min(
        (name for name in ways if name.startswith("sorted")), key=lambda name: statistics.median(seconds[name])
    )
    opponents = {"released": "released", "sorted": fastest}
    ratios = {
        label: [other / own for other, own in zip(seconds[name], seconds["shared"], strict=True)]
        for label, name in opponents.items()
    }
    rows = len(texts[1])
    prompt_tokens = [len(prompt[0]["content"].split()) + 4 for prompt in texts[0]]  # 4: what the template adds
    response_tokens = sum(len(text.split()) + 1 for text in texts[1])
    tokens, distinct = sum(prompt_tokens) + response_tokens, sum(prompt_tokens[::RESPONSES]) + response_tokens
    median = statistics.median(seconds["shared"])
    return {
        "prompt_tokens": statistics.mean(prompt_tokens),
        "response_tokens": response_tokens / rows,
        "responses": rows,
        "speed_up_over": {label: statistics.median(values) for label, values in ratios.items()},
        "speed_up_range": {label: [min(values), max(values)] for label, values in ratios.items()},
        "fewer_tokens": tokens / distinct,
        "rows_per_second": {name: rows / statistics.median(values) for name, values in seconds.items()},
        "tokens_per_second": tokens / median,
        "computed_tokens_per_second": distinct / median,
        "largest_difference": max(
            abs(a - b) for found in rewards.values() for a, b in zip(found, rewards["released"], strict=True)
        ),
        "standard_deviation_of_rewards": statistics.stdev(rewards["released"]),
    }


def bfloat16_deviation(folder: Path, texts: Texts) -> dict[str, float]:
    """How far rewards computed in bfloat16 lie from those in float32, in units of the standard deviation of the latter.

    And the share of prompts whose best or worst response is another.
    """
    from scripts.common.models import load_tokenizer
    from scripts.common.scoring import open_scorer, tokenize

    conversations = tokenize(load_tokenizer(folder), *texts)
    exact, coarse = (
        np.array(open_scorer("transformers", folder, dtype).rewards(conversations)).reshape(-1, RESPONSES)
        for dtype in ("float32", "bfloat16")
    )
    apart = np.abs(coarse - exact) / exact.std()
    moved = (exact.argmax(1) != coarse.argmax(1)) | (exact.argmin(1) != coarse.argmin(1))
    return {"median": float(np.median(apart)), "largest": float(apart.max()), "prompts_moved": float(moved.mean())}


def matrix_weights(folder: Path) -> int:
    """The parameters that each token is multiplied with: all matrices but the embedding."""
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118, it is no mapping
    return sum(shape[0] * shape[1] for name, shape in shapes.items() if len(shape) == 2 and "embed" not in name)


def matrix_rate() -> float:
    """Operations a second of a large product of float32 matrices: the best of some."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = (torch.randn(2048, 2048, device=device) for _ in range(2))
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - started)
    return 2 * 2048**3 / min(seconds)


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
