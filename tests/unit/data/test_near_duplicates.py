"""Near-duplicates: the first of those alike stays, by identity; nothing goes that is not as alike as asked."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.config import NearDuplicates
from scripts.data.database import connect
from scripts.data.near_duplicates import find_near_duplicates

STORY = "tell me a long story about a fox that meets a goat in a deep dark forest at night"


def gone(folder, prompts, **settings):
    """The prompts, given by name in the order of precedence, that go."""
    rows = [[{"role": "user", "content": text}] for text in prompts.values()]
    columns = {
        "text_id": list(prompts),
        "prompt": pa.array(rows, tables.MESSAGES),
        "precedence": pa.array(range(len(rows)), pa.int64()),
    }
    pq.write_table(pa.table(columns).take(pa.array(range(len(rows))[::-1], pa.int64())), folder / "prompts.parquet")
    with connect() as connection:
        connection.read_parquet(str(folder / "prompts.parquet")).create_view("distinct_prompts")
        find_near_duplicates(connection, NearDuplicates(**settings))
        return {row for (row,) in connection.sql("FROM near_duplicates").fetchall()}


def shingles(text, n):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(max(len(words) - n + 1, 1 if words else 0))}


def jaccard(one, other, n=3):
    a, b = shingles(one, n), shingles(other, n)
    return len(a & b) / len(a | b) if a | b else 0


@pytest.mark.parametrize(
    ("other", "alike"),
    [
        (f"{STORY} please", True),
        (f"Please {STORY}!", True),
        (STORY.upper() + "?!", True),
        (STORY.replace("fox", "wolf"), False),  # in the middle a word is in three of the n-grams
        ("what is a fox ?", False),
    ],
)
def test_known_answers(tmp_path, other, alike):
    assert (jaccard(STORY, other) >= 0.8) == alike
    assert gone(tmp_path, {"first": STORY, "second": other}) == ({"second"} if alike else set())


def test_what_is_like_one_that_has_gone_may_stay(tmp_path):
    chain = {str(i): " ".join(f"w{j}" for j in range(i, i + 12)) for i in range(5)}  # each like the next: 9 of 11
    assert jaccard(chain["0"], chain["1"]) >= 0.8 > jaccard(chain["0"], chain["2"])
    assert gone(tmp_path, chain) == {"1", "3"}


def test_texts_without_words_are_like_nothing(tmp_path):
    assert gone(tmp_path, {"a": "?!", "b": "...", "c": ""}) == set()


words = st.lists(st.sampled_from(["fox", "cow", "goat", "hen", "red"]), min_size=1, max_size=10).map(" ".join)


@settings(max_examples=30, deadline=None)
@given(st.lists(words, min_size=1, max_size=10), st.sampled_from([0.5, 0.8, 0.95]))
def test_each_that_goes_is_like_an_earlier_one_that_stays(tmp_path_factory, drawn, threshold):
    prompts = {f"{i:02}": text for i, text in enumerate(drawn)}
    went = gone(tmp_path_factory.mktemp("n"), prompts, threshold=threshold)
    stayed = [name for name in prompts if name not in went]
    for name in went:
        assert any(other < name and jaccard(prompts[other], prompts[name]) >= threshold for other in stayed)
    for i, one in enumerate(stayed):
        for other in stayed[i + 1 :]:
            assert jaccard(prompts[one], prompts[other]) < 1  # equal sets have equal signatures: never overlooked
