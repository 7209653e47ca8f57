"""Raw files that are not what they should be, of every source: one clear error, or rows with a reason; nothing lost.

The sources of pairs come first, then the data sets of instructions and prompts in their published layouts.
"""

import copy

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.database import query
from scripts.data.standardise_preferences import Args, main
from tests.unit.data import reference
from tests.unit.data.conftest import conversations, prompt_sets
from tests.unit.data.published import INSTRUCTIONS, PROMPTS, written

TURNS = [{"role": "user", "content": "q"}]
GOOD = {
    "hh_rlhf": {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"},
    "ultrafeedback": {
        "source": "s",
        "instruction": "q",
        "completions": [{"model": "m", "response": r, "fine-grained_score": s} for r, s in (("a", 4.0), ("b", 1.0))],
    },
    "helpsteer": {"prompt": "q", "response": "a", "helpfulness": 4, "correctness": 4},
    "pku_saferlhf": {
        **{"prompt": "q", "response_0": "a", "response_1": "b", "is_response_0_safe": True},
        **{"is_response_1_safe": False, "better_response_id": 0, "safer_response_id": 0},
    },
    "ultrainteract": {"trajectory": [{"from": "user", "value": "q"}], "chosen": "a", "rejected": "b"},
    "nectar": {
        "prompt": "\n\nHuman: q\n\nAssistant: ",
        "answers": [{"answer": a, "model": "m", "rank": r} for a, r in (("a", 1.0), ("b", 2.0))],
    },
    "shp": {
        **{"history": "q", "human_ref_A": "a", "human_ref_B": "b"},
        **{"score_A": 9, "score_B": 2, "labels": 1, "score_ratio": 4.5},
    },
    "code_ultrafeedback": {
        "instruction": "q",
        "preference": "p",
        "responses": [{"model": m, "response": r} for m, r in (("m", "a"), ("n", "b"))],
        "annotations": [{"model": m, "rating": r, "rationale": ""} for m, r in (("m", "5"), ("n", "1"))],
    },
    "argilla_math": {
        **{"instruction": "q", "chosen_response": "a", "chosen_rating": 5.0},
        **{"rejected_response": "b", "rejected_rating": 1.0},
    },
    "distilabel_orca": {
        **{"system": "", "input": "q", "chosen": "a", "rejected": "b", "rating": [5.0, 1.0]},
        **{"status": "unchanged", "chosen_score": 5.0, "in_gsm8k_train": False},
    },
    "distilabel_capybara": {
        "chosen": [*TURNS, {"role": "assistant", "content": "a"}],
        "rejected": [*TURNS, {"role": "assistant", "content": "b"}],
        "rating_chosen": 5,
        "rating_rejected": 1,
    },
    "summarisation": {
        "info": {"id": "i", "post": "q", "title": "t", "subreddit": "r"},
        "summaries": [{"text": "a", "policy": "p"}, {"text": "b", "policy": "p"}],
        "choice": 0,
    },
    "rlhflow_standard": {
        "chosen": [*TURNS, {"role": "assistant", "content": "a"}],
        "rejected": [*TURNS, {"role": "assistant", "content": "b"}],
        "chosen_score": "5",
        "rejected_score": "1",
    },
}
UNREAD = {
    "source",
    "preference",
    "chosen_score",
    "rejected_score",
}  # columns that no adapter, or not every one, demands
every_source = pytest.mark.parametrize("source", reference.ADAPTERS)


def table(source, *rows):
    return pa.Table.from_pylist(list(rows), schema=reference.LAYOUTS[source])


def standardised(folder, source, raw):
    pq.write_table(raw, folder / "raw.parquet")
    facts = main(Args(folder / "raw.parquet", source, folder / "standard.parquet"))
    rows = tables.read_table(folder / "standard.parquet", tables.STANDARD).to_pylist()
    assert facts["pairs"] == len(rows)
    return rows


def refused(folder, source, complaint):
    """The raw file of `folder` is refused in one line that names source or adapter, and the file."""
    with pytest.raises(StudyError, match=complaint) as error:
        main(Args(folder / "raw.parquet", source, folder / "standard.parquet"))
    text = str(error.value)
    assert str(folder / "raw.parquet") in text
    assert "\n" not in text
    assert not (folder / "standard.parquet").exists()


def changed(value, change):
    """A value with every text of it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [changed(item, change) for item in value]
    return {key: changed(item, change) for key, item in value.items()} if isinstance(value, dict) else value


@every_source
def test_a_missing_column_is_named(tmp_path, source):
    column = next(name for name in GOOD[source] if name not in UNREAD)
    pq.write_table(table(source, GOOD[source]).drop_columns([column]), tmp_path / "raw.parquet")
    refused(tmp_path, source, f"sources/{source}.sql: there is no column '{column}'")


@every_source
def test_a_column_of_another_type_is_named(tmp_path, source):
    column = next(name for name in GOOD[source] if name not in UNREAD)
    raw = table(source, GOOD[source]).drop_columns([column]).append_column(column, pa.array([b"x"], pa.binary()))
    pq.write_table(raw, tmp_path / "raw.parquet")
    refused(tmp_path, source, f"'{column}' is BLOB, expected")


@every_source
@pytest.mark.parametrize("size", [0, 200])
def test_an_empty_or_truncated_file_is_named(tmp_path, source, size):
    pq.write_table(table(source, *[GOOD[source]] * 50), tmp_path / "raw.parquet")
    whole = (tmp_path / "raw.parquet").read_bytes()
    (tmp_path / "raw.parquet").write_bytes(whole[:size])
    refused(tmp_path, source, "too small to be a Parquet file|No magic bytes found at end of file")


@every_source
def test_invalid_utf8_is_shown_with_its_place(tmp_path, source):
    marked = changed(GOOD[source], lambda text: text.replace("q", "q\u00e9\u00e9"))
    column = next(column for column, value in marked.items() if value != GOOD[source][column])
    raw = table(source, GOOD[source], marked, GOOD[source])
    pq.write_table(raw, tmp_path / "raw.parquet", compression="none", use_dictionary=False)
    whole = (tmp_path / "raw.parquet").read_bytes()
    (tmp_path / "raw.parquet").write_bytes(whole.replace("q\u00e9\u00e9".encode(), b"q\xe9\xe9\xe9\xe9"))
    refused(tmp_path, source, rf"^{source}: .*not valid UTF8.*column '{column}' of row 2\.")


@every_source
def test_a_pair_that_gets_lost_is_missed(tmp_path, source, monkeypatch):
    pq.write_table(table(source, *[GOOD[source]] * 3), tmp_path / "raw.parquet")
    lossy = query("standard_pairs.sql").replace("FROM adapted;", "FROM adapted LIMIT 2;")
    monkeypatch.setattr("scripts.data.standardise_preferences.query", lambda name: lossy)
    with pytest.raises(StudyError, match=rf"^{source}: .* as sources/{source}.sql: the file holds 3 rows, but 2 were"):
        main(Args(tmp_path / "raw.parquet", source, tmp_path / "standard.parquet"))


@every_source
def test_a_null_in_any_column_costs_no_row_and_has_a_reason(tmp_path, source):
    for column in GOOD[source]:
        pairs = standardised(tmp_path, source, table(source, GOOD[source] | {column: None}, GOOD[source]))
        assert len(pairs) == (2 if source != "helpsteer" or column == "prompt" else 1), column
        if column not in UNREAD | {"system"} and source != "helpsteer":
            assert "null_value" in [pair["defect"] for pair in pairs], column


@every_source
@pytest.mark.parametrize("inserted", ["\0", "word " * 2_000_000], ids=["NUL", "10 MB"])
def test_what_texts_may_hold_comes_out_as_it_went_in(tmp_path, source, inserted):
    row = changed(copy.deepcopy(GOOD[source]), lambda text: text.replace("q", f"q{inserted}q") if "q" in text else text)
    (pair,) = standardised(tmp_path, source, table(source, row))
    assert pair["defect"] == ("single_response" if source == "helpsteer" else None)
    assert f"q{inserted}q" in pair["prompt"][-1]["content"]


# --- instructions and prompts -----------------------------------------------------------------------------------------

every_layout = pytest.mark.parametrize(
    ("made_of", "name"), [*(("instructions", name) for name in INSTRUCTIONS), *(("prompts", name) for name in PROMPTS)]
)


def layout(made_of, name):
    """The columns of a data set, and a row of them whose user says `q`."""
    columns, row, _ = (INSTRUCTIONS if made_of == "instructions" else PROMPTS)[name]
    return columns, row


def asked(folder, raw, made_of, name):
    """What the users say last in all conversations, or in the pool of prompts, that are made of a raw file."""
    if made_of == "instructions":
        return [turns["messages"][-2]["content"] for turns in conversations(folder, raw, name)]
    _, (pool, *_) = prompt_sets(folder, [raw], [name], 0)
    return [row["prompt"][-1]["content"] for row in pool.to_pylist()]


def asking(row, words):
    """A row whose user says something else."""
    return tuple(changed(value, lambda text: words if text == "q" else text) for value in row)


def refused_as(folder, raw, made_of, name, complaint):
    """A raw file is refused in one line that names it, and nothing is written."""
    with pytest.raises(StudyError, match=complaint) as error:
        asked(folder, raw, made_of, name)
    assert str(raw) in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in folder.iterdir()] == [raw.name]


@every_layout
def test_a_missing_column_of_a_layout_is_named(tmp_path, made_of, name):
    columns, row = layout(made_of, name)
    raw = written(tmp_path / "raw.parquet", columns, row)
    column = next(column for column, old, new in zip(columns, row, asking(row, "?"), strict=True) if old != new)
    pq.write_table(pq.read_table(raw).rename_columns({column: "another"}), raw)
    refused_as(tmp_path, raw, made_of, name, f"not in a layout that can be read.*there is no column '{column}'")


@every_layout
@pytest.mark.parametrize("size", [0, 200])
def test_an_empty_or_truncated_file_of_a_layout_is_named(tmp_path, made_of, name, size):
    columns, row = layout(made_of, name)
    raw = written(tmp_path / "raw.parquet", columns, *[row] * 50)
    raw.write_bytes(raw.read_bytes()[:size])
    refused_as(tmp_path, raw, made_of, name, "too small to be a Parquet file|No magic bytes found at end of file")


@every_layout
def test_invalid_utf8_in_a_layout_is_shown_with_its_place(tmp_path, made_of, name):
    columns, row = layout(made_of, name)
    marked = asking(row, "q\u00e9\u00e9")
    column = next(column for column, old, new in zip(columns, row, marked, strict=True) if old != new)
    plain = {"compression": "none", "use_dictionary": False}
    raw = written(tmp_path / "raw.parquet", columns, row, marked, row, **plain)
    raw.write_bytes(raw.read_bytes().replace("q\u00e9\u00e9".encode(), b"q\xe9\xe9\xe9\xe9"))
    refused_as(tmp_path, raw, made_of, name, rf"not valid UTF8.*column '{column}' of row 2\.")


@every_layout
def test_a_nul_in_a_text_stays_where_it_is(tmp_path, made_of, name):
    columns, row = layout(made_of, name)
    raw = written(tmp_path / "raw.parquet", columns, asking(row, "q\0q"), asking(row, "another"))
    tail = "\n\nof x" if name == "gpt4_llm" else ""
    assert sorted(asked(tmp_path, raw, made_of, name)) == [f"another{tail}", f"q\0q{tail}"]
