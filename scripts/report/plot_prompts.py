"""Figure 5: a map of the prompts, coloured by the collection they come from and by topic.

Near prompts lie near each other. Their vectors are an embedding model's where the study names one (models.embedding),
else TF-IDF of their words; t-SNE lays them out in two dimensions, k-means finds the topics, and the words that a topic
has more of than the rest name it.

    python -m scripts.report.plot_prompts --prompts results/demo/data/prompts/pool.parquet --seed 1
        --topics results/demo/tables/figure5_topics.csv --figure results/demo/figures/figure5_prompts.svg
        --data results/demo/figures/figure5_prompts.csv
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common import command, tables
from scripts.common.command import Input, Output
from scripts.common.errors import StudyError
from scripts.report import prompt_topics
from scripts.report.csv_tables import write_csv
from scripts.report.figures import COLOURS, GREY, svg_figure

if TYPE_CHECKING:
    import numpy as np

SQL = Path(__file__).with_name("sql")
MOST = 60_000  # prompts on the map; the paper's three iterations have as many
TOPICS = 8
PALETTE = (*COLOURS, "#8c6d31", "#525866")
COLUMNS = ["topic", "words", "prompts", "percent", "main_source", "main_source_percent", "vectors"]
POINTS = ["x", "y", "source", "topic"]


@dataclass(frozen=True)
class Args:
    prompts: Input
    """The pool of prompts."""
    topics: Output
    """CSV: a row a topic."""
    figure: Output
    """SVG; the points are an image in it."""
    data: Output
    """CSV: a row a point, with its source and topic."""
    embedding: Input | None = None
    """Folder of an embedding model; without it the vectors are TF-IDF."""
    seed: int = 1
    """The study's seed."""


def main(args: Args) -> dict:
    sources, texts = read_prompts(args.prompts)
    if len(texts) < 2:
        raise StudyError(f"{args.prompts}: {len(texts)} prompts make no map; at least 2 are needed.")
    weights, words = prompt_topics.word_weights(texts)
    vectors = prompt_topics.embed(texts, args.embedding) if args.embedding else weights
    condensed = prompt_topics.condense(vectors, args.seed)
    places = prompt_topics.flatten(condensed, args.seed)
    topic = prompt_topics.cluster(condensed, TOPICS, args.seed)
    names = prompt_topics.name_topics(weights, words, topic)
    kind = args.embedding.name if args.embedding else "TF-IDF"
    write_csv(summarise(names, topic, sources, kind), args.topics, COLUMNS)
    points = [
        {"x": float(x), "y": float(y), "source": source, "topic": names[k]}
        for (x, y), source, k in zip(places, sources, topic, strict=True)
    ]
    write_csv(points, args.data, POINTS)
    plot(places, sources, [names[k] for k in topic], names, args.figure)
    return {"prompts": len(texts), "topics": len(names), "vectors": kind}


def read_prompts(path: Path) -> tuple[list[str], list[str]]:
    """The source and the text of each prompt on the map."""
    import duckdb

    tables.open_table(path, tables.PROMPTS).close()
    with duckdb.connect() as connection:
        connection.read_parquet(str(path)).create_view("prompts")
        rows = connection.execute((SQL / "prompt_texts.sql").read_text(), {"most": MOST}).fetchall()
    return [source for source, _ in rows], [text for _, text in rows]


def summarise(names: Sequence[str], topic: "np.ndarray", sources: Sequence[str], kind: str) -> list[dict]:
    """A row a topic: its words, its prompts, and the collection that most of them come from."""
    rows = []
    for k, words in enumerate(names):
        of = Counter(source for source, t in zip(sources, topic, strict=True) if t == k)
        ((main_source, n),) = of.most_common(1)
        rows.append(
            {"topic": k + 1, "words": words, "prompts": of.total(), "percent": 100 * of.total() / len(sources)}
            | {"main_source": main_source, "main_source_percent": 100 * n / of.total(), "vectors": kind}
        )
    return rows


def plot(places: "np.ndarray", sources: Sequence[str], topics: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Two panels of the same points: by source, the most frequent first, and by topic."""
    frequent = [source for source, _ in Counter(sources).most_common()]
    size = min(8.0, max(1.5, 12_000 / len(places)))
    with svg_figure(path, 1, 2, (5.4, 4.6)) as (figure, axes):
        figure.set_dpi(150)
        for panel, title, labels, order in (
            (axes[0], "by source", sources, frequent),
            (axes[1], "by topic", topics, list(dict.fromkeys(names))),
        ):
            colour = {name: PALETTE[i] if i < len(PALETTE) else GREY for i, name in enumerate(order)}
            panel.scatter(
                *places.T, s=size, c=[colour[name] for name in labels], linewidths=0, alpha=0.8, rasterized=True
            )
            for name in order[: len(PALETTE)]:
                panel.scatter([], [], s=30, color=colour[name], label=name)
            panel.set_title(title)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.grid(False)
            panel.spines[["left", "bottom"]].set_visible(False)
            panel.legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize=8, handletextpad=0.2)


if __name__ == "__main__":
    command.run(main, Args)
