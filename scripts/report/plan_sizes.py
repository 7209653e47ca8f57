"""How many rows and tokens a study has: measured where it has results, else from its configuration and from Table 5."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.common.config import Study
from scripts.common.errors import StudyError
from scripts.common.provenance import read_manifest
from scripts.common.rollouts import roles
from scripts.report.csv_tables import read_csv
from scripts.report.page_tables import TABLE5
from scripts.report.paper import PAPER, paper_value
from scripts.report.plan_jobs import Job

Basis = Literal["measured", "configured", "estimated"]


@dataclass(frozen=True)
class Figure:
    """A number of the plan, and where it comes from."""

    label: str
    value: float
    basis: Basis
    source: str


@dataclass(frozen=True)
class Pairs:
    """A preference source or a mix: pairs, and their mean tokens."""

    pairs: float
    prompt: float
    chosen: float
    rejected: float

    @property
    def tokens(self) -> float:
        """Of the two sequences that a pair is trained as: the prompt with each response."""
        return 2 * self.prompt + self.chosen + self.rejected

    @property
    def comparison_tokens(self) -> float:
        """Of the one sequence that a preference model reads: the prompt with both responses."""
        return self.prompt + self.chosen + self.rejected


# Sources that Table 5 has not: pairs, and mean tokens of prompt, chosen and rejected response. What they are taken
# from is in the plan's own words, since they are no more than that.
_NOT_IN_TABLE_5 = {
    "nectar": (
        Pairs(183_000, 161.5, 279.5, 211.1),
        "its 183 thousand prompts, a pair each; lengths as UltraFeedback's",
    ),
    "summarisation": (Pairs(92_900, 360, 35, 35), "its 93 thousand training comparisons; a Reddit post, two summaries"),
}
_UNKNOWN_SOURCE = (Pairs(100_000, 161.5, 279.5, 211.1), "a guess: 100 thousand pairs; lengths as UltraFeedback's")
_WORLD = Pairs(0, 8, 13, 12.5)  # tokens of the miniature world, as the demo's table5_preference_data.csv has them
_WORLD_DOCUMENT, _WORLD_INSTRUCTION = 21, 27  # tokens; packed blocks of the demo times 256, by what was packed
_CONVERSATIONS, _CONVERSATION = 2_300_000, 450
_REWARD_BENCH = 2985  # pairs of the split `filtered`


def billions(study: Study) -> str | None:
    """Billions of parameters, as the base model's name on the hub has them: `8` of Meta-Llama-3-8B."""
    size = re.search(r"(\d+(?:\.\d+)?)b\b", (study.models.base.hub or "").lower())
    return size[1] if size else None


class Sizes:
    """The sizes of one study; `figures` collects those that were asked for, so that the plan can name them all.

    Args:
        study: the configuration.
        jobs: its jobs; where their outputs exist, what the manifests say goes before every estimate.
        prompts: mean tokens of the prompts that responses are generated to, where nothing was measured.
        responses: mean tokens of generated responses, where nothing was measured.
    """

    def __init__(self, study: Study, jobs: Sequence[Job], prompts: float | None = None, responses: float | None = None):
        self.study = study
        self.figures: dict[str, Figure] = {}
        self._given = {"prompt": prompts, "response": responses}
        self._facts = {job.name: read_manifest(Path(job.name)).get("facts", {}) for job in jobs}
        self._rules = {job.name: job for job in jobs}

    # --- preference pairs ---------------------------------------------------------------------------------------------

    def source(self, name: str) -> Pairs:
        """The pairs of a preference source."""
        pairs, basis, words = self._source(name)
        self._note(f"pairs of {name}", pairs.pairs, basis, words)
        self._note(f"tokens of a pair of {name}", pairs.tokens, basis, words)
        return pairs

    def mix(self, name: str) -> Pairs:
        """The pairs of a mix, held-out ones included; mean tokens over its sources."""
        mix = self.study.data.mixes[name]
        sources = [self.source(source) for source in mix.sources]
        caps = [mix.caps.get(source, mix.cap) for source in mix.sources]
        weights = [mix.weights.get(source, 1) for source in mix.sources]
        counts = [
            min(source.pairs, cap or source.pairs) * weight
            for source, cap, weight in zip(sources, caps, weights, strict=True)
        ]
        total = sum(counts)

        def mean(part: str) -> float:
            return sum(n * getattr(source, part) for n, source in zip(counts, sources, strict=True)) / max(total, 1)

        facts = self._facts.get(f"results/{self.study.study}/data/mixes/{name}.parquet", {})
        return Pairs(facts.get("pairs", total), mean("prompt"), mean("chosen"), mean("rejected"))

    def _source(self, name: str) -> tuple[Pairs, Basis, str]:
        table = Path(f"results/{self.study.study}/tables/table5_preference_data.csv")
        if table.is_file():
            for row in read_csv(table, TABLE5).to_dicts():
                if row["source"] == name:
                    means = [row[key] for key in ("prompt_tokens", "chosen_tokens", "rejected_tokens")]
                    return Pairs(row["pairs"], *means), "measured", str(table)
        if self.study.world:
            counted = self.study.world.pairs.get(name, 0)
            return Pairs(counted, *_means(_WORLD)), "configured", f"world.pairs.{name}; lengths: the demo's Table 5"
        if (row := self.study.data.preferences[name].table5) is not None:
            columns = ("#Pairs", "Prompt Len.", "Preferred Len.", "Rejected Len.")
            printed = [paper_value("table5", row, column) for column in columns]
            if None not in printed:
                return Pairs(*printed), "estimated", f"the paper's Table 5, {row}"
        pairs, words = _NOT_IN_TABLE_5.get(name, _UNKNOWN_SOURCE)
        return pairs, "estimated", words

    # --- prompts and responses ----------------------------------------------------------------------------------------

    def prompts(self, prompt_set: str) -> int:
        """Prompts of a set: iter1.., held_out, length_bias."""
        data, evaluation = self.study.data, self.study.evaluation
        if prompt_set == "held_out":
            return self._configured("held-out prompts", data.validation_prompts + data.test_prompts)
        if prompt_set == "length_bias" and evaluation:
            return self._configured("prompts of Figure 3", evaluation.length_bias_prompts)
        return self._configured("prompts of an iteration", data.prompts_per_iteration)

    def responses_per_prompt(self, policy: str, sampler: str, prompts: str) -> int:
        """Responses that a policy gives to each prompt of a set, by the actors of a sampler that it speaks for."""
        if sampler == "evaluation":
            return 1
        if sampler == "length_bias" and self.study.evaluation:
            return self.study.evaluation.length_bias_responses
        actors = self.study.samplers[sampler]
        self._configured(f"responses to a prompt ({sampler})", sum(actor.n for actor in actors))
        return sum(actor.n for actor in actors if actor.policy in roles(policy, prompts))

    def response_tokens(self) -> float:
        """Mean tokens of a generated response."""
        drawn = self._measured("generate_responses")
        if drawn["responses"]:
            return self._note("tokens of a response", drawn["tokens"] / drawn["responses"], "measured", "manifests")
        return self._length("response", _WORLD.chosen, "Preferred Len.")

    def prompt_tokens(self) -> float:
        """Mean tokens of a prompt that responses are generated to."""
        drawn, scored = self._measured("generate_responses"), self._measured("score_responses")
        if drawn["responses"] and scored["responses"]:
            both = scored["tokens"] / scored["responses"]
            mean = both - drawn["tokens"] / drawn["responses"]
            return self._note("tokens of a prompt", max(mean, 0), "measured", "manifests")
        return self._length("prompt", _WORLD.prompt, "Prompt Len.")

    def _length(self, part: str, world: float, column: str) -> float:
        label = f"tokens of a {part}"
        if (given := self._given[part]) is not None:
            return self._note(label, given, "configured", f"--{part}-tokens")
        if self.study.world:
            return self._note(label, world, "estimated", "the demo's Table 5")
        printed = paper_value("table5", "UltraFeedback", column)
        if printed is None:
            raise StudyError(f"{PAPER}: no {column} of UltraFeedback in Table 5; give --{part}-tokens.")
        words = "the paper's Table 5, UltraFeedback, a part of the prompts (Section 3.2)"
        return self._note(label, printed, "estimated", words + f"; --{part}-tokens sets another")

    # --- the rest -----------------------------------------------------------------------------------------------------

    def instruction_tokens(self) -> float:
        """Tokens of all SFT conversations."""
        name = f"results/{self.study.study}/data/instructions.parquet"
        if self.study.world:
            rows = self._configured("SFT conversations", self.study.world.instructions)
            return rows * self._note("tokens of an SFT conversation", _WORLD_INSTRUCTION, "estimated", "the demo")
        if "kept" in self._facts.get(name, {}):
            rows = self._note("SFT conversations", self._facts[name]["kept"], "measured", name)
        else:
            words = "a guess for the collection of Appendix B.3, measured once it is retrieved"
            rows = self._note("SFT conversations", _CONVERSATIONS, "estimated", words)
        return rows * self._note("tokens of an SFT conversation", _CONVERSATION, "estimated", "a guess")

    def document_tokens(self) -> float:
        """Tokens of the miniature world's pretraining documents."""
        if not self.study.world:
            return 0
        rows = self._configured("pretraining documents", self.study.world.pretraining_documents)
        return rows * self._note("tokens of a document", _WORLD_DOCUMENT, "estimated", "the demo")

    def bench_pairs(self) -> int:
        if self.study.world:
            return self._configured("RewardBench pairs", 4 * self.study.world.reward_bench)
        return int(self._note("RewardBench pairs", _REWARD_BENCH, "estimated", "allenai/reward-bench, filtered"))

    def parameters(self) -> float:
        """Parameters of the base model, from its name on the hub or from the world's sizes (12 h^2 for each layer)."""
        if self.study.world:
            world = self.study.world
            return self._note(
                "parameters", 12 * world.layers * world.hidden**2, "estimated", "world.hidden, world.layers"
            )
        if size := billions(self.study):
            return self._note("parameters", float(size) * 1e9, "estimated", f"the name {self.study.models.base.hub}")
        return self._note("parameters", 1e6, "estimated", "a small model made here")

    # --- notes --------------------------------------------------------------------------------------------------------

    def _measured(self, rule: str) -> dict[str, float]:
        facts = [self._facts[name] for name, job in self._rules.items() if job.rule == rule]
        return {key: sum(fact.get(key, 0) for fact in facts) for key in ("responses", "tokens")}

    def _configured(self, label: str, value: int) -> int:
        self._note(label, value, "configured", "the study's configuration")
        return value

    def _note(self, label: str, value: float, basis: Basis, source: str) -> float:
        self.figures[label] = Figure(label, value, basis, source)
        return value


def _means(pairs: Pairs) -> tuple[float, float, float]:
    return pairs.prompt, pairs.chosen, pairs.rejected
