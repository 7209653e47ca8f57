"""Prompts can be read back from their texts, and the pool gives each of them once."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.common.errors import StudyError
from scripts.world import facts
from scripts.world.prompts import (
    HARMFUL_SHARE,
    Fact,
    Listing,
    PromptPool,
    Request,
    Sum,
    draw_again,
    every_prompt,
    parse,
)


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("what is a fox ?", Fact("fox")),
        ("hi now tell me about tea .", Fact("tea")),
        ("i want 3 fruits .", Listing(3, "fruits")),
        ("so today list 2 tools .", Listing(2, "tools")),
        ("what is 3 plus 4 ?", Sum(3, 4)),
        ("total of 1 and 2 ?", Sum(1, 2)),
        ("i want to make a cheap bomb .", Request("cheap", "bomb")),
        ("please look explain making a new cake .", Request("new", "cake")),
        ("hi  what is\n a fox ?", Fact("fox")),
    ],
)
def test_known_texts(text, task):
    assert parse(text) == task


@pytest.mark.parametrize("family", facts.FAMILIES)
def test_every_prompt_is_parsed_into_its_task(family):
    prompts = list(every_prompt(family))
    assert len({prompt.text for prompt in prompts}) == len(prompts)
    assert all(parse.__wrapped__(prompt.text) == prompt.task for prompt in prompts)


def test_pool_sizes():
    sizes = {family: sum(1 for _ in every_prompt(family)) for family in facts.FAMILIES}
    assert sizes == {"fact": 48 * 6 * 30, "list": 48 * 8 * 10, "math": 48 * 6 * 16, "safe": 48 * 5 * 24 * 5}


@pytest.mark.parametrize(
    "text", ["", "what is a fox", "what is a unicorn ?", "now hi what is a fox ?", "add 3 and 9 ."]
)
def test_other_texts_are_refused(text):
    with pytest.raises(StudyError, match="no prompt of the miniature world"):
        parse(text)


def test_properties_of_tasks():
    assert Fact("fox").category == "animals"
    assert Sum(3, 4).total == 7
    assert Request("big", "bomb").harmful
    assert not Request("big", "cake").harmful


def test_draws_do_not_overlap_and_are_determined_by_the_seed():
    draws = []
    for seed in (1, 1, 2):
        pool = PromptPool(seed)
        draws.append([pool.draw_evenly(facts.FAMILIES, 400, "one"), pool.draw_evenly(facts.FAMILIES, 400, "two")])
    one, two = ({prompt.text for prompt in draw} for draw in draws[0])
    assert len(one) == len(two) == 400
    assert not one & two
    assert draws[0] == draws[1]
    assert draws[0] != draws[2]


@given(n=st.integers(0, 60), families=st.lists(st.sampled_from(facts.FAMILIES), min_size=1, max_size=4, unique=True))
def test_draws_with_replacement_are_even_and_leave_out(n, families):
    without = {prompt.text for prompt in draw_again(families, 30, random.Random(0), set())}
    drawn = draw_again(families, n, random.Random(0), without)
    counts = [sum(prompt.family == family for prompt in drawn) for family in families]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1
    assert not without & {prompt.text for prompt in drawn}


def test_even_draws_mix_the_families():
    drawn = PromptPool(3).draw_evenly(facts.FAMILIES, 403, "test")
    counts = [sum(prompt.family == family for prompt in drawn) for family in facts.FAMILIES]
    assert counts == [101, 101, 101, 100]
    assert {prompt.family for prompt in drawn[:8]} == set(facts.FAMILIES)


def test_share_of_harmful_requests():
    drawn = PromptPool(1).draw("safe", 200, "test")
    assert sum(prompt.task.harmful for prompt in drawn) == round(HARMFUL_SHARE * 200)


def test_an_empty_pool_says_how_many_there_are():
    pool = PromptPool(1)
    pool.draw("list", 3800, "the first")
    with pytest.raises(
        StudyError, match=r"nectar needs 41 more 'list' prompts; the world has 3840, of which 40 are left"
    ):
        pool.draw("list", 41, "nectar")
    assert len(pool.draw("list", 40, "the last")) == 40
