"""An OpenAI-compatible endpoint on a loopback port that behaves, or misbehaves, as a test tells it."""

from __future__ import annotations

import codecs
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Said:
    """What the endpoint sends back for one chat request."""

    #: The assistant's text; None for an error.
    content: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Body of an error, or of a garbled success.
    body: str = ""
    finish_reason: str = "stop"
    #: Closes the connection without an answer.
    hang_up: bool = False
    #: Seconds before the answer.
    delay_s: float = 0.0


@dataclass(frozen=True)
class Asked:
    """One chat request as it came in."""

    body: dict[str, Any]
    key: str
    #: Position among the chat requests, from 0.
    index: int

    @property
    def lines(self) -> dict[str, str]:
        """Number -> source text."""
        text = self.body["messages"][-1]["content"]
        return dict(json.loads(text[text.rindex("\n{") :].removesuffix("/no_think")))

    @property
    def user(self) -> str:
        return str(self.body["messages"][-1]["content"])


def pretend(text: str, language: str = "es") -> str:
    """A text that passes for a translation: other words in the right script, numbers kept."""
    if language == "ja":
        return "".join(chr(0x3042 + ord(c) % 60) if c.isalpha() else c for c in text)[:40]
    return codecs.encode(text, "rot13")


def honest(asked: Asked) -> Said:
    return Said(as_json({number: pretend(text) for number, text in asked.lines.items()}))


def as_json(texts: Mapping[str, str]) -> str:
    return json.dumps(texts, ensure_ascii=False)


def error(status: int, message: str = "no", **headers: str) -> Said:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(status=status, body=json.dumps({"error": {"message": message}}), headers=named)


Behaviour = Callable[[Asked], Said]


class ScriptedEndpoint:
    """Plays one behaviour for each chat request in turn, the last one for all that follow."""

    def __init__(self, *script: Behaviour, models: Any = None, key: str = "") -> None:
        self.script = script or (honest,)
        self.models = {"data": [{"id": "test-model", "root": "test/model", "created": 1}]} if models is None else models
        self.key = key
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body go out at once, not 40 ms apart.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if endpoint.models == 404:
                    self.send(error(404, "no such page"))
                elif not self.allowed():
                    self.send(error(401, f"Incorrect API key provided: {self.bearer()}"))
                else:
                    self.send(Said(body=json.dumps(endpoint.models)))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.allowed():
                    self.send(error(401, f"Incorrect API key provided: {self.bearer()}"))
                    return
                self.send(endpoint.answer(body, self.bearer()))

            def bearer(self) -> str:
                return str(self.headers.get("Authorization", "")).removeprefix("Bearer ")

            def allowed(self) -> bool:
                return not endpoint.key or self.bearer() == endpoint.key

            def send(self, said: Said) -> None:
                if said.delay_s:
                    endpoint.closing.wait(said.delay_s)
                if said.hang_up:
                    self.close_connection = True
                    self.connection.close()
                    return
                payload = (said.body if said.content is None else completion(said)).encode()
                try:
                    self.send_response(said.status)
                    for name, value in said.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                except OSError:
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def answer(self, body: dict[str, Any], key: str) -> Said:
        with self._lock:
            asked = Asked(body, key, len(self.asked))
            self.asked.append(asked)
        return self.script[min(asked.index, len(self.script) - 1)](asked)

    def __enter__(self) -> ScriptedEndpoint:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def completion(said: Said) -> str:
    message = {"role": "assistant", "content": said.content}
    return json.dumps(
        {
            "choices": [{"index": 0, "finish_reason": said.finish_reason, "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        }
    )
