"""Every data set of the catalogue: a row in its published schema goes through the adapter that will read it."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts.common.catalogue import read_catalogue
from scripts.common.config import NearDuplicates
from tests.unit.data import reference
from tests.unit.data.conftest import conversations, prompt_sets
from tests.unit.data.published import ASKED, INSTRUCTIONS, MESSAGES, PROMPTS, TEXT, WHOLE, listed, written


def test_no_data_set_of_the_catalogue_is_left_out():
    catalogue = read_catalogue()
    assert set(catalogue["instructions"]) == set(INSTRUCTIONS)
    assert set(catalogue["prompts"]) == set(PROMPTS)
    adapters = {entry.get("adapter", name) for name, entry in catalogue["preferences"].items()}
    assert adapters == set(reference.LAYOUTS)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions(tmp_path, name):
    columns, row, expected = INSTRUCTIONS[name]
    (made,) = conversations(tmp_path, written(tmp_path / "raw.parquet", columns, row), name)
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == expected
    assert made["source"] == name


def test_the_authors_collection_may_call_its_column_conversations(tmp_path):
    columns = {"conversations": listed(content=TEXT, role=TEXT), "source": TEXT, "conversation_id": WHOLE}
    (made,) = conversations(tmp_path, written(tmp_path / "raw.parquet", columns, (MESSAGES, "s", 1)), "x")
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == ASKED


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
