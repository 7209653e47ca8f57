"""Algorithm 1 in the linear case: how far each way to collect preferences is from the optimum, iteration by iteration.

Every method fits the same maximum-likelihood reward and returns its exact KL-regularised optimum (Equation 7); they
differ in who responds: pi_0 twice (`offline`, the same number of pairs), the main agent twice (`on_policy`), the best
against the worst of its n responses by the reward it has learned so far (`best_worst`), or the main agent against the
enhancer of Equation 8 (`enhancer`). All seeds are simulated at once; the methods meet the same worlds.

    python -m scripts.theory.simulate_regret --coverage narrow --theory.coverages broad 0 narrow 12 \\
        --theory.seeds 200 --output results/theory/regret/narrow.parquet
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from scripts.common import command, tables
from scripts.common.config import Theory
from scripts.common.errors import StudyError
from scripts.common.seeds import seed_from
from scripts.theory import exploration, linear

Pair = tuple[np.ndarray, np.ndarray]
"""First and second responses to prompts, shape (S, m) each."""


@dataclass(frozen=True)
class Args:
    output: command.Output
    """Suboptimality of every method, batch size, seed and iteration (table contract: regret)."""
    coverage: str
    """Which of the study's coverages to simulate."""
    theory: Theory


@dataclass
class Learner:
    """What one method knows after some iterations, in all worlds at once."""

    world: linear.World
    generator: np.random.Generator
    batch: int
    theory: Theory

    def __post_init__(self) -> None:
        runs, _, _, dimension = self.world.features.shape
        self.preferences = linear.Preferences(self.world)
        self.theta = np.zeros((runs, dimension))
        self.covariance = np.broadcast_to(self.theory.ridge * np.eye(dimension), (runs, dimension, dimension))

    @property
    def main(self) -> np.ndarray:
        """pi_t^1 of Equation 7; before any data it is pi_0."""
        return linear.best_policy(self.world, self.theta)

    @property
    def beta(self) -> float:
        """The constant of the information gain: uncertainty falls with the root of the batch size."""
        return self.theory.confidence * float(np.sqrt(self.world.theta.shape[-1] / self.batch))

    def learn(self, prompt: np.ndarray, pair: Pair) -> None:
        """Ask for the preferences of a batch of pairs and fit the reward anew."""
        self.preferences.add(linear.label(self.generator, self.world, prompt, *pair))
        self.theta = self.preferences.maximum_likelihood(self.theory.ridge, self.theta)

    def respond(self, log_policy: np.ndarray, prompt: np.ndarray, count: int = 1) -> np.ndarray:
        return linear.draw_responses(self.generator, log_policy, prompt, count)


def offline(learner: Learner, prompt: np.ndarray) -> Pair:
    both = learner.respond(learner.world.log_reference, prompt, 2)
    return both[..., 0], both[..., 1]


def on_policy(learner: Learner, prompt: np.ndarray) -> Pair:
    both = learner.respond(learner.main, prompt, 2)
    return both[..., 0], both[..., 1]


def best_worst(learner: Learner, prompt: np.ndarray) -> Pair:
    """Best and worst of n by the learned reward (Section 3.3); before anything is learned, two at random."""
    drawn = learner.respond(learner.main, prompt, learner.theory.n)
    estimate = linear.rewards(learner.world.features, learner.theta)
    of_prompt = np.take_along_axis(estimate, prompt[..., None], axis=1)
    scores = np.take_along_axis(of_prompt, drawn, axis=-1)
    best, worst = scores.argmax(axis=-1), scores[..., ::-1].argmin(axis=-1)  # of equals the first and the last one
    pick = lambda k: np.take_along_axis(drawn, k[..., None], axis=-1)[..., 0]  # noqa: E731
    return pick(best), pick(learner.theory.n - 1 - worst)


def enhancer(learner: Learner, prompt: np.ndarray) -> Pair:
    main = learner.main
    second = exploration.enhancer(learner.world, learner.covariance, main, learner.beta)
    learner.covariance = learner.covariance + exploration.difference_covariance(learner.world, main, second)
    return learner.respond(main, prompt)[..., 0], learner.respond(second, prompt)[..., 0]


METHODS: dict[str, Callable[[Learner, np.ndarray], Pair]] = {
    "offline": offline,
    "on_policy": on_policy,
    "best_worst": best_worst,
    "enhancer": enhancer,
}


def main(args: Args) -> dict[str, Any]:
    from tqdm import tqdm

    theory = args.theory
    if args.coverage not in theory.coverages:
        raise StudyError(f"--coverage {args.coverage}: the study has {', '.join(theory.coverages)}.")
    world = linear.draw_worlds(
        np.random.default_rng(seed_from(theory.seed, "world")),
        runs=theory.seeds,
        prompts=theory.prompts,
        responses=theory.responses,
        dimension=theory.dimension,
        spread=theory.spread,
        norm=theory.reward_norm,
        eta=theory.eta,
        narrowness=theory.coverages[args.coverage],
    )
    parts = []
    with tqdm(total=len(METHODS) * len(theory.batches) * theory.iterations, unit="iteration", mininterval=5) as bar:
        for batch in theory.batches:
            for method in METHODS:
                parts.append(simulate(world, method, batch, theory, bar.update))
    table = pa.concat_tables(parts)
    coverage = pa.repeat(pa.scalar(args.coverage), table.num_rows)
    tables.write_table(table.add_column(0, "coverage", coverage), args.output, tables.REGRET)
    return {"worlds": theory.seeds, "rows": table.num_rows}


def simulate(
    world: linear.World, method: str, batch: int, theory: Theory, progress: Callable[[int], object] = lambda n: None
) -> pa.Table:
    """One method with one batch size in all worlds: a row for each world and iteration, pi_0 as iteration 0."""
    generator = np.random.default_rng(seed_from(theory.seed, "pairs", method, batch))
    learner = Learner(world, generator, batch, theory)
    found = [linear.suboptimality(world, learner.main)]
    runs, prompts = world.features.shape[:2]
    for _ in range(theory.iterations):
        prompt = generator.integers(prompts, size=(runs, batch))
        learner.learn(prompt, METHODS[method](learner, prompt))
        found.append(linear.suboptimality(world, learner.main))
        progress(1)
    gaps, divergences = (np.stack(values) for values in zip(*found, strict=True))  # (iterations + 1, S)
    iterations = np.repeat(np.arange(theory.iterations + 1), runs)
    return pa.table(
        {
            "method": pa.repeat(pa.scalar(method), len(iterations)),
            "batch": pa.array(np.full(len(iterations), batch), pa.int32()),
            "seed": pa.array(np.tile(np.arange(runs), theory.iterations + 1), pa.int32()),
            "iteration": pa.array(iterations, pa.int32()),
            "regret": gaps.ravel(),
            "divergence": divergences.ravel(),
        }
    )


if __name__ == "__main__":
    command.run(main, Args)
