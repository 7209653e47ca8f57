"""How near the endpoint client comes to the ideal: 805 pairs, 32 at once, a server that takes 50 ms for each answer.

The ideal is answers x 50 ms / 32. The server is a process of its own on this machine, and takes part of its time; the
median of several rounds is the figure. A second pass over the same pairs must make no request. The CPU time of the
client is told too: unlike the clock, it hardly changes with what else the machine does.

    python -m benchmarks.judge_client --output benchmarks/results/judge_client.json
"""

import json
import multiprocessing
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from benchmarks import results
from scripts.common.config import Endpoint
from scripts.common.endpoint import ChatRequest, ask


@dataclass(frozen=True)
class Args:
    output: Path
    """JSON file for the result."""
    pairs: int = 805
    at_once: int = 32
    seconds: float = 0.05
    """What the server takes for an answer."""
    rounds: int = 5
    limit: float = 1.3
    """At most so many times the ideal."""


def main(args: Args) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    seen = multiprocessing.Value("i", 0)
    server = multiprocessing.Process(target=serve, args=(port, args.seconds, seen), daemon=True)
    server.start()
    wait_for(port)
    endpoint = Endpoint(base_url=f"http://127.0.0.1:{port}/v1", model="judge", concurrency=args.at_once)
    text = "Which of the two answers is better? " * 80  # some 3,000 characters, as two answers have
    pairs = [ChatRequest([{"role": "user", "content": f"{text}{i}"}], max_tokens=1) for i in range(args.pairs)]
    ideal = args.pairs * args.seconds / args.at_once
    seconds, cpu_seconds, reruns = [], [], []
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as cache:
            started, cpu_started = time.perf_counter(), time.process_time()
            ask(endpoint, pairs, Path(cache))
            seconds.append(time.perf_counter() - started)
            cpu_seconds.append(time.process_time() - cpu_started)
            before = seen.value
            ask(endpoint, pairs, Path(cache))
            reruns.append(seen.value - before)
    server.kill()
    ratio = statistics.median(seconds) / ideal
    result = {
        "pairs": args.pairs,
        "at_once": args.at_once,
        "server_seconds": args.seconds,
        "ideal_seconds": ideal,
        "seconds": [round(value, 3) for value in seconds],
        "median_over_ideal": round(ratio, 3),
        "best_over_ideal": round(min(seconds) / ideal, 3),
        "client_cpu_ms_a_request": round(1000 * statistics.median(cpu_seconds) / args.pairs, 3),
        "requests_of_a_rerun": max(reruns),
        "limit": args.limit,
        "holds": ratio <= args.limit and max(reruns) == 0,
    }
    results.write(args.output, result)


def serve(port: int, seconds: float, seen) -> None:
    """A chat endpoint that thinks for a fixed time, however many ask."""
    import asyncio

    from aiohttp import web

    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "m"}}
    content = json.dumps({"choices": [message], "usage": {"prompt_tokens": 700, "completion_tokens": 1}}).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        with seen.get_lock():
            seen.value += 1
        await asyncio.sleep(seconds)
        return web.Response(body=content, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the server did not start")


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
