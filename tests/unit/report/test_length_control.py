import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.report.length_control import RIDGE, length_controlled, length_feature, soft_preference, wins


def controlled(score: np.ndarray, characters: np.ndarray) -> float:
    return float(length_controlled(soft_preference(score)[None], length_feature(characters)[None])[0])


def test_wins_count_ties_half():
    assert wins(np.array([2.0, -0.1, 0.0])).tolist() == [1.0, 0.0, 0.5]


def test_without_differences_in_length_it_is_the_mean_preference():
    score = np.random.default_rng(1).normal(0.3, 1.0, 500)
    assert controlled(score, np.zeros(500)) == pytest.approx(soft_preference(score).mean(), abs=1e-5)


def test_a_constant_difference_in_length_can_not_be_controlled_for():
    score = np.random.default_rng(1).normal(0.3, 1.0, 500)
    assert controlled(score, np.full(500, 12.0)) == pytest.approx(soft_preference(score).mean(), abs=1e-5)


def test_recovers_the_win_rate_at_equal_length():
    """A judge whose score is 0.4 + 1.5 tanh(length difference / sd): at equal length sigmoid(0.4) is preferred."""
    characters = np.random.default_rng(2).normal(25, 20, 2_000)
    score = 0.4 + 1.5 * length_feature(characters)
    assert controlled(score, characters) == pytest.approx(1 / (1 + np.exp(-0.4)), abs=1e-4)
    assert soft_preference(score).mean() > 0.7  # length alone makes the plain mean look better


def test_agrees_with_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(3)
    characters, score = draw.normal(10, 30, 300), draw.normal(0.5, 2.0, 300)
    preference, feature = soft_preference(score), length_feature(characters)
    model = LogisticRegression(C=1e6, tol=1e-10, max_iter=1_000)
    model.fit(
        np.concatenate([feature, feature])[:, None],
        np.repeat([1, 0], 300),
        sample_weight=np.concatenate([preference, 1 - preference]),
    )
    theirs = model.predict_proba([[0.0]])[0, 1]
    assert controlled(score, characters) == pytest.approx(theirs, abs=1e-4)


def test_many_samples_at_once_are_fitted_one_by_one():
    draw = np.random.default_rng(4)
    preference, feature = draw.uniform(size=(5, 80)), draw.uniform(-1, 1, size=(5, 80))
    together = length_controlled(preference, feature)
    alone = [length_controlled(preference[i : i + 1], feature[i : i + 1])[0] for i in range(5)]
    assert together == pytest.approx(alone, abs=1e-8)


@pytest.mark.parametrize(("score", "expected"), [(60.0, 1.0), (-60.0, 0.0)])
def test_stays_finite_where_all_preferences_agree(score, expected):
    characters = np.linspace(-20, 40, 50)
    assert controlled(np.full(50, score), characters) == pytest.approx(expected, abs=RIDGE)


def test_stays_finite_where_length_decides_all():
    characters = np.linspace(-50, 50, 101)
    assert controlled(1_000 * characters, characters) == pytest.approx(0.5, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-3, 3), st.floats(0.1, 100))
def test_swapping_policy_and_baseline_gives_the_complement(seed, shift, spread):
    draw = np.random.default_rng(seed)
    score, characters = draw.normal(shift, 1.0, 40), draw.normal(0, spread, 40)
    assert controlled(score, characters) + controlled(-score, -characters) == pytest.approx(1.0, abs=1e-6)
