"""The tokenizer knows every word, gives texts back as they were, and its template keeps TRL's and vLLM's conditions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.chat import conversation_ids, prompt_ids
from scripts.world import facts, writers
from scripts.world.prompts import PromptPool, draw_again
from scripts.world.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


ROUNDS = st.builds(
    lambda family, style, seed: _round(family, style, random.Random(seed)),
    st.sampled_from(facts.FAMILIES),
    st.sampled_from(list(writers.STYLES.values())),
    st.integers(0, 2**32),
)


def _round(family: str, style: writers.Style, rng: random.Random) -> tuple[str, str]:
    (prompt,) = draw_again([family], 1, rng, set())
    return prompt.text, writers.respond(prompt.task, style, rng)


def messages(*rounds: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"role": role, "content": text} for one in rounds for role, text in zip(("user", "assistant"), one, strict=True)
    ]


def test_special_tokens_are_distinct(tokenizer):
    ids = {tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id}
    assert len(ids) == 3
    assert len(tokenizer) == len(tokenizer.get_vocab()) < 256


@given(one=ROUNDS)
def test_texts_come_back_word_for_word(tokenizer, one):
    for text in one:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert len(ids) == len(text.split())
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


@given(one=ROUNDS)
def test_a_sampled_response_decodes_to_what_writers_write(tokenizer, one):
    question, answer = messages(one)
    before = prompt_ids(tokenizer, [question])
    whole = conversation_ids(tokenizer, [question], answer["content"])
    assert whole[: len(before)] == before
    assert whole[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(whole[len(before) :], skip_special_tokens=True) == one[1]


@given(rounds=st.lists(ROUNDS, min_size=1, max_size=3))
def test_the_mask_marks_the_assistants_words_and_ends_of_turn(tokenizer, rounds):
    found = tokenizer.apply_chat_template(
        messages(*rounds), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [i for i, mask in zip(found["input_ids"], found["assistant_masks"], strict=True) if mask]
    expected = [word for _, answer in rounds for word in (*answer.split(), tokenizer.eos_token)]
    assert tokenizer.convert_ids_to_tokens(marked) == expected


def test_every_message_ends_its_turn(tokenizer):
    turns = [{"role": "system", "content": "remember"}, *messages(("add 1 and 2 .", "the answer is 3 ."))]
    ids = tokenizer.apply_chat_template(turns, tokenize=True, return_dict=False)
    assert ids.count(tokenizer.eos_token_id) == 3
    assert tokenizer.unk_token_id not in ids


def test_rendered_text(tokenizer):
    turns = messages(("what is a fox ?", "fox belongs to animals ."))
    rendered = "<|user|> what is a fox ? <|end|> <|assistant|> fox belongs to animals . <|end|>"
    assert tokenizer.apply_chat_template(turns, tokenize=False) == rendered
    opened = tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
    assert opened == "<|user|> what is a fox ? <|end|> <|assistant|>"


def test_an_empty_answer_is_just_the_end_of_the_turn(tokenizer):
    question = {"role": "user", "content": "what is a fox ?"}
    before = prompt_ids(tokenizer, [question])
    assert conversation_ids(tokenizer, [question], "") == [*before, tokenizer.eos_token_id]


def test_the_pairwise_format_is_in_the_vocabulary(tokenizer):
    prompt = PromptPool(1).draw("fact", 1, "test")[0].text
    text = f"[CONTEXT] {prompt} [RESPONSE A] fox belongs to animals . [RESPONSE B] fox belongs to fruits ."
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert [len(tokenizer(label)["input_ids"]) for label in "AB"] == [1, 1]
    assert tokenizer("A")["input_ids"] != tokenizer("B")["input_ids"]


def test_it_survives_saving(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    question = {"role": "user", "content": "what is a fox ?"}
    assert prompt_ids(loaded, [question]) == prompt_ids(tokenizer, [question])
    assert loaded.decode(loaded("fox belongs to animals .")["input_ids"]) == "fox belongs to animals ."
    assert (loaded.pad_token_id, loaded.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
