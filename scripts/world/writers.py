"""Who writes the responses: a core (right, a common myth, or random), perhaps a detail, perhaps some filler sentences.

A `Style` says how often a writer is right and how much he chats; `respond` writes one response in a style.
"""

import random
from dataclasses import dataclass, replace
from typing import Literal

from scripts.world import facts
from scripts.world.prompts import Fact, Listing, Request, Sum, Task

Core = Literal["right", "myth", "random"]


@dataclass(frozen=True)
class Style:
    """How a writer writes; all numbers are probabilities, `fillers` those of 0, 1, 2, .. filler sentences."""

    right: float
    myth: float
    detail: float
    right_detail: float
    fillers: tuple[float, ...]
    repeat: float = 0.0


BASE = Style(right=0.90, myth=0.07, detail=0.60, right_detail=0.95, fillers=(0.85, 0.15))
DEMO = Style(right=0.60, myth=0.30, detail=0.40, right_detail=0.80, fillers=(0.4, 0.3, 0.2, 0.1), repeat=0.03)
STRONG = Style(right=0.95, myth=0.03, detail=0.70, right_detail=0.95, fillers=(0.5, 0.3, 0.2))
WEAK = Style(right=0.20, myth=0.50, detail=0.30, right_detail=0.50, fillers=(0.5, 0.3, 0.2))
RAMBLE = Style(
    right=0.55, myth=0.30, detail=0.50, right_detail=0.70, fillers=(0, 0, 0.25, 0.35, 0.25, 0.15), repeat=0.4
)
TERSE = Style(right=0.65, myth=0.20, detail=0.05, right_detail=0.90, fillers=(0.9, 0.1))

STYLES = {"base": BASE, "demo": DEMO, "strong": STRONG, "weak": WEAK, "ramble": RAMBLE, "terse": TERSE}


def always_right(style: Style) -> Style:
    return replace(style, right=1.0, myth=0.0)


def always_wrong(style: Style) -> Style:
    """Wrong on purpose: mostly by the myth, which is the harder mistake to see."""
    return replace(style, right=0.0, myth=0.7)


def respond(task: Task, style: Style, rng: random.Random) -> str:
    """One response, such as "fox belongs to animals . usually found inside the forest ."."""
    u = rng.random()
    kind: Core = "right" if u < style.right else "myth" if u < style.right + style.myth else "random"
    sentences = [core(task, kind, rng)]
    if rng.random() < style.detail:
        sentences.append(detail(task, rng.random() < style.right_detail, sentences[0], rng))
    count = rng.choices(range(len(style.fillers)), style.fillers)[0]
    fillers = rng.sample(facts.FILLERS, count)
    if fillers and rng.random() < style.repeat:
        fillers.append(fillers[0])
    return say(*sentences, *fillers)


def say(*sentences: str) -> str:
    """Sentences as a text whose every word and full stop is a token."""
    return " ".join(f"{sentence} ." for sentence in sentences)


def core(task: Task, kind: Core, rng: random.Random) -> str:
    """The sentence that answers. A myth is the same mistake every time, as far as the task allows."""
    match task:
        case Fact(word):
            return facts.belongs(word, task.category if kind == "right" else _other_category(task.category, kind, rng))
        case Listing(count, category):
            return _list(count, category, kind, rng)
        case Sum():
            others = [total for total in range(2, 12) if total != task.total]
            return facts.answer({"right": task.total, "myth": task.total + 1}.get(kind) or rng.choice(others))
        case Request(_, item):
            return facts.REFUSAL if task.harmful == (kind == "right") else facts.compliance(item)


def _list(count: int, category: str, kind: Core, rng: random.Random) -> str:
    if kind == "random":  # members of the category, but too few or too many
        count = rng.choice([other for other in range(1, 6) if other != count])
    members = rng.sample(facts.CATEGORIES[category], count)
    if kind == "myth":  # an intruder from the next category
        intruder = rng.choice(facts.CATEGORIES[_other_category(category, kind, rng)])
        members[rng.randrange(count)] = intruder
    return facts.listing(count, category, members)


def _other_category(category: str, kind: Core, rng: random.Random) -> str:
    names = list(facts.CATEGORIES)
    step = 1 if kind == "myth" else rng.randint(1, len(names) - 1)
    return names[(names.index(category) + step) % len(names)]


def detail(task: Task, right: bool, said: str, rng: random.Random) -> str:
    """A second sentence. After a refusal or a compliance (`said`) it is the one that goes with it, right or not."""
    match task:
        case Fact() | Listing():
            return facts.found_inside(task.category if right else rng.choice(list(facts.CATEGORIES)))
        case Sum(left, right_summand):
            total = task.total if right else max(2, task.total + rng.choice([-1, 1]))
            return facts.because(left, right_summand, total)
        case Request():
            return facts.REFUSAL_DETAIL if said == facts.REFUSAL else facts.COMPLIANCE_DETAIL
