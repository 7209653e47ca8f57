"""The enhancer of Algorithm 1: how much a second policy would tell, and the policy that tells most (Equation 8).

The information gain depends on a policy through its mean features alone, and of all policies with the same mean
features the exponential tilt of the main agent, pi_w(a|x) ~ pi_1(a|x) exp(<w, phi(x, a)>), is nearest to it in KL. So
the maximum over all policies is attained by some w in R^d, and only w has to be searched.
"""

import numpy as np
from scipy.special import log_softmax

from scripts.theory.linear import World, divergence, rewards

LARGEST_TILT = 1e3
"""A tilt of this norm is as good as deterministic."""


def mean_features(world: World, log_policy: np.ndarray) -> np.ndarray:
    """E_{x, a ~ pi} phi(x, a), shape (S, d)."""
    return (np.exp(log_policy)[..., None] * world.features).sum(axis=2).mean(axis=1)


def information_gain(
    world: World, covariance: np.ndarray, first: np.ndarray, second: np.ndarray, beta: float
) -> np.ndarray:
    """Gamma(pi_1, pi_2) = beta ||E_{pi_1} phi - E_{pi_2} phi||_{Sigma^-1}, Section 3.2; shape (S,).

    Args:
        covariance: Sigma_t, shape (S, d, d).
        first, second: log-policies, shape (S, X, A).
    """
    return beta * _norm(covariance, mean_features(world, second) - mean_features(world, first))


def difference_covariance(world: World, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """E (phi(x, a1) - phi(x, a2)) (phi(x, a1) - phi(x, a2))^T for independent a1 ~ pi_1, a2 ~ pi_2; shape (S, d, d)."""
    weights = (np.exp(first) + np.exp(second))[..., None]  # the second moments of both
    runs, _, _, dimension = world.features.shape
    flat = world.features.reshape(runs, -1, dimension)
    moments = flat.swapaxes(1, 2) @ (weights * world.features).reshape(runs, -1, dimension) / world.features.shape[1]
    means = [(np.exp(policy)[..., None] * world.features).sum(axis=2) for policy in (first, second)]  # (S, X, d)
    mixed = means[0].swapaxes(1, 2) @ means[1] / world.features.shape[1]
    return moments - mixed - mixed.swapaxes(1, 2)


def enhancer(world: World, covariance: np.ndarray, main: np.ndarray, beta: float, rounds: int = 5) -> np.ndarray:
    """The policy of the set Pi_t of Equation 8 that maximises the information gain; log-policy, shape (S, X, A).

    For a direction of w the longest tilt within the set, eta KL(pi_w || pi_1) <= Gamma, is found by bisection. The gain
    is convex in the mean features, so that its linearisation at a policy, whose best tilt points to
    Sigma^-1 (E_{pi_w} phi - E_{pi_1} phi), gives the next direction, and the gain does not fall for the same KL.
    Each world starts from both ends of the direction that gains most for a small tilt, and keeps the best it meets.

    Args:
        covariance: Sigma_t, shape (S, d, d).
        main: the main agent pi_1, log-policy, shape (S, X, A).
    """
    best, best_gain = main, np.zeros(len(main))
    for start in _local_directions(world, covariance, main):
        direction = start
        for _ in range(rounds):
            tilted = _longest_tilt(world, covariance, main, direction, beta)
            gain = information_gain(world, covariance, main, tilted, beta)
            better = gain > best_gain
            best = np.where(better[:, None, None], tilted, best)
            best_gain = np.maximum(gain, best_gain)
            moved = mean_features(world, tilted) - mean_features(world, main)
            direction = np.linalg.solve(covariance, moved[..., None])[..., 0]
    return best


def within_set(world: World, covariance: np.ndarray, main: np.ndarray, other: np.ndarray, beta: float) -> np.ndarray:
    """Whether `other` belongs to Pi_t of Equation 8, shape (S,)."""
    gain = information_gain(world, covariance, main, other, beta)
    return world.eta * divergence(other, main) <= gain


def tilt(world: World, main: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """log pi_w for w = `direction` of shape (S, d)."""
    return log_softmax(main + rewards(world.features, direction), axis=-1)


def _longest_tilt(
    world: World, covariance: np.ndarray, main: np.ndarray, direction: np.ndarray, beta: float
) -> np.ndarray:
    """The tilt furthest along a direction that is still within the set; what is returned always is."""
    unit = direction / np.maximum(np.linalg.norm(direction, axis=-1, keepdims=True), 1e-300)
    low, high = np.full(len(main), 1e-3), np.full(len(main), LARGEST_TILT)
    for _ in range(24):
        middle = np.sqrt(low * high)
        inside = within_set(world, covariance, main, tilt(world, main, middle[:, None] * unit), beta)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    found = tilt(world, main, low[:, None] * unit)
    return np.where(within_set(world, covariance, main, found, beta)[:, None, None], found, main)


def _local_directions(world: World, covariance: np.ndarray, main: np.ndarray) -> list[np.ndarray]:
    """Both ends of the direction w that gains most for a small tilt: it maximises w F Sigma^-1 F w for w F w = 1.

    F, the covariance of the features under the main agent, is how mean features and KL answer to a small w.
    """
    probability = np.exp(main)[..., None]
    centred = world.features - (probability * world.features).sum(axis=2, keepdims=True)
    runs, prompts, _, dimension = world.features.shape
    flat = centred.reshape(runs, -1, dimension)
    response = flat.swapaxes(1, 2) @ (probability * centred).reshape(runs, -1, dimension) / prompts
    factor = np.linalg.cholesky(response + 1e-9 * np.eye(dimension))
    _, vectors = np.linalg.eigh(factor.swapaxes(1, 2) @ np.linalg.solve(covariance, factor))
    direction = np.linalg.solve(factor.swapaxes(1, 2), vectors[:, :, -1:])[..., 0]
    return [direction, -direction]


def _norm(covariance: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """||v||_{Sigma^-1}, from (S, d, d) and (S, d) to (S,)."""
    return np.sqrt((vectors * np.linalg.solve(covariance, vectors[..., None])[..., 0]).sum(axis=-1))
