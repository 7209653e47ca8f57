"""Ranking n responses by comparing two at a time: which to compare next, and what number each response gets.

A ranking is a generator: it yields the matches to be played next, as couples of indices, and is sent the probability
that the first of each couple is the better one; it returns the scores. So the matches of many prompts are played
together, in the batches that an engine wants.
"""

from collections.abc import Callable, Generator, Sequence
from itertools import combinations
from typing import Literal

Match = tuple[int, int]
Ranking = Generator[list[Match], Sequence[float], list[float]]
RankingName = Literal["tournament", "round_robin"]

EVEN = 0.5
"""The score of a response of which no order is known, and the probability of a tie."""


def round_robin(n: int) -> Ranking:
    """Every response against every other, n(n-1)/2 matches; the score is its mean probability to win."""
    matches = list(combinations(range(n), 2))
    if not matches:
        return [EVEN] * n
    scores = [0.0] * n
    for (first, second), p in zip(matches, (yield matches), strict=True):
        scores[first] += p / (n - 1)
        scores[second] += (1 - p) / (n - 1)
    return scores


def tournament(n: int) -> Ranking:
    """The best by knock-out of the losers and the worst by knock-out of the winners, from one common first round.

    At most 3n/2 - 1 matches (rounded up): linear in n, as with a reward model. Under a transitive preference it finds
    the best and the worst; it says nothing of the others. Scores: the best gets the probability that it beats the worst
    (they meet in a last match, unless they have met), the worst one minus that, the others 1/2. Where a cycle makes one
    response both best and worst, all get 1/2.
    """
    if n < 2:
        return [EVEN] * n
    played: dict[Match, float] = {}
    best, worst = yield from _round(list(range(n)), list(range(n)), played)
    while len(best) > 1 or len(worst) > 1:
        best, worst = yield from _round(best, worst, played)
    final = best[0], worst[0]
    scores = [EVEN] * n
    if final[0] != final[1]:
        if final not in played:
            (played[final],) = yield [final]
        scores[final[0]], scores[final[1]] = played[final], 1 - played[final]
    return scores


def _round(
    best: list[int], worst: list[int], played: dict[Match, float]
) -> Generator[list[Match], Sequence[float], tuple[list[int], list[int]]]:
    """One round: neighbours meet; who may still be best, and who may still be worst, after it."""
    matches = list(dict.fromkeys([*_neighbours(best), *_neighbours(worst)]))
    for (first, second), p in zip(matches, (yield matches), strict=True):
        played[first, second], played[second, first] = p, 1 - p
    winners = [first if played[first, second] >= EVEN else second for first, second in _neighbours(best)]
    losers = [second if played[first, second] >= EVEN else first for first, second in _neighbours(worst)]
    return winners + best[len(best) // 2 * 2 :], losers + worst[len(worst) // 2 * 2 :]  # an odd one out goes on


def _neighbours(field: Sequence[int]) -> list[Match]:
    return list(zip(field[::2], field[1::2], strict=False))


RANKINGS: dict[RankingName, Callable[[int], Ranking]] = {"tournament": tournament, "round_robin": round_robin}


def play(
    rankings: Sequence[Ranking], compare: Callable[[list[tuple[int, Match]]], Sequence[float]]
) -> tuple[list[list[float]], int]:
    """Run rankings side by side, round by round.

    Args:
        compare: from (which ranking, match) to the probability that the first of the match is better.

    Returns the scores of each ranking, and how many matches were played.
    """
    scores: list[list[float]] = [[] for _ in rankings]
    waiting: dict[int, list[Match]] = {}

    def go_on(index: int, answers: list[float] | None) -> None:
        try:
            waiting[index] = rankings[index].send(answers)
        except StopIteration as end:
            waiting.pop(index, None)
            scores[index] = end.value

    for index in range(len(rankings)):
        go_on(index, None)
    total = 0
    while waiting:
        asked = [(index, match) for index, matches in waiting.items() for match in matches]
        answers = iter(compare(asked))
        total += len(asked)
        for index, matches in list(waiting.items()):
            go_on(index, [next(answers) for _ in matches])
    return scores, total
