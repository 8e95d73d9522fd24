"""A model server of one's own, as vLLM is one: it speaks over HTTP, takes its time, and serves a few at once."""

from __future__ import annotations

import codecs
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

MODEL = "own-model"
#: The engine as attempts and the ledger name it.
ENGINE = f"openai {MODEL}"


class OwnModelServer:
    """An OpenAI-compatible endpoint on the loopback that always says the same of the same. A context manager.

    ``request_s`` is the time of a request, ``slots`` how many it computes at once; others wait their turn.
    """

    def __init__(self, request_s: float, slots: int = 4) -> None:
        self._request_s, self._slots = request_s, threading.Semaphore(slots)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        # A client that was killed is no news.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]

    @property
    def settings(self) -> dict[str, str]:
        """SEGUE_* variables of everybody who translates here."""
        return {
            "SEGUE_TRANSLATOR": "openai",
            "SEGUE_TRANSLATOR_MODEL": MODEL,
            "SEGUE_TRANSLATOR_URL": f"http://127.0.0.1:{self._server.server_address[1]}/v1",
            "SEGUE_TRANSLATOR_CONCURRENCY": "2",
            "SEGUE_OWN_ENGINES": ENGINE,
        }

    def __enter__(self) -> OwnModelServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        with self._slots:
            time.sleep(self._request_s)
        system, user = asked["messages"][0]["content"], asked["messages"][-1]["content"]
        lines = json.loads(user[user.rindex("\n{") :])
        said = {number: _pretend(text, "Japanese" in system) for number, text in lines.items()}
        message = {"role": "assistant", "content": json.dumps(said, ensure_ascii=False)}
        return {
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": len(system) + len(user), "completion_tokens": len(message["content"])},
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Headers and body go out at once, not 40 ms apart.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self._send({"data": [{"id": MODEL, "root": f"own/{MODEL}"}]})

            def do_POST(self) -> None:
                self._send(server._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

            def _send(self, value: Mapping[str, Any]) -> None:
                payload = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        return Handler


def _pretend(text: str, japanese: bool) -> str:
    """Passes for a translation: other words, in the right script, numbers kept."""
    if japanese:
        return "".join(chr(0x3042 + ord(c) % 60) if c.isalpha() else c for c in text)[:40]
    return codecs.encode(text, "rot13")
