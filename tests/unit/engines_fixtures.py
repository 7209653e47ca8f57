"""Tiny models of random weights with a word-level tokenizer, and tables around them; real components, no network.

A test module takes the fixtures with `pytest_plugins = ["tests.unit.engines_fixtures"]`.
"""

from pathlib import Path

import pytest

from scripts.common import tables

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'user' %}<user> {{ m.content }} {% else %}<assistant> {{ m.content }} <eos>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)
WORDS = [f"w{i}" for i in range(60)]
COMPARED = ["[CONTEXT]", "[RESPONSE", "A]", "B]", "A", "B"]  # what a preference model reads and answers


@pytest.fixture(scope="session")
def tokenizer():
    return word_tokenizer()


def word_tokenizer(*more: str):
    """A tokenizer that knows `WORDS`, roles and ends, what a preference model reads, and more words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {
        word: i for i, word in enumerate(["<pad>", "<eos>", "<unk>", "<user>", "<assistant>", *WORDS, *COMPARED, *more])
    }
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        additional_special_tokens=["<user>", "<assistant>"],
    )
    fast.chat_template = TEMPLATE
    return fast


@pytest.fixture(scope="session")
def llama_config(tokenizer):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=2,  # head dimension 32, which vLLM needs on the CPU
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def save_policy(folder: Path, tokenizer, config, seed: int) -> Path:
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(seed)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def policy(tmp_path_factory, tokenizer, llama_config) -> Path:
    return save_policy(tmp_path_factory.mktemp("models") / "policy", tokenizer, llama_config, seed=0)


@pytest.fixture(scope="session")
def other_policy(tmp_path_factory, tokenizer, llama_config) -> Path:
    return save_policy(tmp_path_factory.mktemp("models") / "other", tokenizer, llama_config, seed=1)


@pytest.fixture(scope="session")
def reward_model(tmp_path_factory, tokenizer, llama_config) -> Path:
    import copy

    import torch
    from transformers import LlamaForSequenceClassification

    folder = tmp_path_factory.mktemp("models") / "reward"
    config = copy.deepcopy(llama_config)
    config.num_labels = 1
    torch.manual_seed(2)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def prompt_rows(count: int) -> list[dict]:
    """Prompts of different lengths: the i-th has 3 + i % 25 words."""
    return [
        {
            "prompt_id": f"p{i:03}",
            "source": "test",
            "prompt": user(" ".join(WORDS[(i * 7 + j) % len(WORDS)] for j in range(3 + i % 25))),
        }
        for i in range(count)
    ]


@pytest.fixture
def prompts(tmp_path) -> Path:
    path = tmp_path / "prompts.parquet"
    tables.write_table(prompt_rows(14), path, tables.PROMPTS)
    return path
