"""Figure 3: do the reward models prefer long responses? Reward-length correlation within each prompt.

From the responses that the SFT policy sampled for each prompt, and their rewards. Prompts whose responses all have one
length, or all one reward, have no correlation: they are left out and counted. Intervals are bootstrapped by prompt.

    python -m scripts.report.plot_length_bias --models mix1 mix2 --mixes mix1 mix2 --types BT BT
        --responses results/demo/rollouts/sft/length_bias/length_bias/responses/0.parquet
        --rewards results/demo/rollouts/sft/length_bias/length_bias/rewards/{mix1,mix2}/0.parquet --seed 1
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
COLUMNS = ["model", "correlation", "low", "high", "n", "left_out", "responses", "paper"]
LENGTH_GROUPS = 12
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
    """CSV with the mean correlation of each model."""
    figure: Output
    """SVG: heat map of correlation by mean length."""
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
    rows, maps = [], {}
    for index, (model, mix, type_) in enumerate(zip(args.models, args.mixes, args.types, strict=True)):
        prompts = correlations(args.responses, args.rewards[index * shards : (index + 1) * shards])
        correlation = prompts["correlation"].to_numpy().astype(float)
        known = ~np.isnan(correlation)
        if not known.any():
            raise StudyError(f"reward model '{model}': no prompt has responses of different lengths and rewards.")
        estimate = mean(correlation[known], args.seed)
        low, high = estimate.interval()
        rows.append(
            {"model": model, "correlation": estimate.value, "low": low, "high": high, "n": estimate.n}
            | {"left_out": int((~known).sum()), "responses": sum(prompts["responses"].to_pylist())}
            | {"paper": paper_value("figure3", f"{type_} {mix}", "Pearson", args.paper)}
        )
        maps[model] = (correlation[known], prompts["mean_characters"].to_numpy()[known], estimate.value)
    write_csv(rows, args.table, COLUMNS)
    plot(maps, args.figure)
    return {f"correlation_{row['model']}": row["correlation"] for row in rows}


def correlations(responses: Sequence[Path], rewards: Sequence[Path]) -> "pa.Table":
    """A row for each prompt: responses, mean_characters, correlation (see the SQL)."""
    import duckdb

    rows = sum(tables.count_rows(path, tables.RESPONSES) for path in responses)
    with duckdb.connect() as connection:
        connection.read_parquet([str(path) for path in responses]).create_view("responses")
        for path in rewards:
            tables.open_table(path, tables.REWARDS).close()
        connection.read_parquet([str(path) for path in rewards]).create_view("rewards")
        found = connection.sql((SQL / "reward_length_correlation.sql").read_text()).to_arrow_table()
    if (joined := sum(found["responses"].to_pylist())) != rows:
        raise StudyError(
            f"{rewards[0].parent}: {rows} responses but rewards for {joined} of them; score the same responses again."
        )
    return found


def plot(maps: dict[str, tuple[np.ndarray, np.ndarray, float]], path: Path) -> None:
    """A panel a model: prompts by correlation (x) and by mean length of their responses (y).

    Args:
        maps: model -> (correlation of each prompt, its mean characters, mean correlation).
    """
    edges = length_edges(np.concatenate([lengths for _, lengths, _ in maps.values()]))
    counts = {m: np.histogram2d(y, x, bins=[edges, COEFFICIENT_BINS])[0] for m, (x, y, _) in maps.items()}
    top = max(count.max() for count in counts.values())
    from matplotlib.ticker import MaxNLocator

    with svg_figure(path, 1, len(maps), (4.9, 3.8)) as (figure, axes):
        for panel, (model, (_, _, average)) in zip(axes, maps.items(), strict=True):
            image = panel.pcolormesh(COEFFICIENT_BINS, edges, counts[model], cmap="Blues", vmin=0, vmax=top)
            panel.axvline(0, color="#374151", linewidth=1, linestyle=":")
            panel.axvline(average, color=COLOURS[1], linewidth=2)
            panel.set_title(f"{model}: mean {average:+.2f}")
            panel.set_xticks([-1, -0.5, 0, 0.5, 1])
            panel.set_xlabel("Pearson correlation of reward and length")
            panel.set_ylabel("mean length of the responses (characters)")
            panel.grid(False)
        figure.colorbar(image, ax=axes, label="prompts", shrink=0.85, ticks=MaxNLocator(integer=True))


def length_edges(lengths: np.ndarray) -> np.ndarray:
    """Edges of the groups of mean length, shared by the panels."""
    low, high = float(lengths.min()), float(lengths.max())
    return np.linspace(low, high if high > low else low + 1, LENGTH_GROUPS + 1)


if __name__ == "__main__":
    command.run(main, Args)
