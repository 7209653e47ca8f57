"""The look of the figures, and SVG files that are the same to the byte whenever the data are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.files import publish

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers, and readable on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
GREY = "#6b7280"


@contextmanager
def svg_figure(path: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[tuple["Figure", list]]:
    """A figure of rows x columns panels, each of `size` inches, published as SVG when the block ends well."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {
        "svg.hashsalt": path.name,  # ids from content, not from chance
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.labelcolor": "#374151",
        "xtick.color": GREY,
        "ytick.color": GREY,
        "axes.grid": True,
        "grid.color": "#e5e7eb",
        "axes.axisbelow": True,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        width, height = size
        figure, axes = pyplot.subplots(
            rows, columns, figsize=(width * columns, height * rows), squeeze=False, layout="constrained"
        )
        try:
            yield figure, list(axes.flat)
            with publish(path) as temporary:
                figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})
        finally:
            pyplot.close(figure)


def banded_line(
    panel: "Axes",
    x: Sequence[float],
    y: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    index: int,
    label: str,
) -> None:
    """A line in the colour and marker of its index, with the band of its intervals where every point has one."""
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    panel.plot(x, y, color=colour, marker=marker, markersize=5, label=label)
    if x and None not in low:
        panel.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
