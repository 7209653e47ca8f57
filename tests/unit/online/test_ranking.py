"""Rankings with known answers: best and worst under a transitive preference, and how many matches they take."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.online.ranking import EVEN, play, round_robin, tournament


def bradley_terry(rewards):
    return lambda asked: [1 / (1 + math.exp(rewards[j] - rewards[i])) for _, (i, j) in asked]


def score(ranking, rewards):
    (scores,), matches = play([ranking(len(rewards))], bradley_terry(rewards))
    return scores, matches


distinct = st.lists(st.floats(-5, 5), min_size=1, max_size=20, unique_by=lambda x: round(x, 3))


@given(distinct)
def test_both_find_best_and_worst_under_a_transitive_preference(rewards):
    order = sorted(range(len(rewards)), key=rewards.__getitem__)
    for ranking in (tournament, round_robin):
        scores, _ = score(ranking, rewards)
        if len(rewards) > 1:
            assert scores.index(max(scores)) == order[-1]
            assert scores.index(min(scores)) == order[0]


@given(distinct)
def test_a_round_robin_orders_all(rewards):
    scores, matches = score(round_robin, rewards)
    n = len(rewards)
    assert sorted(range(n), key=scores.__getitem__) == sorted(range(n), key=rewards.__getitem__)
    assert matches == n * (n - 1) // 2
    assert sum(scores) == pytest.approx(n / 2)  # every match deals out one win


@given(distinct)
def test_a_tournament_takes_a_number_of_matches_linear_in_n(rewards):
    scores, matches = score(tournament, rewards)
    n = len(rewards)
    assert matches <= max(0, math.ceil(3 * n / 2) - 1)
    assert [s for s in scores if s != EVEN] == [] or len([s for s in scores if s == EVEN]) == n - 2


def test_matches_of_8_responses():
    rewards = random.Random(0).sample(range(100), 8)
    assert score(round_robin, rewards)[1] == 28
    assert score(tournament, rewards)[1] == 4 + 6 + 1  # a common round, two knock-outs of four, the final


def test_the_scores_of_a_tournament_are_the_finalists_odds():
    scores, _ = score(tournament, [0.0, 2.0, -1.0, 1.0, 0.5])
    p = 1 / (1 + math.exp(-3))
    assert scores == pytest.approx([EVEN, p, 1 - p, EVEN, EVEN])


def test_two_responses_meet_once():
    assert score(tournament, [0.0, 1.0])[1] == 1


def test_nobody_and_one():
    for ranking in (tournament, round_robin):
        assert play([ranking(0), ranking(1)], lambda asked: []) == ([[], [EVEN]], 0)


def test_ties_everywhere_give_no_order():
    for ranking in (tournament, round_robin):
        scores, _ = score(ranking, [1.0] * 5)
        assert scores == pytest.approx([EVEN] * 5)


def test_a_cycle_is_left_undecided():
    """0 beats 1, 1 beats 2, 2 beats 0, where 2 has a bye: it beats the winner and loses to the loser."""
    wins = {(0, 1), (1, 2), (2, 0)}
    (scores,), matches = play([tournament(3)], lambda asked: [0.9 if match in wins else 0.1 for _, match in asked])
    assert (scores, matches) == ([EVEN] * 3, 3)


def test_rankings_side_by_side_are_those_of_each_alone():
    draw = random.Random(1)
    fields = [[draw.random() for _ in range(n)] for n in (5, 1, 8, 3, 2)]
    rounds = []

    def compare(asked):
        rounds.append(len(asked))
        return [1 / (1 + math.exp(fields[which][j] - fields[which][i])) for which, (i, j) in asked]

    together, matches = play([tournament(len(field)) for field in fields], compare)
    alone = [score(tournament, field) for field in fields]
    assert together == [scores for scores, _ in alone]
    assert matches == sum(count for _, count in alone) == sum(rounds)
    assert len(rounds) <= 4  # not one after another: as many rounds as the longest takes
