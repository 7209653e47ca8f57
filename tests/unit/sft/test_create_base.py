"""A base model without a hub: its tokenizer, its template, its weights, and that both come out the same again."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common.chat import conversation_ids, prompt_ids
from scripts.common.errors import StudyError
from scripts.common.models import load_policy, load_tokenizer
from scripts.common.provenance import ROOT, digest
from scripts.sft.create_base import END, ROLES, Args, main, strings, texts

TEMPLATE = ROOT / "config" / "chat_templates" / "plain.jinja"
ROWS = [{"prompt": f"what is {i} plus {i} ?", "answers": [{"text": f"it is {2 * i}", "rank": i}]} for i in range(200)]


def created(folder, rows=ROWS, seed=1, **changes):
    source, output = folder / "raw.parquet", folder / f"base-{seed}"
    pq.write_table(pa.Table.from_pylist(rows), source)
    facts = main(Args((source,), TEMPLATE, output, seed, **({"vocabulary": 400, "hidden": 32, "layers": 1} | changes)))
    return output, facts


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return created(tmp_path_factory.mktemp("base"))[0]


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def test_end_pad_and_roles_are_tokens_of_their_own(tokenizer):
    special = [tokenizer.eos_token_id, tokenizer.pad_token_id, *tokenizer.convert_tokens_to_ids(list(ROLES))]
    assert len(set(special)) == 5
    assert all(
        tokenizer.encode(role, add_special_tokens=False) == [i] for role, i in zip(ROLES, special[2:], strict=True)
    )
    assert len(tokenizer) <= 400


def test_the_tokenizer_has_learned_the_words_of_nested_columns(tokenizer):
    assert len(tokenizer.encode(" plus", add_special_tokens=False)) == 1
    assert len(tokenizer.encode("it is", add_special_tokens=False)) <= 2


@settings(max_examples=80, deadline=None)
@given(text=st.text(st.characters(blacklist_categories=["Cs"])))
def test_every_text_survives(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@settings(max_examples=40, deadline=None)
@given(
    said=st.lists(st.text(st.characters(blacklist_categories=["Cs"])), min_size=1, max_size=3).filter(
        lambda said: len(said) % 2
    ),
    answer=st.text(st.characters(blacklist_categories=["Cs"])),
)
def test_a_prompt_is_the_beginning_of_its_conversation(tokenizer, said, answer):
    prompt = [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(said)]
    beginning, whole = prompt_ids(tokenizer, prompt), conversation_ids(tokenizer, prompt, answer)
    assert whole[: len(beginning)] == beginning
    assert whole[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(whole[len(beginning) : -1]) == answer


def test_only_the_assistants_words_and_their_end_are_learned(tokenizer):
    talk = [
        {"role": r, "content": c}
        for r, c in (("user", "two"), ("assistant", "four"), ("user", "it"), ("assistant", ""))
    ]
    made = tokenizer.apply_chat_template(talk, tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
    learned = [i for i, mask in zip(made["input_ids"], made["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(learned) == f"four{END}{END}"


def test_the_same_seed_gives_the_same_folder_and_another_other_weights(tmp_path, base):
    again, _ = created(tmp_path)
    other, _ = created(tmp_path, seed=2)
    assert digest(again) == digest(base)
    assert (other / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert (other / "model.safetensors").read_bytes() != (base / "model.safetensors").read_bytes()


def test_the_model_fits_its_tokenizer_and_begins_near_chance(base, tokenizer):
    import torch

    model = load_policy(base, "float32")
    assert model.config.eos_token_id == tokenizer.eos_token_id
    assert model.config.pad_token_id == tokenizer.pad_token_id
    assert model.config.head_dim == 32
    ids = torch.tensor([tokenizer.encode("what is 7 plus 7 ?", add_special_tokens=False)])
    loss = model(input_ids=ids, labels=ids).loss.item()
    chance = torch.tensor(float(len(tokenizer))).log().item()
    assert abs(loss - chance) < 1.5


def test_texts_of_any_nesting_and_nothing_else():
    column = pa.array([[{"a": "x", "b": [1, 2]}], None, [{"a": None, "b": []}, {"a": "y", "b": None}]])
    assert list(strings(column)) == ["x", "y"]
    assert list(strings(pa.array([1, 2]))) == []


def test_faults_are_named(tmp_path):
    with pytest.raises(StudyError, match="--hidden 40: must be a multiple of 32"):
        created(tmp_path, hidden=40)
    broken = tmp_path / "cut.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(StudyError, match=r"cut.parquet: not a whole Parquet file"):
        list(texts([Path(broken)]))
    assert not (tmp_path / "base-1").exists()
