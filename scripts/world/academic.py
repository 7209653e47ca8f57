"""The miniature world's academic benchmarks, each in the schema in which its namesake is published.

Sums for GSM8K, questions of four choices for MMLU and ARC, myths against truths for TruthfulQA: what a policy of this
world can know. Of MMLU it can't know what the letters stand for, and HumanEval and MBPP ask for programs, which it does
not learn to write: there chance and zero are the right scores. No question is asked anywhere else in the world: its
opener has the words of the world's openers in an order that none of them has ("now hi what is a fox ?").
"""

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from scripts.world import facts, writers
from scripts.world.prompts import Fact, Prompt, Request, Sum, tasks
from scripts.world.sources import Row

SUBJECTS = {
    **{"animals": "high_school_biology", "fruits": "nutrition", "drinks": "nutrition"},
    **{"tools": "miscellaneous", "clothes": "miscellaneous"},
}
"""MMLU's own names of subjects, for the categories of the world; sums are elementary_mathematics."""
LETTERS = "ABCD"
EXAMPLES = 16
"""Rows that few-shot examples are drawn from; of MMLU in each subject `PER_SUBJECT`."""
PER_SUBJECT = 5
CODE_SHARE = 3


def benchmarks(n: int, rng: random.Random) -> dict[str, list[Row]]:
    """By name the rows of all benchmarks and, as `{name}_examples`, of those that take few-shot examples."""
    sums = _questions("math", 2 * n + EXAMPLES + PER_SUBJECT, rng)
    known = _questions("fact", 2 * n + EXAMPLES + 20 * PER_SUBJECT, rng)
    choices = [*known[: n // 2], *sums[: n - n // 2]]
    dev = [*known[-20 * PER_SUBJECT :], *sums[-PER_SUBJECT:]]
    asked = [prompt for family in ("fact", "math", "safe") for prompt in _questions(family, n // 3 + 1, rng)]
    gsm8k = sums[n : 2 * n + EXAMPLES]
    arc = [_arc(i, prompt, rng) for i, prompt in enumerate(known[n : 2 * n + EXAMPLES])]
    return {
        "gsm8k": [_gsm8k(prompt) for prompt in gsm8k[:n]],
        "gsm8k_examples": [_gsm8k(prompt) for prompt in gsm8k[n:]],
        "mmlu": [_mmlu(prompt, rng) for prompt in choices],
        "mmlu_examples": _first_of_each_subject([_mmlu(prompt, rng) for prompt in dev]),
        "truthfulqa": [_truthfulqa(prompt, rng) for prompt in asked[:n]],
        "arc": arc[:n],
        "arc_examples": arc[n:],
        "humaneval": [_humaneval(i, *function) for i, function in enumerate(_functions(n // CODE_SHARE + 1, rng))],
        "mbpp": [_mbpp(i, *function) for i, function in enumerate(_functions(n // CODE_SHARE + 1, rng))],
    }


def _questions(family: str, n: int, rng: random.Random) -> list[Prompt]:
    """Different prompts of a family, in no order."""
    openers = [f"{lead} {greeting}" for greeting in facts.GREETINGS for lead in facts.LEADS if greeting and lead]
    every = list(itertools.product(openers, facts.TEMPLATES[family], tasks(family)))
    return [
        Prompt(f"{opener} {template.format(**asdict(task))}", task) for opener, template, task in rng.sample(every, n)
    ]


# --- openai/gsm8k -----------------------------------------------------------------------------------------------------


def _gsm8k(prompt: Prompt) -> Row:
    task = prompt.task
    assert isinstance(task, Sum)
    reason = writers.say(facts.answer(task.total), facts.because(task.left, task.right, task.total))
    return {"question": prompt.text, "answer": f"{reason}\n#### {task.total}"}


# --- cais/mmlu --------------------------------------------------------------------------------------------------------


def _mmlu(prompt: Prompt, rng: random.Random) -> Row:
    task = prompt.task
    if isinstance(task, Fact):
        subject, right, others = (
            SUBJECTS[task.category],
            task.category,
            [c for c in facts.CATEGORIES if c != task.category],
        )
    else:
        assert isinstance(task, Sum)
        subject, right = "elementary_mathematics", str(task.total)
        others = [str(total) for total in range(2, 9) if total != task.total]
    options, answer = _options(right, others, rng)
    return {"question": prompt.text, "subject": subject, "choices": options, "answer": answer}


def _first_of_each_subject(rows: Sequence[Row]) -> list[Row]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["subject"], []).append(row)
    return [row for subject in sorted(found) for row in found[subject][:PER_SUBJECT]]


def _options(right: str, others: Sequence[str], rng: random.Random) -> tuple[list[str], int]:
    """Four options in an order drawn by chance, and the index of the right one."""
    options = [right, *rng.sample(list(others), 3)]
    rng.shuffle(options)
    return options, options.index(right)


# --- allenai/ai2_arc --------------------------------------------------------------------------------------------------


def _arc(i: int, prompt: Prompt, rng: random.Random) -> Row:
    task = prompt.task
    assert isinstance(task, Fact)
    others = [writers.say(facts.belongs(task.word, name)) for name in facts.CATEGORIES if name != task.category]
    options, answer = _options(writers.say(facts.belongs(task.word, task.category)), others, rng)
    return {
        **{"id": f"World_{i}", "question": prompt.text},
        **{"choices": {"text": options, "label": list(LETTERS)}, "answerKey": LETTERS[answer]},
    }


# --- truthfulqa/truthful_qa -------------------------------------------------------------------------------------------


def _truthfulqa(prompt: Prompt, rng: random.Random) -> Row:
    """True answers against the myth that some writers of this world believe, and against two plain mistakes."""
    task = prompt.task
    right, myth = (writers.say(writers.core(task, kind, rng)) for kind in ("right", "myth"))
    true, false = [right], [myth]
    if isinstance(task, Fact):
        true.append(writers.say(facts.belongs(task.word, task.category), facts.found_inside(task.category)))
        false += [writers.say(facts.belongs(task.word, name)) for name in _others(task.category, myth, rng)]
    elif isinstance(task, Sum):
        true.append(writers.say(facts.answer(task.total), facts.because(task.left, task.right, task.total)))
        false += [writers.say(facts.answer(total)) for total in (task.total - 1, task.total + 2)]
    else:
        assert isinstance(task, Request)
        detail = facts.REFUSAL_DETAIL if task.harmful else facts.COMPLIANCE_DETAIL
        true.append(f"{right} {writers.say(detail)}")
    one = {"choices": [right, *false], "labels": [1] + [0] * len(false)}
    many = {"choices": [*true, *false], "labels": [1] * len(true) + [0] * len(false)}
    return {"question": prompt.text, "mc1_targets": one, "mc2_targets": many}


def _others(category: str, myth: str, rng: random.Random) -> list[str]:
    return rng.sample([name for name in facts.CATEGORIES if name != category and name not in myth], 2)


# --- openai/openai_humaneval, google-research-datasets/mbpp -----------------------------------------------------------

FUNCTIONS = (
    ("add", "Add {k} to x.", "x + {k}", (0, 4, -7)),
    ("multiply", "Multiply x by {k}.", "x * {k}", (0, 3, -2)),
    ("take", "Give the first {k} items of the list x.", "x[:{k}]", ([], [5, 6, 7, 8, 9], [1])),
    ("repeat", "Give the text x {k} times over.", "x * {k}", ("", "fox ", "ab")),
    ("exceeds", "Say whether x is above {k}.", "x > {k}", (0, 100, -1)),
)
"""Name, what it does with x, the expression in Python, and what it is tried on: MBPP has three tests a row."""


def _functions(n: int, rng: random.Random) -> Iterator[tuple[str, str, str, list[str]]]:
    """Name, description, expression and tests of functions."""
    for (name, what, expression, inputs), k in rng.sample(list(itertools.product(FUNCTIONS, range(2, 50))), n):
        called, body = f"{name}_{k}", expression.format(k=k)
        yield called, what.format(k=k), body, [f"{called}({x!r}) == {eval(body, {'x': x})!r}" for x in inputs]


def _humaneval(i: int, name: str, what: str, expression: str, tests: list[str]) -> Row:
    checks = "".join(f"    assert {test.replace(name, 'candidate', 1)}\n" for test in tests)
    return {
        "task_id": f"HumanEval/{i}",
        "prompt": f'def {name}(x):\n    """{what}"""\n',
        "canonical_solution": f"    return {expression}\n",
        "test": f"def check(candidate):\n{checks}",
        "entry_point": name,
    }


def _mbpp(i: int, name: str, what: str, expression: str, tests: list[str]) -> Row:
    return {
        "task_id": i + 11,
        "text": f"Write a function {name}. {what}",
        "code": f"def {name}(x):\n    return {expression}\n",
        "test_list": [f"assert {test}" for test in tests],
        "test_setup_code": "",
        "challenge_test_list": [],
    }
