"""Answers end, whatever the other side sends: by bytes, by time, and when the client is closed."""

from __future__ import annotations

import gzip
import itertools
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterable

import httpx
import pytest
from raw_server import RawServer, endless_body, endless_head, response

from core.errors import EngineError
from engines.bounded_http import BoundedClient, ClosedError, HttpAnswer, Limits, TooLongError, TooSlowError, read_json


def ask(pieces: Iterable[bytes], pause_s: float = 0.0, *, most: int = 1000, total_s: float = 20.0) -> HttpAnswer:
    with RawServer(pieces, pause_s) as server:
        client = BoundedClient(Limits(most, total_s), 20.0, certificates=False, proxies=False)
        try:
            return client.ask("GET", server.url)
        finally:
            client.close()


def test_an_answer_is_read_whole_up_to_its_cap() -> None:
    answer = ask([response(b"x" * 1000, X_Name="v")])
    assert (answer.status, answer.body, answer.headers["x-name"]) == (200, b"x" * 1000, "v")
    with pytest.raises(TooLongError):
        ask([response(b"x" * 1001)])


def test_a_body_without_end_is_cut_at_its_cap_and_never_held_whole() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLongError):
            ask(endless_body(), most=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_body_counts_unpacked(pack) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    assert ask([response(pack(b"x" * 1000), Content_Encoding=coding)]).body == b"x" * 1000
    bomb = response(pack(b"\0" * 30_000_000), Content_Encoding=coding)
    tracemalloc.start()
    try:
        with pytest.raises(TooLongError):
            ask([bomb])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000


@pytest.mark.parametrize(("coding", "body"), [("br", b"?"), ("gzip, gzip", b"?"), ("gzip", b"no gzip at all")])
def test_what_cannot_be_unpacked_in_pieces_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(TooLongError):
        ask([response(body, Content_Encoding=coding)])


@pytest.mark.parametrize(
    "pieces",
    [
        endless_head(),
        itertools.chain([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"], itertools.repeat(b"a")),
        itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b"a")),
        itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["headers", "body", "body without length", "informational"],
)
def test_an_answer_that_trickles_ends_when_its_time_is_up(pieces: Iterable[bytes]) -> None:
    with pytest.raises(TooSlowError):
        ask(pieces, 0.02, total_s=0.3)


def test_headers_beyond_measure_are_refused() -> None:
    many = "".join(f"X-{number}: {'v' * 1000}\r\n" for number in range(1000))
    with pytest.raises(httpx.TransportError):
        ask([f"HTTP/1.1 200 OK\r\n{many}\r\n".encode()])


def test_a_redirect_is_an_answer_and_nothing_is_sent_after_it() -> None:
    with RawServer([response()]) as other:
        client_answer = ask([response(status="302 Found", Location=other.url)])
        assert client_answer.status == 302
        assert other.asked == []


def test_a_connection_is_used_again_and_a_cut_one_is_not() -> None:
    with RawServer([response(b"{}")], keep=True) as server:
        client = BoundedClient(Limits(10, 20.0), 20.0, certificates=False, proxies=False)
        for _ in range(3):
            client.ask("POST", server.url, value={"a": 1})
        assert server.connections == 1
        client.close()


def test_closing_wakes_who_waits() -> None:
    met: list[BaseException] = []
    with RawServer([b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"], 30.0) as server:
        client = BoundedClient(Limits(10, 60.0), 60.0, certificates=False, proxies=False)

        def wait() -> None:
            try:
                client.ask("GET", server.url)
            except httpx.HTTPError as error:
                met.append(error)

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not server.asked:
            time.sleep(0.01)
        client.close()
        waiting.join(20)
    assert [type(error) for error in met] == [ClosedError]
    with pytest.raises(ClosedError):
        client.ask("GET", server.url)


@pytest.mark.parametrize("proxy", ["socks5://user:hunter2@127.0.0.1:1", "socks://127.0.0.1:1", "nonsense://x"])
@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy", "HTTPS_PROXY"])
def test_a_proxy_that_cannot_be_used_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, name: str, proxy: str) -> None:
    for other in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(other, raising=False)
        monkeypatch.delenv(other.lower(), raising=False)
    monkeypatch.setenv(name, proxy)
    with pytest.raises(EngineError, match=rf"the proxy that {name} names cannot be used") as caught:
        BoundedClient(Limits(10, 1.0), 1.0)
    assert "hunter2" not in str(caught.value)


def test_certificates_that_are_not_there_are_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(EngineError, match="certificates"):
        BoundedClient(Limits(10, 1.0), 1.0)


@pytest.mark.parametrize(
    "data", [b"", b"no", b"\xff\xfe\xfd", b"[" * 100_000, b"1" * 10_000, b'{"a": 1', b"[" * 500 + b"]" * 499]
)
def test_what_is_no_json_is_a_value_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(data)
