"""The four trainings on made-up words: their tables, a base model with random weights, and how each is run."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from scripts.common import tables
from scripts.common.chat import conversation_ids
from scripts.common.config import DPO, Optimisation
from scripts.common.preferences import LAYOUT
from scripts.online import train_dpo
from scripts.report.memory import Architecture
from scripts.reward import train_preference_model, train_reward_model
from scripts.sft import train_sft
from tests.unit.engines_fixtures import TEMPLATE, WORDS, save_policy, user

if TYPE_CHECKING:
    from transformers import LlamaConfig, PreTrainedTokenizerFast

Stage = Literal["sft", "reward", "preference", "dpo"]
STAGES: tuple[Stage, ...] = get_args(Stage)
LEARNT = TEMPLATE.replace(
    "<assistant> {{ m.content }} <eos>", "<assistant> {% generation %}{{ m.content }} <eos>{% endgeneration %}"
)
"""The fixtures' template with the marks that SFT needs."""


def text(i: int, length: int) -> str:
    return " ".join(WORDS[(7 * i + j * (1 + i % 5)) % len(WORDS)] for j in range(length))


def llama_config(shape: Architecture, **options: Any) -> "LlamaConfig":
    """A Llama of a shape, as transformers configures it."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        tie_word_embeddings=shape.tied,
        **options,
    )


@dataclass(frozen=True)
class Stages:
    """Inputs of the trainings in a folder; see `make_stages`."""

    folder: Path
    base: Path
    reference: Path

    def run(self, stage: Stage, output: Path, optimisation: Optimisation) -> dict[str, Any]:
        """Train, and return what the command says of it."""
        match stage:
            case "sft":
                return train_sft.main(train_sft.Args(self.folder / "sft.parquet", self.base, output, optimisation))
            case "reward":
                mix = self.folder / "mix.parquet"
                return train_reward_model.main(train_reward_model.Args(mix, self.base, output, optimisation))
            case "preference":
                table = self.folder / "comparisons.parquet"
                args = train_preference_model.Args(table, self.base, output, optimisation)
                return train_preference_model.main(args)
            case "dpo":
                pairs, dpo = (self.folder / "pairs.parquet",), DPO(optimisation=optimisation)
                return train_dpo.main(train_dpo.Args(pairs, self.base, self.reference, output, dpo))


def make_stages(
    folder: Path, tokenizer: "PreTrainedTokenizerFast", config: "LlamaConfig", rows: int, length: int
) -> Stages:
    """Tables of so many rows, and two models of a shape.

    Args:
        length: words of a conversation, half of them the prompt's; a comparison has half as many again.
    """
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = LEARNT
    half = length // 2
    _write_instructions([(text(i, half), text(i + 1, half)) for i in range(rows)], folder / "sft.parquet")
    pairs = [_pair(i, half) for i in range(rows)]
    split = {"split": "train", "source": "s", "chosen_score": None, "rejected_score": None}
    counts = {"prompt_tokens": half, "chosen_tokens": half, "rejected_tokens": half - 1}
    mix = [{**pair, **split, **counts, "pair_id": f"{i}"} for i, pair in enumerate(pairs)]
    tables.write_table(mix, folder / "mix.parquet", tables.MIX)
    online = {"chosen_actor": 0, "rejected_actor": 1, "chosen_reward": 1.0, "rejected_reward": 0.0, "margin": 1.0}
    tables.write_table([pair | online for pair in pairs], folder / "pairs.parquet", tables.ONLINE_PAIRS)
    comparisons = [_comparison(tokenizer, i, half) for i in range(rows)]
    tables.write_table(comparisons, folder / "comparisons.parquet", tables.COMPARISONS)
    base = save_policy(folder / "base", tokenizer, config, seed=0)
    return Stages(folder, base, save_policy(folder / "reference", tokenizer, config, seed=1))


def _write_instructions(said: list[tuple[str, str]], path: Path) -> None:
    rows = [
        {
            "source": "s",
            "conversation_id": f"{i}",
            "messages": [*user(question), {"role": "assistant", "content": answer}],
        }
        for i, (question, answer) in enumerate(said)
    ]
    tables.write_table(rows, path, tables.INSTRUCTIONS)


def _pair(i: int, half: int) -> dict[str, Any]:
    prompt, chosen, rejected = user(text(i, half)), text(i + 1, half), text(i + 2, half - 1)
    return {"prompt_id": f"p{i}", "prompt": prompt, "chosen": chosen, "rejected": rejected}


def _comparison(tokenizer: "PreTrainedTokenizerFast", i: int, half: int) -> dict[str, Any]:
    label = "AB"[i % 2]
    read = LAYOUT.format(text(i, half), text(i + 1, half), text(i + 2, half))
    tokens = len(conversation_ids(tokenizer, user(read), label))
    return {"pair_id": f"{i}", "source": "s", "comparison": read, "label": label, "split": "train", "tokens": tokens}
