"""The study's configuration as typed sections: what may be said, what is allowed, what it means.

YAML files are merged by Snakemake (`--configfile a.yaml b.yaml`, later files win) and validated here. The JSON schema
`config/schema.json`, which editors use for completion, is generated from these classes:

    python -m scripts.common.config > config/schema.json
"""

import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from scripts.common.catalogue import MANY, SINGLE, complete, pinned
from scripts.common.errors import StudyError

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
"""Names become parts of paths; `-` is kept for `{run}-iter{t}`."""

Positive = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _scientific(value: Any) -> Any:
    """YAML 1.1 reads `5e-7`, without a dot, as text; people mean the number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Rate = Annotated[float, BeforeValidator(_scientific), Field(gt=0)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are refused, values are not coerced from other types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


# --- where things come from -------------------------------------------------------------------------------------------


class Origin(Section):
    """A data set or model as published: on the hub at a pinned revision, or a copy on disk."""

    hub: str | None = Field(None, description="Hub id, e.g. Anthropic/hh-rlhf.")
    revision: str | None = Field(None, description="Commit or tag on the hub; pin it.")
    subset: str | None = Field(None, description="Configuration name of the hub data set.")
    files: str | None = Field(None, description="Files of the hub data set, a pattern, where its page names none.")
    split: str = Field("train", description="Split of the hub data set.")
    local: str | None = Field(None, description="File or folder on disk; {study} stands for the study's name.")
    catalogue: Name | None = Field(None, description="Entry of config/sources.yaml; without it, the one of this name.")
    licence: str | None = Field(None, description="Under which terms it is published.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.hub is None) == (self.local is None):
            raise ValueError("give exactly one of 'hub' and 'local'")
        return self


class PreferenceSource(Origin):
    """A preference data set; its SQL adapter is `scripts/data/sql/sources/{adapter}.sql`."""

    adapter: Name | None = Field(None, description="Whose layout the set has; without it the source's own name.")
    completion: Literal["LLM", "Human"] = Field(description="Who wrote the responses (Table 5, Completion).")
    annotator: str = Field(description="Who judged them (Table 5, Annotator).")
    minimum_margin: float = Field(0.0, ge=0, description="Pairs whose scores differ by less are dropped (App. B.1).")
    drop_near_duplicates: bool = Field(False, description="Of prompts that are nearly the same one keeps its pairs.")
    table5: str | None = Field(None, description="Its row in the paper's Table 5, to compare with.")


class PromptSource(Origin):
    """A collection of prompts."""

    cap: Positive | None = Field(None, description="At most so many of its prompts, drawn by the study's seed.")


class Mix(Section):
    """A mixture of preference sources (Section 2, MIX1 and MIX2)."""

    sources: list[Name] = Field(min_length=1)
    cap: Positive | None = Field(None, description="At most so many pairs of each source, drawn by the study's seed.")
    caps: dict[Name, Positive] = Field({}, description="The same for single sources; goes before `cap`.")
    weights: dict[Name, Annotated[float, Field(gt=0)]] = Field(
        {}, description="How often a source's training pairs are taken: 0.5 draws half of them, 2 takes each twice."
    )


class Decontamination(Section):
    """Training prompts that hold an evaluation prompt are dropped; n and share as for Tulu 3 (Lambert et al., 2024)."""

    ngram: Positive = Field(8, description="Words in a row; a shorter evaluation prompt counts as a whole turn.")
    overlap: float = Field(0.5, gt=0, le=1, description="Share of an evaluation prompt's n-grams that counts as it.")


class NearDuplicates(Section):
    """Prompts whose n-grams of words are nearly the same set, found by MinHash (threshold: Lee et al., 2022)."""

    threshold: float = Field(
        0.8, gt=0, le=0.95, description="Jaccard similarity of the sets from which they are alike."
    )
    ngram: Positive = Field(3, description="Words in a row; few, since prompts are short.")
    permutations: int = Field(128, ge=16, description="Length of a MinHash signature: more find more, and cost more.")


class Data(Section):
    max_tokens: Positive = Field(description="Pairs whose prompt and longer response together exceed it are dropped.")
    preferences: dict[Name, PreferenceSource] = Field(min_length=1)
    mixes: dict[Name, Mix]
    held_out: Fraction = Field(0.02, description="Share of a mix's prompts kept for reward-model accuracy.")
    decontamination: Decontamination | None = Field(
        Decontamination(), description="Against the prompts of every benchmark of the section 'evaluation'; null: none."
    )
    near_duplicates: NearDuplicates = NearDuplicates()
    instructions: dict[Name, Origin] = Field({}, description="SFT conversations, recognised by their columns.")
    prompts: dict[Name, PromptSource] = Field({}, description="Prompt sources, recognised by their columns.")
    prompts_per_iteration: Positive = 20_000
    validation_prompts: Positive = Field(1_000, description="Held-out prompts that choose the best iteration.")
    test_prompts: Positive = Field(1_000, description="Held-out prompts of the policy comparison.")


class Models(Section):
    base: Origin
    instruct: Origin | None = Field(None, description="A chat model of the same kind, for reward models to start from.")
    embedding: Origin | None = Field(None, description="Encoder for the prompt map (Figure 5); without it TF-IDF.")
    chat_template: str = Field(description="Jinja file installed with the base model's tokenizer.")


# --- training ---------------------------------------------------------------------------------------------------------


class Lora(Section):
    """Low-rank adapters (Hu et al., 2022): weights stay as they are, and a small addition to them is learned."""

    rank: int = Field(0, ge=0, description="Of the additions; 0: no adapters, every weight is trained.")
    alpha: float = Field(16.0, gt=0, description="The additions are scaled by alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Of what adapters read, while they are trained.")
    target_modules: list[str] = Field(
        [], description="Layers that get adapters, by the end of their names; none: all linear ones but the output's."
    )
    quantise: Literal["none", "nf4"] = Field(
        "none", description="nf4: the frozen weights take 4 bits in training (QLoRA, Dettmers et al., 2023)."
    )

    @model_validator(mode="after")
    def _has_a_rank(self) -> Self:
        if self.quantise != "none" and not self.rank:
            raise ValueError("quantise freezes the weights, so nothing would be trained; give a rank above 0")
        return self


class Optimisation(Section):
    """How a model is trained. Batches are GLOBAL: accumulation is derived from the number of processes."""

    learning_rate: Rate
    epochs: Positive = 1
    global_batch: Positive
    per_device_batch: Positive = 1
    warmup: Fraction = Field(0.03, description="Share of the steps.")
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    adam_beta2: float = Field(0.999, gt=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_tokens: Positive = Field(description="Longest sequence; with packing the block size.")
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    gradient_checkpointing: bool = True
    checkpoint_steps: Positive = Field(100, description="A checkpoint to resume from every so many steps.")
    sharding: Literal["none", "zero2", "zero3"] = Field(
        "none",
        description="What DeepSpeed ZeRO divides among GPUs: nothing (DDP), optimiser and gradients, or weights too.",
    )

    lora: Lora = Lora()

    @model_validator(mode="after")
    def _adapters_are_replicated(self) -> Self:
        if self.lora.rank and self.sharding != "none":
            raise ValueError(
                f"lora trains few weights, so there is little to divide: sharding must be none, not {self.sharding}"
            )
        return self

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.global_batch % self.per_device_batch:
            raise ValueError(
                f"global_batch {self.global_batch} is no multiple of per_device_batch {self.per_device_batch}"
            )
        return self


class RewardModel(Section):
    """A Bradley-Terry reward model (Section 2.1): trained on a mix, or taken as published."""

    mix: Name = Field(description="Trained on it, and tested on its held-out pairs; a published one is only tested.")
    initialise: Literal["sft", "base", "instruct"] = "sft"
    centring: float = Field(0.0, ge=0, description="Weight of (r_chosen + r_rejected)^2, which keeps rewards near 0.")
    margin: float = Field(0.0, ge=0, description="Times the annotators' score difference: by how much to be apart.")
    optimisation: Optimisation | None = None
    external: Origin | None = Field(None, description="A published reward model, in place of one trained here.")
    chat_template: str | None = Field(None, description="Jinja file for the published model; without it, its own.")
    allow_pickle: bool = Field(
        False, description="Its weights are published as pickles, which can run code: read them, but tensors alone."
    )

    @model_validator(mode="after")
    def _trained_or_external(self) -> Self:
        if (self.optimisation is None) == (self.external is None):
            raise ValueError("give 'optimisation' to train the model, or 'external' for a published one")
        if self.external and (self.initialise, self.centring, self.margin) != ("sft", 0, 0):
            raise ValueError("a published model takes no 'initialise', 'centring' or 'margin'")
        if self.chat_template and not self.external:
            raise ValueError("a model trained here has the chat template of the study, models.chat_template")
        if self.allow_pickle and not self.external:
            raise ValueError("a model trained here has no pickles; 'allow_pickle' is for published ones")
        return self


class PreferenceModel(Section):
    """A pairwise preference model: reads two responses together, and says which is better (Section 2.1)."""

    mix: Name
    initialise: Literal["sft", "base", "instruct"] = "sft"
    optimisation: Optimisation
    both_orders: bool = Field(True, description="Read two responses in both orders and average; else in a drawn one.")
    ranking: Literal["tournament", "round_robin"] = Field(
        "tournament",
        description="How it ranks n responses in a run: best and worst by knock-out, in some 3n/2 comparisons; or all "
        "by their mean probability to win, in n(n-1)/2.",
    )


SMOOTHED = ("sigmoid", "robust", "exo_pair", "aot", "aot_unpaired")
"""The DPO losses in which label smoothing means something."""


class DPO(Section):
    """Direct preference optimisation (Equation 5) and its relatives, by the names that TRL gives them."""

    beta: float = Field(0.1, gt=0, description="KL coefficient, eta in the paper; for ipo its tau.")
    loss: Literal[
        "sigmoid",  # DPO, Equation 5
        "hinge",
        "ipo",
        "robust",
        "exo_pair",
        "nca_pair",
        "bco_pair",
        "sppo_hard",
        "aot",
        "aot_unpaired",
        "apo_zero",
        "apo_down",
        "discopop",
        "sigmoid_norm",
    ] = "sigmoid"
    label_smoothing: float = Field(
        0.0, ge=0, lt=0.5, description="Share of preferences taken to be flipped; sigmoid becomes conservative DPO."
    )
    sft_weight: float = Field(
        0.0, ge=0, description="Weight of the chosen response's negative log-likelihood (Section 3.3, 'feel-good')."
    )
    optimisation: Optimisation

    @model_validator(mode="after")
    def _loss_makes_sense(self) -> Self:
        if self.label_smoothing and self.loss not in SMOOTHED:
            raise ValueError(
                f"label_smoothing has no effect on the loss '{self.loss}'; leave it at 0 or take {', '.join(SMOOTHED)}"
            )
        if self.loss == "exo_pair" and not self.label_smoothing:
            raise ValueError("the loss 'exo_pair' needs a label_smoothing above 0; its paper takes 0.001")
        if self.loss in ("aot", "aot_unpaired") and self.optimisation.per_device_batch < 2:
            raise ValueError(
                f"the loss '{self.loss}' sorts the pairs of a device's batch: per_device_batch must be above 1"
            )
        return self


# --- the loop ---------------------------------------------------------------------------------------------------------


class Actor(Section):
    """One voice of a sampler: so many responses of a policy at a temperature (Section 3.3, exploration policy)."""

    policy: Literal["current", "previous", "epoch1"] = Field(
        "current",
        description="The policy to improve, the one before it, or as it was after its first epoch of DPO. Before the "
        "first iteration all of them are the SFT model.",
    )
    temperature: float = Field(gt=0)
    n: Positive


class Generation(Section):
    engine: Literal["auto", "vllm", "transformers"] = "auto"
    max_new_tokens: Positive = 2048
    max_prompt_tokens: Positive = 1024
    shards: Positive = Field(1, description="Jobs a set of rollouts is split into; the result does not depend on it.")
    dtype: Literal["bfloat16", "float32"] = "bfloat16"


class Vllm(Section):
    """How vLLM uses GPUs, in every job that starts it; tensor parallel over the GPUs that its rule asks for."""

    gpu_memory_utilization: float = Field(
        0.9, gt=0, le=1, description="Share of a GPU's memory for weights and KV cache."
    )
    prefix_caching: bool = Field(True, description="What prompts have in common is computed once.")
    chunked_prefill: bool = Field(True, description="Long prompts are read in parts, beside decoding.")


class VllmJob(Vllm):
    """The same for one job; on a CPU only prefix caching is a choice."""

    tensor_parallel: Positive = Field(1, description="GPUs among which the model is divided.")


ONE_GPU = VllmJob()
"""How vLLM is started unless a rule says otherwise."""


class Limits(Section):
    """When a run stops: read on the validation prompts after each iteration; null: no limit."""

    kl: float | None = Field(None, gt=0, description="At most so many nats from the SFT policy.")
    length_growth: float | None = Field(None, gt=0, description="At most so many times the SFT policy's mean length.")
    repetition: Fraction | None = Field(None, description="At most this share of four-word sequences said before.")
    truncated: Fraction | None = Field(None, description="At most this share of answers cut off.")
    win_rate: Fraction | None = Field(None, description="At least, against the policy before.")
    agreement: Fraction | None = Field(None, description="At least: judge and reward model prefer the same answer.")


class Scoring(Section):
    """How reward and preference models read responses; what they say depends on the precision of `dtype` alone."""

    engine: Literal["auto", "vllm", "transformers"] = Field("auto", description="auto: vLLM on a GPU, if it imports.")
    dtype: Literal["auto", "bfloat16", "float32"] = Field("auto", description="auto: that of the model's weights.")
    token_budget: Positive = Field(16_384, description="Tokens that transformers computes at once.")


Strategy = Literal["best_worst", "best_random", "best_second", "random"]

ONLINE_ONLY = ("iterations", "length_penalty", "strategy", "minimum_margin", "initialise", "reference", "history")
"""Keys of a run that say nothing where nobody generates."""


class Run(Section):
    """One way to improve the SFT policy: online (a reward model ranks rollouts) or offline (a mix of pairs)."""

    reward: Name | None = Field(None, description="Online: the reward or preference model that ranks the responses.")
    sampler: Name | None = Field(None, description="Online: who generates.")
    iterations: Positive = 1
    length_penalty: float = Field(
        0.0, ge=0, description="Lambda of Equation 9, reward (or, of a round robin, probability to win) per character."
    )
    strategy: Strategy = Field(
        "best_worst", description="Online: which two of a prompt's responses are paired; the better one is chosen."
    )
    minimum_margin: float = Field(
        0.0, ge=0, description="Online: a pair whose penalised rewards differ by less is dropped and counted."
    )
    initialise: Literal["previous", "sft"] = Field("previous", description="Weights at the start of an iteration.")
    reference: Literal["sft", "previous"] = Field("sft", description="Whence KL is counted: pi_0, or the last policy.")
    history: Literal["latest", "all"] = Field(
        "latest", description="Online: the pairs of this iteration, or of all so far (Algorithm 2, line 3)."
    )
    offline: Name | None = Field(
        None,
        description="A mix of pairs: an offline run trains on it once; an online run adds it to the pairs of every "
        "iteration (D_off of Algorithm 2, hybrid learning).",
    )
    limits: Limits = Limits()
    dpo: DPO

    @property
    def online(self) -> bool:
        return self.sampler is not None

    @model_validator(mode="after")
    def _online_or_offline(self) -> Self:
        if (self.reward is None) != (self.sampler is None) or not (self.online or self.offline):
            raise ValueError("an online run needs 'reward' and 'sampler'; an offline run needs 'offline'")
        if not self.online:
            for key in ONLINE_ONLY:
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"an offline run trains once, on pairs that are there; leave out '{key}'")
        return self


# --- evaluation -------------------------------------------------------------------------------------------------------


class Endpoint(Section):
    """A model behind an OpenAI-compatible endpoint: a provider's, or a server of your own (vLLM, say)."""

    base_url: str = Field(description="Up to and with /v1.")
    model: str = Field(description="As the endpoint names it.")
    key_variable: str | None = Field(None, description="Environment variable that holds the key; the key itself never.")
    concurrency: Positive = Field(32, description="Requests at once.")
    requests_per_minute: Positive | None = Field(None, description="Of one job; no limit if absent.")
    timeout: float = Field(300, gt=0, description="Seconds that an answer may take.")
    attempts: Positive = Field(8, description="Of each request, with growing waits between them.")
    input_price: float = Field(0, ge=0, description="Dollars for a million prompt tokens; 0: asking costs nothing.")
    output_price: float = Field(0, ge=0, description="Dollars for a million tokens of answers.")
    budget: float | None = Field(None, gt=0, description="Dollars that one job may be estimated to cost.")

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        if "@" in self.base_url or "?" in self.base_url:
            raise ValueError("base_url holds credentials or a query; a key belongs into the environment: key_variable")
        return self

    def dollars(self, prompt_tokens: float, completion_tokens: float) -> float:
        """What so many tokens cost."""
        return (prompt_tokens * self.input_price + completion_tokens * self.output_price) / 1e6


class PromptedJudge(Section):
    """A chat model that is asked which of two responses is better, without training for it (Table 1, "Prompting")."""

    policy: Literal["sft", "base", "instruct"] | None = Field(
        None, description="A model of this study, asked in process."
    )
    endpoint: Endpoint | None = Field(None, description="A model behind an endpoint.")
    both_orders: bool = Field(True, description="Ask in both orders and average; else in a drawn one.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.policy is None) == (self.endpoint is None):
            raise ValueError("give exactly one of 'policy' and 'endpoint'")
        return self


class AcademicTask(Section):
    """One academic benchmark, run by lm-evaluation-harness: a column of Table 3, a row of Table 6."""

    data: Origin = Field(description="The rows to score, as published.")
    examples: Origin | None = Field(None, description="The rows that few-shot examples are drawn from.")
    shots: int = Field(ge=0, description="Few-shot examples in a prompt.")
    metric: str = Field(description="As the harness names it; after a comma the filter, where the task has several.")
    chat_template: bool = Field(False, description="Prompts go through the chat template, examples as turns.")
    prompt: str = Field("default", description="Jinja template of the question over a row; default: the definition's.")
    max_new_tokens: int = Field(0, ge=0, description="Longest generated answer; 0: as the definition says.")

    @model_validator(mode="after")
    def _has_examples(self) -> Self:
        if self.shots and self.examples is None:
            raise ValueError(f"{self.shots} shots need 'examples', the rows that they are drawn from")
        return self


class Academic(Section):
    """The academic benchmarks (Section 4.2, Table 3): SFT, offline policies, and the best policy of each online run."""

    tasks: dict[Literal["gsm8k", "mmlu", "humaneval", "truthfulqa", "arc", "mbpp"], AcademicTask] = Field(min_length=1)
    engine: Literal["auto", "vllm", "transformers"] = Field("auto", description="auto: vLLM with a GPU, if it imports.")
    every_iteration: bool = Field(False, description="Also evaluate every iteration of the online runs.")
    execute_generated_code: bool = Field(
        False, description="Run the programs that policies write (HumanEval, MBPP), in a sandbox; else: not run."
    )


class Judge(Section):
    """Who judges answers: exactly one of an endpoint, a model in process, a preference model, the gold reward."""

    endpoint: Endpoint | None = None
    vllm: Origin | None = Field(None, description="A chat model that vLLM runs in the judging job itself.")
    preference: Name | None = Field(None, description="A pairwise preference model of the study; it can't rate.")
    gold: bool = Field(False, description="The gold reward of the demo's world.")
    verdict: Literal["text", "logprobs", "function"] = Field(
        "text",
        description="AlpacaEval: take the letter that is written, its probability (weighted_alpaca_eval_gpt4_turbo), "
        "or the ranking that a function is called with (alpaca_eval_gpt4_turbo_fn).",
    )
    prompt: str | None = Field(None, description="A local copy of the benchmark's official judge prompt file.")

    @property
    def kind(self) -> Literal["endpoint", "vllm", "preference", "gold"]:
        if self.endpoint:
            return "endpoint"
        return "vllm" if self.vllm else "preference" if self.preference else "gold"

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if [self.endpoint, self.vllm, self.preference, self.gold or None].count(None) != 3:
            raise ValueError("give exactly one of 'endpoint', 'vllm', 'preference' and 'gold: true'")
        if self.verdict == "function" and not self.endpoint:
            raise ValueError("verdict: only an endpoint can be made to call a function; use text or logprobs")
        return self


class Benchmark(Section):
    """A chat benchmark: its questions, and the judges that score it; the first judge's score is that of Table 2."""

    questions: Origin
    judges: list[Name] = Field(min_length=1)


class AlpacaEval(Benchmark):
    """AlpacaEval 2; without both calibrations there is no length-controlled win rate, and the tables say so."""

    difficulty: Origin | None = Field(None, description="instruction_difficulty.csv of tatsu-lab/alpaca_eval.")
    gamed: Origin | None = Field(None, description="df_gamed.csv of tatsu-lab/alpaca_eval.")


class MTBench(Benchmark):
    references: Origin | None = Field(None, description="Reference answers, where they are a file of their own.")


class ArenaHard(Benchmark):
    baseline: Origin = Field(description="The answers of the baseline, gpt-4-0314.")


class Chat(Section):
    """The chat benchmarks of Table 2 (Section 4.1)."""

    engine: Literal["auto", "vllm", "transformers"] = Field("auto", description="What answers the questions.")
    max_prompt_tokens: Positive = Field(6144, description="Of a question with all earlier turns.")
    max_new_tokens: Positive = 2048
    alpaca_eval: AlpacaEval | None = None
    mt_bench: MTBench | None = None
    arena_hard: ArenaHard | None = None

    @property
    def benchmarks(self) -> dict[str, Benchmark]:
        """Those that the study runs, by name."""
        named = {"alpaca_eval": self.alpaca_eval, "mt_bench": self.mt_bench, "arena_hard": self.arena_hard}
        return {name: benchmark for name, benchmark in named.items() if benchmark}


class Evaluation(Section):
    reward: Name = Field(description="The reward model whose reward is reported and, without a gold reward, judges.")
    judge: Literal["gold", "reward"] = Field("reward", description="Whose scores decide wins; gold: the demo's world.")
    temperature: float = Field(1.0, gt=0)
    reward_bench: Origin
    length_bias_prompts: Positive = Field(2_000, description="Prompts of Figure 3 (the paper: 2K).")
    length_bias_responses: int = Field(16, gt=1, description="Responses per prompt (caption: 16; text: 8).")
    academic: Academic | None = Field(None, description="Academic benchmarks; absent: none.")
    judges: dict[Name, Judge] = {}
    chat: Chat = Chat()
    baselines: dict[Name, Origin] = Field({}, description="Other models for a row in Table 2: hub ids or folders.")


class Resources(Section):
    """What one job of a rule may take; the SLURM profile turns it into sbatch options."""

    gpus: int = Field(0, ge=0, description="Of each node.")
    nodes: Positive = Field(1, description="Training alone can use more than one.")
    threads: Positive = 1
    memory_gb: Positive = 4
    memory_limit_gb: Positive | None = Field(
        None, description="A job that failed asks for memory_gb more, up to this: what a node has."
    )
    hours: float = Field(1, gt=0)


class World(Section):
    """Sizes and noise of the miniature world (scripts/world); absent where real data is used."""

    pretraining_documents: Positive
    instructions: Positive
    prompts: Positive
    pairs: dict[Name, Positive] = Field(description="Pairs that each preference source shall hold.")
    reward_bench: Positive = Field(description="Pairs of each of the four RewardBench categories.")
    academic: Positive = Field(60, description="Rows of each academic benchmark; of those in code some third.")
    chat_questions: dict[Literal["alpaca_eval", "mt_bench", "arena_hard"], Positive] = Field(
        description="Questions of each chat benchmark."
    )
    length_bias: dict[Literal["fact", "list", "math", "safe"], float] = Field(
        description="What 100 characters are worth to an annotator, in units of gold reward."
    )
    label_noise: Fraction
    hidden: Positive = 96
    layers: Positive = 3
    optimisation: Optimisation = Field(description="Of the base model on the world's clean documents.")

    @model_validator(mode="after")
    def _trains_every_weight(self) -> Self:
        if self.optimisation.lora.rank:
            raise ValueError("world.optimisation: the base model begins with random weights, which lora would keep")
        return self


class Theory(Section):
    """Algorithm 1 in the linear case (Section 3.2), a study of its own: config/theory.yaml."""

    seed: int = Field(1, ge=0)
    seeds: int = Field(200, gt=1, description="Worlds, each with features, reward and preferences of its own.")
    prompts: Positive = 8
    responses: int = Field(16, gt=1, description="Responses that there are to each prompt.")
    dimension: Positive = Field(8, description="d, of the features.")
    spread: float = Field(
        0.5, ge=0, description="Responses are of d kinds; how far their features lie from their kind's unit vector."
    )
    reward_norm: float = Field(2.0, gt=0, description="B, the norm of theta*; features have norm 1.")
    eta: float = Field(0.2, gt=0, description="KL coefficient of Equation 2.")
    ridge: float = Field(1.0, gt=0, description="Lambda: of the likelihood's ridge and of Sigma_t.")
    confidence: float = Field(1.0, gt=0, description="The information gain's beta is this times sqrt(d / m).")
    n: int = Field(8, gt=1, description="Responses of which the best and the worst are paired.")
    iterations: Positive = Field(16, description="T.")
    batches: list[Positive] = Field([16, 64, 256, 1024], min_length=2, description="Batch sizes m.")
    coverages: dict[Name, Annotated[float, Field(ge=0)]] = Field(
        min_length=1, description="By name, how much pi_0 prefers one direction of the features."
    )


class Study(Section):
    study: Name
    seed: int = Field(1, ge=0)
    world: World | None = None
    models: Models
    data: Data
    sft: Optimisation | None = None
    reward_models: dict[Name, RewardModel] = {}
    preference_models: dict[Name, PreferenceModel] = {}
    prompted_judges: dict[Name, PromptedJudge] = {}
    samplers: dict[Name, list[Actor]] = {}
    generation: Generation = Generation()
    scoring: Scoring = Scoring()
    vllm: Vllm = Vllm()
    runs: dict[Name, Run] = {}
    evaluation: Evaluation | None = None
    resources: dict[str, Resources] = {}
    gpu_memory_gb: float = Field(80, gt=0, description="Of one GPU, in 10^9 bytes; `make plan` says what will not fit.")

    @model_validator(mode="before")
    @classmethod
    def _shared_dpo(cls, values: Any) -> Any:
        """The top-level section `dpo` holds what all runs share; a run's own `dpo` changes single keys of it."""
        if not isinstance(values, dict) or "dpo" not in values:
            return values
        values = dict(values)
        shared = values.pop("dpo")
        runs = {}
        for name, run in (values.get("runs") or {}).items():
            runs[name] = {**run, "dpo": merge(shared, run.get("dpo", {}))} if isinstance(run, dict) else run
        return {**values, "runs": runs}

    @model_validator(mode="after")
    def _references(self) -> Self:
        """Names must be defined where they point to, and be neither reserved nor ambiguous."""

        def known(where: str, name: str | None, section: str, names: Any) -> None:
            if name is not None and name not in names:
                defined = ", ".join(names) or "nothing"
                raise ValueError(f"{where}: '{name}' is not in {section}; defined there: {defined}")

        for name, mix in self.data.mixes.items():
            for source in mix.sources:
                known(f"data.mixes.{name}.sources", source, "data.preferences", self.data.preferences)
            for key in ("caps", "weights"):
                for source in getattr(mix, key):
                    known(f"data.mixes.{name}.{key}", source, f"data.mixes.{name}.sources", mix.sources)
        for name, model in self.reward_models.items():
            known(f"reward_models.{name}.mix", model.mix, "data.mixes", self.data.mixes)
            if name == "gold":
                raise ValueError("reward_models: 'gold' is the name of the world's own reward; choose another")
        for name, judge in self.preference_models.items():
            known(f"preference_models.{name}.mix", judge.mix, "data.mixes", self.data.mixes)
        judges = [*self.reward_models, *self.preference_models, *self.prompted_judges]
        if repeated := sorted({name for name in judges if judges.count(name) > 1}):
            raise ValueError(
                f"'{repeated[0]}' is named more than once in reward_models, preference_models and prompted_judges; "
                "files are named after them, so each needs a name of its own"
            )
        for name, run in self.runs.items():
            rankers = {**self.reward_models, **self.preference_models}
            known(f"runs.{name}.reward", run.reward, "reward_models and preference_models", rankers)
            known(f"runs.{name}.sampler", run.sampler, "samplers", self.samplers)
            known(f"runs.{name}.offline", run.offline, "data.mixes", self.data.mixes)
            if run.sampler and sum(actor.n for actor in self.samplers[run.sampler]) < 2:
                raise ValueError(f"samplers.{run.sampler}: a pair needs at least 2 responses a prompt")
            policies = {actor.policy for actor in self.samplers[run.sampler]} if run.sampler else set()
            if "epoch1" in policies and run.dpo.optimisation.epochs < 2:
                raise ValueError(
                    f"runs.{name}: the sampler '{run.sampler}' asks for the policy after its first epoch, but "
                    "dpo.optimisation.epochs is 1: that is the policy itself; train for 2 epochs or take 'current'"
                )
        if self.evaluation:
            known("evaluation.reward", self.evaluation.reward, "reward_models", self.reward_models)
            if self.evaluation.judge == "gold" and self.world is None:
                raise ValueError("evaluation.judge: 'gold' needs the section 'world'; use 'reward'")
            self._check_judges(self.evaluation, known)
            self._limits_are_measured(self.evaluation)
        if self.runs and not self.sft:
            raise ValueError("runs: a run starts from the SFT model, so the section 'sft' is needed")
        for section in ("reward_models", "preference_models"):
            trained = [model for model in getattr(self, section).values() if model.optimisation]
            if any(model.initialise == "sft" for model in trained) and not self.sft:
                raise ValueError(f"{section}: 'initialise: sft' needs the section 'sft'; or say 'initialise: base'")
        if not self.models.instruct:
            trained = {**self.reward_models, **self.preference_models}
            if wanting := [name for name, model in trained.items() if model.initialise == "instruct"]:
                raise ValueError(f"{wanting[0]}: 'initialise: instruct' needs models.instruct")
            if any(judge.policy == "instruct" for judge in self.prompted_judges.values()):
                raise ValueError("prompted_judges: 'policy: instruct' needs models.instruct")
        if any(judge.policy == "sft" for judge in self.prompted_judges.values()) and not self.sft:
            raise ValueError("prompted_judges: 'policy: sft' needs the section 'sft'; or say 'policy: base'")
        return self

    @model_validator(mode="after")
    def _preference_models_rank(self) -> Self:
        """What a run asks of a preference model must lie within what comparing responses can tell."""
        for name, run in self.runs.items():
            model = self.preference_models.get(run.reward or "")
            if model is None or run.sampler is None:
                continue
            if any(actor.policy != "current" for actor in self.samplers[run.sampler]):
                raise ValueError(
                    f"runs.{name}.reward: '{run.reward}' compares the responses of one policy with each other, so its "
                    f"scores of different policies have no common scale; the sampler '{run.sampler}' has several. Take "
                    "a reward model, or a sampler of the current policy"
                )
            if model.ranking == "tournament" and (run.length_penalty or run.strategy != "best_worst"):
                key = "length_penalty" if run.length_penalty else "strategy"
                raise ValueError(
                    f"runs.{name}.{key}: the tournament of '{run.reward}' finds the best and the worst response and "
                    f"says nothing of the others; set preference_models.{run.reward}.ranking to round_robin, or leave "
                    f"out '{key}'"
                )
        return self

    def _check_judges(self, evaluation: Evaluation, known: Any) -> None:
        """Benchmarks name judges that exist, and that can do what the benchmark asks."""
        for name, judge in evaluation.judges.items():
            known(f"evaluation.judges.{name}.preference", judge.preference, "preference_models", self.preference_models)
            if judge.gold and self.world is None:
                raise ValueError(f"evaluation.judges.{name}: 'gold' needs the section 'world'")
        for benchmark, section in evaluation.chat.benchmarks.items():
            for name in section.judges:
                where = f"evaluation.chat.{benchmark}.judges"
                known(where, name, "evaluation.judges", evaluation.judges)
                if benchmark == "mt_bench" and evaluation.judges[name].preference:
                    raise ValueError(f"{where}: '{name}' is a preference model, which compares and gives no ratings")
        for name in evaluation.baselines:
            if name == "sft" or name in self.runs:
                raise ValueError(f"evaluation.baselines.{name}: the study's own policies have this name")

    def _limits_are_measured(self, evaluation: Evaluation) -> None:
        """A reward model that is its own judge always agrees with itself: such a limit could not be crossed."""
        for name, run in self.runs.items():
            if run.limits.agreement is not None and evaluation.judge == "reward":
                raise ValueError(
                    f"runs.{name}.limits.agreement: evaluation.judge is 'reward', and the reward model can't disagree "
                    "with itself; leave the limit out, or judge by 'gold' in a study with a 'world'"
                )


def merge(shared: Any, changes: Any) -> Any:
    """`changes` laid over `shared`, key by key through nested mappings."""
    if not (isinstance(shared, dict) and isinstance(changes, dict)):
        return changes
    return {**shared, **{key: merge(shared.get(key), value) for key, value in changes.items()}}


S = TypeVar("S", bound=Section)


def load(values: dict[str, Any]) -> Study:
    """Validate merged YAML, with the catalogue's entries laid under the sources that it names.

    Raises:
        StudyError: names every offending key with its path, its value and what is allowed.
    """
    return validated(Study, complete(without(values)))


LEFT_OUT = (("reward_models",), ("preference_models",), ("prompted_judges",), ("runs",), ("evaluation", "baselines"))
"""Where an entry that a file beneath names can be left out by `false`; sources of data: see `catalogue`."""


def without(values: dict[str, Any]) -> dict[str, Any]:
    """The values with the entries gone that say `false`."""
    for path in LEFT_OUT:
        inner: Any = values
        for key in path:
            inner = inner.get(key) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            change: Any = {name: entry for name, entry in inner.items() if entry is not False}
            values = _replaced(values, path, change)
    return values


def _replaced(values: dict[str, Any], path: tuple[str, ...], new: Any) -> dict[str, Any]:
    key, *rest = path
    return {**values, key: _replaced(values[key], tuple(rest), new) if rest else new}


def validated(section: type[S], values: Any) -> S:
    """A section from what a YAML file says; errors as `load`."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        lines = [_explain(problem, section) for problem in error.errors()]
        raise StudyError("the configuration can't be used:\n" + "\n".join(f"  {line}" for line in lines)) from None


def unpinned(study: Study) -> list[str]:
    """The data sets and models of a study that the hub may change before they are retrieved, a line each."""
    origins = {f"{section}.{key}.{n}": o for section, key in MANY.values() for n, o in _of(study, section, key).items()}
    origins |= {f"{section}.{key}": _of(study, section, key) for section, key in SINGLE}
    if study.evaluation and study.evaluation.academic:
        for name, task in study.evaluation.academic.tasks.items():
            where = f"evaluation.academic.tasks.{name}"
            origins |= {f"{where}.data": task.data, f"{where}.examples": task.examples}
    if study.evaluation:
        origins |= {f"evaluation.baselines.{name}": model for name, model in study.evaluation.baselines.items()}
        for name, benchmark in study.evaluation.chat.benchmarks.items():
            origins |= {
                f"evaluation.chat.{name}.{key}": getattr(benchmark, key) for key in type(benchmark).model_fields
            }
    origins |= {f"reward_models.{name}.external": model.external for name, model in study.reward_models.items()}
    return [
        f"{where} ({origin.hub} at {origin.revision or 'main'})"
        for where, origin in origins.items()
        if isinstance(origin, Origin) and origin.hub and not pinned(origin.revision)
    ]


def _of(study: Study, section: str, key: str) -> Any:
    return getattr(getattr(study, section), key, None)


def _explain(problem: Any, root: type[Section]) -> str:
    path = ".".join(str(part) for part in problem["loc"] if part != "[key]") or "(whole file)"
    if problem["type"] == "extra_forbidden":
        return f"{path}: unknown key; allowed here: {', '.join(_allowed(root, problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{path}: is required and missing"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict):
        return f"{path}: {message}"
    return f"{path}: {message}; got {problem['input']!r}"


def _allowed(root: type[Section], location: tuple[Any, ...]) -> list[str]:
    """The keys of the section at a location, found by walking the classes along it."""
    annotation: Any = root
    for part in location:
        annotation = _inner(annotation, part)
    section = next((c for c in _classes(annotation) if issubclass(c, BaseModel)), None)
    return sorted(section.model_fields) if section else []


def _inner(annotation: Any, part: Any) -> Any:
    for section in _classes(annotation):
        if issubclass(section, BaseModel) and part in section.model_fields:
            return section.model_fields[part].annotation
    return annotation  # a key of a dict or an index of a list: stay with its value type


def _classes(annotation: Any) -> list[type]:
    if isinstance(annotation, type):
        return [annotation]
    return [c for inner in getattr(annotation, "__args__", ()) for c in _classes(inner)]


def schema() -> str:
    """The JSON schema of a study's YAML files: `dpo` at the top included, and what the catalogue gives left out."""
    described = Study.model_json_schema()
    shared = {"$ref": "#/$defs/DPO", "description": "Shared by all runs; a run may change single keys."}
    described["properties"]["dpo"] = shared
    described["$defs"]["Run"]["required"].remove("dpo")
    described["$defs"]["PreferenceSource"].pop("required")
    for _, collection in MANY.values():
        named = described["$defs"]["Data"]["properties"][collection]
        for pattern, entry in named["patternProperties"].items():
            named["patternProperties"][pattern] = {"anyOf": [entry, {"const": False}]}
    return json.dumps(described, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    print(schema(), end="")
