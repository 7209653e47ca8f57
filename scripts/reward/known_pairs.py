"""Pairs whose better response is known, and tables of what a model said about them, as its evaluation needs them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scripts.common import tables
from scripts.common.chat import Message
from scripts.common.errors import StudyError
from scripts.common.preferences import Comparison, Judge, drawn_orders, log_scores, position_bias

PairsOf = Literal["reward_bench", "held_out"]


@dataclass(frozen=True)
class KnownPairs:
    """Pairs, and what names each of them in a table of scores."""

    names: pa.Table
    """The columns of the scores that name a pair, and its subset or source."""
    prompts: list[list[Message]]
    chosen: list[str]
    rejected: list[str]
    scores: tables.Contract
    """Of the table of scores."""

    def __len__(self) -> int:
        return len(self.prompts)


def read_pairs(path: Path, of: PairsOf) -> KnownPairs:
    """RewardBench, or the held-out pairs of a mix, in the order of the table.

    Raises:
        StudyError: there are none.
    """
    if of == "reward_bench":
        rows, contract = tables.read_table(path, tables.REWARD_BENCH), tables.BENCH_SCORES
        prompts = [[Message(role="user", content=text)] for text in rows["prompt"].to_pylist()]
    else:
        mix = tables.read_table(
            path, tables.MIX, columns=["pair_id", "source", "prompt", "chosen", "rejected", "split"]
        )
        rows, contract = mix.filter(pc.equal(mix["split"], "held_out")), tables.HELD_OUT_SCORES
        prompts = rows["prompt"].to_pylist()
        if not prompts:
            raise StudyError(f"{path}: no row has split = held_out; set data.held_out above 0.")
    names = rows.select(contract.columns.names[:2])
    return KnownPairs(names, prompts, rows["chosen"].to_pylist(), rows["rejected"].to_pylist(), contract)


def write_scores(pairs: KnownPairs, chosen: np.ndarray, rejected: np.ndarray, output: Path, **more: np.ndarray) -> dict:
    """Write both scores of each pair, and further columns; returns the number of pairs and the accuracy by pair."""
    columns = {"chosen_reward": chosen, "rejected_reward": rejected, **more}
    scores = pairs.names
    for name, values in columns.items():
        scores = scores.append_column(name, pa.array(values, pa.float64(), from_pandas=True))  # nan becomes null
    tables.write_table(scores, output, pairs.scores)
    right = np.mean((chosen > rejected) + 0.5 * (chosen == rejected)) if len(pairs) else float("nan")
    return {"pairs": len(pairs), "unweighted_accuracy": float(right)}


def judge_pairs(pairs: KnownPairs, judge: Judge, both_orders: bool, seed: int, output: Path) -> dict[str, Any]:
    """Have a judge compare the responses of each pair, and write its verdicts.

    The scores are log P(better) of each response; the columns `chosen_as_a` and `chosen_as_b` (table contract:
    verdicts) hold the log-odds that the chosen response is better as read in that position.

    Args:
        both_orders: read every pair in both orders; otherwise in one that the seed draws by the pair's name.

    Returns the facts of write_scores, the pairs without any verdict, which count as ties, and the position bias.
    """
    named = [tuple(map(str, row.values())) for row in pairs.names.to_pylist()]
    read = None if both_orders else drawn_orders(seed, named)
    found = judge.log_odds(list(map(Comparison, pairs.prompts, pairs.chosen, pairs.rejected)), read)
    chosen, rejected = log_scores(found)
    facts = write_scores(pairs, chosen, rejected, output, chosen_as_a=found[:, 0], chosen_as_b=found[:, 1])
    facts["without_verdict"] = int(np.isnan(found).all(axis=1).sum())
    if both_orders:
        bias = position_bias(found)
        facts |= {"mean_probability_of_A": bias.probability_of_a, "flipped_by_order": bias.flipped}
    return facts
