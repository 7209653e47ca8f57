"""Win rates of a policy against a baseline, plain and length-controlled, from paired scores of a judge.

The length control follows the idea of AlpacaEval 2 (LC): fit a logistic model of the judge's preference on the
difference in length, and read the win rate off at equal lengths. It leaves out AlpacaEval's instruction difficulty and
its cross-validated L1 penalty, which are calibrated on GPT-4's judgments of its 805 prompts, and it has an intercept,
which AlpacaEval replaces by an indicator of each model.
"""

import numpy as np

RIDGE = 1e-3  # prior information in units of observations: keeps the fit finite where all preferences agree
STEPS = 60
LARGEST_STEP = 4.0  # logits; Newton steps from 0 may overshoot
TOLERANCE = 1e-9


def wins(difference: np.ndarray) -> np.ndarray:
    """1 where the policy's score is higher, 1/2 where the scores are equal, 0 where the baseline's is higher."""
    return (np.sign(difference) + 1) / 2


def soft_preference(difference: np.ndarray) -> np.ndarray:
    """Bradley-Terry probability that the policy's answer is preferred, from the difference of scores."""
    from scipy.special import expit

    return expit(difference)


def length_feature(difference: np.ndarray) -> np.ndarray:
    """tanh of the difference in length (policy minus baseline) over its standard deviation; 0 where all are equal.

    Where all differences are the same number, length and policy can't be told apart, and no control is possible.
    """
    spread = np.std(difference)
    return np.tanh(difference / spread) if spread > 0 else np.zeros(len(difference))


def length_controlled(preference: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """The preference predicted at equal lengths.

    Fits logit p = a + b * feature to soft preferences by Newton's method, for many samples at once, and returns
    sigmoid(a).

    Args:
        preference: in [0, 1], shape (samples, n).
        feature: shape (samples, n).

    Returns:
        win rates in [0, 1], shape (samples,).
    """
    from scipy.special import expit

    a, b = np.zeros(len(preference)), np.zeros(len(preference))
    for _ in range(STEPS):
        predicted = expit(a[:, None] + b[:, None] * feature)
        residual, weight = preference - predicted, predicted * (1 - predicted)
        gradient_a = residual.sum(axis=1) - RIDGE * a
        gradient_b = (residual * feature).sum(axis=1) - RIDGE * b
        h_aa = weight.sum(axis=1) + RIDGE
        h_ab = (weight * feature).sum(axis=1)
        h_bb = (weight * feature**2).sum(axis=1) + RIDGE
        determinant = h_aa * h_bb - h_ab**2
        step_a = np.clip((h_bb * gradient_a - h_ab * gradient_b) / determinant, -LARGEST_STEP, LARGEST_STEP)
        step_b = np.clip((h_aa * gradient_b - h_ab * gradient_a) / determinant, -LARGEST_STEP, LARGEST_STEP)
        a, b = a + step_a, b + step_b
        if max(np.abs(step_a).max(), np.abs(step_b).max()) < TOLERANCE:
            break
    return expit(a)
