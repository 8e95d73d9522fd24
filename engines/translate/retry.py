"""Whether a failed request is worth repeating, and when. Pure: a decision is a value.

Three ends are told apart: the request is repeated, this task is given up (others may still succeed), or the endpoint
can do nothing for anybody (wrong key, unknown model, no credit, nobody there). `blame` says whose fault it was.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from engines.translate.blame import OF_THE_ENDPOINT, Blame, FailureKind, RequestFailure, blame


class RetryAction(StrEnum):
    """What to do after a failure."""

    RETRY = "retry"
    GIVE_UP_TASK = "give-up-task"
    GIVE_UP_ENDPOINT = "give-up-endpoint"


@dataclass(frozen=True)
class RetryDecision:
    """What to do, and how long to wait before it."""

    action: RetryAction
    wait_ms: int = 0


def may_be_charged(failure: RequestFailure) -> bool:
    """Whether the server may have done, and charged, what its client never got: an error that it tells of is free."""
    if failure.trouble is FailureKind.STATUS:
        return failure.status in _GATEWAY_TIMEOUTS
    return failure.trouble not in _NEVER_SENT


@dataclass(frozen=True)
class RetryPolicy:
    """How patient a client is."""

    #: Requests for one question, the first one included.
    attempts: int = 6
    #: A timeout costs minutes, so fewer of them.
    timeout_attempts: int = 3
    #: First wait; each later one is twice as long.
    backoff_ms: int = 500
    #: Longest wait that we choose ourselves.
    longest_backoff_ms: int = 20_000
    #: Longest wait that a server may ask for.
    longest_asked_ms: int = 120_000


_NEVER_SENT = frozenset({FailureKind.UNREACHABLE, FailureKind.UNSENT})
#: What costs a client minutes.
_LONG_WAITS = frozenset({FailureKind.TIMEOUT, FailureKind.UNSENT})
#: A gateway stopped waiting; who was behind it may have gone on.
_GATEWAY_TIMEOUTS = frozenset({504, 524})
#: ``Please retry in 1.5s``, ``try again in 6m0s``, ``Retry after 20 seconds``.
_TOLD = re.compile(r"(?:retry|try again|wait)\s*(?:in|after|for)?\s*((?:\d+(?:\.\d+)?\s*[a-z]+\s*)+)", re.IGNORECASE)
_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)\s*(?:(ms|milli)|(s)|(m)|(h))[a-z]*")
_UNITS_MS = (1, 1000, 60_000, 3_600_000)


def retry_decision(failure: RequestFailure, attempt: int, policy: RetryPolicy | None = None) -> RetryDecision:
    """What to do after the ``attempt``-th request (from 1) for the same question has failed."""
    policy = policy or RetryPolicy()
    fault = blame(failure)
    if fault is not Blame.MOMENT:
        return RetryDecision(RetryAction.GIVE_UP_ENDPOINT if fault in OF_THE_ENDPOINT else RetryAction.GIVE_UP_TASK)
    limit = policy.timeout_attempts if failure.trouble in _LONG_WAITS else policy.attempts
    if attempt >= limit:
        nobody = failure.trouble is FailureKind.UNREACHABLE
        return RetryDecision(RetryAction.GIVE_UP_ENDPOINT if nobody else RetryAction.GIVE_UP_TASK)
    backoff = min(policy.backoff_ms * 2 ** (attempt - 1), policy.longest_backoff_ms)
    asked = failure.retry_after_ms or 0
    if asked > policy.longest_asked_ms:
        return RetryDecision(RetryAction.GIVE_UP_TASK)
    return RetryDecision(RetryAction.RETRY, max(backoff, asked))


def asked_wait_ms(headers: Mapping[str, str], said: str) -> int | None:
    """How long a server asks to be left alone: in its headers, else in its words. Header names in lower case."""
    finer = headers.get("retry-after-ms", "")
    if finer.isascii() and finer.isdecimal() and len(finer) < 10:
        return int(finer)
    header = parse_retry_after(headers.get("retry-after"))
    return header if header is not None else told_wait_ms(said)


def parse_retry_after(header: str | None, now: datetime | None = None) -> int | None:
    """Milliseconds from a Retry-After header: seconds or an HTTP date; None for neither."""
    if not header:
        return None
    try:
        return max(0, round(float(header) * 1000))
    except (ValueError, OverflowError):
        pass
    try:
        when = parsedate_to_datetime(header)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return max(0, round((when - (now or datetime.now(UTC))).total_seconds() * 1000))
    except (TypeError, ValueError, OverflowError):
        return None


def told_wait_ms(said: str) -> int | None:
    """Milliseconds that a server's words ask for (``Please retry in 1.5s``, ``try again in 6m0s``); None without."""
    match = _TOLD.search(said)
    lengths = _LENGTH.findall(match.group(1).lower()) if match else []
    if not lengths:
        return None
    return round(
        sum(
            float(number) * next(ms for ms, unit in zip(_UNITS_MS, units, strict=True) if unit)
            for number, *units in lengths
        )
    )
