"""The linear case's table, slopes, page and figure, from curves whose answer is known."""

import numpy as np
import polars as pl
import pytest

from scripts.common import intervals, tables
from scripts.common.config import Theory
from scripts.report import plot_regret, tabulate_regret

THEORY = Theory(seeds=40, iterations=8, batches=[16, 64, 256], coverages={"broad": 0.0})
LEVELS = {"offline": 4.0, "on_policy": 2.0, "best_worst": 1.0, "enhancer": 1.0}
"""Suboptimality of each method where T m = 1; it falls as T^-1 m^-1/2."""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("regret")
    noise = np.exp(np.random.default_rng(0).normal(0, 0.2, size=THEORY.seeds))
    rows = [
        {"coverage": "broad", "method": method, "batch": m, "seed": seed, "iteration": t}
        | {"regret": 0.25 * value, "divergence": 0.75 * value}
        for method, level in LEVELS.items()
        for m in THEORY.batches
        for t in range(9)
        for seed in range(THEORY.seeds)
        for value in [level * noise[seed if method != "enhancer" else -1 - seed] / (max(t, 0.5) * m**0.5)]
    ]
    tables.write_table(rows, folder / "broad.parquet", tables.REGRET)
    paths = {name: folder / name for name in ("table.csv", "slopes.csv", "page.md", "figure.svg")}
    args = tabulate_regret.Args((folder / "broad.parquet",), *list(paths.values())[:3], theory=THEORY)
    tabulate_regret.main(args)
    plot_regret.main(plot_regret.Args(paths["table.csv"], paths["slopes.csv"], paths["figure.svg"]))
    return paths


def test_suboptimality_is_the_sum_of_theorem_1(made):
    row = pl.read_csv(made["table.csv"]).filter(method="offline", batch=64, iteration=8)
    assert row["suboptimality"].item() == pytest.approx(4 * row["regret"].item(), rel=1e-4)
    assert row["low"].item() < row["suboptimality"].item() < row["high"].item()


def test_slopes_are_the_exponents(made):
    slopes = pl.read_csv(made["slopes.csv"])
    assert slopes.height == 4 * (3 + 1)
    assert slopes.filter(against="T")["slope"].to_list() == pytest.approx([-1.0] * 12)
    assert slopes.filter(against="m")["slope"].to_list() == pytest.approx([-0.5] * 4)


def test_a_slopes_interval_covers_what_noise_allows():
    """Independent noise on a slope of -1: the 95% interval mostly holds the truth and is as wide as theory says."""
    x, generator = np.array([1, 2, 4, 8]), np.random.default_rng(1)
    centred = np.log(x) - np.log(x).mean()
    found = []
    for _ in range(40):
        values = np.exp(generator.normal(0, 0.1, size=(4, 100))) / x[:, None]
        found.append(tabulate_regret.slope(x, values, 1).interval())
    low, high = np.array(found).T
    assert np.mean((low < -1) & (high > -1)) >= 0.85
    assert np.mean(high - low) == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(100 * (centred @ centred)), rel=0.05)


def test_the_page_says_where_the_order_appears_and_where_not(made):
    page = made["page.md"].read_text()
    assert "| on-policy below offline | broad | **yes** (-" in page
    assert "| enhancer below on-policy | broad | **yes** (-" in page
    assert "| enhancer below best/worst-of-n | broad | undecided (" in page
    assert "after iteration 2?" in page
    assert "![Suboptimality against T and m](regret.svg)" in page


def test_a_difference_the_wrong_way_is_not_undecided():
    assert tabulate_regret.verdict(intervals.mean(np.full(5, 0.5), 1)) == "no, above (+0.5)"


def test_the_figure_has_a_panel_for_each_view_and_names_every_method(made):
    figure = made["figure.svg"].read_text()
    assert figure.count("slope −1.00") + figure.count("slope -1.00") == 2 * 4
    for name in tabulate_regret.NAMES.values():
        assert figure.count(f"{name}, slope") == 3
