"""The configuration: what is refused, and how it is said."""

import copy
from pathlib import Path

import pytest
import yaml

from scripts.common import config
from scripts.common.errors import StudyError
from scripts.report.paper import read_paper

ROOT = Path(__file__).parents[3]


def read(name: str) -> dict:
    return yaml.safe_load((ROOT / "config" / name).read_text())


@pytest.fixture
def demo() -> dict:
    return copy.deepcopy(read("demo.yaml"))


@pytest.mark.parametrize("name", ["demo.yaml", "paper.yaml", "real.yaml"])
def test_every_shipped_study_is_valid(name):
    assert config.load(read(name)).study == name.removesuffix(".yaml")


def test_tiny_preset_changes_only_keys_that_exist():
    study = config.load(config.merge(read("demo.yaml"), read("presets/tiny.yaml")))
    assert study.runs["concise"].iterations == 1
    assert study.runs["concise"].length_penalty == 0.002


def test_schema_file_has_not_drifted():
    assert (ROOT / "config/schema.json").read_text() == config.schema(), "run `make schema`"


def test_paper_values_are_the_papers():
    """Sections 2.1, 3.1, 3.2 and 3.3, Appendix B.3, Table 7."""
    study = config.load(read("paper.yaml"))
    online, offline = study.runs["iterative"], study.runs["offline"]
    trainings = {  # rate, epochs, global batch
        (2e-5, 1, 32): study.sft,
        (2e-6, 1, 512): study.reward_models["mix1"].optimisation,
        (5e-6, 1, 128): study.preference_models["pairwise"].optimisation,
        (5e-7, 2, 128): online.dpo.optimisation,
        (5e-7, 1, 128): offline.dpo.optimisation,
    }
    for expected, training in trainings.items():
        assert (training.learning_rate, training.epochs, training.global_batch) == expected
        assert (training.warmup, training.schedule) == (0.03, "cosine")
    assert study.reward_models["mix2"].optimisation == study.reward_models["mix1"].optimisation
    assert study.runs["ultrarm"].dpo == study.runs["concise"].dpo == online.dpo
    blocks = (study.sft.max_tokens, study.preference_models["pairwise"].optimisation.max_tokens)
    assert blocks == (8192, 3072)
    assert (online.dpo.beta, online.reference, online.initialise) == (0.1, "sft", "previous")
    assert online.dpo.optimisation.per_device_batch == 2
    actors = [(actor.temperature, actor.n) for actor in study.samplers["mixed_temperatures"]]
    assert actors == [(1.0, 4), (0.7, 4)]
    assert study.generation.max_new_tokens == 2048
    assert (study.data.prompts_per_iteration, online.iterations) == (20_000, 3)
    assert study.runs["concise"].length_penalty == 0.001
    assert (offline.offline, study.data.mixes["offline"].sources) == ("offline", ["nectar"])


def test_run_inherits_shared_dpo_and_changes_single_keys(demo):
    demo["runs"]["iterative"]["dpo"] = {"beta": 0.3}
    study = config.load(demo)
    assert study.runs["iterative"].dpo.beta == 0.3
    assert study.runs["iterative"].dpo.optimisation == study.runs["concise"].dpo.optimisation


def test_rates_without_a_dot_are_numbers(demo):
    demo["sft"]["learning_rate"] = yaml.safe_load("2e-5")
    assert config.load(demo).sft.learning_rate == 2e-5


def test_a_study_names_an_entry_of_the_catalogue_and_changes_single_keys(demo):
    demo["data"]["preferences"] |= {"shp": {}, "harmless": {"catalogue": "hh_rlhf", "subset": "harmless-base"}}
    found = config.load(demo).data.preferences
    entry = read("sources.yaml")["preferences"]["shp"]
    assert (found["shp"].hub, found["shp"].adapter) == ("stanfordnlp/SHP", "shp")
    assert found["shp"].model_dump(include=set(entry)) == entry
    assert (found["harmless"].hub, found["harmless"].subset) == ("Anthropic/hh-rlhf", "harmless-base")
    assert found["harmless"].adapter == "hh_rlhf"


def test_another_place_takes_none_of_the_entrys(demo):
    demo["data"]["preferences"]["hh_rlhf"] = {"hub": "my/copy"}
    found = config.load(demo).data.preferences["hh_rlhf"]
    assert (found.hub, found.revision, found.subset, found.local) == ("my/copy", None, None, None)
    assert (found.completion, found.annotator, found.table5) == ("LLM", "Human", "HH-RLHF")
    assert config.load(read("demo.yaml")).data.preferences["ultrafeedback"].minimum_margin == 0.5


def test_false_does_without_a_source(demo):
    demo["data"]["preferences"]["nectar"] = False
    demo["data"]["mixes"].pop("offline")
    demo["runs"].pop("offline")
    assert "nectar" not in config.load(demo).data.preferences


def test_every_entry_of_the_catalogue_is_a_valid_source():
    paper, catalogue = read("paper.yaml"), read("sources.yaml")
    for collection in ("preferences", "instructions", "prompts"):
        paper["data"][collection] = {name: {} for name in catalogue[collection]}
    study = config.load(paper)
    for collection in ("preferences", "instructions", "prompts"):
        for name, source in getattr(study.data, collection).items():
            assert source.hub, name
            assert source.revision, name
            assert source.licence, name
    rows = {row for table, row, _ in read_paper() if table == "table5"}
    assert {source.table5 for source in study.data.preferences.values()} == rows | {None}


def test_what_is_not_pinned_is_named():
    paper = read("paper.yaml")
    named = config.unpinned(config.load(paper))
    assert sum(line.startswith("data.") for line in named) == 12 + 9 + 6
    assert "data.preferences.shp (stanfordnlp/SHP at main)" in named
    assert "models.base (meta-llama/Meta-Llama-3-8B at main)" in named
    assert "evaluation.academic.tasks.arc.examples (allenai/ai2_arc at main)" in named
    paper["data"]["preferences"]["shp"] = {"revision": "0" * 39 + "a"}
    assert len(config.unpinned(config.load(paper))) == len(named) - 1
    assert config.unpinned(config.load(read("demo.yaml"))) == []


REFUSALS = [
    ("data.preferences.shp", {"catalogue": "ship"}, "data.preferences.shp: config/sources.yaml has no entry 'ship' in"),
    ("data.preferences.shap", {}, "has no entry 'shap' in preferences; it has hh_rlhf, shp,"),
    ("data.preferences.shp", None, "data.preferences.shp: is empty. Write {} for the catalogue's entry"),
    ("data.prompts.world", {"locall": "x"}, "data.prompts.world.locall: unknown key; allowed here: cap, catalogue"),
    (
        "evaluation.academic.tasks.arc.shots",
        "4",
        "evaluation.academic.tasks.arc.shots: Input should be a valid integer",
    ),
    ("evaluation.academic.tasks.arc.examples", None, "evaluation.academic.tasks.arc.examples: is empty. Write {} for"),
    (
        "evaluation.academic.tasks.mbpp.shots",
        3,
        "evaluation.academic.tasks.mbpp: 3 shots need 'examples', the rows that",
    ),
    ("sft.lerning_rate", 1.0, "sft.lerning_rate: unknown key; allowed here: adam_beta2"),
    ("runs.iterative.lambda", 1.0, "runs.iterative.lambda: unknown key"),
    ("sft.global_batch", "32", "sft.global_batch: Input should be a valid integer; got '32'"),
    ("sft.global_batch", 3, "sft: global_batch 3 is no multiple of per_device_batch 2"),
    ("sft.warmup", 1.5, "sft.warmup: Input should be less than or equal to 1; got 1.5"),
    (
        "generation.engine",
        "sglang",
        "generation.engine: Input should be 'auto', 'vllm' or 'transformers'; got 'sglang'",
    ),
    ("reward_models.mix2.mix", "mix3", "reward_models.mix2.mix: 'mix3' is not in data.mixes; defined there: mix1"),
    ("runs.concise.reward", "ultra", "runs.concise.reward: 'ultra' is not in reward_models"),
    (
        "runs.offline.length_penalty",
        0.1,
        "runs.offline: an offline run trains once, on pairs that are there; leave out",
    ),
    ("runs.offline.history", "all", "leave out 'history'"),
    ("runs.offline.reward", "mix2", "runs.offline: an online run needs 'reward' and 'sampler'"),
    ("runs.concise.sampler", None, "runs.concise: an online run needs 'reward' and 'sampler'"),
    ("runs.concise.strategy", "max_min", "Input should be 'best_worst', 'best_random', 'best_second' or 'random'"),
    ("runs.concise.minimum_margin", -1.0, "runs.concise.minimum_margin: Input should be greater than or equal to 0"),
    ("dpo.loss", "simpo", "dpo.loss: Input should be 'sigmoid', 'hinge'"),
    ("dpo.label_smoothing", 0.5, "dpo.label_smoothing: Input should be less than 0.5"),
    ("dpo.sft_weight", -1.0, "dpo.sft_weight: Input should be greater than or equal to 0"),
    ("runs.concise.reward", "pairwise", "runs.concise.length_penalty: the tournament of 'pairwise' finds the best"),
    ("preference_models.pairwise.mix", "mix3", "preference_models.pairwise.mix: 'mix3' is not in data.mixes"),
    ("evaluation.reward", "pairwise", "evaluation.reward: 'pairwise' is not in reward_models"),
    ("prompted_judges.mix2", {"policy": "sft"}, "'mix2' is named more than once in reward_models, preference_models"),
    ("prompted_judges.prompted", {}, "prompted_judges.prompted: give exactly one of 'policy' and 'endpoint'"),
    ("data.mixes.mix1.weights", {"shap": 2.0}, "data.mixes.mix1.weights: 'shap' is not in data.mixes.mix1.sources"),
    ("data.mixes.mix1.caps", {"shp": 0}, "data.mixes.mix1.caps.shp: Input should be greater than 0; got 0"),
    ("data.mixes.mix1.sources", [], "data.mixes.mix1.sources: List should have at least 1 item"),
    ("models.base.hub", "a/b", "models.base: give exactly one of 'hub' and 'local'"),
    ("world", None, "evaluation.judge: 'gold' needs the section 'world'"),
    ("sft", None, "runs: a run starts from the SFT model"),
    ("samplers.mixed_temperatures", [{"temperature": 1.0, "n": 1}], "needs at least 2 responses a prompt"),
    ("study", "My study", "study: String should match pattern"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSALS, ids=[key for key, _, _ in REFUSALS])
def test_refusals_name_key_value_and_what_is_allowed(demo, key, value, message):
    *path, last = key.split(".")
    section = demo
    for part in path:
        section = section[part]
    section[last] = value
    with pytest.raises(StudyError) as refused:
        config.load(demo)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "ipo", "label_smoothing": 0.1}, "label_smoothing has no effect on the loss 'ipo'; leave it at 0"),
        ({"loss": "exo_pair"}, "the loss 'exo_pair' needs a label_smoothing above 0"),
        (
            {"loss": "aot", "optimisation": {"per_device_batch": 1}},
            "the loss 'aot' sorts the pairs of a device's batch",
        ),
    ],
)
def test_losses_that_make_no_sense_are_refused(demo, options, message):
    with pytest.raises(StudyError) as refused:
        config.load(config.merge(demo, {"dpo": options}))
    assert message in str(refused.value)


def test_a_sampler_of_the_first_epoch_needs_a_second_one(demo):
    demo["samplers"]["mixed_temperatures"][1]["policy"] = "epoch1"
    assert config.load(demo).samplers["mixed_temperatures"][0].policy == "current"
    demo["runs"]["concise"] = {**demo["runs"]["concise"], "dpo": {"optimisation": {"epochs": 1}}}
    with pytest.raises(StudyError, match=r"runs\.concise: the sampler 'mixed_temperatures' asks for the policy after"):
        config.load(demo)


def test_an_online_run_with_offline_pairs_is_hybrid(demo):
    demo["runs"]["concise"]["offline"] = "offline"
    study = config.load(demo)
    assert (study.runs["concise"].online, study.runs["offline"].online) == (True, False)


def test_a_round_robin_takes_a_length_penalty_and_other_strategies(demo):
    demo["preference_models"]["pairwise"]["ranking"] = "round_robin"
    demo["runs"]["concise"] |= {"reward": "pairwise", "strategy": "best_second"}
    assert config.load(demo).runs["concise"].reward == "pairwise"


def test_a_preference_model_compares_responses_of_one_policy(demo):
    demo["preference_models"]["pairwise"]["ranking"] = "round_robin"
    demo["runs"]["concise"]["reward"] = "pairwise"
    demo["samplers"]["mixed_temperatures"][1]["policy"] = "previous"
    with pytest.raises(StudyError, match=r"runs\.concise\.reward: 'pairwise' compares the responses of one policy"):
        config.load(demo)


def test_a_tournament_knows_no_second_best(demo):
    demo["runs"]["iterative"] |= {"reward": "pairwise", "strategy": "best_second"}
    with pytest.raises(StudyError, match=r"runs\.iterative\.strategy: the tournament of 'pairwise' finds the best and"):
        config.load(demo)


def test_the_linear_study_is_refused_in_words_too():
    values = read("theory.yaml")
    assert config.validated(config.Theory, values).iterations == 16
    with pytest.raises(StudyError, match="coverage: unknown key; allowed here: batches, confidence, coverages"):
        config.validated(config.Theory, {**values, "coverage": {}})


def test_missing_key_is_named(demo):
    del demo["models"]["chat_template"]
    with pytest.raises(StudyError, match=r"models\.chat_template: is required and missing"):
        config.load(demo)


EXTERNAL = {"mix": "mix1", "external": {"hub": "maker/model"}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"mix": "mix1"}, "give 'optimisation' to train the model, or 'external' for a published one"),
        ({**EXTERNAL, "margin": 0.5}, "a published model takes no 'initialise', 'centring' or 'margin'"),
        (
            {**EXTERNAL, "external": {}},
            "published.external: config/sources.yaml has no entry 'published'",
        ),
    ],
)
def test_a_reward_model_is_trained_or_published(demo, model, message):
    demo["reward_models"]["published"] = EXTERNAL
    assert config.load(demo).reward_models["published"].external.hub == "maker/model"
    demo["reward_models"]["published"] = model
    with pytest.raises(StudyError) as refused:
        config.load(demo)
    assert message in str(refused.value)


def test_instruct_is_asked_for_only_where_there_is_one(demo):
    demo["reward_models"]["mix2"]["initialise"] = "instruct"
    with pytest.raises(StudyError, match=r"mix2: 'initialise: instruct' needs models\.instruct"):
        config.load(demo)


def test_gold_is_no_reward_models_name(demo):
    demo["reward_models"]["gold"] = EXTERNAL
    with pytest.raises(StudyError, match="'gold' is the name of the world's own reward"):
        config.load(demo)


def test_a_limit_that_could_not_be_crossed_is_refused(demo):
    demo["runs"]["iterative"]["limits"] = {"agreement": 0.6}
    assert config.load(demo).runs["iterative"].limits.agreement == 0.6
    demo["evaluation"]["judge"] = "reward"
    with pytest.raises(StudyError, match=r"runs\.iterative\.limits\.agreement: evaluation\.judge is 'reward'"):
        config.load(demo)


def test_an_entry_that_says_false_is_left_out():
    """A layer can take runs, reward models and baselines out of the study beneath."""
    values = config.merge(
        read("paper.yaml"),
        {
            "runs": {"ultrarm": False},
            "reward_models": {"ultrarm": False},
            "evaluation": {"baselines": {"gemma_7b_it": False}},
        },
    )
    study = config.load(values)
    assert (list(study.runs), list(study.reward_models)) == (["iterative", "concise", "offline"], ["mix1", "mix2"])
    assert study.evaluation is not None
    assert "gemma_7b_it" not in study.evaluation.baselines
    assert values["runs"]["ultrarm"] is False  # what was given stays as it is
