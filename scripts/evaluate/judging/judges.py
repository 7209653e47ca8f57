"""Judges behind one interface: those that are asked in words, and those that give a number at once.

An endpoint and a chat model in this process (vLLM) take chat requests; what they say is read by each benchmark's
parser, and kept by content, so that a rerun asks nothing twice. A preference model and the demo's gold reward know no
words: they give P(one answer is better), and the gold reward a rating.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.common.config import ONE_GPU, VllmJob
from scripts.common.endpoint import Asked, ChatRequest
from scripts.common.engines import has_cuda, import_vllm, vllm_options
from scripts.common.errors import StudyError
from scripts.common.preferences import Comparison
from scripts.common.reply_cache import Reply, ReplyCache, digest
from scripts.evaluate.judging.cases import Case

if TYPE_CHECKING:
    from vllm import LLM, RequestOutput

Ask = Callable[[Sequence[ChatRequest]], Asked]
"""The replies of a judge that is asked in words, in order."""

CHUNK = 256
"""Requests that vLLM is given at once: as many replies at most are lost with the job."""
LOWEST, BEST = -1.0, 4.0
"""Gold rewards that get the ratings 1 and 10: a wrong core with a wrong detail or two, and right core and detail."""


@dataclass(frozen=True)
class Numbers:
    """A judge that gives numbers."""

    better: Callable[[Sequence[Comparison]], list[float]]
    """P(first better) of each comparison."""
    rate: Callable[[Sequence[tuple[str, str]]], list[float]] | None = None
    """A rating 1 .. 10 of each (question, answer); None: it can only compare."""


# --- asked in words ---------------------------------------------------------------------------------------------------


def ask_in_process(model: Path, cache: Path, vllm: VllmJob = ONE_GPU) -> Ask:
    """A chat model in this process, by vLLM; it is started when the cache can't answer."""

    def ask(requests: Sequence[ChatRequest]) -> Asked:
        if any(request.function for request in requests):
            raise StudyError("verdict: only an endpoint can be made to call a function; use text or logprobs.")
        bodies = [request.body(model.name) for request in requests]
        keys = [digest(body) for body in bodies]
        with ReplyCache(cache) as known:
            new = {key: i for i, key in enumerate(keys) if known.get(key) is None}
            refused: dict[str, Reply] = {}
            replies = _chat(model, [requests[i] for i in new.values()], vllm) if new else ()
            for (key, i), reply in zip(new.items(), replies, strict=True):
                if reply.refused:
                    refused[key] = reply
                else:
                    known.put(key, model.name, bodies[i], reply)
            found = [known.get(key) or refused[key] for key in keys]
        counts = {"requests": len(keys), "asked": len(new), "refused": len(refused)}
        return Asked(found, {"model": model.name, **counts})

    return ask


def _chat(model: Path, requests: Sequence[ChatRequest], job: VllmJob) -> Iterator[Reply]:
    """Replies in order, chunk by chunk: what was yielded can be kept before more is asked."""
    import_vllm(required=True)
    from vllm import LLM

    longest = json.loads((model / "config.json").read_text())["max_position_embeddings"]
    options = vllm_options(job, longest) | ({} if has_cuda() else {"dtype": "float32"})
    llm = LLM(model=str(model), seed=0, **options)
    for start in range(0, len(requests), CHUNK):
        yield from _chat_chunk(llm, requests[start : start + CHUNK], longest)


def _chat_chunk(llm: "LLM", requests: Sequence[ChatRequest], longest: int) -> list[Reply]:
    """A prompt that leaves no room for an answer is refused, as an endpoint does: vLLM would end at it."""
    from vllm import SamplingParams

    tokenizer = llm.get_tokenizer()
    replies: list[Reply | None] = []
    for request in requests:
        ids = tokenizer.apply_chat_template(list(request.messages), add_generation_prompt=True, return_dict=False)
        why = f"the prompt has {len(ids)} tokens, and prompt and answer may have {longest}"
        replies.append(Reply("", refused=why) if len(ids) >= longest else None)
    taken = [request for request, reply in zip(requests, replies, strict=True) if reply is None]
    sampling = [
        SamplingParams(
            max_tokens=request.max_tokens, temperature=request.temperature, logprobs=request.top_logprobs or None
        )
        for request in taken
    ]
    outputs = iter(llm.chat([list(request.messages) for request in taken], sampling) if taken else ())
    return [reply or _reply(next(outputs)) for reply in replies]


def _reply(output: "RequestOutput") -> Reply:
    one = output.outputs[0]
    first = one.logprobs[0] if one.logprobs else None
    return Reply(
        one.text,
        logprobs={found.decoded_token: found.logprob for found in first.values()} if first else None,
        finish_reason=one.finish_reason,
        prompt_tokens=len(output.prompt_token_ids),
        completion_tokens=len(one.token_ids),
    )


# --- numbers at once --------------------------------------------------------------------------------------------------


def preference_model(folder: Path) -> Numbers:
    """A pairwise preference model (Section 2.1), both orders averaged."""

    def better(comparisons: Sequence[Comparison]) -> list[float]:
        from scripts.common.preferences import LocalJudge, probabilities

        return probabilities(LocalJudge(folder).log_odds(comparisons)).tolist()

    return Numbers(better)


def compare(cases: Sequence[Case], judge: Numbers) -> list[float]:
    """P(the policy's answer is better than the baseline's) of each case."""
    return judge.better(
        [
            Comparison([{"role": "user", "content": case.asked}], case.answer, case.question["baseline"])
            for case in cases
        ]
    )


def gold_reward() -> Numbers:
    """The miniature world's gold reward g: P(a better) = sigmoid(g_a - g_b), ratings linear in g from 1 to 10."""
    from scripts.world.gold import gold_reward as gold

    def better(comparisons: Sequence[Comparison]) -> list[float]:
        from scipy.special import expit

        def reward(comparison: Comparison, answer: str) -> float:
            return gold(comparison.prompt[-1]["content"], answer)

        return [float(expit(reward(one, one.first) - reward(one, one.second))) for one in comparisons]

    def rate(answers: Sequence[tuple[str, str]]) -> list[float]:
        return [rating_of(gold(question, answer)) for question, answer in answers]

    return Numbers(better, rate)


def rating_of(reward: float) -> float:
    """The rating that a gold reward is worth.

    >>> rating_of(-3.0), rating_of(1.5), rating_of(4.0)
    (1.0, 5.5, 10.0)
    """
    return 1.0 + 9.0 * min(max((reward - LOWEST) / (BEST - LOWEST), 0.0), 1.0)
