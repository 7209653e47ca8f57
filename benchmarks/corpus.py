"""A corpus of preference pairs in the published schemas of UltraFeedback, SHP, HH-RLHF and HelpSteer, of any size.

Texts are stretches of a long babble of made-up words, about as long as those of the real sets. What the filter looks
for is among them: equal and close scores, low ratios, empty and equal responses, broken dialogues, too long texts,
copies, and prompts of an evaluation. Chunk after chunk is drawn and written, so that nothing is held whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SHARES = {"ultrafeedback": 0.5, "shp": 0.3, "hh_rlhf": 0.15, "helpsteer": 0.05}
"""Of the pairs read."""
EVALUATION_PROMPTS = 4_000
CHUNK = 4_096  # rows
BABBLE = 24_000_000  # characters: far beyond the window of a compressor
EVALUATED = 2_000_000  # of these characters evaluation prompts are made, and nothing else

Row = dict[str, Any]


@dataclass
class Writer:
    """Draws texts from the babble; one of a hundred is not as it should be."""

    babble: str
    evaluation: list[str]
    rng: np.random.Generator
    first: int = EVALUATED
    """Where in the babble its texts begin; what lies before is the evaluation's alone."""

    def text(self, mean: int) -> str:
        """A stretch of log-normal length around `mean` characters."""
        length = int(self.rng.lognormal(np.log(mean) - 0.32, 0.8)) + 8
        start = int(self.rng.integers(self.first, len(self.babble) - 40_000))
        return self.babble[start : start + min(length, 40_000)].strip()

    def prompt(self, mean: int) -> str:
        """A text, or in one of a hundred cases a prompt of the evaluation with words around it."""
        if self.rare():
            evaluated = self.evaluation[self.rng.integers(len(self.evaluation))]
            return f"{self.text(60)} {evaluated} {self.text(60)}"
        return self.text(mean)

    def response(self, mean: int) -> str:
        return " \n" if self.rare() else self.text(mean)

    def rare(self) -> bool:
        return self.rng.random() < 0.01


def ultrafeedback(writer: Writer) -> Iterator[Row]:
    scores = writer.rng.integers(4, 21, 4) / 4
    completions = [{"response": writer.response(1300), "fine-grained_score": score} for score in scores]
    yield {"source": "babble", "instruction": writer.prompt(700), "completions": completions}


def shp(writer: Writer) -> Iterator[Row]:
    """A post with up to twelve pairs of comments."""
    post = writer.prompt(900)
    for _ in range(writer.rng.integers(1, 13)):
        votes = writer.rng.integers(2, 40, 2)
        yield {
            "history": post,
            "human_ref_A": writer.response(450),
            "human_ref_B": writer.response(450),
            "score_A": int(votes[0]),
            "score_B": int(votes[1]),
            "labels": int(votes[0] >= votes[1]),
            "score_ratio": float(votes.max() / votes.min()),
        }


def hh_rlhf(writer: Writer) -> Iterator[Row]:
    turns = "".join(
        f"\n\nHuman: {writer.text(120)}\n\nAssistant: {writer.text(250)}" for _ in range(writer.rng.integers(0, 4))
    )
    chosen = rejected = f"{turns}\n\nHuman: {writer.prompt(150)}"
    if writer.rare():
        rejected = f"{turns}\n\nHuman: {writer.prompt(150)}"
    if writer.rare():
        chosen = rejected = f"{chosen}\n\nHuman: {writer.text(50)}"
    yield {
        "chosen": f"{chosen}\n\nAssistant: {writer.response(280)}",
        "rejected": f"{rejected}\n\nAssistant: {writer.response(280)}",
    }


def helpsteer(writer: Writer) -> Iterator[Row]:
    prompt = writer.prompt(1500)
    for _ in range(4):
        ratings = writer.rng.integers(0, 5, 2)
        yield {
            "prompt": prompt,
            "response": writer.response(1000),
            "helpfulness": int(ratings[0]),
            "correctness": int(ratings[1]),
        }


_COMPLETION = pa.struct([("response", pa.string()), ("fine-grained_score", pa.float64())])
SCHEMAS = {
    "ultrafeedback": pa.schema(
        [("source", pa.string()), ("instruction", pa.string()), ("completions", pa.list_(_COMPLETION))]
    ),
    "shp": pa.schema(
        [
            ("history", pa.string()),
            ("human_ref_A", pa.string()),
            ("human_ref_B", pa.string()),
            ("score_A", pa.int64()),
            ("score_B", pa.int64()),
            ("labels", pa.int64()),
            ("score_ratio", pa.float64()),
        ]
    ),
    "hh_rlhf": pa.schema([("chosen", pa.string()), ("rejected", pa.string())]),
    "helpsteer": pa.schema(
        [("prompt", pa.string()), ("response", pa.string()), ("helpfulness", pa.int64()), ("correctness", pa.int64())]
    ),
}
SOURCES: dict[str, tuple[Callable[[Writer], Iterator[Row]], float]] = {
    "ultrafeedback": (ultrafeedback, 6.0),
    "shp": (shp, 1.0),
    "hh_rlhf": (hh_rlhf, 1.0),
    "helpsteer": (helpsteer, 1.5),
}
"""How to make an entry of each source, and how many pairs a row of its file gives."""


def write_corpus(folder: Path, pairs: int, seed: int = 1) -> None:
    """Write `{source}.parquet` for each source, together of about `pairs` pairs, and `evaluation_prompts.parquet`."""
    rng = np.random.default_rng(seed)
    syllables = np.array(["ba", "ko", "ri", "tu", "se", "mo", "la", "ne", "vi", "do", "pra", "sti", "gan", "fel", "or"])
    words = ["".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(8_000)]
    drawn = np.array([*words, *(f"{word}." for word in words[:600]), *(w.capitalize() for w in words[:600]), "\n\n"])
    babble = " ".join(rng.choice(drawn, BABBLE // 7).tolist())
    examiner = Writer(babble[: EVALUATED + 40_000], [], rng, first=0)
    evaluation = [examiner.text(250) for _ in range(EVALUATION_PROMPTS)]
    asked = pa.table({"benchmark": ["babble"] * len(evaluation), "prompt": evaluation})
    pq.write_table(asked, folder / "evaluation_prompts.parquet")
    for source, (make, pairs_a_row) in SOURCES.items():
        rows = round(pairs * SHARES[source] / pairs_a_row)
        writer = Writer(babble, evaluation, np.random.default_rng([seed, len(source)]))
        with pq.ParquetWriter(folder / f"{source}.parquet", SCHEMAS[source], compression="zstd") as file:
            while rows > 0:
                chunk: list[Row] = []
                while len(chunk) < min(CHUNK, rows):
                    made = list(make(writer))
                    chunk += made
                    if writer.rare() and source != "helpsteer":  # copies; of HelpSteer they would join the originals
                        chunk += made
                file.write_table(pa.Table.from_pylist(chunk, schema=SCHEMAS[source]))
                rows -= len(chunk)
