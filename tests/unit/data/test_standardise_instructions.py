"""Instructions: what SFT may train on, and what it may not with the reason."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.standardise_instructions import Args, main

SHAREGPT = pa.schema([("conversations", pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())])))])


def sharegpt(*turns):
    return {"conversations": [{"from": speaker, "value": said} for speaker, said in turns]}


def standardised(folder, *files, names=None):
    paths = tuple(folder / f"{i}.parquet" for i in range(len(files)))
    for path, (rows, schema) in zip(paths, files, strict=True):
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    output = folder / "instructions.parquet"
    names = names or tuple(f"set{i}" for i in range(len(files)))
    facts = main(Args(paths, names, output, folder / "dropped.parquet"))
    reasons = tables.read_table(folder / "dropped.parquet", tables.DROPPED_INSTRUCTIONS)["reason"].to_pylist()
    assert Counter(reasons) == {key: n for key, n in facts.items() if key not in ("read", "kept", "dropped")}
    assert facts["read"] == facts["kept"] + facts["dropped"] == facts["kept"] + len(reasons)
    return tables.read_table(output, tables.INSTRUCTIONS).to_pylist(), facts


GOOD = sharegpt(("system", "be brief"), ("human", "hi"), ("gpt", "hello"), ("human", "bye"), ("gpt", "bye"))


def test_each_reason_is_counted(tmp_path):
    rows = [
        GOOD,
        sharegpt(("human", "hi"), ("gpt", " ")),
        sharegpt(("human", "hi"), ("human", "there"), ("gpt", "hello")),
        sharegpt(("human", "hi")),
        sharegpt(("gpt", "hi")),
        sharegpt(("human", "hi"), ("tool", "hello")),
        sharegpt(),
        sharegpt(("human", None), ("gpt", "hello")),
        {"conversations": None},
    ]
    made, facts = standardised(tmp_path, (rows, SHAREGPT))
    assert facts == {"read": 9, "kept": 1, "dropped": 8, "empty_round": 1, "null_value": 2, "roles_do_not_alternate": 5}
    assert [turn["role"] for turn in made[0]["messages"]] == ["system", "user", "assistant", "user", "assistant"]
    assert made[0]["source"] == "set0"


def test_layouts_may_be_mixed_and_order_does_not_matter(tmp_path):
    messages = [
        {"messages": [{"content": "q", "role": "user"}, {"content": f"a{i}", "role": "assistant"}]} for i in "12"
    ]
    made, _ = standardised(tmp_path, (messages, None), ([GOOD], SHAREGPT))
    assert [row["source"] for row in made].count("set0") == 2
    turned, _ = standardised(tmp_path, ([GOOD], SHAREGPT), (messages[::-1], None), names=("set1", "set0"))
    assert turned == made


@pytest.mark.parametrize(
    ("row", "asked", "answered"),
    [
        ({"instruction": "sum", "input": "1 2", "output": "3"}, "sum\n\n1 2", "3"),  # GPT4-LLM
        ({"instruction": "sum", "input": "", "output": "3"}, "sum", "3"),
        ({"instruction": "sum", "input": None, "output": "3"}, "sum", "3"),
        ({"instruction": "sum", "input": "1 2", "response": "3"}, "sum\n\n1 2", "3"),  # GPTeacher
        ({"instruction": "sum", "input": " ", "response": "3"}, "sum", "3"),
        ({"source": "s", "instruction": "1+2", "output": "3"}, "1+2", "3"),  # MathInstruct
        ({"instruction": "1+2", "response": "3"}, "1+2", "3"),  # Magicoder-Evol-Instruct
        ({"task": "t", "dataset": "d", "instruction": "1+2", "response": "3", "id": "i"}, "1+2", "3"),  # UltraInteract
        ({"question": "1+2?", "answer": "3"}, "1+2?", "3"),  # OrcaMath
    ],
)
def test_an_instruction_and_its_answer_in_each_layout(tmp_path, row, asked, answered):
    text = pa.schema([(name, pa.string()) for name in row])
    blank = row | {"output": "", "response": "", "answer": ""}
    missing = row | {"instruction": None, "question": None}
    made, facts = standardised(tmp_path, ([{k: r[k] for k in row} for r in (row, blank, missing)], text))
    assert facts == {"read": 3, "kept": 1, "dropped": 2, "empty_round": 1, "null_value": 1}
    assert made[0]["messages"] == [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]


def test_slimorca_has_more_in_its_turns(tmp_path):
    turn = pa.struct([("from", pa.string()), ("value", pa.string()), ("weight", pa.float64())])
    said = [("human", "q", 0.0), ("gpt", "a", 1.0)]
    row = {"conversations": [dict(zip(("from", "value", "weight"), spoken, strict=True)) for spoken in said]}
    made, _ = standardised(tmp_path, ([row], pa.schema([("conversations", pa.list_(turn))])))
    assert [turn["content"] for turn in made[0]["messages"]] == ["q", "a"]


def test_repeated_conversations_stay_with_identities_of_their_own(tmp_path):
    made, facts = standardised(tmp_path, ([GOOD, GOOD, GOOD], SHAREGPT))
    assert facts["kept"] == 3
    assert len({row["conversation_id"] for row in made}) == 3


def test_nothing_usable_and_wrong_layouts_are_errors(tmp_path):
    with pytest.raises(StudyError, match=r"none of 1 conversations can be used; dropped: .*roles_do_not_alternate"):
        standardised(tmp_path, ([sharegpt(("human", "hi"))], SHAREGPT))
    with pytest.raises(
        StudyError, match=r"sharegpt.sql: there is no column 'conversations'.*messages.sql: .*The file has"
    ):
        standardised(tmp_path, ([{"text": "x"}], None))
    with pytest.raises(StudyError, match="1 files and --names 2 names"):
        standardised(tmp_path, ([GOOD], SHAREGPT), names=("a", "b"))
    assert not (tmp_path / "instructions.parquet").exists()
