"""The length-controlled win rate of AlpacaEval 2 (Dubois et al. 2024), by its published definition, on scikit-learn.

A logistic model of the judge's preference for an answer to instruction x over the baseline's,

    logit p = a tanh(d / sd(d)) + b difficulty(x) + c,    d = characters of the baseline's answer - of the policy's,

is fitted to preferences in [0, 1] as soft labels; the win rate is the mean of p with the first term set to 0, which
answers "had both been equally long". The penalty is L1, its strength chosen by cross-validation over five folds of
instructions. Two calibrations are published with the benchmark: the difficulty of each instruction, and judgments of
"gamed" baselines (the baseline asked to be brief, or wordy), which count a tenth each and have no term c: they teach
the model what length alone does.
"""

from dataclasses import dataclass

import numpy as np

FOLDS = 5
GAMED_WEIGHT = 0.1  # lambda 0.2, halved because there are two gamed baselines
SEED = 123  # as published: the solver visits the coefficients in an order drawn from it
PENALTY = {"l1_ratio": 1.0, "solver": "liblinear", "fit_intercept": False, "random_state": SEED}


@dataclass(frozen=True)
class Gamed:
    """Judgments of the gamed baselines; arrays of shape (m,)."""

    preference: np.ndarray
    length: np.ndarray  # difference in characters over its standard deviation, before the tanh
    difficulty: np.ndarray


@dataclass(frozen=True)
class Fit:
    """The three coefficients and the inverse strength of the penalty that cross-validation chose."""

    coefficients: np.ndarray
    strength: float


def length_feature(policy: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """tanh of the standardised difference in characters, shape (n,); 0 where all differences are equal.

    Where they are, length and policy can't be told apart, and no control is possible.
    """
    difference = np.asarray(baseline, dtype=float) - np.asarray(policy, dtype=float)
    spread = np.std(difference, ddof=1) if len(difference) > 1 else 0.0
    return np.tanh(difference / spread) if spread > 0 else np.zeros(len(difference))


def fit(preference: np.ndarray, length: np.ndarray, difficulty: np.ndarray, gamed: Gamed) -> Fit:
    """The model of one policy.

    Args:
        preference: of the judge for the policy's answer, in [0, 1], shape (n,).
        length: of `length_feature`, shape (n,).
        difficulty: of the instructions, shape (n,).
        gamed: judgments of the gamed baselines.
    """
    import sklearn
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.metrics import make_scorer
    from sklearn.model_selection import GroupKFold

    x, y, weight = _rows(preference, length, difficulty, gamed)
    both = np.arange(len(y) // 2)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(_log_loss, response_method="predict_proba", greater_is_better=False)
        settings = {name: value for name, value in PENALTY.items() if name != "l1_ratio"}
        model = LogisticRegressionCV(
            cv=GroupKFold(FOLDS),  # a judgment's two rows, its label 1 and its label 0, stay together
            scoring=scorer.set_score_request(sample_weight=True),
            l1_ratios=[PENALTY["l1_ratio"]],
            use_legacy_attributes=False,
            **settings,
        ).set_fit_request(sample_weight=True)
        model.fit(x, y, sample_weight=weight, groups=np.concatenate([both, both]))
    return Fit(model.coef_[0], float(model.C_))


def refit(
    first: Fit,
    count: np.ndarray,
    preference: np.ndarray,
    length: np.ndarray,
    difficulty: np.ndarray,
    gamed: Gamed,
) -> Fit:
    """The same model on a resample, in which judgment i comes `count[i]` times; the penalty stays as it was chosen."""
    from sklearn.linear_model import LogisticRegression

    x, y, weight = _rows(preference, length, difficulty, gamed, count)
    model = LogisticRegression(C=first.strength, **PENALTY).fit(x, y, sample_weight=weight)
    return Fit(model.coef_[0], first.strength)


def equal_length(model: Fit, difficulty: np.ndarray) -> np.ndarray:
    """The preference predicted for each instruction at equal lengths, shape (n,)."""
    from scipy.special import expit

    return expit(model.coefficients[1] * difficulty + model.coefficients[2])


def _rows(
    preference: np.ndarray,
    length: np.ndarray,
    difficulty: np.ndarray,
    gamed: Gamed,
    count: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and weights: a judgment is a row with label 1 that weighs p, and one with label 0, 1 - p."""
    n, m = len(preference), len(gamed.preference)
    # a weight of exactly 0 would take its row away, and with all wins a whole class of labels
    label = np.clip(np.concatenate([gamed.preference, preference]), 1e-12, 1 - 1e-12)
    features = np.column_stack(
        [
            np.concatenate([np.tanh(gamed.length), length]),
            np.concatenate([gamed.difficulty, difficulty]),
            np.concatenate([np.zeros(m), np.ones(n)]),
        ]
    )
    weight = np.concatenate([np.full(m, GAMED_WEIGHT), np.ones(n) if count is None else count])
    return (
        np.concatenate([features, features]),
        np.repeat([1, 0], n + m),
        np.concatenate([label * weight, (1 - label) * weight]),
    )


def _log_loss(label: np.ndarray, predicted: np.ndarray, sample_weight: np.ndarray) -> float:
    """Weighted, over the number of rows rather than the sum of weights, as in the published definition."""
    p = np.clip(predicted, 1e-15, 1 - 1e-15)
    return float(-np.mean(sample_weight * np.where(label == 1, np.log(p), np.log1p(-p))))
