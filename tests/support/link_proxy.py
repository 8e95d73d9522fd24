"""A wire between one worker and the broker that can be cut: what is on its way stands still, nothing new gets in."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

_CHUNK = 65536


class LinkProxy:
    """Passes a port of its own on to another. A context manager that always ends it.

    While it is cut, both directions stand still without a word and new connections are refused. What was sent
    meanwhile arrives when it is healed, as TCP would see to it.
    """

    def __init__(self, target_port: int, host: str = "127.0.0.1") -> None:
        self._target_port, self._host = target_port, host
        self._flowing = threading.Event()
        self._flowing.set()
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self._listen()

    def url(self) -> str:
        """The broker as seen through this wire."""
        return f"redis://{self._host}:{self.port}/0"

    def cut(self) -> None:
        """Nothing passes any more."""
        self._flowing.clear()
        self._deafen()

    def heal(self) -> None:
        """All is as before."""
        self._listen()
        self._flowing.set()

    def close(self) -> None:
        self._closed.set()
        self._flowing.set()
        self._deafen()
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _end(each)

    def __enter__(self) -> LinkProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the wire --------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        listener = socket.create_server((self._host, self.port))
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _deafen(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            _end(listener)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target_port))
            except OSError:
                near.close()
                continue
            with self._lock:
                self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        """One direction of one connection."""
        try:
            while data := source.recv(_CHUNK):
                self._flowing.wait()
                if self._closed.is_set():
                    return
                target.sendall(data)
        except OSError:
            pass
        finally:
            # The end of a connection is news that a wire that is cut does not carry either.
            self._flowing.wait()
            _end(source)
            _end(target)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        each.close()
