"""A server on a loopback port that writes exactly the bytes, at exactly the pace, that a test tells it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from types import TracebackType


class RawServer:
    """Answers every request with the same pieces, ``pause_s`` between them. A context manager."""

    def __init__(self, pieces: Iterable[bytes], pause_s: float = 0.0, *, keep: bool = False) -> None:
        self._pieces, self._pause_s, self._keep = pieces, pause_s, keep
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        #: Whole requests as they came, without their bodies.
        self.asked: list[bytes] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> RawServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while self._read(connection):
                    for piece in self._pieces:
                        connection.sendall(piece)
                        if self._pause_s and self._closing.wait(self._pause_s):
                            return
                    if not self._keep:
                        return
            except OSError:
                return

    def _read(self, connection: socket.socket) -> bool:
        """One request: its head, and as much of a body as it states."""
        data = b""
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return False
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        stated = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        left = (int(stated[0].split(b":")[1]) if stated else 0) - len(body)
        while left > 0:
            left -= len(connection.recv(65536))
        self.asked.append(head)
        return True


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """One whole HTTP answer."""
    named = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def endless_head() -> Iterable[bytes]:
    """The head of an answer that never ends."""
    yield b"HTTP/1.1 200 OK\r\nX: "
    while True:
        yield b"a"


def endless_body() -> Iterable[bytes]:
    """A body that never ends, with what states no length."""
    yield b"HTTP/1.1 200 OK\r\n\r\n"
    while True:
        yield b" " * 65536
