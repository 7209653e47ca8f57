"""Every data set of the catalogue: a row in its published schema goes through the adapter that will read it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common import tables
from scripts.common.catalogue import read_catalogue
from scripts.common.config import NearDuplicates
from scripts.data import select_prompts, standardise_instructions
from tests.unit.data import reference

TEXT, WHOLE, REAL = pa.string(), pa.int64(), pa.float64()


def listed(**fields):
    return pa.list_(pa.struct(list(fields.items())))


SHAREGPT = listed(**{"from": TEXT, "value": TEXT})
SAID = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
MESSAGES = [{"content": "q", "role": "user"}, {"content": "a", "role": "assistant"}]
ASKED = [("user", "q"), ("assistant", "a")]

INSTRUCTIONS = {  # entry -> published columns, a row of them, the conversation that SFT gets
    "sharegpt": ({"id": TEXT, "conversations": SHAREGPT}, ("i_0", SAID), ASKED),
    "evol_instruct": ({"idx": TEXT, "conversations": SHAREGPT}, ("x", SAID), ASKED),
    "slimorca": (
        {"conversations": listed(**{"from": TEXT, "value": TEXT, "weight": REAL})},
        ([{"from": "system", "value": "s", "weight": None}] + [turn | {"weight": 1.0} for turn in SAID],),
        [("system", "s"), *ASKED],
    ),
    "math_instruct": ({"source": TEXT, "output": TEXT, "instruction": TEXT}, ("data/CoT/gsm.json", "a", "q"), ASKED),
    "magicoder_evol_instruct": ({"instruction": TEXT, "response": TEXT}, ("q", "a"), ASKED),
    "gpt4_llm": (
        {"instruction": TEXT, "input": TEXT, "output": TEXT},
        ("q", "of x", "a"),
        [("user", "q\n\nof x"), ("assistant", "a")],
    ),
    "orca_math": ({"question": TEXT, "answer": TEXT}, ("q", "a"), ASKED),
    "gpteacher": ({"instruction": TEXT, "response": TEXT, "input": TEXT}, ("q", "a", ""), ASKED),
    "ultrainteract_sft": (
        dict.fromkeys(("task", "dataset", "instruction", "response", "id", "parent_id"), TEXT),
        ("Coding", "codecontest", "q", "a", "1", "0"),
        ASKED,
    ),
    "rlhflow_sft": ({"messages": listed(content=TEXT, role=TEXT)}, (MESSAGES,), ASKED),
}
PROMPTS = {  # entry -> published columns, a row of them, the prompt
    "ultrafeedback": (
        {"source": TEXT, "instruction": TEXT, "models": pa.list_(TEXT), "completions": listed(response=TEXT)},
        ("evol_instruct", "q", ["alpaca-7b"], [{"response": "a"}]),
        [("user", "q")],
    ),
    "helpsteer": (
        {"prompt": TEXT, "response": TEXT}
        | dict.fromkeys(("helpfulness", "correctness", "coherence", "complexity", "verbosity"), WHOLE),
        ("q", "a", 3, 3, 4, 1, 1),
        [("user", "q")],
    ),
    "openorca": (
        dict.fromkeys(("id", "system_prompt", "question", "response"), TEXT),
        ("niv.1", "s", "q", "a"),
        [("system", "s"), ("user", "q")],
    ),
    "ultrainteract": (
        {"task": TEXT, "dataset": TEXT, "trajectory": SHAREGPT}
        | dict.fromkeys(("chosen", "rejected", "id", "parent_id"), TEXT),
        ("Math_CoT", "gsm8k", [{"from": "user", "value": "q"}], "a", "b", "1", "0"),
        [("user", "q")],
    ),
    "capybara": (
        {"source": TEXT, "conversation": listed(input=TEXT, output=TEXT)},
        ("Airoboros", [{"input": "p", "output": "a"}, {"input": "q", "output": "b"}]),
        [("user", "p"), ("assistant", "a"), ("user", "q")],
    ),
    "dibt_10k": (
        {"prompt": TEXT, "quality": listed(user_id=TEXT, value=TEXT, status=TEXT), "metadata": TEXT}
        | {"avg_rating": REAL, "num_responses": WHOLE, "agreement_ratio": REAL, "raw_responses": pa.list_(WHOLE)}
        | dict.fromkeys(("kind", "cluster_description", "topic"), TEXT),
        ("q", [{"user_id": "u", "value": "4", "status": "submitted"}], "{}", 4.0, 1, 1.0, [4], "human", "d", "t"),
        [("user", "q")],
    ),
    **dict.fromkeys(
        ("rlhflow_iter1", "rlhflow_iter2", "rlhflow_iter3"),
        (
            {"context_messages": listed(content=TEXT, role=TEXT), "context": TEXT, "source": TEXT},
            ([{"content": "q", "role": "user"}], "q", "x"),
            [("user", "q")],
        ),
    ),
}


def written(path, columns, row):
    arrays = {name: pa.array([value], kind) for (name, kind), value in zip(columns.items(), row, strict=True)}
    pq.write_table(pa.table(arrays), path)
    return path


def test_no_data_set_of_the_catalogue_is_left_out():
    catalogue = read_catalogue()
    assert set(catalogue["instructions"]) == set(INSTRUCTIONS)
    assert set(catalogue["prompts"]) == set(PROMPTS)
    adapters = {entry.get("adapter", name) for name, entry in catalogue["preferences"].items()}
    assert adapters == set(reference.LAYOUTS)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions(tmp_path, name):
    columns, row, expected = INSTRUCTIONS[name]
    raw, output = written(tmp_path / "raw.parquet", columns, row), tmp_path / "instructions.parquet"
    standardise_instructions.main(standardise_instructions.Args((raw,), (name,), output, tmp_path / "dropped.parquet"))
    (made,) = tables.read_table(output, tables.INSTRUCTIONS).to_pylist()
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == expected
    assert made["source"] == name


def test_the_authors_collection_may_call_its_column_conversations(tmp_path):
    columns = {"conversations": listed(content=TEXT, role=TEXT), "source": TEXT, "conversation_id": WHOLE}
    raw, output = written(tmp_path / "raw.parquet", columns, (MESSAGES, "s", 1)), tmp_path / "instructions.parquet"
    standardise_instructions.main(standardise_instructions.Args((raw,), ("x",), output, tmp_path / "dropped.parquet"))
    (made,) = tables.read_table(output, tables.INSTRUCTIONS).to_pylist()
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == ASKED


def prompt_sets(folder, raw, names, per_iteration, held_out=0, **changes):
    """Three iteration sets and one held out, drawn from collections; what the command counted, and the pool."""
    paths = [folder / f"{name}.parquet" for name in ("pool", "iter1", "iter2", "iter3", "length_bias", "held_out")]
    facts = select_prompts.main(
        select_prompts.Args(
            raw=tuple(raw),
            names=tuple(names),
            iterations=3,
            prompts_per_iteration=per_iteration,
            length_bias=held_out,
            validation=held_out // 2,
            test=held_out // 2,
            seed=42,
            pool=paths[0],
            iteration_outputs=tuple(paths[1:4]),
            length_bias_output=paths[4],
            held_out_output=paths[5],
            dropped=folder / "dropped.parquet",
            **changes,
        )
    )
    return facts, [tables.read_table(path, tables.PROMPTS) for path in paths]


@pytest.mark.parametrize("name", PROMPTS)
def test_prompts(tmp_path, name):
    columns, row, expected = PROMPTS[name]
    _, (pool, *_) = prompt_sets(tmp_path, [written(tmp_path / "raw.parquet", columns, row)], [name], 0)
    (made,) = pool.to_pylist()
    assert [(turn["role"], turn["content"]) for turn in made["prompt"]] == expected


def test_the_papers_three_times_20k_prompts_are_to_be_had(tmp_path):
    """Six collections of about their published sizes; what the study of the paper asks of them."""
    sizes = {"ultrafeedback": 63_967, "helpsteer": 35_331, "openorca": 300_000, "ultrainteract": 219_522}
    sizes |= {"capybara": 16_006, "dibt_10k": 10_331}
    distinct = sizes | {"helpsteer": 9_000, "ultrainteract": 30_000}  # of the others many rows share a prompt
    raw = []
    for name, rows in sizes.items():
        texts = pa.array([f"{name} {i % distinct[name]} ?" for i in range(rows)])
        columns = (
            {"system_prompt": pa.nulls(rows, TEXT), "question": texts} if name == "openorca" else {"prompt": texts}
        )
        raw.append(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table(columns), raw[-1])
    caps = {"openorca": read_catalogue()["prompts"]["openorca"]["cap"]}
    coarse = NearDuplicates(permutations=16)  # no two prompts share three words: a short signature tells them apart
    facts, (pool, *sets) = prompt_sets(tmp_path, raw, sizes, 20_000, held_out=2_000, caps=caps, near_duplicates=coarse)
    assert [len(made) for made in sets] == [20_000, 20_000, 20_000, 2_000, 2_000]
    identities = [prompt for made in sets for prompt in made["prompt_id"].to_pylist()]
    assert len(set(identities)) == 64_000
    assert facts["beyond_cap"] == 250_000
    assert len(pool) == facts["pool"] == sum(distinct.values()) - 250_000
    for made in sets[:3]:  # stratified by source
        for name in sizes:
            share = (caps.get(name) or distinct[name]) / facts["pool"]
            assert abs(made["source"].to_pylist().count(name) - 20_000 * share) < 25
