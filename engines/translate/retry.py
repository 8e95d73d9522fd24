"""Whether a failed request is worth repeating, and when. Pure: a decision is a value.

Three ends are told apart: the request is repeated, this task is given up (others may still succeed), or the endpoint
can do nothing for anybody (wrong key, unknown model, no credit, nobody there).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Trouble(StrEnum):
    """How a request failed."""

    #: Nobody answered at the address at all.
    UNREACHABLE = "unreachable"
    #: The connection was there and broke.
    DROPPED = "dropped"
    #: No answer in time.
    TIMEOUT = "timeout"
    #: None of our own connections became free in time, so that nothing was sent.
    UNSENT = "unsent"
    #: An answer with an error status.
    STATUS = "status"
    #: Status 200, and a body that is no chat completion.
    GARBLED = "garbled"


@dataclass(frozen=True)
class RequestFailure:
    """One failed request, as far as the decision depends on it."""

    trouble: Trouble
    #: HTTP status, for STATUS.
    status: int = 0
    #: What the server asked for in Retry-After, or None.
    retry_after_ms: int | None = None
    #: The server's own words, without secrets; one line.
    detail: str = ""


class Verdict(StrEnum):
    """What to do after a failure."""

    RETRY = "retry"
    GIVE_UP_TASK = "give-up-task"
    GIVE_UP_ENDPOINT = "give-up-endpoint"


@dataclass(frozen=True)
class RetryDecision:
    """What to do, and how long to wait before it."""

    verdict: Verdict
    wait_ms: int = 0


def may_be_charged(failure: RequestFailure) -> bool:
    """Whether the server may have done, and charged, what its client never got: an error that it tells of is free."""
    if failure.trouble is Trouble.STATUS:
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


_NEVER_SENT = frozenset({Trouble.UNREACHABLE, Trouble.UNSENT})
#: What costs a client minutes.
_LONG_WAITS = frozenset({Trouble.TIMEOUT, Trouble.UNSENT})
#: A gateway stopped waiting; who was behind it may have gone on.
_GATEWAY_TIMEOUTS = frozenset({504, 524})
_ENDPOINT_STATUSES = frozenset({401, 402, 403, 404, 405})
_REPEATABLE_STATUSES = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
#: What APIs say with a 429 when waiting will not help.
_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "payment")


def retry_decision(failure: RequestFailure, attempt: int, policy: RetryPolicy | None = None) -> RetryDecision:
    """What to do after the ``attempt``-th request (from 1) for the same question has failed."""
    policy = policy or RetryPolicy()
    if failure.trouble is Trouble.STATUS:
        if failure.status in _ENDPOINT_STATUSES:
            return RetryDecision(Verdict.GIVE_UP_ENDPOINT)
        if failure.status == 429 and any(word in failure.detail.lower() for word in _NO_CREDIT):
            return RetryDecision(Verdict.GIVE_UP_ENDPOINT)
        if failure.status not in _REPEATABLE_STATUSES:
            return RetryDecision(Verdict.GIVE_UP_TASK)
    limit = policy.timeout_attempts if failure.trouble in _LONG_WAITS else policy.attempts
    if attempt >= limit:
        nobody = failure.trouble is Trouble.UNREACHABLE
        return RetryDecision(Verdict.GIVE_UP_ENDPOINT if nobody else Verdict.GIVE_UP_TASK)
    backoff = min(policy.backoff_ms * 2 ** (attempt - 1), policy.longest_backoff_ms)
    asked = failure.retry_after_ms or 0
    if asked > policy.longest_asked_ms:
        return RetryDecision(Verdict.GIVE_UP_TASK)
    return RetryDecision(Verdict.RETRY, max(backoff, asked))


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
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0, round((when - (now or datetime.now(UTC))).total_seconds() * 1000))
