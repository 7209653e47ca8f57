"""Bradley-Terry reward models: the loss against its closed form, the direction of a step, and a known reward found."""

import copy
import json

import numpy as np
import pytest
from scipy import stats

from scripts.common import tables
from scripts.common.config import Optimisation
from scripts.common.models import load_tokenizer
from scripts.common.scoring import open_scorer, tokenize
from scripts.reward import train_reward_model
from tests.unit.engines_fixtures import WORDS, save_policy, user

pytest_plugins = ["tests.unit.engines_fixtures"]


def pair(i, chosen, rejected, scores=(None, None)):
    return {
        "pair_id": f"pair{i}",
        "source": "s",
        "prompt_id": f"p{i}",
        "prompt": user(WORDS[i % 3]),
        "chosen": chosen,
        "rejected": rejected,
        "chosen_score": scores[0],
        "rejected_score": scores[1],
        "prompt_tokens": 1,
        "chosen_tokens": len(chosen.split()),
        "rejected_tokens": len(rejected.split()),
        "split": "train",
    }


def train(folder, rows, base, margin=0.0, centring=0.0, **changes):
    """The losses of all steps, one a batch of all pairs unless said otherwise; the model lies in folder/model."""
    folder.mkdir(exist_ok=True)
    tables.write_table(rows, folder / "mix.parquet", tables.MIX)
    settings = {"learning_rate": 1e-3, "global_batch": len(rows), "per_device_batch": len(rows), "max_tokens": 64}
    settings |= {"schedule": "constant", "warmup": 0.0, "dtype": "float32", "gradient_checkpointing": False} | changes
    train_reward_model.main(
        train_reward_model.Args(
            folder / "mix.parquet",
            base,
            folder / "model",
            Optimisation(**settings),
            centring=centring,
            margin=margin,
        )
    )
    log = (folder / "model/training_log.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, log) if "loss" in row]


def rewards(folder, rows):
    """Of the chosen and of the rejected responses, by the model in folder/model; each of shape (pairs,)."""
    scorer, tokenizer = open_scorer("transformers", folder / "model", "auto"), load_tokenizer(folder / "model")
    prompts = [row["prompt"] for row in rows]
    return [
        np.array(scorer.rewards(tokenize(tokenizer, prompts, [row[side] for row in rows])))
        for side in ("chosen", "rejected")
    ]


def loss(chosen, rejected, margins=0.0, centring=0.0):
    """-log sigma(r_chosen - r_rejected - m) + c (r_chosen + r_rejected)^2, the mean over pairs."""
    return np.mean(np.log1p(np.exp(-(chosen - rejected - margins))) + centring * (chosen + rejected) ** 2)


@pytest.fixture
def rows():
    """Eight pairs; every third has no scores, the others differ by 0.5, 1, 1.5 ..."""
    return [
        pair(i, " ".join(WORDS[i : i + 3]), " ".join(WORDS[40 - i : 42]), (None, None) if i % 3 == 0 else (i / 2, 0.0))
        for i in range(8)
    ]


@pytest.mark.parametrize("margin", [0.0, 0.4])
@pytest.mark.parametrize("centring", [0.0, 0.3])
def test_losses_are_the_closed_form(tmp_path, policy, rows, margin, centring):
    """At the start all rewards are 0; at the second step they are those of a model trained for one."""
    margins = margin * np.array([row["chosen_score"] or 0.0 for row in rows])
    options = {"margin": margin, "centring": centring}
    (start,) = train(tmp_path / "one", rows, policy, **options)
    assert start == pytest.approx(np.mean(np.log1p(np.exp(margins))), abs=1e-6)
    if not margin:
        assert start == pytest.approx(np.log(2), abs=1e-6)
    again, second = train(tmp_path / "two", rows, policy, epochs=2, **options)
    chosen, rejected = rewards(tmp_path / "one", rows)
    assert again == start
    assert second == pytest.approx(loss(chosen, rejected, margins, centring), abs=1e-5)
    assert np.abs(chosen).max() > 1e-3  # the second step has seen rewards that are not 0


def test_a_step_raises_the_chosen_above_the_rejected(tmp_path, policy, rows):
    train(tmp_path, rows, policy)
    chosen, rejected = rewards(tmp_path, rows)
    assert (chosen - rejected).mean() > 0
    assert (chosen > rejected).mean() > 0.5


def test_centring_keeps_rewards_near_zero(tmp_path, policy, rows):
    found = {}
    for centring in (0.0, 1.0):
        train(tmp_path / str(centring), rows, policy, centring=centring, epochs=12)
        chosen, rejected = rewards(tmp_path / str(centring), rows)
        found[centring] = np.abs(chosen + rejected).mean()
    assert found[1.0] < found[0.0]


def test_the_order_of_a_known_linear_reward_is_recovered(tmp_path, tokenizer, llama_config):
    """Each word has a worth; which of two responses is preferred is drawn from the Bradley-Terry model (Equation 1)."""
    config = copy.deepcopy(llama_config)
    config.num_hidden_layers, config.initializer_range = 1, 0.05
    base = save_policy(tmp_path / "base", tokenizer, config, seed=3)
    draw = np.random.default_rng(0)
    words, worth = np.array(WORDS[:16]), draw.normal(0, 1, 16)

    def response():
        chosen = draw.integers(0, 16, size=4)
        return " ".join(words[chosen]), worth[chosen].sum()

    rows = []
    for i in range(2400):
        (a, of_a), (b, of_b) = response(), response()
        better = draw.random() < 1 / (1 + np.exp(-(of_a - of_b)))
        rows.append(pair(i, *((a, b) if better else (b, a))))
    train(tmp_path, rows, base, learning_rate=3e-3, global_batch=16, per_device_batch=16, schedule="cosine")
    new = [response() for _ in range(300)]
    asked = [pair(i, text, text) for i, (text, _) in enumerate(new)]
    found, _ = rewards(tmp_path, asked)
    assert stats.spearmanr(found, [true for _, true in new]).statistic > 0.95
