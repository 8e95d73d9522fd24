"""HTTP whose answers end: a body has a most of bytes and an answer a most of seconds, whatever the other side sends.

The time-outs of httpx bound silences only, so that a byte a second goes on for ever, and it takes a body whole into
memory. Here a body is read in pieces up to a cap, as decoded bytes, and each request has a connection to itself, which
another thread cuts when the time is up. Nothing is redirected: what is sent is meant for the address that was given.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import EngineError

_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
#: For zlib: take a gzip or a zlib header, whichever comes.
_EITHER_HEADER = 32 + zlib.MAX_WBITS
_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


class TooLongError(httpx.TransportError):
    """The body is larger than is plausible, or is packed in a way that cannot be read in pieces."""


class TooSlowError(httpx.ReadTimeout):
    """The answer was still coming when its time was up."""


class ClosedError(httpx.TransportError):
    """The client was closed."""


@dataclass(frozen=True)
class Limits:
    """How much an answer may be."""

    #: Decoded bytes of a body.
    body_bytes: int
    #: Seconds from the first byte sent to the last one read.
    total_s: float
    #: Requests under way at once.
    connections: int = 16


@dataclass(frozen=True)
class HttpAnswer:
    """One answer, read to its end."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8; what is none is replaced. What the headers say of it is not believed."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError for whatever is none, or is nested or numbered beyond reading."""
        return read_json(self.body)


def read_json(data: bytes | str) -> Any:
    """A JSON text's value. Raises ValueError, and nothing else."""
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


class BoundedClient:
    """Asks one place. Safe to use from several threads.

    ``certificates`` and ``proxies`` are those of the surroundings; a plain-text address is near, and needs neither.
    Raises EngineError when the proxies or certificates of the surroundings cannot be used.
    """

    def __init__(
        self,
        limits: Limits,
        timeout: httpx.Timeout | float,
        *,
        headers: Mapping[str, str] | None = None,
        certificates: bool = True,
        proxies: bool = True,
    ) -> None:
        self._limits = limits
        self._timeout = httpx.Timeout(timeout)
        # Nothing packed is asked for: answers are small, and what is not packed cannot swell.
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        self._proxies = proxies
        self._room = threading.BoundedSemaphore(limits.connections)
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._busy: set[_Line] = set()
        self._closed = False
        try:
            self._context = httpx.create_ssl_context(verify=certificates, trust_env=certificates)
            self._idle.append(self._connect())
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise EngineError(
                f"the certificates of this system cannot be read: {reason}", "correct SSL_CERT_FILE and SSL_CERT_DIR"
            ) from None
        except (ValueError, ImportError, httpx.InvalidURL):
            # The words of these errors may hold the password of a proxy.
            raise EngineError(
                f"the proxy that {_strange_proxy()} names cannot be used",
                "name one that begins with http:// or https://, or unset it for Segue",
            ) from None

    def __repr__(self) -> str:
        return "BoundedClient()"

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """Ends every connection: who waits for an answer gets ClosedError."""
        with self._lock:
            self._closed = True
            lines = [*self._idle, *self._busy]
            self._idle.clear()
        for line in lines:
            line.cut()
            line.client.close()

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        value: Any = None,
        content: bytes | None = None,
        timeout: float | None = None,
        read_body: bool = True,
    ) -> HttpAnswer:
        """One request; any status is an answer. ``value`` is sent as JSON.

        ``timeout`` is for this answer: its longest silence, and at most so many seconds in all. Raises the errors of
        httpx, and those of this module, which are among them.
        """
        line = self._take()
        total_s = self._limits.total_s if timeout is None else min(timeout, self._limits.total_s)
        watch = threading.Timer(total_s, line.cut)
        watch.daemon = True
        watch.start()
        try:
            with line.client.stream(
                method,
                url,
                headers=dict(headers or {}),
                json=value,
                content=content,
                timeout=self._timeout if timeout is None else timeout,
                extensions={"trace": line.note},
            ) as response:
                body = _body(response, self._limits.body_bytes) if read_body else b""
            if not line.is_cut:
                found = {name.lower(): text for name, text in response.headers.items()}
                return HttpAnswer(response.status_code, found, body)
        except (httpx.TransportError, httpx.StreamError):
            if not line.is_cut:
                raise
        finally:
            watch.cancel()
            self._give_back(line)
        # A connection that is cut may look like the orderly end of a body.
        raise (
            ClosedError("the client was closed") if self._closed else TooSlowError(f"no whole answer in {total_s:g} s")
        )

    def _connect(self) -> _Line:
        return _Line(
            httpx.Client(
                headers=self._headers,
                timeout=self._timeout,
                limits=httpx.Limits(max_connections=1),
                trust_env=self._proxies,
                verify=self._context,
                follow_redirects=False,
            )
        )

    def _take(self) -> _Line:
        if not self._room.acquire(timeout=self._timeout.pool):
            raise httpx.PoolTimeout("no connection became free")
        with self._lock:
            line = None if self._closed else self._idle.pop() if self._idle else self._connect()
            if line is not None:
                self._busy.add(line)
                return line
        self._room.release()
        raise ClosedError("the client was closed")

    def _give_back(self, line: _Line) -> None:
        with self._lock:
            self._busy.discard(line)
            keep = not (line.is_cut or self._closed)
            if keep:
                self._idle.append(line)
        if not keep:
            line.client.close()
        self._room.release()


class _Line:
    """A client with one connection, which another thread can cut."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.is_cut = False
        self._socket: socket.socket | None = None

    def note(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by httpx of each step (its ``trace`` extension); of interest is which socket there is now."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.is_cut:
                self.cut()

    def cut(self) -> None:
        """Wakes whoever reads or writes; closing the socket would not, and its number could be another's at once."""
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):
                # Not the TLS socket's own: it takes its state away from the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _body(response: httpx.Response, most: int) -> bytes:
    coding = response.headers.get("content-encoding", "").strip().lower()
    if coding not in _INFLATED | {"", "identity"}:
        raise TooLongError("the answer is packed in a way that was not asked for")
    inflate = zlib.decompressobj(_EITHER_HEADER) if coding in _INFLATED else None
    found = bytearray()
    for chunk in response.iter_raw():
        while chunk:
            if inflate is None:
                piece, chunk = chunk, b""
            else:
                try:
                    piece = inflate.decompress(chunk, most - len(found) + 1)
                except zlib.error:
                    raise TooLongError("the answer cannot be unpacked") from None
                chunk = inflate.unconsumed_tail
            found += piece
            if len(found) > most:
                raise TooLongError(f"the answer is longer than {most:,} bytes")
    return bytes(found)


def _strange_proxy() -> str:
    """The variable that most likely names a proxy that cannot be used."""
    for name in (spelt for each in _PROXIES for spelt in (each, each.lower())):
        said = os.environ.get(name, "")
        if said and not said.lower().startswith(("http://", "https://")):
            return name
    return "/".join(_PROXIES)
