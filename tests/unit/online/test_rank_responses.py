"""Scores of a shard by a preference model: rows as rewards have them, and nothing but the texts decides."""

import math
import random

import numpy as np
import pytest

from scripts.common import tables
from scripts.common.errors import StudyError
from scripts.common.preferences import Comparison, Judge, LocalJudge, probabilities
from scripts.online import rank_responses, select_pairs
from scripts.online.rank_responses import rank
from scripts.online.ranking import EVEN
from tests.unit.engines_fixtures import WORDS, user
from tests.unit.rollout_tables import write_rollouts

pytest_plugins = ["tests.unit.engines_fixtures"]


class Longest(Judge):
    """Prefers the longer of two responses, and likes position A."""

    def __init__(self, liking=0.0):
        self.liking, self.read = liking, 0

    def log_odds_of_a(self, comparisons):
        self.read += len(comparisons)
        return np.array([len(c.first) - len(c.second) + self.liking for c in comparisons], float)


def rows(texts, prompt_id="p1", finished=True):
    return [
        {"prompt_id": prompt_id, "prompt": user("w1"), "actor": 0, "k": k, "response": text, "finished": finished}
        for k, text in enumerate(texts)
    ]


TEXTS = ["a" * n for n in (3, 9, 5, 1, 7, 4, 6, 2)]


def test_best_and_worst_are_found():
    judge = Longest(liking=1.5)
    (scores,), matches = rank(judge, [rows(TEXTS)], "tournament", True, 1)
    assert (scores.index(max(scores)), scores.index(min(scores))) == (1, 3)
    assert sorted(scores)[1:-1] == [EVEN] * 6
    assert (matches, judge.read) == (11, 22)  # both orders
    (every,), matches = rank(judge, [rows(TEXTS)], "round_robin", True, 1)
    assert sorted(range(8), key=every.__getitem__) == sorted(range(8), key=lambda i: len(TEXTS[i]))
    assert matches == 28


@pytest.mark.parametrize("ranking", ["tournament", "round_robin"])
@pytest.mark.parametrize("both_orders", [True, False])
def test_the_order_of_the_responses_has_no_influence(ranking, both_orders):
    """Not even on a judge that contradicts itself."""

    class Moody(Judge):
        def log_odds_of_a(self, comparisons):
            return np.array([random.Random(f"{c.first}|{c.second}").gauss(0, 2) for c in comparisons])

    (expected,), _ = rank(Moody(), [rows(TEXTS)], ranking, both_orders, 1)
    of_text = dict(zip(TEXTS, expected, strict=True))
    for seed in range(5):
        shuffled = random.Random(seed).sample(TEXTS, 8)
        (found,), _ = rank(Moody(), [rows(shuffled)], ranking, both_orders, 1)
        assert found == [of_text[text] for text in shuffled]


def test_equal_texts_have_one_score_and_are_compared_once():
    judge = Longest()
    (scores,), matches = rank(judge, [rows(["aaa", "a", "aaa", "a", "a"])], "round_robin", True, 1)
    p = 1 / (1 + math.exp(-2))
    assert scores == pytest.approx([p, 1 - p, p, 1 - p, 1 - p])
    assert matches == 1


def test_what_was_cut_off_takes_no_part():
    mixed = rows(["aaa", "a"]) + rows(["aaaaaa", ""], finished=False)
    (scores,), matches = rank(Longest(), [mixed], "tournament", True, 1)
    assert scores[0] > EVEN > scores[1]
    assert (scores[2:], matches) == ([EVEN, EVEN], 1)


def rank_shard(made, policy, output, shard=0, **changes):
    facts = rank_responses.main(rank_responses.Args(made["responses"][shard], policy, output, **changes))
    return tables.read_table(output, tables.REWARDS).to_pylist(), facts


@pytest.fixture
def candidates():
    return {f"p{i}": [(" ".join(WORDS[i : i + 3 + 9 * k]), 0.0) for k in range(4)] for i in range(9)}


def test_a_shard_has_the_rows_of_its_responses(candidates, policy, tmp_path):
    made = write_rollouts(tmp_path / "r", candidates)
    found, facts = rank_shard(made, policy, tmp_path / "scores.parquet", ranking="round_robin")
    responses = tables.read_table(made["responses"][0], tables.RESPONSES).to_pylist()
    key = lambda row: (row["prompt_id"], row["actor"], row["k"])  # noqa: E731
    assert list(map(key, found)) == list(map(key, responses))
    assert (facts["responses"], facts["prompts"], facts["comparisons"]) == (36, 9, 9 * 6)
    first = [row for row in responses if row["prompt_id"] == "p0"]
    judge = LocalJudge(policy)
    for one, row in zip(first, found[:4], strict=True):
        others = [Comparison(one["prompt"], one["response"], other["response"]) for other in first if other is not one]
        assert row["reward"] == pytest.approx(probabilities(judge.log_odds(others)).mean(), abs=1e-5)


@pytest.mark.parametrize("ranking", ["tournament", "round_robin"])
def test_shards_and_budget_make_no_difference(candidates, policy, tmp_path, ranking):
    whole, _ = rank_shard(write_rollouts(tmp_path / "r1", candidates), policy, tmp_path / "w.parquet", ranking=ranking)
    made = write_rollouts(tmp_path / "r3", candidates, shards=3)
    parts = []
    for shard in range(3):
        parts += rank_shard(made, policy, tmp_path / f"{shard}", shard, ranking=ranking, token_budget=300)[0]
    key = lambda row: (row["prompt_id"], row["actor"], row["k"])  # noqa: E731
    assert sorted(parts, key=key) == sorted(whole, key=key)  # to the bit


def test_pairs_are_selected_from_these_scores_as_from_rewards(candidates, policy, tmp_path):
    made = write_rollouts(tmp_path / "r", candidates)
    found, _ = rank_shard(made, policy, tmp_path / "scores.parquet")
    args = select_pairs.Args(made["prompts"], made["responses"], (tmp_path / "scores.parquet",), tmp_path / "pairs")
    select_pairs.main(args)
    pairs = tables.read_table(tmp_path / "pairs", tables.ONLINE_PAIRS).to_pylist()
    assert len(pairs) == 9
    for pair in pairs:
        scores = [row["reward"] for row in found if row["prompt_id"] == pair["prompt_id"]]
        assert (pair["chosen_reward"], pair["rejected_reward"]) == (max(scores), min(scores))
        assert pair["chosen_reward"] + pair["rejected_reward"] == pytest.approx(1)


def test_scattered_responses_are_refused(candidates, policy, tmp_path):
    made = write_rollouts(tmp_path / "r", candidates)
    table = tables.read_table(made["responses"][0], tables.RESPONSES)
    tables.write_table(table.take([*range(1, 36), 0]), made["responses"][0], tables.RESPONSES)
    with pytest.raises(
        StudyError, match=r"responses-0\.parquet: the responses to prompt p0 are not next to each other"
    ):
        rank_shard(made, policy, tmp_path / "scores.parquet")
