"""Figures 6 and 7: training records of reward and preference models: loss, gradient norm, learning rate, accuracy.

From `training_log.jsonl` in the folder of each model. All but the learning rate are drawn as logged (faint) and
averaged over a running window (bold).

    python -m scripts.report.plot_training --models mix1 mix2
        --folders results/demo/models/reward/mix1 results/demo/models/reward/mix2
        --figure results/demo/figures/figure6_7_training.svg --data results/demo/figures/figure6_7_training.csv
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.common import command
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.report.csv_tables import write_csv
from scripts.report.figures import COLOURS, svg_figure

PANELS = {
    "loss": "Training loss",
    "grad_norm": "Gradient norm",
    "learning_rate": "Learning rate",
    "accuracy": "Training accuracy",
}
WINDOW = 0.05  # of all steps
AVERAGED = [name for name in PANELS if name != "learning_rate"]
COLUMNS = ["model", "step", *PANELS, *(f"{name}_mean" for name in AVERAGED)]


@dataclass(frozen=True)
class Args:
    models: tuple[str, ...]
    """Names of the models."""
    folders: tuple[Input, ...]
    """The folder of each, in the same order."""
    figure: Output
    """SVG"""
    data: Output
    """CSV of what is drawn: a row for each model and logged step, running means in columns `{name}_mean`."""


def main(args: Args) -> dict:
    if len(args.models) != len(args.folders):
        raise StudyError(f"{len(args.models)} --models but {len(args.folders)} --folders; give a folder for each.")
    records = {name: read_log(folder) for name, folder in zip(args.models, args.folders, strict=True)}
    for record in records.values():
        width = int(WINDOW * len(record["step"]))
        record |= {f"{name}_mean": running_mean(record[name], width) for name in AVERAGED}
    plot(records, args.figure)
    drawn = [
        {"model": model, **{name: float(values[i]) for name, values in record.items()}}
        for model, record in records.items()
        for i in range(len(record["step"]))
    ]
    write_csv(drawn, args.data, COLUMNS)
    return {f"steps_{name}": int(record["step"][-1]) for name, record in records.items()}


def read_log(folder: Path) -> dict[str, np.ndarray]:
    """Step and what is drawn of every logged step, each of shape (logged steps,).

    Accuracy is that of pairs; or of the answers' tokens, where a model is trained to answer.
    """
    path = folder / "training_log.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        steps = [
            row | {"accuracy": row.get("accuracy", row.get("mean_token_accuracy"))} for row in rows if "loss" in row
        ]
        record = {key: np.array([float(row[key]) for row in steps]) for key in ("step", *PANELS)}
    except OSError:
        raise StudyError(f"{path}: there is no such file; train the model again.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path}: not a training log ({error}); expected a JSON object a line.") from None
    if not steps:
        raise StudyError(f"{path}: no step has a loss; train the model again.")
    return record


def running_mean(values: Sequence[float] | np.ndarray, width: int) -> np.ndarray:
    """Mean over a window centred on each value and cut at the ends, so that no value is invented; same shape."""
    totals = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    first, last = np.maximum(index - width // 2, 0), np.minimum(index + width // 2 + 1, len(values))
    return (totals[last] - totals[first]) / (last - first)


def plot(records: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """A panel for each quantity, a colour a model."""
    with svg_figure(path, 1, len(PANELS), (3.6, 2.9)) as (figure, axes):
        for panel, (key, title) in zip(axes, PANELS.items(), strict=True):
            panel.set_title(title)
            panel.set_xlabel("step")
            for index, (name, record) in enumerate(records.items()):
                colour = COLOURS[index % len(COLOURS)]
                if key not in AVERAGED:
                    panel.plot(record["step"], record[key], color=colour, label=name)
                    continue
                panel.plot(record["step"], record[key], color=colour, alpha=0.2, linewidth=0.7)
                panel.plot(record["step"], record[f"{key}_mean"], color=colour, linewidth=1.6, label=name)
        handles, labels = axes[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))


if __name__ == "__main__":
    command.run(main, Args)
