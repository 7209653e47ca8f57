"""Which prompts hold an evaluation prompt: known answers, and plain Python on random prompts."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.config import Decontamination
from scripts.data.contamination import find_contaminated
from scripts.data.database import connect

EIGHT = "one two three four five six seven eight"
SIXTEEN = f"{EIGHT} nine ten eleven twelve thirteen fourteen fifteen sixteen"


def found(folder, asked, evaluated, **settings):
    """Indices of the prompts, given as lists of (role, text) or as the user's words, that hold an evaluation prompt."""
    path = folder / "evaluation_prompts.parquet"
    tables.write_table([{"benchmark": "b", "prompt": text} for text in evaluated], path, tables.EVALUATION_PROMPTS)
    prompts = [[("user", said)] if isinstance(said, str) else said for said in asked]
    rows = [[{"role": role, "content": content} for role, content in prompt] for prompt in prompts]
    columns = {"prompt_id": [str(i) for i in range(len(rows))], "prompt": pa.array(rows, tables.MESSAGES)}
    pq.write_table(pa.table(columns), folder / "asked.parquet")
    with connect() as connection:
        connection.read_parquet(str(folder / "asked.parquet")).create_view("asked")
        find_contaminated(connection, path, Decontamination(**settings))
        return sorted(int(row) for (row,) in connection.sql("FROM contaminated").fetchall())


@pytest.mark.parametrize(
    ("asked", "evaluated", "held"),
    [
        (EIGHT, EIGHT, True),
        (f"Please: {EIGHT.upper()}!", EIGHT, True),
        (EIGHT.replace(" four", ", four;\n"), EIGHT, True),
        (EIGHT.replace("four", "4"), EIGHT, False),  # no eight words in a row
        (EIGHT[4:], EIGHT, False),
        ("What is a fox?", "what is a fox", True),  # shorter than n: the whole turn
        ("Hi, what is a fox?", "what is a fox", False),
        ("What is a fox, a cow?", "what is a fox", False),
        (SIXTEEN[: SIXTEEN.index("thirteen")], SIXTEEN, True),  # five of nine n-grams
        (SIXTEEN[: SIXTEEN.index("twelve")], SIXTEEN, False),  # four
        ([("user", "hi"), ("assistant", "yes"), ("user", EIGHT)], EIGHT, True),
        ([("user", EIGHT), ("assistant", "yes"), ("user", "hi")], EIGHT, True),
        ([("user", "hi"), ("assistant", EIGHT), ("user", "hi there")], EIGHT, False),  # the model's words are no prompt
        ("?!", "...", False),  # no words, nothing in common
        ("", EIGHT, False),
        ("什么是狐狸？", "什么是狐狸", True),
    ],
)
def test_known_answers(tmp_path, asked, evaluated, held):
    assert found(tmp_path, [asked], [evaluated]) == ([0] if held else [])


def test_n_and_share_are_asked_for(tmp_path):
    near = EIGHT.replace("four", "4")
    assert found(tmp_path, [near], [EIGHT], ngram=3, overlap=0.5) == [0]  # three of six
    assert found(tmp_path, [near], [EIGHT], ngram=3, overlap=0.6) == []


def test_grams_of_several_evaluation_prompts_do_not_add_up(tmp_path):
    one, other = f"{EIGHT} a b c d e f g", f"{EIGHT} h i j k l m n"
    assert found(tmp_path, [EIGHT], [one, other], overlap=0.2) == []
    assert found(tmp_path, [EIGHT], [one, other], overlap=0.125) == [0]


sentences = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(st.lists(sentences, min_size=1, max_size=6), st.lists(sentences.filter(bool), min_size=1, max_size=4))
def test_agrees_with_plain_python(tmp_path_factory, asked, evaluated):
    def grams(text):
        words = re.findall(r"\w+", text)
        return {tuple(words[i : i + 4]) for i in range(max(len(words) - 3, 1 if words else 0))}

    expected = [
        i
        for i, text in enumerate(asked)
        if any(len(grams(text) & grams(held)) >= 0.5 * len(grams(held)) for held in evaluated)
    ]
    assert found(tmp_path_factory.mktemp("c"), asked, evaluated, ngram=4) == expected
