"""A server that speaks the hub's protocol, as far as retrieval and pinning need it, and can be told to misbehave."""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    files: dict[str, bytes]
    branches: dict[str, str]
    """Branch -> commit; every commit has the same files."""
    kind: str = "datasets"
    gated: bool = False
    """Only the token `let-me-in` is let in."""


@dataclass
class Hub:
    """What the server holds, what was asked of it, and how it misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    """File -> how many of its next downloads break off half-way."""
    busy: int = 0
    """So many of the next requests are answered 503."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of every request."""
    address: str = ""

    def downloads(self) -> Counter[str]:
        return Counter(
            path.rpartition("/")[2] for method, path, _ in self.asked if method == "GET" and "/resolve/" in path
        )


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        if self.hub.busy:
            self.hub.busy -= 1
            return self._refuse(503, "Busy")
        parts = path.strip("/").split("/")
        if parts[0] == "api" and len(parts) < 5:
            return self._refuse(404, "Not found")
        if parts[0] == "api" and "/tree/" not in path:
            kind, (owner, name), revision = parts[1], parts[2:4], "/".join(parts[5:]) or "main"
            return self._answer(kind, f"{owner}/{name}", revision, self._information)
        if parts[0] == "api":
            kind, (owner, name), revision = parts[1], parts[2:4], parts[5]
            return self._answer(kind, f"{owner}/{name}", revision, self._tree)
        kind, rest = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
        owner, name, _, revision, *file = rest
        return self._answer(kind, f"{owner}/{name}", revision, lambda r, c: self._file(r, c, "/".join(file)))

    def _answer(self, kind, name, revision, answer):
        repository = self.hub.repositories.get(name)
        if repository is None or repository.kind != kind:
            return self._refuse(404, "Repository not found", "RepoNotFound")
        commit = repository.branches.get(revision, revision)
        if commit not in repository.branches.values():
            return self._refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        if (
            repository.gated
            and answer is not self._information
            and "let-me-in" not in self.headers.get("Authorization", "")
        ):
            return self._refuse(403, "Access to this repository is restricted", "GatedRepo")
        return answer(repository, commit)

    def _information(self, repository, commit):
        name = next(name for name, found in self.hub.repositories.items() if found is repository)
        siblings = [{"rfilename": file} for file in repository.files]
        self._json({"id": name, "sha": commit, "siblings": siblings, "private": False, "tags": [], "downloads": 0})

    def _tree(self, repository, commit):
        self._json(
            [
                {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for file, content in repository.files.items()
            ]
        )

    def _file(self, repository, commit, file):
        if file not in repository.files:
            return self._refuse(404, "Entry not found", "EntryNotFound")
        content = repository.files[file]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if self.headers.get("Range") else 200)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Accept-Ranges", "bytes")
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cut.get(file, 0):
            self.hub.cut[file] -= 1
            self.wfile.write(content[start : start + (len(content) - start) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(content[start:])

    def _json(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status, message, code=None):
        body = json.dumps({"error": message}).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", message)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
