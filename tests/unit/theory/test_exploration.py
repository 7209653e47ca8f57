"""The enhancer: the information gain, its covariance, and the most informative policy of the set of Equation 8."""

import numpy as np
import pytest

from scripts.theory import exploration, linear
from tests.unit.theory.test_linear import policies, world

BETA = 0.4


def covariance(made: linear.World, seed: int = 5) -> np.ndarray:
    dimension = made.features.shape[-1]
    sample = np.random.default_rng(seed).normal(size=(made.features.shape[0], dimension, dimension + 2))
    return sample @ sample.swapaxes(1, 2) / 4 + 0.2 * np.eye(dimension)


def test_gain_is_zero_for_equal_policies_and_symmetric():
    made = world()
    sigma, one, other = covariance(made), policies(1, made), policies(2, made)
    assert exploration.information_gain(made, sigma, one, one, BETA) == pytest.approx(np.zeros(3))
    there, back = (exploration.information_gain(made, sigma, *pair, BETA) for pair in ((one, other), (other, one)))
    assert there == pytest.approx(back)
    assert (there > 0).all()


def test_gain_is_the_norm_of_the_papers_formula():
    made = world()
    sigma, one, other = covariance(made), policies(1, made), policies(2, made)
    for s in range(3):
        means = [np.einsum("xa,xad->d", np.exp(policy[s]), made.features[s]) / 4 for policy in (one, other)]
        v = means[0] - means[1]
        expected = BETA * np.sqrt(v @ np.linalg.inv(sigma[s]) @ v)
        assert exploration.information_gain(made, sigma, one, other, BETA)[s] == pytest.approx(expected)


def test_covariance_of_differences_is_the_sum_over_all_pairs():
    made = world()
    one, other = policies(1, made), policies(2, made)
    difference = made.features[:, :, :, None] - made.features[:, :, None]
    weights = np.exp(one)[:, :, :, None] * np.exp(other)[:, :, None] / 4
    expected = np.einsum("sxab,sxabd,sxabe->sde", weights, difference, difference)
    assert exploration.difference_covariance(made, one, other) == pytest.approx(expected)


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0, 100.0])
def test_the_enhancer_lies_within_the_set_and_tells_something(beta):
    made = world(runs=20)
    sigma, main = covariance(made), policies(1, made)
    found = exploration.enhancer(made, sigma, main, beta)
    assert exploration.within_set(made, sigma, main, found, beta).all()
    assert (exploration.information_gain(made, sigma, main, found, beta) > 0).all()


@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_no_tilt_of_a_fine_grid_in_the_plane_tells_more(beta):
    """d = 2: 120 directions of 80 lengths each; the enhancer is as good as the best of them, or better."""
    made = world(runs=25, dimension=2)
    sigma, main = covariance(made), made.log_reference
    found = exploration.information_gain(made, sigma, main, exploration.enhancer(made, sigma, main, beta), beta)
    best = np.zeros(25)
    for angle in np.linspace(0, 2 * np.pi, 120, endpoint=False):
        for length in np.geomspace(1e-2, 1e3, 80):
            w = np.broadcast_to(length * np.array([np.cos(angle), np.sin(angle)]), (25, 2))
            tilted = exploration.tilt(made, main, w)
            inside = exploration.within_set(made, sigma, main, tilted, beta)
            best = np.maximum(best, np.where(inside, exploration.information_gain(made, sigma, main, tilted, beta), 0))
    assert (found > 0.99 * best).all(), (found / best).min()


def test_no_policy_at_all_with_the_same_mean_features_is_nearer_than_the_tilt():
    """Why only tilts need to be searched: moving along what leaves the mean features alone costs KL."""
    made = world(runs=1)
    main = policies(1, made)
    tilted = exploration.tilt(made, main, np.array([[1.0, -0.5, 0.3]]))
    probability = np.exp(tilted)[0].ravel()
    rows = np.vstack([made.features[0].reshape(-1, 3).T, np.kron(np.eye(4), np.ones(6))])
    null = np.linalg.svd(rows)[2][rows.shape[0] :]  # changes of the policy that keep means and normalisation
    for direction in null:
        change = 0.5 * direction * np.min(probability / np.abs(direction).clip(1e-12))
        moved = np.log((probability + change).reshape(1, 4, 6))
        assert exploration.mean_features(made, moved) == pytest.approx(exploration.mean_features(made, tilted))
        assert linear.divergence(moved, main) > linear.divergence(tilted, main)
