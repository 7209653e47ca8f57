"""Scores of a shard of responses by a pairwise preference model, in place of rewards, from which pairs are selected.

A preference model compares two responses. `tournament` finds the best and the worst of n with a number of comparisons
linear in n: the best's score is the probability that it beats the worst, the worst's is one minus that, every other
response has 1/2. `round_robin` compares all: the score is the mean probability to beat another response. Responses that
were cut off take no part, since no pair is made of them, and have 1/2; equal texts have one score.

    python -m scripts.online.rank_responses --responses results/demo/rollouts/sft/mixed/iter1/responses/0.parquet \\
        --preference-model results/demo/models/preference/pairwise --seed 1 \\
        --output results/demo/rollouts/sft/mixed/iter1/rewards/pairwise/0.parquet
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from scripts.common import command, tables
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName
from scripts.common.errors import StudyError
from scripts.common.models import Dtype
from scripts.common.preferences import Comparison, Judge, LocalJudge, drawn_orders, probabilities
from scripts.common.scoring import TOKEN_BUDGET
from scripts.common.seeds import short_digest
from scripts.online.ranking import EVEN, RANKINGS, Match, RankingName, play

RESPONSES_AT_ONCE = 4096
"""Responses whose comparisons are read together: enough for full batches in every round."""


@dataclass(frozen=True)
class Args:
    responses: command.Input
    """Shard of responses (table contract: responses)."""
    preference_model: command.Input
    """Folder of the preference model."""
    output: command.Output
    """Shard of scores (table contract: rewards), rows in the order of the responses."""
    ranking: RankingName = "tournament"
    """Which responses are compared."""
    both_orders: bool = True
    """Read two responses in both orders and average; otherwise in one that the seed draws."""
    seed: int = 1
    """The study's seed: it draws who meets whom first, by the texts of the responses."""
    engine: EngineName = "auto"
    """vllm or transformers; auto takes vLLM on a GPU where it imports."""
    vllm: VllmJob = ONE_GPU
    """How vLLM uses GPUs."""
    dtype: Dtype | Literal["auto"] = "auto"
    """Type the preference model computes in; auto: that of its weights."""
    token_budget: int = TOKEN_BUDGET
    """Tokens of one batch of transformers."""


def main(args: Args) -> dict[str, Any]:
    import pyarrow.parquet as pq
    from tqdm import tqdm

    total = tables.count_rows(args.responses, tables.RESPONSES)
    judge = LocalJudge(
        args.preference_model, args.dtype, token_budget=args.token_budget, engine=args.engine, vllm=args.vllm
    )
    compared = prompts = 0
    started = time.perf_counter()
    with (
        tables.checked(args.output, tables.REWARDS) as temporary,
        pq.ParquetWriter(temporary, tables.REWARDS.columns, compression="zstd") as writer,
        tqdm(total=total, unit="response", mininterval=5) as progress,
    ):
        for candidates in _by_prompt(args.responses):
            scores, matches = rank(judge, candidates, args.ranking, args.both_orders, args.seed)
            rows = [
                {**{key: row[key] for key in ("prompt_id", "actor", "k")}, "reward": score}
                for rows, found in zip(candidates, scores, strict=True)
                for row, score in zip(rows, found, strict=True)
            ]
            writer.write_table(pa.Table.from_pylist(rows, schema=tables.REWARDS.columns))
            compared, prompts = compared + matches, prompts + len(candidates)
            progress.update(len(rows))
    return {
        "responses": total,
        "prompts": prompts,
        "comparisons": compared,
        "comparisons_per_second": compared / (time.perf_counter() - started),
    }


def rank(
    judge: Judge, candidates: list[list[dict[str, Any]]], ranking: RankingName, both_orders: bool, seed: int
) -> tuple[list[list[float]], int]:
    """Scores of the responses to each prompt, and how many comparisons they took.

    Args:
        candidates: for each prompt its rows of the table of responses; their order has no influence.
    """
    texts = [_entered(rows, seed) for rows in candidates]

    def compare(asked: list[tuple[int, Match]]) -> list[float]:
        comparisons = [
            Comparison(candidates[which][0]["prompt"], texts[which][first], texts[which][second])
            for which, (first, second) in asked
        ]
        drawn = [
            (candidates[which][0]["prompt_id"], c.first, c.second)
            for (which, _), c in zip(asked, comparisons, strict=True)
        ]
        return probabilities(judge.log_odds(comparisons, None if both_orders else drawn_orders(seed, drawn))).tolist()

    found, matches = play([RANKINGS[ranking](len(entered)) for entered in texts], compare)
    scores = []
    for rows, entered, of_texts in zip(candidates, texts, found, strict=True):
        score_of = dict(zip(entered, of_texts, strict=True))
        scores.append([score_of[row["response"]] if row["finished"] else EVEN for row in rows])
    return scores, matches


def _entered(rows: list[dict[str, Any]], seed: int) -> list[str]:
    """The different finished texts, in an order that the seed draws by their words."""
    texts = {row["response"] for row in rows if row["finished"]}
    return sorted(texts, key=lambda text: short_digest(seed, "bracket", rows[0]["prompt_id"], text))


def _by_prompt(responses: Path) -> Iterator[list[list[dict[str, Any]]]]:
    """The rows of each prompt together, for some prompts at a time.

    Raises:
        StudyError: the rows of a prompt are not next to each other, so that it would be ranked in parts.
    """
    rows = (row for batch in tables.read_batches(responses, tables.RESPONSES) for row in batch.to_pylist())
    seen: set[str] = set()
    chunk: list[list[dict[str, Any]]] = []
    for prompt_id, group in groupby(rows, key=lambda row: row["prompt_id"]):
        if prompt_id in seen:
            raise StudyError(
                f"{responses}: the responses to prompt {prompt_id} are not next to each other. "
                "Delete the file and run the same target again: it will be rebuilt."
            )
        seen.add(prompt_id)
        chunk.append(list(group))
        if sum(map(len, chunk)) >= RESPONSES_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


if __name__ == "__main__":
    command.run(main, Args)
