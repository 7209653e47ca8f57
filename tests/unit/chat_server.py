"""A small real HTTP server in the shape of an OpenAI-compatible one, which misbehaves as it is told."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripts.common.config import Endpoint

Behaviour = str | tuple[int, dict[str, str], str]
"""`ok`, `cut`, `slow`, or a status with headers and a body."""


@dataclass
class ChatServer:
    """Requests seen so far, and how to answer the next ones: `script(body, attempt)` for each text asked."""

    url: str = ""
    script: Callable[[dict[str, Any], int], Behaviour] = lambda body, attempt: "ok"
    answer: Callable[[dict[str, Any]], dict[str, Any]] = lambda body: {
        "content": f"re: {body['messages'][-1]['content']}"
    }
    logprobs: dict[str, float] | None = None
    seen: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    seconds: float = 0.0

    def endpoint(self, **settings: Any) -> Endpoint:
        return Endpoint(base_url=self.url, model="judge-1", **{"timeout": 1.0, "attempts": 4, **settings})


@contextmanager
def serve() -> Iterator[ChatServer]:
    told, lock, attempts = ChatServer(), threading.Lock(), {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = json.dumps(body)
            with lock:
                told.seen.append(body)
                told.headers.append(dict(self.headers))
                attempts[text] = attempts.get(text, 0) + 1
                attempt = attempts[text]
                told.at_once += 1
                told.most_at_once = max(told.most_at_once, told.at_once)
            time.sleep(told.seconds)
            try:
                self.behave(told.script(body, attempt), body)
            finally:
                with lock:
                    told.at_once -= 1

        def behave(self, how: Behaviour, body: dict[str, Any]) -> None:
            if isinstance(how, tuple):
                self.reply(*how)
            elif how == "slow":
                time.sleep(1.5)
                self.close_connection = True
            elif how == "cut":
                content = self.completion(body)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content.encode()[: len(content) // 2])
                self.close_connection = True
            else:
                self.reply(200, {}, self.completion(body))

        def completion(self, body: dict[str, Any]) -> str:
            choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", **told.answer(body)}}
            if told.logprobs:
                listed = [{"token": token, "logprob": value} for token, value in told.logprobs.items()]
                choice["logprobs"] = {"content": [{"token": listed[0]["token"], "top_logprobs": listed}]}
            return json.dumps(
                {
                    "choices": [{**choice, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 7, "completion_tokens": 3},
                }
            )

        def reply(self, status: int, headers: dict[str, str], text: str) -> None:
            content = text.encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
