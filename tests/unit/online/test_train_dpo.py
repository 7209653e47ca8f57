"""DPO and its relatives: each loss as training logs it against its closed form; pairs, reference, the first epoch."""

import json
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pytest

from scripts.common import tables
from scripts.common.chat import conversation_ids, prompt_ids
from scripts.common.config import DPO, SMOOTHED, Optimisation
from scripts.common.errors import StudyError
from scripts.common.models import for_inference, load_policy, load_tokenizer
from scripts.common.scoring import log_probabilities
from scripts.online import train_dpo
from tests.unit.engines_fixtures import WORDS, prompt_rows

pytest_plugins = ["tests.unit.engines_fixtures"]

BETA, SMOOTHING = 0.05, 0.1
N = 4


def pair_rows(n: int, first: int = 0) -> list[dict]:
    """Pairs of responses of different lengths; the tables of different `first` have no text in common."""
    return [
        {
            "prompt_id": row["prompt_id"],
            "prompt": row["prompt"],
            "chosen": " ".join(WORDS[(first + i + j) % 60] for j in range(3 + i)),
            "rejected": " ".join(WORDS[(first + 5 * i + 2 * j) % 60] for j in range(6)),
            "chosen_actor": 0,
            "rejected_actor": 1,
            "chosen_reward": 1.0,
            "rejected_reward": 0.0,
            "margin": 1.0,
        }
        for i, row in enumerate(prompt_rows(n))
    ]


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.parquet"
    tables.write_table(pair_rows(N), path, tables.ONLINE_PAIRS)
    return path


def dpo(batch: int = N, epochs: int = 1, **options) -> DPO:
    optimisation = Optimisation(
        learning_rate=1e-3,
        epochs=epochs,
        global_batch=batch,
        per_device_batch=batch,
        max_tokens=128,
        dtype="float32",
        gradient_checkpointing=False,
    )
    return DPO(beta=BETA, optimisation=optimisation, **options)


def train(folder, pairs, policy, reference, **options):
    output = folder / "policy"
    args = train_dpo.Args(pairs=tuple(pairs), policy=policy, reference=reference, output=output, **options)
    return train_dpo.main(args), [json.loads(line) for line in (output / "training_log.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Side:
    """The chosen or the rejected responses: log pi, log pi_ref in nats and tokens with the end token, (N,) each."""

    ours: np.ndarray
    reference: np.ndarray
    tokens: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        return self.ours - self.reference


@pytest.fixture(scope="module")
def sides(policy, other_policy) -> dict[str, Side]:
    """The log-probabilities computed without TRL."""
    tokenizer = load_tokenizer(policy)
    models = [for_inference(load_policy(folder, "float32")) for folder in (policy, other_policy)]
    starts = [len(prompt_ids(tokenizer, row["prompt"])) for row in pair_rows(N)]
    found = {}
    for name in ("chosen", "rejected"):
        whole = [conversation_ids(tokenizer, row["prompt"], row[name]) for row in pair_rows(N)]
        both = [np.array(log_probabilities(model, whole, starts, 4096)) for model in models]
        found[name] = Side(*both, np.array([len(ids) for ids in whole]) - starts)
    return found


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    """-log sigmoid(-x)"""
    return np.logaddexp(0, x)


def smoothed(z):
    return (1 - SMOOTHING) * softplus(-z) + SMOOTHING * softplus(z)


def per_token(side: Side):
    return side.ratio / side.tokens


CLOSED_FORMS = {
    "sigmoid": lambda c, r, z: softplus(-z),
    "hinge": lambda c, r, z: np.maximum(0, 1 - z),
    "robust": lambda c, r, z: ((1 - SMOOTHING) * softplus(-z) - SMOOTHING * softplus(z)) / (1 - 2 * SMOOTHING),
    "exo_pair": lambda c, r, z: (
        sigmoid(z) * (-softplus(-z) - np.log(1 - SMOOTHING)) + sigmoid(-z) * (-softplus(z) - np.log(SMOOTHING))
    ),
    "nca_pair": lambda c, r, z: softplus(-c) + 0.5 * softplus(c) + 0.5 * softplus(r),
    "bco_pair": lambda c, r, z: softplus(-c) + softplus(r),
    "sppo_hard": lambda c, r, z: (c / BETA - 0.5 / BETA) ** 2 + (r / BETA + 0.5 / BETA) ** 2,
    "aot": lambda c, r, z: smoothed(z),  # of sorted margins: see AOT
    "aot_unpaired": lambda c, r, z: smoothed(np.sort(c) - np.sort(r)),
    "apo_zero": lambda c, r, z: 1 - sigmoid(c) + sigmoid(r),
    "apo_down": lambda c, r, z: sigmoid(c) + 1 - sigmoid(z),
    "discopop": lambda c, r, z: softplus(-z) * (1 - sigmoid(z / 0.05)) + np.exp(-z) * sigmoid(z / 0.05),
}
"""Losses of pairs by c and r, beta times the log-ratios of chosen and rejected responses, and z = c - r."""


def expected_loss(name: str, chosen: Side, rejected: Side) -> float:
    if name == "ipo":
        return np.mean((per_token(chosen) - per_token(rejected) - 1 / (2 * BETA)) ** 2)
    if name == "sigmoid_norm":
        return np.mean(softplus(-BETA * (per_token(chosen) - per_token(rejected))))
    c, r = BETA * chosen.ratio, BETA * rejected.ratio
    z = c - r
    if name == "aot":
        z = BETA * (np.sort(chosen.ours - rejected.ours) - np.sort(chosen.reference - rejected.reference))
    return np.mean(CLOSED_FORMS[name](c, r, z))


@pytest.mark.parametrize("name", get_args(DPO.model_fields["loss"].annotation))
def test_every_loss_is_its_closed_form(name, pairs, policy, other_policy, sides, tmp_path):
    smoothing = SMOOTHING if name in SMOOTHED and name != "sigmoid" else 0.0
    facts, _ = train(tmp_path, [pairs], policy, other_policy, dpo=dpo(loss=name, label_smoothing=smoothing))
    assert facts["first_loss"] == pytest.approx(expected_loss(name, **sides), rel=2e-4)


def test_label_smoothing_of_sigmoid_is_conservative_dpo(pairs, policy, other_policy, sides, tmp_path):
    """TRL's own sigmoid ignores it; here the loss is -(1 - e) log s(z) - e log s(-z)."""
    facts, _ = train(tmp_path, [pairs], policy, other_policy, dpo=dpo(label_smoothing=SMOOTHING))
    z = BETA * (sides["chosen"].ratio - sides["rejected"].ratio)
    assert facts["first_loss"] == pytest.approx(np.mean(smoothed(z)), rel=2e-4)
    assert facts["first_loss"] != pytest.approx(np.mean(softplus(-z)), rel=1e-3)


def test_smoothing_pulls_the_policy_less(pairs, policy, tmp_path):
    """From a margin of 0 the gradient of conservative DPO is (1 - 2 e) times that of DPO."""
    norms = [
        train(tmp_path / str(e), [pairs], policy, policy, dpo=dpo(label_smoothing=e))[1][0]["grad_norm"]
        for e in (0.0, SMOOTHING)
    ]
    assert norms[1] / norms[0] == pytest.approx(1 - 2 * SMOOTHING, rel=1e-3)


def test_sft_term_adds_the_chosen_responses_likelihood(pairs, policy, other_policy, sides, tmp_path):
    """The 'feel-good' term: its weight times the negative log-likelihood of a chosen token."""
    facts, _ = train(tmp_path, [pairs], policy, other_policy, dpo=dpo(sft_weight=0.5))
    chosen = sides["chosen"]
    likelihood = -chosen.ours.sum() / chosen.tokens.sum()
    assert facts["first_loss"] == pytest.approx(expected_loss("sigmoid", **sides) + 0.5 * likelihood, rel=2e-4)


# --- data and reference -----------------------------------------------------------------------------------------------


def test_all_tables_of_pairs_are_trained_on(pairs, policy, tmp_path):
    """Hybrid learning and full history: D_off with the columns of a mix, and the pairs of two iterations."""
    later, mix = tmp_path / "later.parquet", tmp_path / "mix.parquet"
    tables.write_table(pair_rows(3, first=30), later, tables.ONLINE_PAIRS)
    tokens = {"prompt_tokens": 1, "chosen_tokens": 1, "rejected_tokens": 1, "split": "train"}
    identity = {"source": "nectar", "chosen_score": None, "rejected_score": None}
    rows = [{**row, **identity, **tokens, "pair_id": str(i)} for i, row in enumerate(pair_rows(5, first=17))]
    tables.write_table(rows, mix, tables.MIX)
    facts, _ = train(tmp_path, [mix, pairs, later], policy, policy, dpo=dpo(batch=2, epochs=2))
    assert facts["examples"] == 5 + N + 3
    assert facts["steps"] == 2 * (5 + N + 3) / 2


def test_reference_other_than_the_policy_shows_in_the_first_margin(pairs, policy, other_policy, sides, tmp_path):
    _, log = train(tmp_path / "same", [pairs], policy, policy, dpo=dpo())
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    _, log = train(tmp_path / "other", [pairs], policy, other_policy, dpo=dpo())
    margins = BETA * (sides["chosen"].ratio - sides["rejected"].ratio)
    assert log[0]["rewards/margins"] == pytest.approx(margins.mean(), rel=1e-3)


# --- the first epoch --------------------------------------------------------------------------------------------------


def weights(folder) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_first_epoch_is_published_and_changes_nothing(pairs, policy, tmp_path):
    train(tmp_path / "plain", [pairs], policy, policy, dpo=dpo(batch=2, epochs=2))
    kept = tmp_path / "kept"
    train(kept, [pairs], policy, policy, dpo=dpo(batch=2, epochs=2), epoch1=kept / "epoch1")
    assert weights(kept / "policy") == weights(tmp_path / "plain/policy")
    assert weights(kept / "epoch1") != weights(kept / "policy")
    assert len((kept / "epoch1/training_log.jsonl").read_text().splitlines()) == 1  # of the step before the last one's
    load_policy(kept / "epoch1", "float32")


def test_first_epoch_with_a_constant_rate_is_what_one_epoch_gives(pairs, policy, tmp_path):
    """With no schedule that knows the end, the first of two epochs is a training of one epoch."""
    constant = {"schedule": "constant", "warmup": 0.0}
    one, two = dpo(batch=2), dpo(batch=2, epochs=2)
    one, two = (d.model_copy(update={"optimisation": d.optimisation.model_copy(update=constant)}) for d in (one, two))
    train(tmp_path / "one", [pairs], policy, policy, dpo=one)
    train(tmp_path / "two", [pairs], policy, policy, dpo=two, epoch1=tmp_path / "two/epoch1")
    assert weights(tmp_path / "two/epoch1") == weights(tmp_path / "one/policy")


def test_who_resumes_after_the_first_epoch_finds_it(pairs, policy, tmp_path, monkeypatch):
    """All steps are done, then the check before publishing fails; the next start resumes at the last checkpoint."""
    every_step = dpo(batch=2, epochs=2)
    every_step = every_step.model_copy(
        update={"optimisation": every_step.optimisation.model_copy(update={"checkpoint_steps": 1})}
    )
    options = {"dpo": every_step, "epoch1": tmp_path / "epoch1"}
    with monkeypatch.context() as patch:
        patch.setattr(train_dpo, "TOLERANCE", {"float32": -1})
        with pytest.raises(StudyError, match="the trainer used another reference"):
            train(tmp_path, [pairs], policy, policy, **options)
    assert not (tmp_path / "epoch1").exists()
    facts, _ = train(tmp_path, [pairs], policy, policy, **options)
    assert facts["resumed_at_step"] == facts["steps"] == 4
    train(tmp_path / "whole", [pairs], policy, policy, dpo=every_step, epoch1=tmp_path / "whole/epoch1")
    assert weights(tmp_path / "epoch1") == weights(tmp_path / "whole/epoch1")
