"""Questions to a model behind an OpenAI-compatible endpoint: many at once, paced, tried again, each answer kept.

    asked = ask(endpoint, [ChatRequest([{"role": "user", "content": "Which is better, A or B?"}], max_tokens=1)], cache)
    asked.replies[0].text

The key is read from the environment variable that the configuration names, and nowhere else; whatever the endpoint
says is searched for it before it is shown or kept. The client must keep a local server busy that takes 50 ms for an
answer, so what it spends on a request counts (benchmarks/judge_client.py): aiohttp speaks to the endpoint, since the
`openai` client takes several times as long, and a request is encoded once, for its digest, the endpoint and the cache.
"""

import asyncio
import json
import math
import os
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.common.chat import Message
from scripts.common.config import Endpoint
from scripts.common.errors import StudyError
from scripts.common.reply_cache import Reply, ReplyCache, digest

if TYPE_CHECKING:
    from aiohttp import ClientSession
    from yarl import URL

CHARACTERS_PER_TOKEN = 4
"""For the estimate of costs before anything is asked; what was spent is counted from the endpoint's own figures."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0  # seconds between attempts; the wait doubles, and a random part of it is taken
REFUSALS = (400, 413, 422)  # this request will never be taken, others may be
TRANSIENT = (408, 409, 425, 429)  # and all from 500 on


@dataclass(frozen=True)
class ChatRequest:
    """One question."""

    messages: Sequence[Message]
    max_tokens: int
    temperature: float = 0.0
    top_logprobs: int = 0
    """Log-probabilities of so many likeliest first tokens."""
    function: dict[str, Any] | None = None
    """Name, description and parameters (JSON schema) of a function that the model must call."""

    def body(self, model: str) -> str:
        """The request as the endpoint takes it, JSON with sorted keys; its digest is the key of the cache."""
        body: dict[str, Any] = {"model": model, "messages": list(self.messages)}
        body |= {"max_tokens": self.max_tokens, "temperature": self.temperature}
        if self.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        if self.function:
            body["tools"] = [{"type": "function", "function": self.function}]
            body["tool_choice"] = {"type": "function", "function": {"name": self.function["name"]}}
        return json.dumps(body, sort_keys=True)


@dataclass(frozen=True)
class Asked:
    """The replies, in the order of the requests, and what they took: for the log and the manifest."""

    replies: list[Reply]
    facts: dict[str, Any]


def ask(endpoint: Endpoint, requests: Sequence[ChatRequest], cache: Path) -> Asked:
    """Ask all requests, but those that the cache can answer.

    A request that the endpoint refuses as such (too long for the model, say) gets a reply that says so.

    Args:
        cache: folder of replies; see reply_cache.

    Raises:
        StudyError: the key is not set or not accepted, there is no such endpoint or model, the estimate exceeds the
            budget, every request was refused, or some still failed after all attempts; what was answered is kept.
    """
    bodies = [request.body(endpoint.model) for request in requests]
    keys = [digest(body) for body in bodies]
    with ReplyCache(cache) as known:
        missing = {key: i for i, key in enumerate(keys) if known.get(key) is None}
        _check_budget(endpoint, len(requests), [requests[i] for i in missing.values()])
        work = _Work(endpoint, known)
        if missing:
            asyncio.run(work.run({key: bodies[i] for key, i in missing.items()}))
        replies = [known.get(key) or work.refused[key] for key in keys]
    different = dict(zip(keys, zip(requests, replies, strict=True), strict=True)).values()
    return Asked(replies, _facts(endpoint, work, list(different), len(requests)))


def _check_budget(endpoint: Endpoint, wanted: int, new: Sequence[ChatRequest]) -> None:
    """Say what is about to be asked and what it may cost; refuse where that is more than the budget."""
    prompt, completion = estimated_tokens(new)
    dollars = endpoint.dollars(prompt, completion)
    cost = f", at most about ${dollars:,.2f}" if dollars else ""
    print(
        f"{endpoint.model}: {wanted} requests, {wanted - len(new)} answered before; about {prompt:,.0f} prompt "
        f"tokens and up to {completion:,.0f} of answers to come{cost}",
        flush=True,
    )
    if endpoint.budget is not None and dollars > endpoint.budget:
        raise StudyError(
            f"judging with {endpoint.model} may cost ${dollars:,.2f}, and its budget is ${endpoint.budget:,.2f}. "
            "Raise the judge's 'budget', or judge fewer policies at a time."
        )


def estimated_tokens(requests: Sequence[ChatRequest]) -> tuple[float, int]:
    """Tokens of the prompts by their characters, and of the answers at most."""
    characters = sum(len(message["content"]) for request in requests for message in request.messages)
    return characters / CHARACTERS_PER_TOKEN, sum(request.max_tokens for request in requests)


def _facts(
    endpoint: Endpoint, work: "_Work", asked: Sequence[tuple[ChatRequest, Reply]], wanted: int
) -> dict[str, Any]:
    """What this call took; and, whenever they were asked, what all its requests were estimated to take, and took."""
    prompt, completion = work.prompt_tokens, work.completion_tokens

    def bill(prompt: float, completion: float) -> dict[str, float]:
        tokens = {"prompt_tokens": round(prompt), "completion_tokens": round(completion)}
        return {**tokens, "dollars": endpoint.dollars(prompt, completion)}

    taken = [(reply.prompt_tokens, reply.completion_tokens) for _, reply in asked]
    return {
        "model": endpoint.model,
        "requests": wanted,
        "asked": work.asked,
        "tried_again": work.tried_again,
        "refused": len(work.refused),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "dollars": endpoint.dollars(prompt, completion),
        "asking_seconds": work.seconds,
        "estimated": bill(*estimated_tokens([request for request, _ in asked])),
        "counted": bill(sum(tokens for tokens, _ in taken), sum(tokens for _, tokens in taken)),
    }


# --- many at once -----------------------------------------------------------------------------------------------------


class _Transient(Exception):
    """Worth another attempt: too many requests, a server that failed, a connection that broke, an answer cut short."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait  # seconds that the endpoint asks for


class _Refused(Exception):
    """This request is not taken, and never will be."""


@dataclass
class _Work:
    """The state of one call of `ask`."""

    endpoint: Endpoint
    known: ReplyCache
    refused: dict[str, Reply] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    tried_again: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    next_start: float = 0.0

    async def run(self, bodies: dict[str, str]) -> None:
        import aiohttp
        from tqdm import tqdm
        from yarl import URL

        secret = key(self.endpoint)
        headers = {"Content-Type": "application/json"}
        if secret:
            headers["Authorization"] = f"Bearer {secret}"
        url = URL(f"{self.endpoint.base_url.rstrip('/')}/chat/completions")
        started = time.perf_counter()
        todo = iter(bodies.items())
        progress = tqdm(total=len(bodies), unit="answer", mininterval=5)
        async with aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout),
            connector=aiohttp.TCPConnector(limit=self.endpoint.concurrency),
        ) as session:
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self.endpoint.concurrency, len(bodies))):
                        workers.create_task(self._take(session, url, secret, todo, progress))
            except ExceptionGroup as group:  # one worker met what stops all, and the others were called off
                raise group.exceptions[0] from None
            finally:
                progress.close()
                self.seconds = time.perf_counter() - started
        if self.failed:
            raise StudyError(
                f"{self.endpoint.base_url}: {len(self.failed)} of {len(bodies)} requests failed after "
                f"{self.endpoint.attempts} attempts each (the last one: {self.failed[-1]}). The other answers are "
                "kept: run the same target again, and only these are asked."
            )
        if len(self.refused) == len(bodies):
            reason = next(iter(self.refused.values())).refused
            raise StudyError(f"{self.endpoint.base_url}: {self.endpoint.model} took none of the requests: {reason}")

    async def _take(
        self, session: "ClientSession", url: "URL", secret: str | None, todo: Iterator[tuple[str, str]], progress: Any
    ) -> None:
        """One of the workers: the next request, until there is none."""
        for digest_, body in todo:
            try:
                reply = await self._patiently(session, url, secret, body)
            except _Refused as error:
                self.refused[digest_] = Reply("", refused=str(error))
            except _Transient as error:
                self.failed.append(str(error))
            else:
                self.known.put(digest_, self.endpoint.model, body, reply)
                self.prompt_tokens += reply.prompt_tokens
                self.completion_tokens += reply.completion_tokens
            progress.update()

    async def _patiently(self, session: "ClientSession", url: "URL", secret: str | None, body: str) -> Reply:
        """Ask until there is an answer, waiting longer each time, or as long as the endpoint says."""
        longest = FIRST_WAIT
        for left in reversed(range(self.endpoint.attempts)):
            try:
                return await self._once(session, url, secret, body)
            except _Transient as error:
                if not left:
                    raise
                self.tried_again += 1
                await asyncio.sleep(max(random.uniform(0, longest), error.wait))
                longest = min(2 * longest, LONGEST_WAIT)
        raise AssertionError("attempts is at least 1")

    async def _once(self, session: "ClientSession", url: "URL", secret: str | None, body: str) -> Reply:
        import aiohttp

        await self._pace()
        self.asked += 1
        try:
            async with session.post(url, data=body.encode()) as response:
                status, wait = response.status, response.headers.get("Retry-After", "")
                text = (await response.read()).decode(errors="replace")
        except TimeoutError:
            raise _Transient(f"no answer within {self.endpoint.timeout:g} seconds") from None
        except aiohttp.ClientError as error:
            raise _Transient(f"{type(error).__name__}: {error}") from None
        if secret:
            text = text.replace(secret, "(key)")
        if status == 200:
            return read_reply(text)
        reason = f"HTTP {status}: {' '.join(text.split())[:300]}"
        if status in TRANSIENT or status >= 500:
            raise _Transient(reason, _seconds(wait))
        if status in REFUSALS:
            raise _Refused(reason)
        raise StudyError(f"{url} for {self.endpoint.model}: {reason}. {_advice(self.endpoint, status)}")

    async def _pace(self) -> None:
        """Wait for the next start that requests_per_minute allows."""
        if self.endpoint.requests_per_minute is None:
            return
        now = time.monotonic()
        start = max(now, self.next_start)
        self.next_start = start + 60 / self.endpoint.requests_per_minute
        if start > now:
            await asyncio.sleep(start - now)


def key(endpoint: Endpoint) -> str | None:
    """The key, from the environment alone."""
    if endpoint.key_variable is None:
        return None
    found = os.environ.get(endpoint.key_variable, "").strip()
    if not found:
        raise StudyError(
            f"{endpoint.base_url}: the environment variable {endpoint.key_variable} is not set; put the key of your "
            "account there, or drop 'key_variable' for a server that wants none."
        )
    return found


def read_reply(text: str) -> Reply:
    """The reply in an answer's body.

    Raises:
        _Transient: it is no JSON, or not a chat completion; servers that break off send such.
    """
    try:
        answer = json.loads(text)
        choice = answer["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        first = ((choice.get("logprobs") or {}).get("content") or [None])[0]
        usage = answer.get("usage") or {}
        return Reply(
            text=message.get("content") or "",
            arguments=calls[0]["function"]["arguments"] if calls else None,
            logprobs={one["token"]: float(one["logprob"]) for one in first["top_logprobs"]} if first else None,
            finish_reason=choice.get("finish_reason"),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise _Transient(f"not a chat completion: {' '.join(text.split())[:200]!r}") from None


def _seconds(wait: str) -> float:
    """A Retry-After header in seconds; one that is a date, or beyond the longest wait, is cut to what we wait."""
    try:
        value = float(wait)
    except ValueError:
        return 0.0
    return min(max(value, 0.0), LONGEST_WAIT) if math.isfinite(value) else 0.0


def _advice(endpoint: Endpoint, status: int) -> str:
    if status in (401, 403):
        named = f"the environment variable {endpoint.key_variable}" if endpoint.key_variable else "'key_variable'"
        return f"Check {named}: the endpoint does not accept the key."
    if status == 404:
        return "Check 'base_url' (it usually ends in /v1) and 'model' of the judge."
    return "Check the judge's section of the configuration."
