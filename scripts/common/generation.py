"""Responses of a policy to prompts, by one of two engines behind one interface: vLLM, or transformers alone.

Response k to a request is drawn with the seed `request.seed + k`, and nothing else decides its text: neither the number
of shards, nor the order of requests, nor what else is in the batch (promise 1). The two engines draw different random
numbers, so they do not agree with each other: what a command reports names the engine and its version. On a GPU the
kernels may add up in another order when the batch changes, which flips a token once in a while; vLLM has a mode for
those who must exclude it (the environment variable VLLM_BATCH_INVARIANT=1, on the hardware that supports it).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scripts.common.batches import MINIMUM_ROWS, Batch, batches
from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.engines import EngineName, import_vllm, vllm_options
from scripts.common.errors import StudyError
from scripts.common.gumbel import sample
from scripts.common.models import Dtype, check_model_folder, for_inference, load_policy

if TYPE_CHECKING:
    from torch import Tensor

RESPONSES_AT_ONCE = 2048
"""Responses handed to an engine together: enough to fill it, few enough to hold them in memory and to see progress."""

TOKEN_BUDGET = 32_768
"""Padded tokens of one batch of the transformers engine, those to be generated included."""


@dataclass(frozen=True)
class Request:
    """`n` responses to one prompt."""

    prompt_ids: Sequence[int]
    temperature: float
    n: int
    seed: int


@dataclass(frozen=True)
class Response:
    """One response: its token ids, the end token included where it came."""

    token_ids: list[int]
    finished: bool


@dataclass(frozen=True)
class Settings:
    """What an engine is started with.

    `stop_ids` are the tokens that end a response; `max_prompt_tokens` is what the caller promises no prompt exceeds.
    """

    model: Path
    dtype: Dtype
    max_prompt_tokens: int
    max_new_tokens: int
    stop_ids: Sequence[int]
    vllm: VllmJob = ONE_GPU

    @property
    def max_tokens(self) -> int:
        return self.max_prompt_tokens + self.max_new_tokens


class Engine(Protocol):
    name: str
    version: str

    def generate(self, requests: Sequence[Request]) -> list[list[Response]]:
        """The n responses to each request, in order."""
        ...


def open_engine(choice: EngineName, settings: Settings) -> Engine:
    """Start an engine; `auto` takes vLLM where it imports, and says so in one line where it does not.

    Raises:
        StudyError: the model folder is incomplete, the model can't take so many tokens, or vLLM was asked for and does
            not import.
    """
    check_model_folder(settings.model)
    longest = json.loads((settings.model / "config.json").read_text()).get("max_position_embeddings")
    if longest is not None and longest < settings.max_tokens:
        raise StudyError(
            f"{settings.model}/config.json: the model takes {longest} tokens (max_position_embeddings); asked for are "
            f"{settings.max_prompt_tokens} of the prompt and {settings.max_new_tokens} of the response."
        )
    if choice == "transformers" or not import_vllm(required=choice == "vllm"):
        return TransformersEngine(settings)
    return VllmEngine(settings)


def generate(engine: Engine, requests: Sequence[Request]) -> Iterator[tuple[Request, list[Response]]]:
    """Each request with its responses, in the order given; at most `RESPONSES_AT_ONCE` (or one request's) in memory."""
    for start, end in chunks([request.n for request in requests]):
        yield from zip(requests[start:end], engine.generate(requests[start:end]), strict=True)


def chunks(counts: Sequence[int], at_once: int = RESPONSES_AT_ONCE) -> Iterator[tuple[int, int]]:
    """Where to cut requests for so many responses each: (start, end) of chunks of at most `at_once`, or of one request.

    >>> list(chunks([4, 4, 4, 9, 1], at_once=8))
    [(0, 2), (2, 3), (3, 4), (4, 5)]
    """
    start, responses = 0, 0
    for position, n in enumerate(counts):
        if responses and responses + n > at_once:
            yield start, position
            start, responses = position, 0
        responses += n
    if counts:
        yield start, len(counts)


# --- vLLM -------------------------------------------------------------------------------------------------------------


class VllmEngine:
    """vLLM, in this process: one engine a job, one job a shard."""

    name = "vllm"

    def __init__(self, settings: Settings) -> None:
        import vllm

        self.version = vllm.__version__
        self._settings = settings
        self._llm = vllm.LLM(
            model=str(settings.model),
            dtype=settings.dtype,
            max_model_len=settings.max_tokens,
            seed=0,  # of what no request decides; every request brings its own
            **vllm_options(settings.vllm, settings.max_tokens),
        )

    def generate(self, requests: Sequence[Request]) -> list[list[Response]]:
        from vllm import SamplingParams

        prompts = [{"prompt_token_ids": list(request.prompt_ids)} for request in requests]
        sampling = [
            SamplingParams(
                n=request.n,  # vLLM draws sample k with seed + k
                seed=request.seed,
                temperature=request.temperature,
                max_tokens=self._settings.max_new_tokens,
                stop_token_ids=list(self._settings.stop_ids),
                detokenize=False,
            )
            for request in requests
        ]
        outputs = self._llm.generate(prompts, sampling, use_tqdm=False)
        return [
            [
                Response(list(one.token_ids), one.finish_reason == "stop")
                for one in sorted(output.outputs, key=lambda o: o.index)
            ]
            for output in outputs
        ]


# --- transformers -----------------------------------------------------------------------------------------------------


class TransformersEngine:
    """A plain decoding loop: prompts of equal width together, a key-value cache, rows dropped when they have ended."""

    name = "transformers"

    def __init__(self, settings: Settings) -> None:
        import transformers

        self.version = transformers.__version__
        self._settings = settings
        self._model = for_inference(load_policy(settings.model, settings.dtype))

    def generate(self, requests: Sequence[Request]) -> list[list[Response]]:
        samples = [(position, k) for position, request in enumerate(requests) for k in range(request.n)]
        found: list[list[Response]] = [[] for _ in requests]
        responses: list[Response | None] = [None] * len(samples)
        lengths = [len(requests[position].prompt_ids) for position, _ in samples]
        for batch in batches(lengths, TOKEN_BUDGET, extra=self._settings.max_new_tokens):
            drawn = self._decode(batch, [(requests[position], k) for position, k in (samples[i] for i in batch.filled)])
            for index, response in zip(batch.indices, drawn, strict=False):
                responses[index] = response
        for (position, _), response in zip(samples, responses, strict=True):
            assert response is not None
            found[position].append(response)
        return found

    def _decode(self, batch: Batch, rows: list[tuple[Request, int]]) -> list[Response]:
        """One response for each row (request, k), all prompts padded on the left to the batch's width."""
        import torch
        from transformers import DynamicCache

        device, width, stop_ids = self._model.device, batch.width, set(self._settings.stop_ids)
        ids = torch.tensor([[0] * (width - len(r.prompt_ids)) + list(r.prompt_ids) for r, _ in rows], device=device)
        lengths = torch.tensor([[len(r.prompt_ids)] for r, _ in rows], device=device)
        mask = (torch.arange(width, device=device) >= width - lengths).long()
        temperatures = torch.tensor([r.temperature for r, _ in rows], device=device)
        seeds = torch.tensor([r.seed + k for r, k in rows], device=device)
        cache = DynamicCache(config=self._model.config)
        drawn: list[list[int]] = [[] for _ in rows]
        active = list(range(len(rows)))  # the row that each line of the tensors belongs to
        ended: set[int] = set()
        with torch.inference_mode():
            for step in range(self._settings.max_new_tokens):
                positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
                output = self._model(
                    input_ids=ids,
                    attention_mask=mask,
                    position_ids=positions,
                    past_key_values=cache,
                    use_cache=True,
                    logits_to_keep=1,
                )
                tokens = sample(output.logits[:, -1], temperatures, seeds, step)
                for row, token in zip(active, tokens.tolist(), strict=True):
                    if row not in ended:
                        drawn[row].append(token)
                        if token in stop_ids:
                            ended.add(row)
                if len(ended) == len(rows):
                    break
                ids, mask = tokens.unsqueeze(-1), torch.cat([mask, mask.new_ones(len(active), 1)], dim=-1)
                keep = _worth_keeping(active, ended)
                if len(keep) < len(active):
                    lines = torch.tensor(keep, device=device)
                    cache.batch_select_indices(lines)
                    ids, mask, temperatures, seeds = (_rows(t, lines) for t in (ids, mask, temperatures, seeds))
                    active = [active[line] for line in keep]
        return [Response(tokens, row in ended) for row, tokens in enumerate(drawn)]


def _worth_keeping(active: list[int], ended: set[int]) -> list[int]:
    """The lines to go on with: all, until a quarter have ended; never fewer than the minimum number of rows.

    Dropping lines copies the cache, so it is not done for each that ends.
    """
    alive = [line for line, row in enumerate(active) if row not in ended]
    if len(alive) > 0.75 * len(active):
        return list(range(len(active)))
    idle = [line for line, row in enumerate(active) if row in ended]
    return sorted(alive + idle[: max(0, MINIMUM_ROWS - len(alive))])


def _rows(tensor: "Tensor", lines: "Tensor") -> "Tensor":
    return tensor.index_select(0, lines)
