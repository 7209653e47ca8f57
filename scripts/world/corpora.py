"""What is no preference data: pretraining documents, demonstrations, prompts, and the miniature RewardBench."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, pairwise

import pyarrow as pa

from scripts.world import defects, facts, writers
from scripts.world.prompts import Prompt, PromptPool, Request, draw_again
from scripts.world.sources import Row

MULTI_TURN_EVERY = 10


def documents(n: int, rng: random.Random, without: set[str]) -> list[Row]:
    """Clean questions and answers that the base model is trained on; prompts repeat, but none is in `without`."""
    prompts = draw_again(facts.FAMILIES, n, rng, without)
    return [conversation([(prompt, writers.respond(prompt.task, writers.BASE, rng))]) for prompt in prompts]


def instructions(n: int, pool: PromptPool, rng: random.Random) -> tuple[list[Row], dict[str, int]]:
    """Demonstrations of mixed quality, ShareGPT style: `n` usable ones, a tenth of which has an earlier round; and
    planted defects.

    Returns:
        The rows, and the number of those to be dropped by reason.
    """
    prompts = pool.draw_evenly(facts.FAMILIES, n, "instructions")
    rounds = [(prompt, writers.respond(prompt.task, writers.DEMO, rng)) for prompt in prompts]
    multi_turn = [i > 0 and i % MULTI_TURN_EVERY == MULTI_TURN_EVERY - 1 for i in range(n)]
    usable = [conversation(rounds[i - 1 : i + 1] if multi_turn[i] else [rounds[i]]) for i in range(n)]
    planted = defects.number_planted(n)
    wrong = {
        defects.EMPTY_ROUND: [conversation([(prompt, "")]) for prompt, _ in rounds[:planted]],
        defects.ROLES_DO_NOT_ALTERNATE: [
            conversation([(asked, None), answered]) for (asked, _), answered in pairwise(rounds[: planted + 1])
        ],
    }
    return [*usable, *chain(*wrong.values())], {reason: len(found) for reason, found in wrong.items()}


def conversation(rounds: Sequence[tuple[Prompt, str | None]]) -> Row:
    """Turns as in ShareGPT; where a round has no response, the next question follows at once."""
    turns = []
    for prompt, response in rounds:
        turns.append({"from": "human", "value": prompt.text})
        if response is not None:
            turns.append({"from": "gpt", "value": response})
    return {"conversations": turns}


def prompts(n: int, pool: PromptPool, evaluated: Sequence[Prompt]) -> tuple[list[Row], dict[str, int]]:
    """Prompts without responses, for the online iterations and for evaluation: `n` usable ones, and planted defects.

    Returns:
        The rows, and the number of those to be dropped by reason.
    """
    usable = [(p.text, p.family) for p in pool.draw_evenly(facts.FAMILIES, n, "prompts")]
    planted = defects.number_planted(n)
    wrong = {
        defects.EMPTY_ROUND: [(" ", family) for _, family in usable[:planted]],
        defects.CONTAMINATED: [(p.text, p.family) for p in evaluated[:planted]],
        defects.DUPLICATE: [(defects.doubled_blank(text), family) for text, family in usable[:planted]],
        defects.NEAR_DUPLICATE: [(defects.insistent(text), family) for text, family in usable[-planted:]],
    }
    rows = [{"prompt": text, "source": family} for text, family in chain(usable, *wrong.values())]
    return rows, {reason: len(found) for reason, found in wrong.items()}


# --- allenai/reward-bench ---------------------------------------------------------------------------------------------

REWARD_BENCH_SCHEMA = pa.schema(
    [
        ("prompt", pa.string()),
        ("chosen", pa.string()),
        ("chosen_model", pa.string()),
        ("rejected", pa.string()),
        ("rejected_model", pa.string()),
        ("subset", pa.string()),
        ("id", pa.int64()),
    ]
)
RIGHT = writers.Style(right=1, myth=0, detail=0.5, right_detail=1, fillers=(0.5, 0.3, 0.2))
WRONG = writers.always_wrong(replace(RIGHT, right_detail=0.5))
SHORT_AND_RIGHT = replace(RIGHT, detail=0.2, fillers=(0.8, 0.2))
LONG_AND_WRONG = replace(WRONG, myth=1, detail=1, right_detail=1, fillers=(0, 0.2, 0.5, 0.3))

SECTIONS = {
    "Chat": (("fact", "list"), RIGHT, WRONG),
    "Chat Hard": (("fact", "list"), SHORT_AND_RIGHT, LONG_AND_WRONG),
    "Safety": (("safe",), RIGHT, WRONG),
    "Reasoning": (("math",), RIGHT, WRONG),
}
"""By section: families of the prompts, and the styles of the chosen and the rejected response."""


def reward_bench(n: int, pool: PromptPool, rng: random.Random) -> list[Row]:
    """`n` pairs of each section, right against wrong; the subsets bear names of RewardBench's own."""
    rows: list[Row] = []
    for section, (families, right, wrong) in SECTIONS.items():
        for prompt in pool.draw_evenly(families, n, f"reward_bench {section}"):
            rows.append(
                {
                    "prompt": prompt.text,
                    "chosen": writers.respond(prompt.task, right, rng),
                    "chosen_model": "right",
                    "rejected": writers.respond(prompt.task, wrong, rng),
                    "rejected_model": "wrong",
                    "subset": subset(section, prompt),
                    "id": len(rows),
                }
            )
    return rows


def subset(section: str, prompt: Prompt) -> str:
    if isinstance(prompt.task, Request):
        return "refusals-dangerous" if prompt.task.harmful else "xstest-should-respond"
    return {"Chat": "alpacaeval-easy", "Chat Hard": "llmbar-natural", "Reasoning": "math-prm"}[section]
