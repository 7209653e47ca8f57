"""Rollouts put together: every fault is found and its file named."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from scripts.common import rollouts, tables
from scripts.common.errors import StudyError
from tests.unit.rollout_tables import write_rollouts

CANDIDATES = {f"p{i}": [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 0.0)] for i in range(6)}


@pytest.fixture
def whole(tmp_path):
    return write_rollouts(tmp_path / "rollouts", CANDIDATES, shards=2)


def counts(given):
    with rollouts.joined(**given) as connection:
        return [connection.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in ("prompts", "responses")]


def rewrite(path, change):
    table = pq.read_table(path)
    pq.write_table(change(table), path)


def test_whole_rollouts_pass(whole):
    assert counts(whole) == [6, 24]


def test_a_shard_cut_short_is_named(whole):
    rewrite(whole["responses"][1], lambda table: table.slice(0, 11))
    with pytest.raises(StudyError, match=r"responses-1\.parquet: too few responses: prompt_id p5: found 3, expected 4"):
        counts(whole)


def test_a_prompt_lost_altogether_is_named_with_its_shard(whole):
    for kind in ("responses", "rewards"):
        rewrite(whole[kind][1], lambda table: table.slice(0, 8))
    with pytest.raises(StudyError, match=r"responses-1\.parquet: too few responses: prompt_id p5: found 0, expected 4"):
        counts(whole)


def test_a_missing_shard_shows(whole):
    given = {**whole, "responses": whole["responses"][:1], "rewards": whole["rewards"][:1]}
    with pytest.raises(StudyError, match=r"too few responses: prompt_id p1: found 0, expected 4 \(and 2 more such\)"):
        counts(given)


def test_skipped_prompts_are_accounted_for(tmp_path):
    given = write_rollouts(tmp_path / "r", {**CANDIDATES, "long": []}, shards=2, skipped=("long",))
    assert counts(given) == [7, 24]
    with rollouts.joined(**given) as connection:
        assert connection.execute("FROM skipped").fetchall() == [("long",)]


def test_no_responses_at_all(tmp_path):
    with pytest.raises(StudyError, match="too few responses: prompt_id p0: found 0"):
        counts(write_rollouts(tmp_path / "r", {"p0": [], "p1": []}))


@pytest.mark.parametrize(("kind", "fault"), [("responses", "response given twice"), ("rewards", "reward given twice")])
def test_a_row_given_twice(whole, kind, fault):
    rewrite(whole[kind][0], lambda table: pa.concat_tables([table, table.slice(0, 1)]))
    with pytest.raises(
        StudyError, match=rf"{kind}-0\.parquet: {fault}: prompt_id p0, actor 0, k 0: found 2, expected 1"
    ):
        counts(whole)


def test_a_response_without_reward(whole):
    rewrite(whole["rewards"][0], lambda table: table.slice(1))
    with pytest.raises(StudyError, match=r"responses-0\.parquet: response without reward: prompt_id p0, actor 0, k 0"):
        counts(whole)


def test_rewards_of_other_responses(whole, tmp_path):
    other = write_rollouts(tmp_path / "other", {**CANDIDATES, "q": CANDIDATES["p0"]})
    with pytest.raises(StudyError, match=r"rewards-0\.parquet: reward without response: prompt_id q"):
        counts({**whole, "rewards": other["rewards"]})


def test_responses_to_other_prompts(whole, tmp_path):
    other = write_rollouts(tmp_path / "other", {"q": CANDIDATES["p0"]})
    with pytest.raises(StudyError, match=r"unknown prompt: prompt_id p0"):
        counts({**whole, "prompts": other["prompts"]})


def test_a_file_cut_in_the_middle(whole):
    path = whole["responses"][0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StudyError, match=r"responses-0\.parquet: not a whole Parquet file"):
        counts(whole)


def test_a_shard_without_metadata_skips_nothing(tmp_path):
    path = tmp_path / "0.parquet"
    tables.write_table([], path, tables.RESPONSES)
    assert rollouts.skipped_prompts(path) == []


def two_policies(folder, second=CANDIDATES):
    """The rollouts of two policies to the same prompts, actors 0 and 1 and actors 2 and 3, two shards each."""
    one = write_rollouts(folder / "one", CANDIDATES, shards=2)
    other = write_rollouts(folder / "other", second, shards=2, first_actor=2)
    return {
        "prompts": one["prompts"],
        "responses": (*one["responses"], *other["responses"]),
        "rewards": (*one["rewards"], *other["rewards"]),
    }


def test_policies_are_joined_and_their_actors_kept_apart(tmp_path):
    with rollouts.joined(**two_policies(tmp_path)) as connection:
        found = connection.execute("SELECT actor, count(*) FROM responses GROUP BY actor ORDER BY actor").fetchall()
    assert found == [(0, 12), (1, 12), (2, 12), (3, 12)]


def test_a_prompt_that_one_of_two_policies_left_out_is_missed_in_its_own_shard(tmp_path):
    given = two_policies(tmp_path)
    rewrite(given["responses"][3], lambda table: table.filter(pc.not_equal(table["prompt_id"], "p1")))
    rewrite(given["rewards"][3], lambda table: table.filter(pc.not_equal(table["prompt_id"], "p1")))
    with pytest.raises(StudyError, match=r"other/responses-1\.parquet: too few responses: prompt_id p1.*: found 0"):
        counts(given)
