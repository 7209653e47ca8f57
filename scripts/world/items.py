"""Items: a prompt with the responses of some writers and what annotators think of them, before any schema.

An item is what every preference source publishes in its own form; `scripts.world.sources` renders them.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripts.world import writers
from scripts.world.annotators import Annotator
from scripts.world.prompts import Prompt, PromptPool, Task

CONTRAST_SHARE = 0.7
"""So many items hold right and wrong responses of one style. Without them a reward model learns length and no facts."""

CONTRAST_STYLES = ("strong", "terse", "demo")
CROWD = ("strong", "weak", "ramble", "ramble", "terse", "demo")

Turn = tuple[str, str]
"""Role (user or assistant) and text."""


@dataclass(frozen=True)
class Response:
    writer: str
    text: str
    utility: float
    """What the annotators see in it, noise included."""


@dataclass(frozen=True)
class Item:
    context: tuple[Turn, ...]
    """The conversation so far; ends with the user's turn."""
    task: Task
    responses: tuple[Response, ...]
    """By utility, the best first."""
    defect: str | None = None
    """Why a filter must drop it; None: nothing was done to it."""
    rejected_context: tuple[Turn, ...] | None = None
    """Only where the defect is that the two sides have different contexts: the context of the worst."""

    @property
    def question(self) -> str:
        return self.context[-1][1]

    @property
    def chosen(self) -> str:
        return self.responses[0].text

    @property
    def rejected(self) -> str:
        return self.responses[-1].text


@dataclass
class Desk:
    """Where the items of one source are made: prompts from the common pool, one annotator, one stream of chance."""

    source: str
    pool: PromptPool
    annotator: Annotator
    rng: random.Random
    evaluated: Sequence[Prompt] = ()
    """Prompts of the benchmark, which no source should ask."""

    def items(self, families: Sequence[str], n: int, responses: int = 2) -> list[Item]:
        """`n` items with so many responses each; most are contrasts, the others hold writers drawn from the crowd."""
        return [self.item(p, self._choose_styles(responses)) for p in self.pool.draw_evenly(families, n, self.source)]

    def items_evaluated(self, families: Sequence[str], n: int) -> list[Item]:
        """`n` items with two responses each that ask what the benchmark asks."""
        asked = self.rng.sample([prompt for prompt in self.evaluated if prompt.family in families], n)
        return [self.item(prompt, self._choose_styles(2)) for prompt in asked]

    def items_by(self, crowd: Sequence[str], families: Sequence[str], n: int, responses: Sequence[int]) -> list[Item]:
        """`n` items by writers of `crowd`; the number of responses is drawn from `responses`."""
        return [
            self.item(p, [(name, writers.STYLES[name]) for name in self.rng.sample(crowd, self.rng.choice(responses))])
            for p in self.pool.draw_evenly(families, n, self.source)
        ]

    def item(self, prompt: Prompt, styles: Sequence[tuple[str, writers.Style]]) -> Item:
        """One item: a response a style, no two with the same text, judged by the annotator."""
        texts: list[str] = []
        for _, style in styles:
            while (text := writers.respond(prompt.task, style, self.rng)) in texts:
                pass  # every style has more than one thing to say, so this ends
            texts.append(text)
        utilities = self.annotator.utilities(prompt.task, texts, self.rng)
        responses = [Response(name, text, u) for (name, _), text, u in zip(styles, texts, utilities, strict=True)]
        ranked = sorted(responses, key=lambda response: -response.utility)
        return Item((("user", prompt.text),), prompt.task, tuple(ranked))

    def _choose_styles(self, n: int) -> list[tuple[str, writers.Style]]:
        if self.rng.random() >= CONTRAST_SHARE:
            return [(name, writers.STYLES[name]) for name in self.rng.sample(CROWD, n)]
        name = self.rng.choice(CONTRAST_STYLES)
        sides = writers.always_right(writers.STYLES[name]), writers.always_wrong(writers.STYLES[name])
        return [(name, sides[i % 2]) for i in range(n)]


def with_earlier_turns(items: Sequence[Item], every: int, *, same_task: bool) -> list[Item]:
    """Put an earlier question and its answer before every so-manyth item.

    With `same_task` the earlier answer is the worst one to the same task, as when a user asks again; otherwise it is
    the best answer to the question before.
    """
    found: list[Item] = []
    latest: dict[Task | None, Item] = {}
    for i, item in enumerate(items):
        earlier = latest.get(item.task if same_task else None)
        if earlier and i % every == every - 1:
            said = earlier.rejected if same_task else earlier.chosen
            item = replace(item, context=(("user", earlier.question), ("assistant", said), *item.context))
        latest[item.task if same_task else None] = item
        found.append(item)
    return found
