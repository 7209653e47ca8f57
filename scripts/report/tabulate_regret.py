"""Algorithm 1 in the linear case: suboptimality by method with intervals over seeds, its slopes, and a page of both.

The suboptimality is Theorem 1's, J(pi*) - J(pi_t) + eta E KL(pi* || pi_t). Slopes are those of the logarithm of its
mean against log T, from the fourth part of the iterations on, and against log m.

    python -m scripts.report.tabulate_regret --regret results/theory/regret/{broad,narrow}.parquet
        --theory.coverages broad 0 narrow 12 --table results/theory/tables/regret.csv
        --slopes results/theory/tables/regret_slopes.csv --page results/theory/regret.md
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from scripts.common import command, intervals, tables
from scripts.common.command import Input, Output
from scripts.common.config import Theory
from scripts.common.files import publish
from scripts.report.csv_tables import write_csv

TABLE = ["coverage", "method", "batch", "iteration", "regret", "suboptimality", "low", "high", "seeds"]
SLOPES = ["coverage", "method", "against", "at", "slope", "low", "high"]
NAMES = {
    "offline": "offline",
    "on_policy": "on-policy",
    "best_worst": "best/worst-of-n",
    "enhancer": "enhancer",
}
CLAIMS = [("on_policy", "offline"), ("best_worst", "on_policy"), ("enhancer", "on_policy"), ("enhancer", "best_worst")]
"""(better, worse): the order that the theory leads one to expect."""


@dataclass(frozen=True)
class Args:
    regret: tuple[Input, ...]
    """Regret of every coverage (table contract: regret)."""
    table: Output
    """CSV: a row for each coverage, method, batch size and iteration."""
    slopes: Output
    """CSV: a row for each slope."""
    page: Output
    """Markdown."""
    theory: Theory


@dataclass(frozen=True)
class Curve:
    """One coverage, method and batch size; arrays of shape (iterations + 1, seeds)."""

    coverage: str
    method: str
    batch: int
    regret: np.ndarray
    suboptimality: np.ndarray

    def at(self, iteration: int, seed: int) -> intervals.Estimate:
        return intervals.mean(self.suboptimality[iteration], seed)


def main(args: Args) -> dict:
    seed, last = args.theory.seed, args.theory.iterations
    read = {(c.coverage, c.method, c.batch): c for path in args.regret for c in read_curves(path)}
    curves = {key: read[key] for key in product(args.theory.coverages, NAMES, args.theory.batches)}
    rows = [row for curve in curves.values() for row in tabulated(curve, seed)]
    slopes = list(measured_slopes(curves, args.theory))
    write_csv(rows, args.table, TABLE)
    write_csv(slopes, args.slopes, SLOPES)
    verdicts = {t: list(compared(curves, args.theory, t)) for t in (max(1, last // 4), last)}
    with publish(args.page) as temporary:
        temporary.write_text(page(args.theory, [row for row in rows if row["iteration"] == last], slopes, verdicts))
    return {"curves": len(curves), "slopes": len(slopes)}


def read_curves(path: Path) -> Iterator[Curve]:
    import polars as pl

    frame = pl.from_arrow(tables.read_table(path, tables.REGRET)).sort("iteration", "seed")
    for (coverage, method, batch), group in frame.group_by(["coverage", "method", "batch"], maintain_order=True):
        shape = (group["iteration"].n_unique(), group["seed"].n_unique())
        regret, divergence = (group[name].to_numpy().reshape(shape) for name in ("regret", "divergence"))
        yield Curve(coverage, method, batch, regret, regret + divergence)


def tabulated(curve: Curve, seed: int) -> Iterator[dict]:
    for iteration, regret in enumerate(curve.regret):
        estimate = curve.at(iteration, seed)
        low, high = estimate.interval()
        yield {
            "coverage": curve.coverage,
            "method": curve.method,
            "batch": curve.batch,
            "iteration": iteration,
            "regret": float(regret.mean()),
            "suboptimality": estimate.value,
            "low": low,
            "high": high,
            "seeds": estimate.n,
        }


# --- slopes -----------------------------------------------------------------------------------------------------------


def measured_slopes(curves: dict[tuple[str, str, int], Curve], theory: Theory) -> Iterator[dict]:
    """Against T at every batch size, and against m after the last iteration."""
    late = np.arange(max(1, theory.iterations // 4), theory.iterations + 1)
    for coverage, method in product(theory.coverages, NAMES):
        found = [curves[coverage, method, batch] for batch in theory.batches]
        measured = [("T", curve.batch, late, curve.suboptimality[late]) for curve in found]
        measured.append(
            ("m", theory.iterations, np.array(theory.batches), np.stack([c.suboptimality[-1] for c in found]))
        )
        for against, at, x, values in measured:
            estimate = slope(x, values, theory.seed)
            low, high = estimate.interval()
            yield dict(zip(SLOPES, (coverage, method, against, at, estimate.value, low, high), strict=True))


def slope(x: np.ndarray, values: np.ndarray, seed: int) -> intervals.Estimate:
    """The least-squares slope of log(mean over seeds of `values`) on log x, resampled by seed.

    Args:
        x: shape (points,).
        values: shape (points, seeds), positive.
    """
    centred = np.log(x) - np.log(x).mean()

    def statistic(index: np.ndarray) -> np.ndarray:
        means = np.stack([row[index].mean(axis=1) for row in values])  # (points, resamples)
        return centred @ np.log(means) / (centred @ centred)

    return intervals.estimate(statistic, values.shape[1], seed)


# --- the page ---------------------------------------------------------------------------------------------------------


def compared(curves: dict[tuple[str, str, int], Curve], theory: Theory, iteration: int) -> Iterator[dict]:
    """For each claim and coverage the paired difference of suboptimality, better less worse, by batch size."""
    for (better, worse), coverage in product(CLAIMS, theory.coverages):
        row = {"claim": f"{NAMES[better]} below {NAMES[worse]}", "coverage": coverage}
        for batch in theory.batches:
            one, other = (curves[coverage, method, batch].at(iteration, theory.seed) for method in (better, worse))
            row[f"m = {batch}"] = verdict(one - other)
        yield row


def verdict(difference: intervals.Estimate) -> str:
    low, high = difference.interval()
    word = "**yes**" if high < 0 else "no, above" if low > 0 else "undecided"
    return f"{word} ({difference.value:+.3g})"


def page(theory: Theory, final: Sequence[dict], slopes: Sequence[dict], verdicts: dict[int, list[dict]]) -> str:
    """What was simulated, what came out, and where the expected order appears and where not."""

    def fitted(row: dict) -> dict[str, str]:
        at = f"m, T = {row['at']}" if row["against"] == "m" else f"T, m = {row['at']}"
        return {f"against {at}": f"{row['slope']:.2f} ({row['low']:.2f} to {row['high']:.2f})"}

    def reached(row: dict) -> dict[str, str]:
        return {f"m = {row['batch']}": f"{row['suboptimality']:.4f} ({row['low']:.4f} to {row['high']:.4f})"}

    parts = [
        "# Algorithm 1 in the linear case, as measured",
        INTRODUCTION.format(
            seeds=theory.seeds, d=theory.dimension, x=theory.prompts, a=theory.responses, b=theory.reward_norm
        )
        + " "
        + " ".join(f"{name}: {value:g}." for name, value in theory.coverages.items()),
        "![Suboptimality against T and m](regret.svg)",
        "Suboptimality J(π*) - J(π_t) + η E KL(π* ‖ π_t) of Theorem 1, mean over the worlds with 95% intervals, on "
        "logarithmic axes: against the iterations T with few and with many pairs in each, and against the batch size m "
        "after the last iteration.",
        *(
            f"## Does the expected order appear, after iteration {t}?\n\nPaired differences of suboptimality; "
            "undecided: the 95% interval holds 0.\n\n" + markdown(rows)
            for t, rows in verdicts.items()
        ),
        "## Slopes on logarithmic axes\n\nTheorem 1 bounds the suboptimality by a rate of m^-1/2; it falls faster "
        "where a slope against m is below -0.5. Near the optimum the regret is quadratic in the error of θ, which "
        "falls like (T m)^-1/2, so that -1 is what a consistent estimate on covering data gives. In brackets 95% "
        "intervals.\n\n" + markdown(by_method(slopes, fitted)),
        f"## Suboptimality after iteration {theory.iterations}\n\n" + markdown(by_method(final, reached)),
    ]
    return "\n\n".join(parts) + "\n"


def by_method(rows: Sequence[dict], cells: Callable[[dict], dict[str, str]]) -> list[dict]:
    """A row for each coverage and method, with the cells that each of its rows gives."""
    found: dict[tuple[str, str], dict] = {}
    for row in rows:
        key = (row["coverage"], NAMES[row["method"]])
        found.setdefault(key, dict(zip(("coverage", "method"), key, strict=True))).update(cells(row))
    return list(found.values())


INTRODUCTION = """Made by `make theory` from `config/theory.yaml`. {seeds} worlds, each with {x} prompts, {a} responses
to each, {d} features, and a reward of norm {b:g} that is linear in them. Every method fits the reward by maximum
likelihood to Bradley-Terry preferences and returns its exact KL-regularised optimum (Equation 7); they differ in who
responds:

- **offline**: π₀ twice, as many pairs as the others have had so far;
- **on-policy**: the main agent π_t twice;
- **best/worst-of-n**: of n responses of π_t those that the learned reward ranks first and last (Section 3.3);
- **enhancer**: π_t, and the policy of the confidence set of Equation 8 that maximises the information gain. Policies
  with the same mean features have the same gain, and of those the exponential tilt π_t(a|x) exp⟨w, φ(x, a)⟩ is nearest
  to π_t; so the maximum over all policies is searched over w, along directions that never lower the gain.

How much π₀ prefers one direction of the features, in nats:"""


def markdown(rows: Sequence[dict]) -> str:
    header = list(rows[0])
    body = [[str(row[name]) for name in header] for row in rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *body])


if __name__ == "__main__":
    command.run(main, Args)
