"""Figures: drawings without a date, the same bytes for the same data, and the correlations and means behind them."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from scripts.common.errors import StudyError
from scripts.report import plot_drift, plot_iterations, plot_length_bias, plot_preferences, plot_training
from scripts.report.plot_length_bias import correlations
from scripts.report.plot_training import read_log, running_mean

from .conftest import PREFERENCE_FIGURES, write_rollouts

FIGURES = ("figure3_length_bias.svg", "figure8_iterations.svg", "figure6_7_training.svg", "drift.svg")
FIGURES += ("calibration.svg", "agreement.svg", "best_of_n.svg")
FIGURES += tuple(f"{name}.svg" for name in PREFERENCE_FIGURES)


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawings_without_date(study, name):
    content = (study.figures / name).read_text()
    assert ElementTree.fromstring(content).tag.endswith("svg")
    assert "<dc:date>" not in content


def test_the_same_data_give_the_same_bytes(study, tmp_path):
    plot_iterations.main(
        plot_iterations.Args(study.tables / "table2_policies.csv", tmp_path / FIGURES[1], tmp_path / "8.csv")
    )
    assert (tmp_path / FIGURES[1]).read_bytes() == (study.figures / FIGURES[1]).read_bytes()


def test_iterations_show_every_measure_and_run(study):
    words = (study.figures / "figure8_iterations.svg").read_text()
    for title, _ in plot_iterations.PANELS.values():
        assert f">{title}<" in words
    for run in ("SFT", "iterative", "concise", "offline"):
        assert f">{run}<" in words


def test_preference_figures_have_a_panel_for_each_source(study):
    words = {name: (study.figures / f"{name}.svg").read_text() for name in PREFERENCE_FIGURES}
    for source in ("hh_rlhf", "ultrafeedback", "nectar"):
        assert f">{source}<" in words["preference_lengths"]
        assert f">{source}<" in words["filtered_pairs"]
        assert (f">{source}<" in words["preference_margins"]) == (source == "ultrafeedback")  # the one with scores
    for reason in ("empty round", "small margin", "too long", "the paper: about 10%"):
        assert f">{reason}<" in words["filtered_pairs"]
    assert "chosen longer" in words["preference_lengths"]


def test_without_scores_the_figure_of_margins_says_so(tmp_path):
    plot_preferences.plot_margins({}, tmp_path / "margins.svg")
    assert ">no source has scores<" in (tmp_path / "margins.svg").read_text()


def test_drift_shows_runs_measures_and_limits(study, table):
    words = (study.figures / "drift.svg").read_text()
    for title, _ in plot_drift.PANELS.values():
        assert f">{title}<" in words
    rows = {(row["run"], row["iteration"], row["measure"]): row for row in table("monitors.csv")}
    assert rows["iterative", 2, "kl"]["limit"] == 10
    assert rows["concise", 2, "kl"]["limit"] is None
    assert rows["iterative", 1, "reward_gain"]["value"] == pytest.approx(0.8, abs=0.3)  # twice the gold shift of 0.4
    assert rows["iterative", 2, "win_rate"]["n"] == 20


# --- Figure 3 ---------------------------------------------------------------------------------------------------------


def test_correlations_are_pearsons(tmp_path):
    write_rollouts(tmp_path, {"a": 1.0}, prompts=6, n=8)
    responses = [tmp_path / f"responses/{shard}.parquet" for shard in (0, 1)]
    rewards = [tmp_path / f"rewards/a/{shard}.parquet" for shard in (0, 1)]
    found = correlations(responses, rewards).to_pylist()

    import polars as pl

    joined = pl.concat([pl.read_parquet(path) for path in responses]).join(
        pl.concat([pl.read_parquet(path) for path in rewards]), on=["prompt_id", "actor", "k"]
    )
    for row in found[1:]:
        own = joined.filter(pl.col("prompt_id") == row["prompt_id"])
        lengths = own["response"].str.len_chars().to_numpy()
        assert row["correlation"] == pytest.approx(np.corrcoef(own["reward"].to_numpy(), lengths)[0, 1])
        assert row["mean_characters"] == pytest.approx(lengths.mean())
    assert (found[0]["correlation"], found[0]["responses"]) == (None, 8)  # responses of one length only


def test_shards_do_not_matter(tmp_path):
    write_rollouts(tmp_path, {"a": 1.0}, prompts=6)
    responses = [tmp_path / f"responses/{shard}.parquet" for shard in (0, 1)]
    rewards = [tmp_path / f"rewards/a/{shard}.parquet" for shard in (0, 1)]
    assert correlations(responses, rewards).equals(correlations(responses[::-1], rewards))


def test_missing_rewards_are_counted(tmp_path):
    write_rollouts(tmp_path, {"a": 1.0}, prompts=6)
    responses = [tmp_path / f"responses/{shard}.parquet" for shard in (0, 1)]
    with pytest.raises(StudyError, match="48 responses but rewards for 24"):
        correlations(responses, [tmp_path / "rewards/a/0.parquet"])


def test_mean_correlation_and_prompts_left_out(table):
    mix1, mix2, gold = table("figure3_length_bias.csv")
    assert (mix1["n"], mix1["left_out"], mix1["responses"], mix1["paper"]) == (39, 1, 320, 0.19)
    assert mix1["correlation_low"] > mix2["correlation_high"] > mix2["correlation_low"] > 0  # slopes 1 and 0.3
    assert (gold["model"], gold["paper"], gold["above_gold"], gold["partial"]) == ("gold", None, None, None)
    assert mix1["above_gold"] == pytest.approx(mix1["correlation"] - gold["correlation"], abs=1e-5)
    assert mix1["above_gold_low"] > 0
    assert mix1["tokens"] is None  # every response has as many tokens


def test_partial_correlation_against_residuals():
    draw = np.random.default_rng(0)
    z = draw.normal(size=50)
    x, y = z + draw.normal(size=50), -0.5 * z + draw.normal(size=50)
    left = [v - np.polyval(np.polyfit(z, v, 1), z) for v in (x, y)]
    given = [np.array([np.corrcoef(a, b)[0, 1]]) for a, b in ((x, y), (x, z), (y, z))]
    assert plot_length_bias.partial_correlation(*given) == pytest.approx(np.corrcoef(*left)[0, 1])


def test_partial_correlation_at_its_limits():
    nan = np.nan
    found = plot_length_bias.partial_correlation(
        np.array([0.3, 0.3, 0.3, nan]), np.array([nan, 1.0, 0.0, 0.1]), np.array([nan, 0.3, 0.0, 0.1])
    )
    assert found.tolist() == pytest.approx([0.3, nan, 0.3, nan], nan_ok=True)  # gold constant; reward = gold; unrelated


def test_number_of_reward_shards(study, tmp_path):
    rollouts = study.folder / "rollouts/sft/length_bias/length_bias"
    args = plot_length_bias.Args(
        (rollouts / "responses/0.parquet",), ("mix1",), ("mix1",), ("BT",), (), tmp_path / "t.csv", tmp_path / "f.svg"
    )
    with pytest.raises(StudyError, match="0 shards of rewards; expected 1"):
        plot_length_bias.main(args)


# --- Figures 6 and 7 --------------------------------------------------------------------------------------------------


def test_running_mean_keeps_constants_and_cuts_at_the_ends():
    assert running_mean([2.0] * 9, 4).tolist() == [2.0] * 9
    assert running_mean([0.0, 3.0, 6.0], 2).tolist() == [1.5, 3.0, 4.5]
    assert running_mean([1.0, 5.0], 0).tolist() == [1.0, 5.0]


def test_log_keeps_the_steps_with_a_loss(study):
    record = read_log(study.folder / "models/reward/mix1")
    assert record["step"].tolist() == list(range(1, 301))
    assert set(record) == {"step", *plot_training.PANELS}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("{", "not a training log"),
        (json.dumps({"loss": 1.0, "step": 1}), "not a training log"),
        (json.dumps({"step": 1}), "no step has a loss"),
    ],
)
def test_logs_that_can_not_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "training_log.jsonl").write_text(content)
    with pytest.raises(StudyError, match=message):
        read_log(tmp_path)
