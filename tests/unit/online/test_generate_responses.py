"""Shards of responses: identity decides, whatever the shards; nothing is skipped without a word."""

import pytest

from scripts.common import rollouts, tables
from scripts.common.errors import StudyError
from scripts.common.seeds import seed_from
from scripts.online import generate_responses
from tests.unit.engines_fixtures import WORDS, prompt_rows, user

pytest_plugins = ["tests.unit.engines_fixtures"]


def arguments(prompts, policy, output, **changes):
    values = {
        "policy_name": "sft",
        "sampler_name": "mixed",
        "prompt_set": "iter1",
        "actors": (0, 1),
        "temperatures": (1.0, 0.7),
        "counts": (2, 3),
        "max_new_tokens": 16,
        "max_prompt_tokens": 64,
        "dtype": "float32",
        "engine": "transformers",
    }
    return generate_responses.Args(prompts=prompts, policy=policy, output=output, **{**values, **changes})


def rows(path):
    return tables.read_table(path, tables.RESPONSES).to_pylist()


def test_rows_are_ordered_complete_and_seeded_by_identity(prompts, policy, tmp_path):
    args = arguments(prompts, policy, tmp_path / "0.parquet")
    facts = generate_responses.main(args)
    found = rows(args.output)
    expected = [(f"p{i:03}", actor, k) for i in range(14) for actor, n in enumerate((2, 3)) for k in range(n)]
    assert [(row["prompt_id"], row["actor"], row["k"]) for row in found] == expected
    for row in found:
        assert row["seed"] == seed_from(1, "sft", "mixed", "iter1", row["prompt_id"], row["actor"]) + row["k"]
        assert row["temperature"] == (1.0, 0.7)[row["actor"]]
        assert 0 <= len(row["response"].split()) <= row["tokens"] - row["finished"]
        assert "<eos>" not in row["response"]
    assert {(row["prompt_id"], str(row["prompt"])) for row in found} == {
        (row["prompt_id"], str(row["prompt"])) for row in prompt_rows(14)
    }
    assert (facts["prompts"], facts["responses"], facts["engine"]) == (14, 70, "transformers")
    assert facts["tokens"] == sum(row["tokens"] for row in found)
    assert facts["truncated_share"] == pytest.approx(sum(not row["finished"] for row in found) / 70)


def test_shards_and_order_of_prompts_make_no_difference(prompts, policy, tmp_path):
    generate_responses.main(arguments(prompts, policy, tmp_path / "whole.parquet"))
    whole = {(row["prompt_id"], row["actor"], row["k"]): row for row in rows(tmp_path / "whole.parquet")}
    found = []
    for shard in range(3):
        output = tmp_path / f"{shard}.parquet"
        generate_responses.main(arguments(prompts, policy, output, shard=shard, shards=3))
        assert [row["prompt_id"] for row in rows(output)][::5] == [f"p{i:03}" for i in range(shard, 14, 3)]
        found += rows(output)
    backwards = tmp_path / "backwards.parquet"
    tables.write_table(prompt_rows(14)[::-1], backwards, tables.PROMPTS)
    generate_responses.main(arguments(backwards, policy, tmp_path / "reversed.parquet"))
    for other in (found, rows(tmp_path / "reversed.parquet")):
        assert {(row["prompt_id"], row["actor"], row["k"]): row for row in other} == whole


@pytest.mark.parametrize(
    "change",
    [{"seed": 2}, {"policy_name": "iterative-iter1"}, {"sampler_name": "other"}, {"prompt_set": "iter2"}],
)
def test_every_part_of_the_identity_counts(prompts, policy, tmp_path, change):
    generate_responses.main(arguments(prompts, policy, tmp_path / "a.parquet"))
    generate_responses.main(arguments(prompts, policy, tmp_path / "b.parquet", **change))
    first, second = rows(tmp_path / "a.parquet"), rows(tmp_path / "b.parquet")
    assert not {row["seed"] for row in first} & {row["seed"] for row in second}
    assert [row["response"] for row in first] != [row["response"] for row in second]


def test_prompts_too_long_are_skipped_and_recorded(policy, tmp_path, capsys):
    long = {"prompt_id": "long", "source": "test", "prompt": user(" ".join(WORDS))}
    path = tmp_path / "prompts.parquet"
    tables.write_table([*prompt_rows(2), long], path, tables.PROMPTS)
    args = arguments(path, policy, tmp_path / "0.parquet", max_prompt_tokens=40)
    facts = generate_responses.main(args)
    assert facts["skipped_prompts"] == 1
    assert rollouts.skipped_prompts(args.output) == ["long"]
    assert {row["prompt_id"] for row in rows(args.output)} == {"p000", "p001"}
    assert "prompt long has 62 tokens, more than 40" in capsys.readouterr().out


def test_a_shard_without_prompts_is_an_empty_table(policy, tmp_path):
    path = tmp_path / "prompts.parquet"
    tables.write_table(prompt_rows(1), path, tables.PROMPTS)
    facts = generate_responses.main(arguments(path, policy, tmp_path / "1.parquet", shard=1, shards=2))
    assert facts["responses"] == 0
    assert rows(tmp_path / "1.parquet") == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": (8,)}, "--actors has 2 values, --temperatures 2 and --counts 1"),
        ({"counts": (8, 0)}, "all must be above 0"),
        ({"shard": 2, "shards": 2}, "--shard 2: with --shards 2 it lies between 0 and 1"),
    ],
)
def test_arguments_that_can_not_be_meant(prompts, policy, tmp_path, changes, message):
    with pytest.raises(StudyError, match=message):
        generate_responses.main(arguments(prompts, policy, tmp_path / "0.parquet", **changes))


def test_a_prompt_given_twice(policy, tmp_path):
    path = tmp_path / "prompts.parquet"
    tables.write_table(prompt_rows(2) + prompt_rows(1), path, tables.PROMPTS)
    with pytest.raises(StudyError, match=r"prompts\.parquet: 1 rows repeat a prompt_id"):
        generate_responses.main(arguments(path, policy, tmp_path / "0.parquet"))
