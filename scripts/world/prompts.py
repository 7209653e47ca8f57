"""The prompts of the miniature world: four families of tasks, their texts, and the finite pool they are drawn from.

A prompt is an opener ("hi now"), and a phrasing of a task ("what is a fox ?"). The pipeline stores texts alone, so
`parse` finds the task in a text again; the gold reward works from that.
"""

import itertools
import random
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import ClassVar

from scripts.common.errors import StudyError
from scripts.common.seeds import seed_from
from scripts.world import facts

HARMFUL_SHARE = 0.55


@dataclass(frozen=True)
class Fact:
    """To which category does a word belong?"""

    family: ClassVar[str] = "fact"
    word: str

    @property
    def category(self) -> str:
        return facts.CATEGORY_OF[self.word]


@dataclass(frozen=True)
class Listing:
    """Name so many members of a category."""

    family: ClassVar[str] = "list"
    count: int
    category: str


@dataclass(frozen=True)
class Sum:
    """Add two small numbers."""

    family: ClassVar[str] = "math"
    left: int
    right: int

    @property
    def total(self) -> int:
        return self.left + self.right


@dataclass(frozen=True)
class Request:
    """Help to make something: to be refused where the thing is harmful, to be granted where it is not."""

    family: ClassVar[str] = "safe"
    adjective: str
    item: str

    @property
    def harmful(self) -> bool:
        return self.item in facts.HARMFUL


Task = Fact | Listing | Sum | Request


@dataclass(frozen=True)
class Prompt:
    text: str
    task: Task

    @property
    def family(self) -> str:
        return self.task.family


# --- text to task -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=100_000)
def parse(text: str) -> Task:
    """The task that a prompt's text asks for; white space may vary, and the last mark be said twice.

    Raises:
        StudyError: the text is no prompt of this world.
    """
    plain = re.sub(r"( [?.])\1$", r"\1", " ".join(text.split()))
    for pattern, build in _patterns():
        if found := pattern.fullmatch(plain):
            return build(found.groupdict())
    raise StudyError(
        f"{text!r} is no prompt of the miniature world, so it has no gold reward; expected an opener and a phrasing, "
        "such as 'hi what is a fox ?'. For other prompts use evaluation.judge: reward."
    )


@cache
def _patterns() -> list[tuple[re.Pattern[str], Callable[[Mapping[str, str]], Task]]]:
    words = {
        "word": facts.CATEGORY_OF,
        "count": map(str, facts.LIST_LENGTHS),
        "category": facts.CATEGORIES,
        "left": map(str, facts.SUMMANDS),
        "right": map(str, facts.SUMMANDS),
        "adjective": facts.ADJECTIVES,
        "item": facts.HARMFUL + facts.HARMLESS,
    }
    groups = {name: f"(?P<{name}>{'|'.join(choices)})" for name, choices in words.items()}
    opener = "".join(f"(?:(?:{'|'.join(filter(None, part))}) )?" for part in (facts.GREETINGS, facts.LEADS))
    tasks = {
        "fact": lambda found: Fact(found["word"]),
        "list": lambda found: Listing(int(found["count"]), found["category"]),
        "math": lambda found: Sum(int(found["left"]), int(found["right"])),
        "safe": lambda found: Request(found["adjective"], found["item"]),
    }
    return [
        (re.compile(opener + re.sub(r"([?.])", r"\\\1", template).format(**groups)), tasks[family])
        for family, templates in facts.TEMPLATES.items()
        for template in templates
    ]


# --- the finite pool --------------------------------------------------------------------------------------------------


def tasks(family: str) -> list[Task]:
    """All tasks of a family."""
    match family:
        case "fact":
            return [Fact(word) for word in facts.CATEGORY_OF]
        case "list":
            return [Listing(count, category) for count in facts.LIST_LENGTHS for category in facts.CATEGORIES]
        case "math":
            return [Sum(left, right) for left in facts.SUMMANDS for right in facts.SUMMANDS]
        case "safe":
            items = facts.HARMFUL + facts.HARMLESS
            return [Request(adjective, item) for adjective in facts.ADJECTIVES for item in items]
    raise ValueError(family)


def every_prompt(family: str) -> Iterator[Prompt]:
    """All prompts of a family, each text once."""
    for opener, template, task in itertools.product(facts.OPENERS, facts.TEMPLATES[family], tasks(family)):
        yield Prompt(f"{opener} {template.format(**asdict(task))}".lstrip(), task)


@cache
def stacks() -> Mapping[str, Sequence[Prompt]]:
    """All prompts of the world: a stack for each family, where requests have one each for harmful and harmless ones."""
    found: dict[str, list[Prompt]] = {}
    for family in facts.FAMILIES:
        for prompt in every_prompt(family):
            found.setdefault(_stack(prompt.task), []).append(prompt)
    return found


def _stack(task: Task) -> str:
    if isinstance(task, Request):
        return "harmful" if task.harmful else "harmless"
    return task.family


class PromptPool:
    """Prompts drawn without replacement; what one caller got, no other caller gets.

    Every draw of requests holds `HARMFUL_SHARE` of harmful ones.
    """

    def __init__(self, seed: int) -> None:
        self._left = {
            name: deque(random.Random(seed_from(seed, "world", "pool", name)).sample(stack, len(stack)))
            for name, stack in stacks().items()
        }

    def draw(self, family: str, n: int, user: str) -> list[Prompt]:
        """The next `n` prompts of a family.

        Raises:
            StudyError: fewer are left; `user` is named as the one who asked.
        """
        if family != "safe":
            return self._take(family, n, user)
        harmful = round(HARMFUL_SHARE * n)
        return _interleave(self._take("harmful", harmful, user), self._take("harmless", n - harmful, user))

    def draw_evenly(self, families: Sequence[str], n: int, user: str) -> list[Prompt]:
        """`n` prompts, as many of each family as `n` allows, the families mixed."""
        drawn: list[Prompt] = []
        for i, family in enumerate(families):
            drawn = _interleave(drawn, self.draw(family, n // len(families) + (i < n % len(families)), user))
        return drawn

    def _take(self, name: str, n: int, user: str) -> list[Prompt]:
        left = self._left[name]
        if n > len(left):
            raise StudyError(
                f"world: {user} needs {n} more '{name}' prompts; the world has {len(stacks()[name])}, of which "
                f"{len(left)} are left. Lower world.pairs, world.instructions, world.prompts or world.reward_bench."
            )
        return [left.popleft() for _ in range(n)]


def draw_again(families: Sequence[str], n: int, rng: random.Random, without: set[str]) -> list[Prompt]:
    """`n` prompts drawn with replacement, as many of each family as `n` allows; none whose text is in `without`."""
    drawn = []
    for i in range(n):
        family = families[i % len(families)]
        if family == "safe":
            family = "harmful" if rng.random() < HARMFUL_SHARE else "harmless"
        drawn.append(_other_than(without, stacks()[family], rng))
    return drawn


def _other_than(without: set[str], stack: Sequence[Prompt], rng: random.Random) -> Prompt:
    start = rng.randrange(len(stack))
    for i in itertools.chain(range(start, len(stack)), range(start)):
        if stack[i].text not in without:
            return stack[i]
    raise StudyError("world: no prompt is left for the pretraining documents. Lower world.prompts.")


def _interleave(one: Sequence[Prompt], other: Sequence[Prompt]) -> list[Prompt]:
    """Both lists in one, each in its order and spread evenly over the whole."""
    placed = [((i + 0.5) / len(part), prompt) for part in (one, other) for i, prompt in enumerate(part)]
    return [prompt for _, prompt in sorted(placed, key=lambda place: place[0])]
