"""The miniature chat benchmarks: questions of the world in the schemas of AlpacaEval, MT-Bench and Arena-Hard.

AlpacaEval also gets what its length control is calibrated by: the difficulty of each instruction, from how some writers
fare against the baseline, and judgments of two gamed baselines, one brief and one wordy. The judge is the gold reward.
"""

import math
import random
from collections.abc import Sequence
from statistics import mean, stdev

from scripts.world import facts, writers
from scripts.world.gold import gold_reward
from scripts.world.prompts import Prompt, PromptPool, parse
from scripts.world.sources import Row

BASELINE = "strong"
"""The writer whose answers stand where the published benchmarks have those of GPT-4."""
CALIBRATORS = ("weak", "demo", "ramble", "terse", "base")
CATEGORIES = {"fact": "humanities", "list": "writing", "math": "math", "safe": "roleplay"}
"""MT-Bench's categories by family: each has its own temperature, and in maths the judge sees references."""
EASIEST = 2.0


def alpaca_eval(n: int, pool: PromptPool, rng: random.Random) -> list[Row]:
    """Instructions with the baseline's output."""
    prompts = pool.draw_evenly(facts.FAMILIES, n, "alpaca_eval")
    return [
        {"instruction": prompt.text, "output": _baseline(prompt, rng), "generator": BASELINE, "dataset": prompt.family}
        for prompt in prompts
    ]


def difficulty(questions: Sequence[Row], rng: random.Random) -> list[Row]:
    """instruction_difficulty.csv: the log-odds with which other writers win, less their mean."""
    odds = []
    for question in questions:
        prompt = question["instruction"]
        answers = [writers.respond(parse(prompt), writers.STYLES[name], rng) for name in CALIBRATORS]
        p = mean(preferred(prompt, answer, question["output"]) for answer in answers)
        odds.append(min(max(math.log(p / (1 - p)), -EASIEST), EASIEST))
    return [{"index": i, "instruction_difficulty": value - mean(odds)} for i, value in enumerate(odds)]


def gamed(questions: Sequence[Row], difficulties: Sequence[Row], rng: random.Random) -> list[Row]:
    """df_gamed.csv: the baseline cut to its first sentence, and with two filler sentences more."""
    rows = []
    for model in ("brief", "wordy"):
        outputs = [_gamed(model, question["output"], rng) for question in questions]
        longer = [len(question["output"]) - len(output) for question, output in zip(questions, outputs, strict=True)]
        spread = stdev(longer) or 1.0
        for i, (question, output) in enumerate(zip(questions, outputs, strict=True)):
            rows.append(
                {"model": model, "index": i, "std_delta_len": longer[i] / spread, "not_gamed_baseline": False}
                | {"preference": preferred(question["instruction"], output, question["output"])}
                | {"instruction_difficulty": difficulties[i]["instruction_difficulty"]}
            )
    return rows


def mt_bench(n: int, pool: PromptPool, rng: random.Random) -> list[Row]:
    """Two questions of the same family each, with a right answer for reference in maths."""
    rows = []
    for i in range(n):
        family = facts.FAMILIES[i % len(facts.FAMILIES)]
        rounds = pool.draw(family, 2, "mt_bench")
        row: Row = {"question_id": 81 + i, "category": CATEGORIES[family], "turns": [prompt.text for prompt in rounds]}
        if family == "math":
            row["reference"] = [writers.say(writers.core(prompt.task, "right", rng)) for prompt in rounds]
        rows.append(row)
    return rows


def arena_hard(n: int, pool: PromptPool) -> list[Row]:
    return [
        {"question_id": f"{i:032x}", "category": "arena-hard-v0.1", "cluster": prompt.family}
        | {"turns": [{"content": prompt.text}]}
        for i, prompt in enumerate(pool.draw_evenly(facts.FAMILIES, n, "arena_hard"))
    ]


def arena_hard_answers(questions: Sequence[Row], rng: random.Random) -> list[Row]:
    """The baseline's answers, in a file of their own."""
    rows = []
    for question in questions:
        answer = writers.respond(parse(question["turns"][0]["content"]), writers.STYLES[BASELINE], rng)
        turns = [{"content": answer, "token_len": len(answer.split())}]
        rows.append(
            {"question_id": question["question_id"], "answer_id": f"answer {len(rows)}", "model_id": BASELINE}
            | {"choices": [{"index": 0, "turns": turns}], "tstamp": 0.0}
        )
    return rows


def texts(*benchmarks: Sequence[Row]) -> set[str]:
    """All that the benchmarks ask."""
    found = set()
    for row in (row for benchmark in benchmarks for row in benchmark):
        turns = row["turns"] if "turns" in row else [row["instruction"]]
        found |= {turn["content"] if isinstance(turn, dict) else turn for turn in turns}
    return found


def preferred(prompt: str, answer: str, other: str) -> float:
    """P(answer is better): sigmoid of the difference in gold reward."""
    return 1 / (1 + math.exp(gold_reward(prompt, other) - gold_reward(prompt, answer)))


def _baseline(prompt: Prompt, rng: random.Random) -> str:
    return writers.respond(prompt.task, writers.STYLES[BASELINE], rng)


def _gamed(model: str, output: str, rng: random.Random) -> str:
    sentences = [sentence for sentence in output.split(" .") if sentence.strip()]
    said = [sentence.strip() for sentence in sentences]
    if model == "brief":
        return writers.say(said[0])
    return writers.say(*said, *rng.sample([filler for filler in facts.FILLERS if filler not in said], 2))
