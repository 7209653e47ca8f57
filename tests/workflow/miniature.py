"""The paper's study in miniature: local copies of all that config/paper.yaml would fetch, and its sizes made small.

The copies have the published schemas: the miniature world writes the preference data and the benchmarks, each data set
of instructions and prompts repeats the row of tests/unit/data/published.py with texts of the world, and the models are
small ones of random weights with the special tokens and layouts of theirs.
"""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from scripts.common.config import Optimisation, World
from scripts.world import generate_world
from tests.unit.data import published
from tests.workflow.study import ROOT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAPER = ROOT / "config/paper.yaml"
ONLINE = {"limits": {"length_growth": None, "repetition": None, "truncated": None}}
"""A model of random weights writes without end and says things twice; the limit of KL stays."""

COMPUTING = ("count_tokens", "plot_prompts", "generate_responses", "score_responses", "measure_responses")
COMPUTING += ("score_pairs", "answer_questions", "evaluate_academic")

SIZES = {
    "data": {"held_out": 0.1, "prompts_per_iteration": 12, "validation_prompts": 8, "test_prompts": 12},
    "sft": {"global_batch": 4, "max_tokens": 512},
    "reward_models": {mix: {"optimisation": {"global_batch": 64}} for mix in ("mix1", "mix2")},
    "preference_models": {"pairwise": {"optimisation": {"global_batch": 4}}},
    "generation": {"engine": "transformers", "max_new_tokens": 12, "shards": 2},
    "scoring": {"engine": "transformers"},
    "dpo": {"optimisation": {"global_batch": 4}},
    "runs": {
        "iterative": {"iterations": 2, **ONLINE},
        "concise": {"iterations": 1, **ONLINE},
        "ultrarm": {"iterations": 1, **ONLINE},
    },
    "evaluation": {
        "length_bias_prompts": 8,
        "length_bias_responses": 3,
        "chat": {"engine": "transformers", "max_new_tokens": 12},
        "academic": {"engine": "transformers"},
    },
    "resources": {rule: {"threads": 1} for rule in COMPUTING}
    | {rule: {"threads": 1, "gpus": 1} for rule in ("train_sft", "train_reward_model", "train_dpo")}
    | {"train_preference_model": {"threads": 2, "gpus": 2}},  # ranks under ZeRO-3, where a node has eight GPUs
}
"""Laid over config/paper.yaml. vLLM would start some eighty times; its engine has tests of its own."""


def plant(folder: Path, rows: int, sizes: dict[str, Any] = SIZES, judge: str | None = None) -> Path:
    """Write the copies into a folder, and a file to lay over config/paper.yaml that names them.

    Args:
        rows: of all data sets of instructions together, and 7 times as many prompts; each preference set has a quarter.
        sizes: what else to lay over it.
        judge: address of a server that plays OpenAI's; without it, that is what judges.
    """
    raw = folder / "published"
    world = World(
        pretraining_documents=rows,
        instructions=rows,
        prompts=7 * rows,
        pairs=dict.fromkeys(study_of_the_paper()["data"]["preferences"], max(rows // 4, 1)),
        reward_bench=4,
        academic=4,
        chat_questions={"alpaca_eval": 12, "mt_bench": 4, "arena_hard": 6},
        length_bias=dict.fromkeys(("fact", "list", "math", "safe"), 0.0),
        label_noise=0.0,
        optimisation=Optimisation(learning_rate=1e-3, global_batch=1, max_tokens=64),  # of a base that nobody trains
    )
    generate_world.main(generate_world.Args(raw, world))
    overlay = merged(sizes, copies(raw))
    if judge:
        judges = study_of_the_paper()["evaluation"]["judges"]
        overlay["evaluation"]["judges"] = {name: {"endpoint": {"base_url": judge}} for name in judges}
    path = folder / "miniature.yaml"
    path.write_text(yaml.safe_dump(overlay))
    return path


def study_of_the_paper() -> dict[str, Any]:
    return yaml.safe_load(PAPER.read_text())


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two nested sections as one; they have no value in common."""
    shared = {key: merged(one[key], other[key]) for key in one.keys() & other.keys()}
    return one | other | shared


# --- data -------------------------------------------------------------------------------------------------------------

CHAT = {  # the world's files by their places in the configuration
    "alpaca_eval": {"questions": "alpaca_eval", "difficulty": "alpaca_eval_difficulty", "gamed": "alpaca_eval_gamed"},
    "mt_bench": {"questions": "mt_bench"},
    "arena_hard": {"questions": "arena_hard", "baseline": "arena_hard_answers"},
}
ACADEMIC = {"data": "{}", "examples": "{}_examples"}


def copies(raw: Path) -> dict[str, Any]:
    """What to lay over the paper's configuration, so that every data set and model of it is a file in `raw`."""
    paper = study_of_the_paper()
    data, evaluation = paper["data"], paper["evaluation"]

    def world(name: str) -> dict[str, Any]:
        (path,) = (path for ending in ("jsonl.gz", "parquet") if (path := raw / f"{name}.{ending}").exists())
        return here(path)

    said = [[turn["value"] for turn in row["conversations"]] for row in lines(raw / "instructions.jsonl.gz")]
    asked = [[row["prompt"]] for row in lines(raw / "prompts.jsonl.gz")]
    write_lines(raw / "mt_bench.jsonl.gz", [mt_bench_of_the_hub(row) for row in lines(raw / "mt_bench.jsonl.gz")])
    write_lines(raw / "arc_examples.jsonl.gz", 2 * lines(raw / "arc_examples.jsonl.gz"))  # enough for 25 shots
    models = make_models(raw / "models", sorted({text for texts in (*said, *asked) for text in texts}))
    return {
        "models": {name: here(models[name]) for name in ("base", "instruct", "embedding")},
        "reward_models": {"ultrarm": {"external": here(models["ultrarm"])}},
        "data": {
            "preferences": {name: world(name) for name in data["preferences"]},
            "instructions": written(raw / "instructions", published.INSTRUCTIONS, data["instructions"], said),
            "prompts": written(raw / "prompts", published.PROMPTS, data["prompts"], asked),
        },
        "evaluation": {
            "reward_bench": world("reward_bench"),
            "chat": {name: {key: world(file) for key, file in files.items()} for name, files in CHAT.items()},
            "baselines": {name: here(models["instruct"]) for name in evaluation["baselines"]},
            "academic": {
                "tasks": {
                    name: {key: world(file.format(name)) for key, file in ACADEMIC.items() if key in task}
                    for name, task in evaluation["academic"]["tasks"].items()
                }
            },
        },
    }


def mt_bench_of_the_hub(row: dict[str, Any]) -> dict[str, Any]:
    """A question as HuggingFaceH4/mt_bench_prompts has it; the world writes the layout of the benchmark's authors."""
    named = {"prompt": row["turns"], "prompt_id": row["question_id"]}
    return {"category": row["category"], "reference": row.get("reference", [])} | named


def here(path: Path) -> dict[str, Any]:
    return {"hub": None, "revision": None, "local": str(path)}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def written(
    folder: Path, layouts: dict[str, Any], names: Sequence[str], texts: Sequence[Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Data sets in their published layouts, the texts dealt out among them: "q" of a row is the first, "a" the next."""
    folder.mkdir()
    found = {}
    for i, name in enumerate(names):
        columns, row, _ = layouts[name]
        rows = [filled(row, dict(zip("qa", said, strict=False))) for said in texts[i :: len(names)]]
        found[name] = here(published.written(folder / f"{name}.parquet", columns, *rows))
    return found


def filled(value: Any, said: dict[str, str]) -> Any:
    """A row with texts in the place of the letters that stand for them."""
    if isinstance(value, str):
        return said.get(value, value)
    if isinstance(value, dict):
        return {key: filled(part, said) for key, part in value.items()}
    return [filled(part, said) for part in value] if isinstance(value, list | tuple) else value


# --- models -----------------------------------------------------------------------------------------------------------

SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
SPECIAL += ("<|reserved_special_token_0|>",)
TEMPLATE = ROOT / "config/chat_templates/llama3.jinja"


def make_models(folder: Path, texts: Sequence[str]) -> dict[str, Path]:
    """LLaMA-3's base and chat model, UltraRM and an encoder, each as published but for its size."""
    from transformers import BertConfig, BertModel

    base, instruct = (byte_level(texts, end) for end in ("<|end_of_text|>", "<|eot_id|>"))
    instruct.chat_template = TEMPLATE.read_text()
    llama_1 = byte_level([*texts, "Human: Assistant:"], "</s>", ("<unk>", "<s>", "</s>", "<0x00>"))
    bert = byte_level(texts, "[SEP]", ("[PAD]", "[SEP]"), pad_token="[PAD]", model_max_length=64)
    folder.mkdir()
    save_llama(folder / "base", base)
    save_llama(folder / "instruct", instruct)
    save_ultrarm(folder / "ultrarm", llama_1)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(bert), max_position_embeddings=64, **shape)).save_pretrained(folder / "nomic")
    bert.save_pretrained(folder / "nomic")
    return {name: folder / name for name in ("base", "instruct", "ultrarm")} | {"embedding": folder / "nomic"}


def byte_level(
    texts: Sequence[str], end: str, special: Sequence[str] = SPECIAL, **settings: Any
) -> "PreTrainedTokenizerFast":
    """A byte-level BPE tokenizer that begins every text as LLaMA's do, where it has a token for it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    learner = Tokenizer(models.BPE(unk_token="<unk>" if "<unk>" in special else None))
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=600, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        ),
    )
    begin = next((token for token in ("<|begin_of_text|>", "<s>") if token in special), None)
    if begin:
        learner.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", pair=f"{begin} $A {begin} $B", special_tokens=[(begin, special.index(begin))]
        )
        settings |= {"bos_token": begin}
    if "<unk>" in special:
        settings |= {"unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=learner, eos_token=end, **settings)


def llama_config(tokenizer: "PreTrainedTokenizerFast", positions: int = 8192) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=positions,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def save_llama(folder: Path, tokenizer: "PreTrainedTokenizerFast") -> None:
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(llama_config(tokenizer))
    ends = tokenizer.convert_tokens_to_ids(["<|end_of_text|>", "<|eot_id|>"])
    with torch.no_grad():  # one part of every token is the same, and speaks for the end: an answer has about 5 tokens
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.lm_head.weight[ends, 0] = 0.8
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_ultrarm(folder: Path, tokenizer: "PreTrainedTokenizerFast") -> None:
    """A Llama without its output layer, and a head with a name of its own."""
    import torch
    from safetensors.torch import save_file
    from transformers import LlamaModel

    config = llama_config(tokenizer, positions=2048)
    torch.manual_seed(1)
    tensors = {f"model.{name}": tensor for name, tensor in LlamaModel(config).state_dict().items()}
    tensors["regression_head.weight"] = torch.randn(1, config.hidden_size)
    config.save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text()) | {"architectures": ["LlamaRewardModel"]}
    (folder / "config.json").write_text(json.dumps(said))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)
