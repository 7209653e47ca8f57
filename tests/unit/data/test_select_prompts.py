"""Prompt sets: disjoint, stratified, stable, and an error that counts where there are too few."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.data.select_prompts import Args, main

SOURCES = {"facts": 600, "lists": 300, "rare": 60}
ROWS = [{"prompt": f"{source} question {i} ?", "source": source} for source, n in SOURCES.items() for i in range(n)]


def selected(folder, rows=ROWS, iterations=3, per_iteration=200, seed=1, **changes):
    """The sets by name, the pool among them, and what the command counted."""
    raw = folder / "raw.parquet"
    pq.write_table(pa.Table.from_pylist(rows), raw)
    sets = {name: folder / f"{name}.parquet" for name in ("pool", "length_bias", "held_out")}
    sets |= {f"iter{t}": folder / f"iter{t}.parquet" for t in range(1, iterations + 1)}
    sizes = {"length_bias": 60, "validation": 40, "test": 80} | changes
    facts = main(
        Args(
            raw=(raw,),
            names=("world",),
            iterations=iterations,
            prompts_per_iteration=per_iteration,
            seed=seed,
            pool=sets["pool"],
            iteration_outputs=tuple(sets[f"iter{t}"] for t in range(1, iterations + 1)),
            length_bias_output=sets["length_bias"],
            held_out_output=sets["held_out"],
            dropped=folder / "dropped.parquet",
            **sizes,
        )
    )
    dropped = tables.read_table(folder / "dropped.parquet", tables.DROPPED_PROMPTS)["reason"].to_pylist()
    assert facts["read"] == facts["pool"] + facts["dropped"] == facts["pool"] + len(dropped)
    counts = {"read", "pool", "used", "dropped", "beyond_cap"}
    assert Counter(dropped) == {key: n for key, n in facts.items() if key not in counts}
    return {name: read(path) for name, path in sets.items()}, facts


def read(path):
    tables.open_table(path, tables.PROMPTS).close()
    return pq.read_table(path).to_pylist()


def ids(rows):
    return [row["prompt_id"] for row in rows]


def test_sets_are_disjoint_and_of_the_sizes_asked_for(tmp_path):
    sets, facts = selected(tmp_path)
    pool = set(ids(sets.pop("pool")))
    assert {name: len(rows) for name, rows in sets.items()} == {
        "length_bias": 60,
        "held_out": 120,
        "iter1": 200,
        "iter2": 200,
        "iter3": 200,
    }
    together = [prompt for rows in sets.values() for prompt in ids(rows)]
    assert len(set(together)) == len(together) == facts["used"]
    assert set(together) <= pool
    assert len(pool) == facts["pool"] == 960
    splits = [row["split"] for row in sets["held_out"]]
    assert (splits.count("validation"), splits.count("test")) == (40, 80)


def test_every_set_is_stratified_by_source(tmp_path):
    sets, _ = selected(tmp_path)
    for rows in sets.values():
        for source, size in SOURCES.items():
            found = sum(row["source"] == source for row in rows)
            assert abs(found - len(rows) * size / len(ROWS)) <= 2


def test_order_of_rows_does_not_matter_but_the_seed_does(tmp_path):
    first, _ = selected(tmp_path)
    assert selected(tmp_path, rows=ROWS[::-1])[0] == first
    assert set(ids(selected(tmp_path, seed=2)[0]["iter1"])) != set(ids(first["iter1"]))


def test_one_more_iteration_changes_no_other_set(tmp_path):
    shorter, _ = selected(tmp_path, iterations=2)
    longer, _ = selected(tmp_path, iterations=3)
    assert shorter.items() <= longer.items()


def test_a_cap_draws_by_identity_and_is_counted(tmp_path):
    rows = [{"prompt": f"question {i} ?"} for i in range(400)]  # they name no source: it is the collection's
    sizes = {"iterations": 1, "per_iteration": 100, "length_bias": 0, "validation": 0, "test": 0}
    sets, facts = selected(tmp_path, rows=rows, caps={"world": 150, "another": 1}, **sizes)
    assert facts == {"read": 150, "pool": 150, "used": 100, "dropped": 0, "beyond_cap": 250}
    turned, _ = selected(tmp_path, rows=rows[::-1], caps={"world": 150}, **sizes)
    assert turned == sets
    larger, _ = selected(tmp_path, rows=rows, caps={"world": 200}, **sizes)
    assert set(ids(sets["pool"])) < set(ids(larger["pool"]))


def test_without_iterations_there_are_still_held_out_prompts(tmp_path):
    sets, _ = selected(tmp_path, iterations=0)
    assert len(sets["held_out"]) == 120


def test_repeated_and_unusable_prompts_are_dropped_and_counted(tmp_path):
    rows = [{"prompt": p, "source": s} for p, s in (("A  b", "x"), ("a B ", "y"), ("", "x"), (None, "x"), ("c", None))]
    sizes = {"per_iteration": 1, "iterations": 1, "length_bias": 0, "validation": 0, "test": 1}
    sets, facts = selected(tmp_path, rows=rows, **sizes)
    reasons = {"duplicate": 1, "empty_round": 1, "null_value": 1}
    assert facts == {"read": 5, "pool": 2, "used": 2, "dropped": 3} | reasons
    assert sorted((row["source"], row["prompt"][0]["content"]) for row in sets["pool"]) == [
        ("world", "c"),
        ("x", "A  b"),
    ]


def test_evaluation_prompts_and_near_duplicates_stay_out_whatever_the_order(tmp_path):
    evaluation = tmp_path / "evaluation_prompts.parquet"
    tables.write_table(
        [{"benchmark": "b", "prompt": "How many legs has a fox?"}], evaluation, tables.EVALUATION_PROMPTS
    )
    story = "tell me a long story about a fox that meets a goat in a forest"
    prompts = ["how many legs has a FOX", "How many legs has a cow?", story, f"{story} please", "another one"]
    rows = [{"prompt": prompt, "source": "s"} for prompt in prompts]
    sizes = {"iterations": 1, "per_iteration": 1, "length_bias": 0, "validation": 0, "test": 0}
    sets, facts = selected(tmp_path, rows, evaluation_prompts=evaluation, **sizes)
    counts = {"read": 5, "pool": 3, "used": 1, "dropped": 2}
    assert facts == counts | {"contaminated": 1, "near_duplicate": 1}
    asked = {row["prompt"][0]["content"] for row in sets["pool"]}
    assert asked - {story, f"{story} please"} == {"How many legs has a cow?", "another one"}
    assert selected(tmp_path, rows[::-1], evaluation_prompts=evaluation, **sizes)[0] == sets


def test_too_few_prompts_are_counted_in_the_error(tmp_path):
    with pytest.raises(StudyError, match=r"world: 1080 prompts are needed \(3 iterations x 300, .* 960 are available"):
        selected(tmp_path, per_iteration=300)
    assert not (tmp_path / "pool.parquet").exists()


def test_conversations_of_the_published_collections(tmp_path):
    talk = [("user", "one"), ("assistant", "two"), ("user", "three")]
    rows = [
        {"context_messages": [{"content": c, "role": r} for r, c in talk[:n]], "context": "x", "id": str(n)}
        for n in (1, 2, 3)
    ]
    sizes = {"per_iteration": 1, "iterations": 1, "length_bias": 0, "validation": 0, "test": 1}
    sets, facts = selected(tmp_path, rows=rows, **sizes)
    assert facts == {"read": 3, "pool": 2, "used": 2, "dropped": 1, "roles_do_not_alternate": 1}
    assert sorted(len(row["prompt"]) for row in sets["pool"]) == [1, 3]
    assert {row["source"] for row in sets["pool"]} == {"world"}


def test_another_layout_is_refused_by_what_it_lacks(tmp_path):
    with pytest.raises(StudyError, match=r"prompts/plain.sql: there is no column 'prompt' .*The file has question"):
        selected(tmp_path, rows=[{"question": "q", "source": "x"}])


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=4, max_size=30),
    st.integers(0, 2),
    st.integers(0, 2),
)
def test_disjoint_for_any_pool(tmp_path_factory, drawn, test, per_iteration):
    rows = [{"prompt": prompt, "source": source} for prompt, source in drawn]
    distinct = len({prompt for prompt, _ in drawn})
    if (needed := test + 2 * per_iteration) > distinct:
        with pytest.raises(StudyError, match=f"{needed} prompts are needed"):
            selected(tmp_path_factory.mktemp("p"), rows, 2, per_iteration, test=test, validation=0, length_bias=0)
        return
    sets, _ = selected(tmp_path_factory.mktemp("p"), rows, 2, per_iteration, test=test, validation=0, length_bias=0)
    texts = [row["prompt"][0]["content"] for name in ("held_out", "iter1", "iter2") for row in sets[name]]
    assert len(texts) == len(set(texts)) == needed


ROUNDS = pa.list_(pa.struct([("input", pa.string()), ("output", pa.string())]))
STEPS = pa.list_(pa.struct([("from", pa.string()), ("value", pa.string())]))
TEXT = pa.string()


@pytest.mark.parametrize(
    ("schema", "row", "prompt"),
    [
        ({"source": TEXT, "instruction": TEXT}, ("evol", "q"), [("user", "q")]),  # UltraFeedback
        ({"prompt": TEXT, "helpfulness": pa.int64()}, ("q", 4), [("user", "q")]),  # HelpSteer
        ({"prompt": TEXT, "quality": TEXT, "avg_rating": pa.float64()}, ("q", "[]", 4.5), [("user", "q")]),  # DIBT-10K
        ({"id": TEXT, "system_prompt": TEXT, "question": TEXT}, ("i", "s", "q"), [("system", "s"), ("user", "q")]),
        ({"id": TEXT, "system_prompt": TEXT, "question": TEXT}, ("i", "", "q"), [("user", "q")]),  # OpenOrca
        ({"id": TEXT, "system_prompt": TEXT, "question": TEXT}, ("i", None, "q"), [("user", "q")]),
        (  # Capybara
            {"source": TEXT, "conversation": ROUNDS},
            ("Airoboros", [{"input": "a", "output": "b"}, {"input": "q", "output": "c"}]),
            [("user", "a"), ("assistant", "b"), ("user", "q")],
        ),
        (  # UltraInteract
            {"trajectory": STEPS, "chosen": TEXT},
            ([{"from": s, "value": v} for s, v in (("user", "q"), ("assistant", "b"), ("user", "no"))], "x"),
            [("user", "q")],
        ),
        ({"task": TEXT, "instruction": TEXT, "response": TEXT}, ("t", "q", "a"), [("user", "q")]),
    ],
)
def test_prompts_of_each_layout(tmp_path, schema, row, prompt):
    table = pa.table({name: pa.array([value], kind) for (name, kind), value in zip(schema.items(), row, strict=True)})
    pq.write_table(table, tmp_path / "raw.parquet")
    outputs = [tmp_path / f"{name}.parquet" for name in ("pool", "iter1", "length_bias", "held_out")]
    sizes = {"iterations": 1, "prompts_per_iteration": 1, "length_bias": 0, "validation": 0, "test": 0, "seed": 1}
    pool, iteration, length_bias, held_out = outputs
    main(
        Args(
            raw=(tmp_path / "raw.parquet",),
            names=("collection",),
            pool=pool,
            iteration_outputs=(iteration,),
            length_bias_output=length_bias,
            held_out_output=held_out,
            dropped=tmp_path / "dropped.parquet",
            **sizes,
        )
    )
    (made,) = read(pool)
    assert [(turn["role"], turn["content"]) for turn in made["prompt"]] == prompt
    assert made["source"] == "collection"
