"""A client for one OpenAI-compatible chat endpoint: requests, retries, and errors without secrets."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from core.addresses import join_url, secrets_in, shown_url
from core.errors import EndpointAwayError, EngineError, UnitError
from engines.bounded_http import BoundedClient, ClosedError, HttpAnswer, Limits, TooLongError, TooSlowError
from engines.translate.blame import Blame, FailureKind, RequestFailure, blame
from engines.translate.interface import token_usage
from engines.translate.retry import RetryAction, RetryPolicy, asked_wait_ms, may_be_charged, retry_decision
from engines.translate.stream import completion_of_stream, is_stream
from engines.translate.usage_claims import believable_usage

_DETAIL_LENGTH = 200
#: The longest list of models that is known takes a twentieth of this, and so does an answer of 100,000 tokens.
_BODY_BYTES = 16_000_000
#: Of an error's words and codes.
_WORDS_LENGTH, _CODE_LENGTH = 1000, 80
_WORDS = ("code", "message", "detail", "param")
_CODES = ("code", "type", "status", "reason")
#: A secret shorter than this is not looked for in messages: replacing it would garble them.
_SECRET_LENGTH = 4


@dataclass(frozen=True)
class Patience:
    """How long a client waits, and how often."""

    connect_s: float = 5.0
    #: Longest silence while an answer is being written; a busy server queues.
    read_s: float = 180.0
    #: Longest time for an answer, however steadily it comes.
    total_s: float = 600.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class RefusedError(Exception):
    """The endpoint does not accept the request: it may be written otherwise, or hold fewer lines."""

    def __init__(self, status: int, detail: str, fault: Blame) -> None:
        super().__init__(status, detail, fault)
        self.status = status
        self.detail = detail
        self.fault = fault


#: Faults that whoever wrote the request can do something about.
REFUSALS = frozenset({Blame.DIALECT, Blame.LENGTH, Blame.LINES})


class RequestsStoppedError(Exception):
    """The caller wants no more answers."""


class RequestTally:
    """What the requests of one caller came to so far. Another thread may read it, and forbid more of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._answered, self._unanswered = token_usage(), 0

    def close(self) -> dict[str, int]:
        """No more requests: the next raises RequestsStoppedError. What was used, and may have been used, until now."""
        with self._lock:
            self._closed = True
            return self.usage

    @property
    def usage(self) -> dict[str, int]:
        """What was used, by meter; requests without an answer (yet) are counted as such."""
        return self._answered | self.unanswered

    @property
    def unanswered(self) -> dict[str, int]:
        """Of that, the requests without an answer; empty where there are none."""
        return {"unanswered": self._unanswered} if self._unanswered else {}

    def send(self) -> None:
        """A request is about to be sent. Raises RequestsStoppedError after `close`."""
        with self._lock:
            if self._closed:
                raise RequestsStoppedError
            self._unanswered += 1

    def settle(self, result: Mapping[str, Any] | RequestFailure) -> None:
        """The request was answered, or failed."""
        with self._lock:
            if isinstance(result, RequestFailure):
                self._unanswered -= not may_be_charged(result)
                return
            used = token_usage(1, *tokens_of(result))
            self._answered = {meter: amount + used[meter] for meter, amount in self._answered.items()}
            self._unanswered -= 1


def tokens_of(answer: Mapping[str, Any]) -> tuple[int, int]:
    """(tokens read, tokens written) as an answer reports them; 0 for what it does not report."""
    counts = answer["usage"]
    return counts.get("prompt_tokens", 0), counts.get("completion_tokens", 0)


class ChatClient:
    """Talks to one endpoint. Safe to use from several threads."""

    def __init__(self, url: str, api_key: str, connections: int, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._secrets = [secret for secret in (api_key, *secrets_in(url)) if len(secret) >= _SECRET_LENGTH]
        self._url, self.shown_url = url, shown_url(url)
        self.stop = threading.Event()
        secure = not url.startswith("http://")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = BoundedClient(
            Limits(_BODY_BYTES, self._patience.total_s, connections),
            httpx.Timeout(self._patience.read_s, connect=self._patience.connect_s),
            headers=headers,
            # Proxies and certificates of the surroundings are for endpoints far away; a plain-text one is near, and
            # loading certificates that it has no use for costs 0.2 s.
            certificates=secure,
            proxies=secure,
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
        EngineError when the endpoint can do nothing for anybody, RequestsStoppedError after `close`. Every try is
        counted in ``tally``.
        """
        return self._call("POST", path, body, tally or RequestTally())

    def _call(self, method: str, path: str, body: dict[str, Any] | None, tally: RequestTally) -> dict[str, Any]:
        attempt = 0
        while True:
            if self.stop.is_set():
                raise RequestsStoppedError
            attempt += 1
            tally.send()
            try:
                result = self._once(method, path, body)
            except EngineError:
                tally.settle(RequestFailure(FailureKind.UNREACHABLE))
                raise
            tally.settle(result)
            if not isinstance(result, RequestFailure):
                return result
            fault = blame(result)
            if fault in REFUSALS:
                raise RefusedError(result.status, result.detail, fault)
            decision = retry_decision(result, attempt, self._patience.retry)
            if decision.action is RetryAction.GIVE_UP_ENDPOINT:
                raise self._endpoint_error(result)
            if decision.action is RetryAction.GIVE_UP_TASK:
                raise UnitError(f"{self._told(result)} ({attempt} tries)", "run again later: what is done stays done")
            if self.stop.wait(decision.wait_ms / 1000):
                raise RequestsStoppedError

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any] | RequestFailure:
        sent = b"" if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        headers = {"Content-Type": "application/json"} if sent else {}
        try:
            answer = self._http.ask(method, join_url(self._url, path), headers=headers, content=sent or None)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            return RequestFailure(FailureKind.UNREACHABLE, detail=self._scrubbed(str(error)))
        except httpx.PoolTimeout:
            return RequestFailure(FailureKind.UNSENT)
        except TooSlowError as error:
            return RequestFailure(FailureKind.TIMEOUT, detail=str(error))
        except httpx.TimeoutException:
            return RequestFailure(FailureKind.TIMEOUT)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError):
            raise EngineError(
                f"{self.shown_url} is not a usable address",
                "set SEGUE_TRANSLATOR_URL to one like http://127.0.0.1:8000/v1",
            ) from None
        except ClosedError:
            raise RequestsStoppedError from None
        except TooLongError as error:
            return RequestFailure(FailureKind.GARBLED, detail=str(error))
        except httpx.TransportError as error:
            return RequestFailure(FailureKind.DROPPED, detail=self._scrubbed(str(error)))
        if answer.status != 200:
            return self._failure(answer.status, answer, _value(answer))
        value = _value(answer)
        if not isinstance(value, dict):
            return RequestFailure(FailureKind.GARBLED, detail="the answer is not a JSON object")
        if "choices" not in value and isinstance(value.get("error"), dict):
            # Routers answer 200 before they know whether whom they ask will answer.
            code = value["error"].get("code")
            status = code if type(code) is int and 400 <= code < 600 else 500
            return self._failure(status, answer, value)
        usage = believable_usage(value.get("usage"), body or {}, len(sent), len(answer.body))
        return {**value, "usage": usage}

    def _failure(self, status: int, answer: HttpAnswer, value: object) -> RequestFailure:
        words, codes = _error_of(value, answer)
        wait_ms = asked_wait_ms(answer.headers, words)
        return RequestFailure(FailureKind.STATUS, status, wait_ms, self._scrubbed(words), codes)

    def _endpoint_error(self, failure: RequestFailure) -> EngineError:
        """One clear line for the end of an endpoint. Never the words of a 401: they often repeat the key."""
        where, said = self.shown_url, f": {failure.detail}" if failure.detail else ""
        if failure.trouble is FailureKind.UNREACHABLE:
            return EndpointAwayError(f"nobody answers at {where}", "start the server, or correct SEGUE_TRANSLATOR_URL")
        match blame(failure):
            case Blame.KEY:
                return EngineError(
                    f"{where} refuses the key (HTTP {failure.status})",
                    "set SEGUE_TRANSLATOR_API_KEY (or ..._FILE) to a valid key",
                )
            case Blame.UNPAID:
                return EngineError(f"{where} wants to be paid{said}", "top up the account, or use another endpoint")
            case Blame.MOVED:
                return EngineError(
                    f"{where} sends to another address (HTTP {failure.status}), which is not followed",
                    "set SEGUE_TRANSLATOR_URL to where the endpoint really is",
                )
        return EngineError(
            f"{where} does not know this model or address (HTTP {failure.status}){said}",
            "check SEGUE_TRANSLATOR_MODEL, and that SEGUE_TRANSLATOR_URL ends as the server wants (often /v1)",
        )

    def _told(self, failure: RequestFailure) -> str:
        where, said = self.shown_url, f": {failure.detail}" if failure.detail else ""
        if failure.trouble is FailureKind.TIMEOUT:
            return f"{where} did not answer within {self._patience.read_s:g} s{said}"
        if failure.trouble is FailureKind.UNSENT:
            return f"no connection to {where} became free within {self._patience.read_s:g} s"
        if failure.trouble is FailureKind.DROPPED:
            return f"{where} broke the connection{said}"
        if failure.trouble is FailureKind.GARBLED:
            return f"{where} did not answer as a chat endpoint does{said}"
        return f"{where} answered HTTP {failure.status}{said}"

    def _scrubbed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        shown = "".join(character if character.isprintable() else " " for character in text)
        return " ".join(shown.split())[:_DETAIL_LENGTH]


def _value(answer: HttpAnswer) -> Any:
    """The JSON of an answer, or what its stream adds up to; None for neither."""
    try:
        if is_stream(answer.headers.get("content-type", ""), answer.text):
            return completion_of_stream(answer.text)
        return answer.json()
    except ValueError:
        return None


def _error_of(value: object, answer: HttpAnswer) -> tuple[str, frozenset[str]]:
    """The server's own words (``error.message`` as OpenAI writes it, ``message`` or ``detail`` as others do), and the
    codes in them: also those of an inner error (Azure) and of the details (Google)."""
    # Google's own API puts the object into a list.
    first = value[0] if isinstance(value, list) and value else value
    error = first.get("error", first) if isinstance(first, dict) else first
    if not isinstance(error, dict):
        return _word(error) or answer.text[:_WORDS_LENGTH], frozenset()
    words = " ".join(filter(None, (_word(error.get(name)) for name in _WORDS)))
    details = error.get("details")
    inner = [error.get("innererror"), *(details if isinstance(details, list) else [])]
    holders = [error, *(each for each in inner if isinstance(each, dict))]
    codes = {_word(each.get(name))[:_CODE_LENGTH].lower() for each in holders for name in _CODES} - {""}
    return words or answer.text[:_WORDS_LENGTH], frozenset(codes)


def _word(value: object) -> str:
    return str(value)[:_WORDS_LENGTH] if isinstance(value, (str, int)) else ""
