"""Algorithm 1: what each method pairs, and what its regret must be whatever is drawn."""

import numpy as np
import polars as pl
import pytest

from scripts.common import tables
from scripts.common.config import Theory
from scripts.common.errors import StudyError
from scripts.theory import exploration, linear, simulate_regret
from scripts.theory.simulate_regret import METHODS, Args, Learner

SMALL = Theory(
    seeds=12, prompts=3, responses=6, dimension=3, iterations=4, batches=[8, 64], n=4, coverages={"narrow": 6.0}
)


@pytest.fixture(scope="module")
def regret(tmp_path_factory) -> pl.DataFrame:
    output = tmp_path_factory.mktemp("theory") / "narrow.parquet"
    simulate_regret.main(Args(output=output, coverage="narrow", theory=SMALL))
    return pl.from_arrow(tables.read_table(output, tables.REGRET))


def test_every_method_batch_seed_and_iteration_is_there_once(regret):
    keys = ["method", "batch", "seed", "iteration"]
    assert regret.height == len(METHODS) * 2 * 12 * 5 == regret.select(keys).n_unique()


def test_regret_is_never_negative(regret):
    assert regret["regret"].min() >= -1e-12
    assert regret["divergence"].min() >= -1e-12


def test_all_methods_start_from_pi_0_in_the_same_worlds(regret):
    start = regret.filter(iteration=0).group_by("seed").agg(pl.col("regret").max() - pl.col("regret").min())
    assert start["regret"].max() == pytest.approx(0)


def test_every_method_learns(regret):
    means = regret.filter(batch=64).group_by("method", "iteration").agg(pl.col("regret").mean())
    for method in METHODS:
        first, last = (means.filter(method=method, iteration=t)["regret"].item() for t in (0, 4))
        assert last < first / 2, method


def test_the_same_seed_gives_the_same_table(regret, tmp_path):
    output = tmp_path / "again.parquet"
    simulate_regret.main(Args(output=output, coverage="narrow", theory=SMALL))
    assert pl.from_arrow(tables.read_table(output, tables.REGRET)).equals(regret)


def test_a_coverage_that_is_not_in_the_study(tmp_path):
    with pytest.raises(StudyError, match="--coverage wide: the study has narrow"):
        simulate_regret.main(Args(output=tmp_path / "x.parquet", coverage="wide", theory=SMALL))


# --- who responds -----------------------------------------------------------------------------------------------------


def learner(batch: int = 4_000) -> tuple[Learner, np.ndarray]:
    """A learner with some wrong idea of the reward, and prompts to answer."""
    generator = np.random.default_rng(0)
    world = linear.draw_worlds(
        generator, runs=2, prompts=3, responses=6, dimension=3, spread=0.5, norm=2.0, eta=0.5, narrowness=2.0
    )
    made = Learner(world, generator, batch, SMALL)
    made.theta = generator.normal(size=(2, 3))
    return made, generator.integers(3, size=(2, batch))


def frequencies(made: Learner, prompt: np.ndarray, response: np.ndarray) -> np.ndarray:
    """How often each response was given to each prompt, shape (S, X, A)."""
    counts = np.zeros((2, 3, 6))
    np.add.at(counts, (np.arange(2)[:, None], prompt, response), 1)
    return counts / counts.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("method", ["offline", "on_policy", "enhancer"])
def test_responses_come_from_the_methods_policies(method):
    made, prompt = learner()
    main, reference = made.main, made.world.log_reference
    second = exploration.enhancer(made.world, made.covariance, main, made.beta)
    expected = {"offline": (reference, reference), "on_policy": (main, main), "enhancer": (main, second)}[method]
    for response, policy in zip(METHODS[method](made, prompt), expected, strict=True):
        assert frequencies(made, prompt, response) == pytest.approx(np.exp(policy), abs=0.06)


def test_best_and_worst_are_those_of_n_by_the_learned_reward():
    """The best of n has cumulative distribution F^n in the order of the learned reward, the worst 1 - (1 - F)^n."""
    made, prompt = learner()
    best, worst = METHODS["best_worst"](made, prompt)
    estimate = linear.rewards(made.world.features, made.theta)
    for s in range(2):
        for x in range(3):
            order = estimate[s, x].argsort()
            below = np.exp(made.main)[s, x, order].cumsum()
            for response, expected in ((best, below**4), (worst, 1 - (1 - below) ** 4)):
                found = frequencies(made, prompt, response)[s, x, order].cumsum()
                assert found == pytest.approx(expected, abs=0.06)


def test_before_anything_is_learned_the_best_and_the_worst_are_two_draws():
    made, prompt = learner()
    made.theta = np.zeros((2, 3))
    best, worst = METHODS["best_worst"](made, prompt)
    for response in (best, worst):
        assert frequencies(made, prompt, response) == pytest.approx(np.exp(made.world.log_reference), abs=0.06)
    assert (best != worst).any()


def test_the_enhancers_history_grows_by_what_it_has_shown():
    made, prompt = learner(batch=16)
    before, main = made.covariance, made.main
    second = exploration.enhancer(made.world, before, main, made.beta)
    METHODS["enhancer"](made, prompt)
    assert made.covariance - before == pytest.approx(exploration.difference_covariance(made.world, main, second))
