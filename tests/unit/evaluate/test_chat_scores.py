"""Scores of MT-Bench and Arena-Hard on hand-made judgments, and against reference implementations."""

import json

import numpy as np
import polars as pl
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.evaluate import arena_hard, mt_bench


def rated(folder, name, ratings) -> dict:
    """The score of (first turn, second turn) of each question."""
    rows = [
        {"question_id": str(i), "category": ("math", "writing")[i % 2], "turn": turn, "judge": "j", "rating": rating}
        | {"said": None}
        for i, pair in enumerate(ratings)
        for turn, rating in enumerate(pair, start=1)
    ]
    tables.write_table(rows, folder / f"{name}.parquet", tables.RATINGS)
    output = folder / "scores" / f"{name}.json"
    mt_bench.main(mt_bench.Args(judgments=(folder / f"{name}.parquet",), output=(output,)))
    return json.loads(output.read_text())


def write_games(folder, name, games) -> None:
    rows = [
        {"question_id": str(i), "game": game, "judge": "j", "verdict": verdict, "characters": 100 + i, "said": None}
        for i, pair in enumerate(games)
        for game, verdict in enumerate(pair, start=1)
    ]
    tables.write_table(rows, folder / f"{name}.parquet", tables.GAMES)


def played(folder, name, games) -> dict:
    """The score of (verdict of game 1, verdict of game 2) of each question."""
    write_games(folder, name, games)
    output = folder / "scores" / f"{name}.json"
    arena_hard.main(arena_hard.Args(judgments=(folder / f"{name}.parquet",), output=(output,)))
    return json.loads(output.read_text())


# --- MT-Bench ---------------------------------------------------------------------------------------------------------


def test_the_rating_is_the_mean_over_both_turns(tmp_path):
    score = rated(tmp_path, "sft", [(10, 8), (6, 2), (7, 9)])
    assert (score["n"], score["judgments"], score["no_verdict"]) == (3, 6, 0)
    assert score["rating"] == pytest.approx(7.0)
    assert (score["turn_1"], score["turn_2"]) == (pytest.approx(23 / 3), pytest.approx(19 / 3))
    assert score["by_category"] == {"math": pytest.approx(34 / 4), "writing": pytest.approx(4.0)}
    assert score["rating_low"] < 7 < score["rating_high"]


def test_missing_ratings_are_left_out_and_counted(tmp_path):
    score = rated(tmp_path, "sft", [(10, None), (None, None), (4, 7)])
    assert (score["judgments"], score["no_verdict"]) == (6, 3)
    assert score["rating"] == pytest.approx(7.0)


def test_nothing_is_made_of_no_rating(tmp_path):
    with pytest.raises(StudyError, match="not one of its 4 judgments has a rating"):
        rated(tmp_path, "sft", [(None, None), (None, None)])


def test_the_interval_of_the_rating_is_that_of_a_plain_bootstrap(tmp_path):
    draw = np.random.default_rng(1)
    ratings = np.clip(draw.normal(6.5, 1.5, (80, 1)) + draw.normal(0, 1, (80, 2)), 1, 10)
    score = rated(tmp_path, "sft", ratings.tolist())
    means = [ratings[draw.integers(0, 80, 80)].mean() for _ in range(4_000)]
    assert [score["rating_low"], score["rating_high"]] == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.05)


# --- Arena-Hard -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("games", "rate"),
    [
        ([("B>A", "A>B")] * 3, 100.0),
        ([("B>>A", "A>>B")] * 3, 100.0),
        ([("A>B", "B>A")] * 3, 0.0),
        ([("A=B", "A=B")] * 3, 50.0),
        ([("A>B", "A>B")] * 3, 50.0),  # the judge likes A, whoever that is
        ([("B>>A", "B>A")], 75.0),  # a clear win counts three times, a loss once
        ([("A>>B", "A=B")], 12.5),  # half a win of four games
        ([("B>A", None)], 100.0),
    ],
)
def test_known_answers_of_games(tmp_path, games, rate):
    assert played(tmp_path, "sft", games)["win_rate"] == pytest.approx(rate)


def test_games_are_counted(tmp_path):
    score = played(tmp_path, "sft", [("B>A", "A>>B"), ("A=B", None), ("A>>B", "B>A")])
    counts = {"n": 3, "games": 6, "no_verdict": 1, "wins": 2, "draws": 1, "losses": 2, "avg_length": 101.0}
    assert {name: score[name] for name in counts} == counts
    assert score["win_rate"] == pytest.approx(100 * (1 + 3 + 0.5) / (1 + 3 + 1 + 3 + 1))


def test_nothing_is_made_of_no_verdict(tmp_path):
    with pytest.raises(StudyError, match="not one of its 2 games has a verdict"):
        played(tmp_path, "sft", [(None, None)])


def test_a_strange_verdict_is_named(tmp_path):
    with pytest.raises(StudyError, match="row 1: verdict 'A>>>B'"):
        played(tmp_path, "sft", [("A>B", "A>>>B")])


def random_games(n: int, seed: int) -> list[tuple[str | None, str | None]]:
    draw = np.random.default_rng(seed)
    labels = np.array(["A>>B", "A>B", "A=B", "B>A", "B>>A", None], dtype=object)
    return [tuple(labels[draw.choice(6, 2, p=[0.2, 0.2, 0.15, 0.2, 0.2, 0.05])]) for _ in range(n)]


def battles(games) -> np.ndarray:
    """Rows (question, result) as Arena-Hard's own scoring lists them: clear wins thrice."""
    results = {"A>>B": (1, 3), "A>B": (1, 1), "A=B": (0.5, 1), "B>A": (0, 1), "B>>A": (0, 3)}
    rows = []
    for i, pair in enumerate(games):
        for game, verdict in enumerate(pair):
            if verdict:
                for_a, times = results[verdict]
                rows += [(i, for_a if game else 1 - for_a)] * times
    return np.array(rows)


def test_the_mean_is_the_bradley_terry_win_rate(tmp_path):
    """The maximum-likelihood rating over the only opponent, by logistic regression, as Arena-Hard computes it."""
    from sklearn.linear_model import LogisticRegression

    games = random_games(120, seed=2)
    result = battles(games)[:, 1]
    weights = np.concatenate([result, 1 - result])
    model = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10)
    model.fit(np.ones((2 * len(result), 1)), np.repeat([1, 0], len(result)), sample_weight=weights)
    reference = 100 / (1 + np.exp(-model.coef_[0, 0]))
    assert played(tmp_path, "sft", games)["win_rate"] == pytest.approx(reference, abs=1e-3)


def test_the_interval_of_the_win_rate_is_that_of_a_plain_bootstrap(tmp_path):
    games = random_games(200, seed=3)
    score, rows, draw = played(tmp_path, "sft", games), battles(games), np.random.default_rng(4)
    by_question = [rows[rows[:, 0] == i, 1] for i in range(200)]
    rates = [100 * np.concatenate([by_question[i] for i in draw.integers(0, 200, 200)]).mean() for _ in range(3_000)]
    assert [score["win_rate_low"], score["win_rate_high"]] == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.7)


def test_differences_between_policies_are_paired(tmp_path):
    """The second policy draws a game more on half of the questions: alone both vary, their difference hardly."""
    hard = [("A>B", "B>A")] * 40 + [("B>A", "A>B")] * 40
    better = [("A=B", "B>A")] * 40 + [("B>A", "A>B")] * 40
    for name, games in (("one", hard), ("two", better)):
        write_games(tmp_path, name, games)
    table = tmp_path / "differences.csv"
    files = tuple(tmp_path / f"{name}.parquet" for name in ("one", "two"))
    outputs = tuple(tmp_path / "scores" / f"{name}.json" for name in ("one", "two"))
    arena_hard.main(arena_hard.Args(judgments=files, output=outputs, differences=table))
    row = next(row for row in pl.read_csv(table).to_dicts() if row["policy"] == "two")
    assert (row["minus"], row["measure"], row["n"]) == ("one", "win_rate", 80)
    assert row["difference"] == pytest.approx(12.5)
    alone = json.loads(outputs[0].read_text())
    assert row["high"] - row["low"] < 0.5 * (alone["win_rate_high"] - alone["win_rate_low"])
    assert row["low"] > 0


def test_policies_judged_on_other_questions_are_not_compared(tmp_path):
    for name, n in (("one", 3), ("two", 4)):
        write_games(tmp_path, name, [("A>B", "B>A")] * n)
    files = tuple(tmp_path / f"{name}.parquet" for name in ("one", "two"))
    outputs = tuple(tmp_path / "scores" / f"{name}.json" for name in ("one", "two"))
    with pytest.raises(StudyError, match="'one' and 'two' were judged on 3 and 4 questions"):
        arena_hard.main(arena_hard.Args(judgments=files, output=outputs, differences=tmp_path / "d.csv"))
