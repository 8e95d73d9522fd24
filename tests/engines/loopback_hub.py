"""A model hub on the loopback interface: the few requests that the hub's library makes, ranges included."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub(ThreadingHTTPServer):
    """Serves ``repositories``: hub id -> file name -> bytes."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.repositories = repositories
        #: (method, path, range) of every request.
        self.asked: list[tuple[str, str, str]] = []
        #: Bytes of a body after which the connection is cut, once; None for never.
        self.cut_after: int | None = None
        #: Bytes that a GET of a large file sends beyond the size that a HEAD states.
        self.sends_on = 0
        #: Bytes of a body after which nothing more comes, once; None for never.
        self.stall_after: int | None = None
        #: Set when that has happened.
        self.stalled = threading.Event()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def loopback_hub(repositories: dict[str, dict[str, bytes]]) -> Iterator[LoopbackHub]:
    hub = LoopbackHub(repositories)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackHub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_args: Any) -> None:
        pass

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append((self.command, path, self.headers.get("Range", "")))
        for repository, files in self.server.repositories.items():
            if path.startswith(f"/{repository}/resolve/"):
                name = path.removeprefix(f"/{repository}/resolve/").partition("/")[2]
                if name in files:
                    return self._file(files[name])
            if path.startswith(f"/api/models/{repository}/tree/"):
                return self._json([_tree_entry(name, data) for name, data in files.items()])
            if path in (f"/api/models/{repository}", f"/api/models/{repository}/revision/main"):
                siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
                return self._json({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings})
        return self._missing()

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _missing(self) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _file(self, data: bytes) -> None:
        start = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if asked else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        more = self.server.sends_on if self.command == "GET" and len(data) > 1_000_000 else 0
        self.send_header("Content-Length", str(len(data) - start + more))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.command != "GET":
            return
        body = data[start:] + b"\0" * more
        cut = self.server.cut_after
        if cut is not None and len(body) > cut:
            self.server.cut_after = None
            self.wfile.write(body[:cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        stall = self.server.stall_after
        if stall is not None and len(body) > stall:
            self.server.stall_after = None
            self.wfile.write(body[:stall])
            self.wfile.flush()
            self.server.stalled.set()
            self.connection.settimeout(240)
            with suppress(OSError):
                self.rfile.read(1)  # Until the client is gone.
            self.close_connection = True
            return
        self.wfile.write(body)


def _tree_entry(name: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": digest[:40]}
    if len(data) > 1000:
        entry["lfs"] = {"oid": digest, "size": len(data), "pointerSize": 130}
    return entry
