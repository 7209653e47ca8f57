"""Figure 3: do the reward models prefer long responses? Reward-length correlation within each prompt.

From the responses that the SFT policy sampled for each prompt, and their rewards. Prompts whose responses all have one
length, or all one reward, have no correlation: they are left out and counted. Intervals are bootstrapped by prompt.

Where a gold reward is known, long responses may really be better, or worse: then the learned part is what a model's
correlation exceeds the gold's by, and the partial correlation of reward and length given the gold reward.

    python -m scripts.report.plot_length_bias --models mix1 mix2 --mixes mix1 mix2 --types BT BT
        --responses results/demo/rollouts/sft/length_bias/length_bias/responses/0.parquet
        --rewards results/demo/rollouts/sft/length_bias/length_bias/rewards/{mix1,mix2}/0.parquet
        --gold results/demo/rollouts/sft/length_bias/length_bias/rewards/gold/0.parquet --seed 1
        --table results/demo/tables/figure3_length_bias.csv --figure results/demo/figures/figure3_length_bias.svg
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import mean
from scripts.report.csv_tables import write_csv
from scripts.report.figures import COLOURS, svg_figure
from scripts.report.paper import PAPER, paper_value

if TYPE_CHECKING:
    import pyarrow as pa

SQL = Path(__file__).with_name("sql")
ESTIMATES = ["correlation", "tokens", "above_gold", "partial"]
"""Reward with characters; with tokens; the first minus that of the gold reward; the first given the gold reward."""
COLUMNS = ["model", "n", "left_out", "responses", "paper"]
COLUMNS += [f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")]
GOLD = "gold"
GROUPS = 12
COEFFICIENT_BINS = np.linspace(-1, 1, 21)


@dataclass(frozen=True)
class Args:
    responses: tuple[Input, ...]
    """Shards of the responses."""
    models: tuple[str, ...]
    """Names of the reward models; each has a panel."""
    mixes: tuple[str, ...]
    """The mix that each was trained on, in the same order."""
    types: tuple[str, ...]
    """The type of each, as in Table 1."""
    rewards: tuple[Input, ...]
    """Shards of the rewards: all of the first model, then all of the second, and so on."""
    table: Output
    """CSV with the mean correlations of each model, and of the gold reward."""
    figure: Output
    """SVG: heat maps of prompts by correlation, mean length and mean reward."""
    gold: tuple[Input, ...] = ()
    """Shards of the gold rewards, where the study has any."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""
    paper: Input = PAPER
    """The paper's numbers."""


def main(args: Args) -> dict:
    shards = len(args.responses)
    if not len(args.models) == len(args.mixes) == len(args.types):
        raise StudyError("--models, --mixes and --types must have the same number of values.")
    if len(args.rewards) != shards * len(args.models):
        raise StudyError(
            f"{len(args.rewards)} shards of rewards; expected {shards} for each of {len(args.models)} models."
        )
    rewards = {model: args.rewards[i * shards : (i + 1) * shards] for i, model in enumerate(args.models)}
    rows_of_paper = {model: f"{t} {mix}" for model, t, mix in zip(args.models, args.types, args.mixes, strict=True)}
    rows, prompts = [], {}
    for model, files in (rewards | ({GOLD: args.gold} if args.gold else {})).items():
        found = correlations(args.responses, files, args.gold)
        prompts[model] = {name: found[name].to_numpy().astype(float) for name in found.column_names[1:]}
        printed = paper_value("figure3", rows_of_paper.get(model, GOLD), "Pearson", args.paper)
        rows.append({"model": model, "paper": printed} | estimates(model, prompts[model], args.seed))
    write_csv(rows, args.table, COLUMNS)
    plot(prompts, args.figure)
    return {f"correlation_{row['model']}": row["correlation"] for row in rows}


def correlations(responses: Sequence[Path], rewards: Sequence[Path], gold: Sequence[Path] = ()) -> "pa.Table":
    """A row for each prompt: responses, means and correlations (see the SQL)."""
    import duckdb

    rows = sum(tables.count_rows(path, tables.RESPONSES) for path in responses)
    for path in (*rewards, *gold):
        tables.open_table(path, tables.REWARDS).close()
    with duckdb.connect() as connection:
        connection.read_parquet([str(path) for path in responses]).create_view("responses")
        connection.read_parquet([str(path) for path in rewards]).create_view("rewards")
        if gold:
            connection.read_parquet([str(path) for path in gold]).create_view("gold")
        else:
            connection.execute("CREATE VIEW gold AS FROM rewards LIMIT 0")
        found = connection.sql((SQL / "reward_length_correlation.sql").read_text()).to_arrow_table()
    if (joined := sum(found["responses"].to_pylist())) != rows:
        raise StudyError(
            f"{rewards[0].parent}: {rows} responses but rewards for {joined} of them; score the same responses again."
        )
    return found


def estimates(model: str, prompts: dict[str, np.ndarray], seed: int) -> dict[str, float]:
    """Mean correlations over the prompts that have them, with their intervals; nan where there are none.

    Args:
        prompts: the columns of `correlations`, each of shape (prompts,).

    Raises:
        StudyError: no prompt has a correlation.
    """
    found = {"correlation": prompts["correlation"], "tokens": prompts["correlation_tokens"]}
    if np.isnan(found["correlation"]).all():
        raise StudyError(f"reward model '{model}': no prompt has responses of different lengths and rewards.")
    if model != GOLD:
        found["above_gold"] = prompts["correlation"] - prompts["gold_correlation"]
        found["partial"] = partial_correlation(
            prompts["correlation"], prompts["gold_reward_correlation"], prompts["gold_correlation"]
        )
    known = ~np.isnan(found["correlation"])
    row: dict[str, float] = {"n": int(known.sum()), "left_out": int((~known).sum())}
    row["responses"] = int(prompts["responses"].sum())
    for name in ESTIMATES:
        values = found.get(name, np.array([]))
        values = values[~np.isnan(values)]
        row |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), float("nan"))
        if len(values):
            estimate = mean(values, seed)
            row[name] = estimate.value
            row[f"{name}_low"], row[f"{name}_high"] = estimate.interval()
    return row


def partial_correlation(xy: np.ndarray, xz: np.ndarray, yz: np.ndarray) -> np.ndarray:
    """Of x and y given z, from their correlations; nan where x or y follows from z, and where xy is nan.

    A z that does not vary, whose correlations are nan, takes nothing away.
    """
    constant = np.isnan(xz) & np.isnan(yz)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    left[~np.isfinite(left)] = np.nan
    return np.where(constant, xy, np.clip(left, -1, 1))


def plot(prompts: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Two maps a model: prompts by correlation and mean length, and the correlation by mean length and mean reward.

    Args:
        prompts: model -> the columns of `correlations`, each of shape (prompts,).
    """
    known = {
        model: {name: values[~np.isnan(columns["correlation"])] for name, values in columns.items()}
        for model, columns in prompts.items()
    }
    lengths = edges(np.concatenate([columns["mean_characters"] for columns in known.values()]))
    counts = {
        model: np.histogram2d(of["mean_characters"], of["correlation"], bins=[lengths, COEFFICIENT_BINS])[0]
        for model, of in known.items()
    }
    top = max(count.max() for count in counts.values())
    from matplotlib.ticker import MaxNLocator

    with svg_figure(path, 2, len(known), (4.9, 3.8)) as (figure, axes):
        upper, lower = axes[: len(known)], axes[len(known) :]
        for panel, (model, of) in zip(upper, known.items(), strict=True):
            image = panel.pcolormesh(COEFFICIENT_BINS, lengths, counts[model], cmap="Blues", vmin=0, vmax=top)
            average = of["correlation"].mean()
            panel.axvline(0, color="#374151", linewidth=1, linestyle=":")
            panel.axvline(average, color=COLOURS[1], linewidth=2)
            panel.set_title(f"{model}: mean {average:+.2f}")
            panel.set_xticks([-1, -0.5, 0, 0.5, 1])
            panel.set_xlabel("Pearson correlation of reward and length")
            panel.set_ylabel("mean length of the responses (characters)")
            panel.grid(False)
        figure.colorbar(image, ax=upper, label="prompts", shrink=0.85, ticks=MaxNLocator(integer=True))
        for panel, of in zip(lower, known.values(), strict=True):
            rewards = edges(of["mean_reward"])
            image = panel.pcolormesh(
                lengths, rewards, mean_by_cell(of, lengths, rewards).T, cmap="RdBu_r", vmin=-1, vmax=1
            )
            panel.set_xlabel("mean length of the responses (characters)")
            panel.set_ylabel("mean reward of the responses")
            panel.grid(False)
        figure.colorbar(image, ax=lower, label="mean correlation", shrink=0.85)


def mean_by_cell(prompts: dict[str, np.ndarray], lengths: np.ndarray, rewards: np.ndarray) -> np.ndarray:
    """Mean correlation of the prompts in each cell, (length groups, reward groups); nan where there are none."""
    where = (prompts["mean_characters"], prompts["mean_reward"])
    counts = np.histogram2d(*where, bins=[lengths, rewards])[0]
    totals = np.histogram2d(*where, bins=[lengths, rewards], weights=prompts["correlation"])[0]
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)


def edges(values: np.ndarray) -> np.ndarray:
    """Edges of equal groups of values."""
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high if high > low else low + 1, GROUPS + 1)


if __name__ == "__main__":
    command.run(main, Args)
