"""A client for one OpenAI-compatible chat endpoint: requests, retries, and errors without secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from core.addresses import join_url, secrets_in, shown_url
from core.errors import EndpointAwayError, EngineError, UnitError
from engines.translate.interface import Usage
from engines.translate.retry import (
    RequestFailure,
    RetryPolicy,
    Trouble,
    Verdict,
    may_be_charged,
    parse_retry_after,
    retry_decision,
)

_DETAIL_LENGTH = 200
#: A secret shorter than this is not looked for in messages: replacing it would garble them.
_SECRET_LENGTH = 4


@dataclass(frozen=True)
class Patience:
    """How long a client waits, and how often."""

    connect_s: float = 5.0
    #: Longest silence while an answer is being written; a busy server queues.
    read_s: float = 180.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class RefusedError(Exception):
    """The endpoint does not accept the request as it is written (400, 413, 415, 422): it may be written otherwise."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


class StoppedError(Exception):
    """The caller wants no more answers."""


class RequestTally:
    """What the requests of one caller came to so far. Another thread may read it, and forbid more of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._usage = Usage()

    def close(self) -> Usage:
        """No more requests: the next one raises StoppedError. What was used, and may have been used, until now."""
        with self._lock:
            self._closed = True
            return self._usage

    @property
    def usage(self) -> Usage:
        """What was used; requests without an answer (yet) are counted as such."""
        return self._usage

    def send(self) -> None:
        """A request is about to be sent. Raises StoppedError after `close`."""
        with self._lock:
            if self._closed:
                raise StoppedError
            self._usage = replace(self._usage, unanswered=self._usage.unanswered + 1)

    def settle(self, result: Mapping[str, Any] | RequestFailure) -> None:
        """The request was answered, or failed."""
        with self._lock:
            used = self._usage
            if isinstance(result, RequestFailure):
                self._usage = replace(used, unanswered=used.unanswered - (not may_be_charged(result)))
                return
            asked, said = tokens_of(result)
            self._usage = Usage(
                used.requests + 1, used.input_tokens + asked, used.output_tokens + said, used.unanswered - 1
            )


def tokens_of(answer: Mapping[str, Any]) -> tuple[int, int]:
    """(tokens read, tokens written) as an answer reports them; 0 for what it does not report."""
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return _count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens"))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


_REFUSALS = frozenset({400, 413, 415, 422})


class ChatClient:
    """Talks to one endpoint. Safe to use from several threads."""

    def __init__(self, url: str, api_key: str, connections: int, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._secrets = [secret for secret in (api_key, *secrets_in(url)) if len(secret) >= _SECRET_LENGTH]
        self._url, self.shown_url = url, shown_url(url)
        self.stop = threading.Event()
        secure = not url.startswith("http://")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self._patience.read_s, connect=self._patience.connect_s),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            # Proxies and certificates of the surroundings are for endpoints far away; a plain-text one is near, and
            # loading certificates that it has no use for costs 0.2 s.
            trust_env=secure,
            verify=secure,
        )

    def __repr__(self) -> str:
        return f"ChatClient({self.shown_url!r})"

    def close(self) -> None:
        """Ends every connection; waiting requests stop."""
        self.stop.set()
        self._http.close()

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path; errors as in `post`."""
        return self._call("GET", path, None, RequestTally())

    def post(self, path: str, body: dict[str, Any], tally: RequestTally | None = None) -> dict[str, Any]:
        """The JSON object that answers ``body``, after as many tries as are worth it.

        Raises RefusedError when the request should be written otherwise, UnitError when this request is given up,
        EngineError when the endpoint can do nothing for anybody, StoppedError after `close`. Every try is counted in
        ``tally``.
        """
        return self._call("POST", path, body, tally or RequestTally())

    def _call(self, method: str, path: str, body: dict[str, Any] | None, tally: RequestTally) -> dict[str, Any]:
        attempt = 0
        while True:
            if self.stop.is_set():
                raise StoppedError
            attempt += 1
            tally.send()
            try:
                result = self._once(method, path, body)
            except EngineError:
                tally.settle(RequestFailure(Trouble.UNREACHABLE))
                raise
            tally.settle(result)
            if not isinstance(result, RequestFailure):
                return result
            if result.trouble is Trouble.STATUS and result.status in _REFUSALS:
                raise RefusedError(result.status, result.detail)
            decision = retry_decision(result, attempt, self._patience.retry)
            if decision.verdict is Verdict.GIVE_UP_ENDPOINT:
                raise self._endpoint_error(result)
            if decision.verdict is Verdict.GIVE_UP_TASK:
                raise UnitError(f"{self._told(result)} ({attempt} tries)", "run again later: what is done stays done")
            if self.stop.wait(decision.wait_ms / 1000):
                raise StoppedError

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any] | RequestFailure:
        try:
            response = self._http.request(method, join_url(self._url, path), json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return RequestFailure(Trouble.UNREACHABLE, detail=self._scrubbed(str(error)))
        except httpx.PoolTimeout:
            return RequestFailure(Trouble.UNSENT)
        except httpx.TimeoutException:
            return RequestFailure(Trouble.TIMEOUT)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
            raise EngineError(
                f"{self.shown_url} is not a usable address",
                "set SEGUE_TRANSLATOR_URL to one like http://127.0.0.1:8000/v1",
            ) from None
        except (httpx.TransportError, httpx.DecodingError, httpx.TooManyRedirects) as error:
            return RequestFailure(Trouble.DROPPED, detail=self._scrubbed(str(error)))
        except RuntimeError:  # httpx says so when another thread has closed the client.
            if self.stop.is_set():
                raise StoppedError from None
            raise
        if response.status_code != 200:
            return RequestFailure(
                Trouble.STATUS,
                response.status_code,
                parse_retry_after(response.headers.get("retry-after")),
                self._scrubbed(_error_text(response)),
            )
        try:
            value = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            value = None
        if not isinstance(value, dict):
            return RequestFailure(Trouble.GARBLED, detail="the answer is not a JSON object")
        return value

    def _endpoint_error(self, failure: RequestFailure) -> EngineError:
        """One clear line for the end of an endpoint. Never the words of a 401: they often repeat the key."""
        where = self.shown_url
        if failure.trouble is Trouble.UNREACHABLE:
            return EndpointAwayError(f"nobody answers at {where}", "start the server, or correct SEGUE_TRANSLATOR_URL")
        if failure.status in {401, 403}:
            return EngineError(
                f"{where} refuses the key (HTTP {failure.status})",
                "set SEGUE_TRANSLATOR_API_KEY (or ..._FILE) to a valid key",
            )
        if failure.status in {404, 405}:
            said = f": {failure.detail}" if failure.detail else ""
            return EngineError(
                f"{where} does not know this model or address (HTTP {failure.status}){said}",
                "check SEGUE_TRANSLATOR_MODEL, and that SEGUE_TRANSLATOR_URL ends as the server wants (often /v1)",
            )
        return EngineError(f"{where} wants to be paid: {failure.detail}", "top up the account, or use another endpoint")

    def _told(self, failure: RequestFailure) -> str:
        where, said = self.shown_url, f": {failure.detail}" if failure.detail else ""
        if failure.trouble is Trouble.TIMEOUT:
            return f"{where} did not answer within {self._patience.read_s:g} s"
        if failure.trouble is Trouble.UNSENT:
            return f"no connection to {where} became free within {self._patience.read_s:g} s"
        if failure.trouble is Trouble.DROPPED:
            return f"{where} broke the connection{said}"
        if failure.trouble is Trouble.GARBLED:
            return f"{where} did not answer as a chat endpoint does{said}"
        return f"{where} answered HTTP {failure.status}{said}"

    def _scrubbed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_DETAIL_LENGTH]


def _error_text(response: httpx.Response) -> str:
    """The server's own words: ``error.message`` as OpenAI writes it, ``message`` or ``detail`` as others do."""
    try:
        value = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        return response.text[:1000]
    error = value.get("error", value) if isinstance(value, dict) else value
    if isinstance(error, dict):
        words = [str(error[name]) for name in ("code", "message", "detail", "param") if error.get(name)]
        return " ".join(words) or json.dumps(error)
    return str(error)
