"""Over-optimisation: what the best of n responses by a reward model is worth to the gold reward, n = 1, 2, 4, ...

From N responses of the SFT policy to each prompt. The best of n is estimated from all subsets of n of the N at once:
the response of rank i from below is the best with probability C(i - 1, n - 1) / C(N, n), which leaves no bias. Picking
the best of n moves the policy by at most log n - (n - 1) / n nats (KL), the horizontal axis. Where the proxy goes on
rising and the gold reward does not, the reward model is being exploited.

A study without gold reward takes its evaluation's reward model for it.

    python -m scripts.report.plot_best_of_n --models mix1 mix2
        --responses results/demo/rollouts/sft/length_bias/length_bias/responses/0.parquet
        --rewards results/demo/rollouts/sft/length_bias/length_bias/rewards/{mix1,mix2}/0.parquet
        --gold results/demo/rollouts/sft/length_bias/length_bias/rewards/gold/0.parquet --seed 1
        --table results/demo/tables/best_of_n.csv --figure results/demo/figures/best_of_n.svg
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.common.intervals import mean
from scripts.report.csv_tables import write_csv
from scripts.report.figures import COLOURS, svg_figure

SQL = Path(__file__).with_name("sql")
MEASURES = ["proxy", "gold", "characters"]
COLUMNS = ["model", "n", "kl_bound", "prompts"]
COLUMNS += [f"{name}{end}" for name in MEASURES for end in ("", "_low", "_high")]


@dataclass(frozen=True)
class Args:
    responses: tuple[Input, ...]
    """Shards of the responses."""
    models: tuple[str, ...]
    """Names of the reward models."""
    rewards: tuple[Input, ...]
    """Shards of the rewards: all of the first model, then all of the second, and so on."""
    gold: tuple[Input, ...]
    """Shards of the gold rewards, or of those that stand for them."""
    table: Output
    """CSV: a row for each model and n."""
    figure: Output
    """SVG: proxy and gold reward, and length, over the KL bound."""
    seed: int = 1
    """The study's seed: it draws the bootstrap resamples."""


def main(args: Args) -> dict:
    shards = len(args.responses)
    if len(args.rewards) != shards * len(args.models):
        raise StudyError(
            f"{len(args.rewards)} shards of rewards; expected {shards} for each of {len(args.models)} models."
        )
    rows = []
    for index, model in enumerate(args.models):
        found = read_rollouts(args.responses, args.rewards[index * shards : (index + 1) * shards], args.gold)
        rows += [{"model": model, **row} for row in curve(found, args.seed)]
    write_csv(rows, args.table, COLUMNS)
    plot(args.models, rows, args.figure)
    return {"models": len(args.models), "prompts": rows[0]["prompts"], "largest_n": rows[-1]["n"]}


def read_rollouts(responses: Sequence[Path], rewards: Sequence[Path], gold: Sequence[Path]) -> dict[str, np.ndarray]:
    """Proxy reward, gold reward and characters of all responses, each of shape (prompts, N).

    Prompts with fewer responses than others are left out.
    """
    import duckdb

    for path in (*rewards, *gold):
        tables.open_table(path, tables.REWARDS).close()
    with duckdb.connect() as connection:
        for name, paths in (("responses", responses), ("rewards", rewards), ("gold", gold)):
            connection.read_parquet([str(path) for path in paths]).create_view(name)
        found = connection.sql((SQL / "rewards_by_prompt.sql").read_text()).to_arrow_table()
    if not found.num_rows:
        raise StudyError(f"{rewards[0]}: no response has a reward; score the responses again.")
    return {name: np.array(found[name].to_pylist(), dtype=float) for name in MEASURES}


def curve(rollouts: dict[str, np.ndarray], seed: int) -> list[dict]:
    """For n = 1, 2, 4, ... and N: means over prompts of what the best of n by the proxy has, with intervals."""
    prompts, most = rollouts["proxy"].shape
    numbers = sorted({2**i for i in range(most.bit_length()) if 2**i <= most} | {most})
    rows = []
    for n in numbers:
        row = {"n": n, "kl_bound": math.log(n) - (n - 1) / n, "prompts": prompts}
        for name in MEASURES:
            found = mean(best_of(rollouts["proxy"], rollouts[name], n), seed)
            low, high = found.interval()
            row |= {name: found.value, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return rows


def best_of(proxy: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """The expected value of the response with the highest proxy among n drawn without replacement, for each prompt.

    Args:
        proxy: rewards that decide, (prompts, N); equal ones are as likely to be taken.
        values: what is asked of the response taken, (prompts, N).

    Returns shape (prompts,).
    """
    most = proxy.shape[1]
    weights = np.array([math.comb(rank, n - 1) for rank in range(most)], dtype=float) / math.comb(most, n)
    order = np.argsort(proxy, axis=1, kind="stable")
    ranked, asked = (np.take_along_axis(array, order, axis=1) for array in (proxy, values))
    taken = np.empty(len(proxy))
    for prompt, (rewards, own) in enumerate(zip(ranked, asked, strict=True)):
        _, ties, count = np.unique(rewards, return_inverse=True, return_counts=True)
        shares = np.bincount(ties, weights) / count  # what equal rewards weigh together, shared among them
        taken[prompt] = own @ shares[ties]
    return taken


def plot(models: Sequence[str], rows: list[dict], path: Path) -> None:
    """A panel each for proxy reward, gold reward and length; proxies are drawn as gains in their own scale."""
    titles = {
        "proxy": "Reward of the best of n",
        "gold": "Its gold reward",
        "characters": "Its length (characters)",
    }
    with svg_figure(path, 1, len(titles), (3.9, 3.3)) as (figure, axes):
        for panel, (name, title) in zip(axes, titles.items(), strict=True):
            panel.set_title(title)
            panel.set_xlabel("KL at most, log n \N{MINUS SIGN} (n \N{MINUS SIGN} 1)/n (nats)")
            for index, model in enumerate(models):
                own = [row for row in rows if row["model"] == model]
                bound = [row["kl_bound"] for row in own]
                colour = COLOURS[index % len(COLOURS)]
                panel.plot(bound, [row[name] for row in own], "o-", color=colour, label=model, markersize=4)
                low, high = ([row[f"{name}_{end}"] for row in own] for end in ("low", "high"))
                panel.fill_between(bound, low, high, color=colour, alpha=0.15, linewidth=0)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


if __name__ == "__main__":
    command.run(main, Args)
