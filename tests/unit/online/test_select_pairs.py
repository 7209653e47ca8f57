"""Best against worst: known answers on tables made by hand, and properties against a plain Python ranking."""

from collections import Counter
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.online import select_pairs
from tests.unit.rollout_tables import write_rollouts


def select(folder, candidates, penalty=0.0, shards=1, skipped=(), **options):
    made = write_rollouts(folder / "rollouts", candidates, shards, skipped)
    output = folder / f"pairs-{shards}.parquet"
    facts = select_pairs.main(select_pairs.Args(**made, output=output, length_penalty=penalty, **options))
    return tables.read_table(output, tables.ONLINE_PAIRS).to_pylist(), facts


def test_best_and_worst(tmp_path):
    pairs, facts = select(tmp_path, {"p0": [("good", 2.0), ("bad", -1.0), ("fair", 1.0), ("poor", 0.5)]})
    assert pairs == [
        {
            "prompt_id": "p0",
            "prompt": [{"role": "user", "content": "say p0"}],
            "chosen": "good",
            "rejected": "bad",
            "chosen_actor": 0,
            "rejected_actor": 0,
            "chosen_reward": 2.0,
            "rejected_reward": -1.0,
            "margin": 3.0,
        }
    ]
    assert (facts["prompts"], facts["pairs"], facts["prompts_without_pair"]) == (1, 1, 0)
    assert (facts["mean_chosen_characters"], facts["mean_rejected_characters"]) == (4.0, 3.0)


def test_penalty_turns_the_order_and_the_concise_winner_is_chosen(tmp_path):
    """r = 1.5 for 100 characters, 1.0 for 10: at lambda 0.01 the short one wins, 0.9 against 0.5 (Equation 9)."""
    candidates = {"p0": [("x" * 100, 1.5), ("y" * 10, 1.0)]}
    plain, _ = select(tmp_path, candidates)
    penalised, _ = select(tmp_path, candidates, penalty=0.01)
    assert (plain[0]["chosen"], plain[0]["margin"]) == ("x" * 100, 0.5)
    assert penalised[0]["chosen"] == "y" * 10
    assert penalised[0]["margin"] == pytest.approx(0.4)
    assert (penalised[0]["chosen_reward"], penalised[0]["rejected_reward"]) == (1.0, 1.5)  # as the model gave them


def test_characters_are_counted_not_bytes(tmp_path):
    pairs, _ = select(tmp_path, {"p0": [("éééé", 1.0), ("abcdef", 1.0)]}, penalty=0.1)
    assert pairs[0]["chosen"] == "éééé"  # 4 characters in 8 bytes
    assert pairs[0]["margin"] == pytest.approx(0.2)


def test_ties_go_to_the_first_actor_and_sample(tmp_path):
    pairs, _ = select(tmp_path, {"p0": [("a", 1.0), ("b", 0.0), ("c", 1.0), ("d", 0.0)]})
    assert (pairs[0]["chosen"], pairs[0]["rejected"]) == ("a", "b")


def test_truncated_responses_are_no_candidates(tmp_path):
    pairs, facts = select(tmp_path, {"p0": [("cut", 9.0, False), ("a", 1.0), ("b", 0.0), ("cut", -9.0, False)]})
    assert (pairs[0]["chosen"], pairs[0]["rejected"]) == ("a", "b")
    assert facts["truncated_candidates"] == 2


def test_every_prompt_without_pair_is_counted_with_its_reason(tmp_path):
    pairs, facts = select(
        tmp_path,
        {
            "same": [("a", 1.0), ("a", 1.0)],
            "equal": [("a", 1.0), ("b", 1.0)],
            "one": [("a", 1.0), ("b", 2.0, False)],
            "none": [("a", 1.0, False), ("b", 2.0, False)],
            "long": [],
            "pair": [("a", 1.0), ("b", 2.0)],
        },
        skipped=("long",),
    )
    assert [pair["prompt_id"] for pair in pairs] == ["pair"]
    assert {key: value for key, value in facts.items() if not key.startswith("mean")} == {
        "prompts": 6,
        "pairs": 1,
        "prompts_without_pair": 5,
        "dropped_same_text": 1,
        "dropped_equal_reward": 1,
        "dropped_margin_below_minimum": 0,
        "dropped_fewer_than_two_finished": 2,
        "dropped_prompt_too_long": 1,
        "truncated_candidates": 3,
    }


def test_no_pair_at_all_is_an_error_not_an_empty_table(tmp_path):
    with pytest.raises(StudyError, match="none of 1 prompts gives a pair"):
        select(tmp_path, {"p0": [("a", 1.0), ("a", 1.0)]})
    assert not (tmp_path / "pairs-1.parquet").exists()


# --- strategies -------------------------------------------------------------------------------------------------------

FOUR = [("good", 2.0), ("bad", -1.0), ("fair", 1.0), ("poor", 0.5)]
MANY = {f"p{i}": FOUR for i in range(300)}


def paired(folder, candidates=MANY, **options):
    pairs, _ = select(folder, candidates, **options)
    return [(pair["chosen"], pair["rejected"]) for pair in pairs]


def test_best_second_is_the_closest_contest(tmp_path):
    pairs, _ = select(tmp_path, {"p0": FOUR}, strategy="best_second")
    assert [(pairs[0][key]) for key in ("chosen", "rejected", "margin")] == ["good", "fair", 1.0]


def test_best_second_goes_by_the_penalised_reward(tmp_path):
    assert paired(
        tmp_path, {"p0": [("x" * 100, 1.5), ("y" * 10, 1.0), ("z", 0.2)]}, strategy="best_second", penalty=0.01
    ) == [("y" * 10, "x" * 100)]


def test_best_random_draws_each_of_the_others_alike(tmp_path):
    found = Counter(paired(tmp_path, strategy="best_random"))
    assert set(found) == {("good", other) for other in ("bad", "fair", "poor")}
    assert min(found.values()) > 300 / 3 - 40  # 5 standard deviations


def test_random_draws_each_two_alike_and_the_better_is_chosen(tmp_path):
    found = Counter(paired(tmp_path, strategy="random"))
    ranking = ["good", "fair", "poor", "bad"]
    assert set(found) == set(combinations(ranking, 2))
    assert min(found.values()) > 300 / 6 - 33


@pytest.mark.parametrize("strategy", ["best_random", "random"])
def test_draws_come_from_identity_alone(tmp_path, strategy):
    """Neither the shards nor the other prompts change what a prompt draws; the study's seed does."""
    first = paired(tmp_path, strategy=strategy)
    assert paired(tmp_path, strategy=strategy, shards=3) == first
    backwards = paired(tmp_path, dict(reversed(MANY.items())), strategy=strategy)
    assert backwards[::-1] == first
    assert paired(tmp_path, strategy=strategy, seed=2) != first


def test_pairs_within_the_minimum_margin_are_dropped_and_counted(tmp_path):
    candidates = {"close": [("a", 1.0), ("b", 0.75)], "at": [("a", 1.0), ("b", 0.5)], "far": [("a", 1.0), ("b", 0.0)]}
    pairs, facts = select(tmp_path, candidates, minimum_margin=0.5)
    assert [pair["prompt_id"] for pair in pairs] == ["at", "far"]
    assert facts["dropped_margin_below_minimum"] == facts["prompts_without_pair"] == 1


def test_a_pair_of_two_policies_names_its_actors(tmp_path):
    """The best is the second policy's, the worst the first one's: actors keep their index in the sampler."""
    one = write_rollouts(tmp_path / "one", {"p0": [("fair", 1.0), ("bad", -1.0)]})
    other = write_rollouts(tmp_path / "other", {"p0": [("poor", 0.0), ("good", 2.0)]}, first_actor=2)
    args = select_pairs.Args(
        prompts=one["prompts"],
        responses=(*one["responses"], *other["responses"]),
        rewards=(*one["rewards"], *other["rewards"]),
        output=tmp_path / "pairs.parquet",
    )
    select_pairs.main(args)
    [pair] = tables.read_table(args.output, tables.ONLINE_PAIRS).to_pylist()
    assert [pair[key] for key in ("chosen", "chosen_actor", "rejected", "rejected_actor")] == ["good", 3, "bad", 1]


# --- properties -------------------------------------------------------------------------------------------------------

CANDIDATE = st.tuples(st.text("abé ", max_size=6), st.integers(-3, 3), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sets=st.lists(st.lists(CANDIDATE, min_size=4, max_size=4), min_size=1, max_size=5),
    penalty=st.sampled_from([0.0, 0.25, 0.5]),
    shards=st.integers(1, 3),
)
def test_against_a_plain_ranking_and_the_same_from_any_shards(sets, penalty, shards):
    def score(candidate):
        return candidate[1] - penalty * len(candidate[0])

    expected = []
    for i, candidates in enumerate([*sets, [("good", 9, True), ("bad", -9, True)] * 2]):
        finished = [candidate for candidate in candidates if candidate[2]]
        if len(finished) < 2:
            continue
        best, worst = max(finished, key=score), min(finished, key=score)  # both take the first of equals
        if best[0] != worst[0] and score(best) != score(worst):
            expected.append((f"p{i}", best[0], worst[0], score(best) - score(worst)))
    candidates = {f"p{i}": list(c) for i, c in enumerate([*sets, [("good", 9, True), ("bad", -9, True)] * 2])}
    with TemporaryDirectory() as folder:
        pairs, facts = select(Path(folder), candidates, penalty, shards)
    assert [(pair["prompt_id"], pair["chosen"], pair["rejected"], pair["margin"]) for pair in pairs] == expected
    assert facts["prompts_without_pair"] == sum(facts[key] for key in facts if key.startswith("dropped"))
    assert facts["pairs"] + facts["prompts_without_pair"] == facts["prompts"] == len(candidates)
