"""Whose fault it is that a request failed: the one place that says so. Pure; the retries and the rounds act on it.

Statuses and the codes that services document decide; words decide only where a status leaves it open, since the same
words mean different things ("check your plan and billing details" stands in Gemini's answer to too many requests a
minute, and in OpenAI's to an account without credit).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
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
    """One failed request, as far as decisions depend on it."""

    trouble: FailureKind
    #: HTTP status, for STATUS.
    status: int = 0
    #: How long the server asked to be left alone, or None.
    retry_after_ms: int | None = None
    #: The server's own words, without secrets; one line.
    detail: str = ""
    #: The server's codes for the error, in lower case: ``error.code``, ``error.type`` and their like.
    codes: frozenset[str] = frozenset()


class Blame(StrEnum):
    """Whose fault a failure is."""

    #: The moment's: the same request may succeed later.
    MOMENT = "moment"
    #: These lines': a content filter refuses one of them. Others may be asked for.
    LINES = "lines"
    #: These lines' and their context's: they are too long together.
    LENGTH = "length"
    #: The form's: a parameter that this endpoint does not know.
    DIALECT = "dialect"
    #: The endpoint's: it refuses the key.
    KEY = "key"
    #: The endpoint's: it knows no such model or address.
    ADDRESS = "address"
    #: The endpoint's: it is somewhere else.
    MOVED = "moved"
    #: The endpoint's: it wants to be paid.
    UNPAID = "unpaid"
    #: This request's, for a reason that nobody knows.
    REQUEST = "request"


#: Nothing more can be had from an endpoint at fault.
OF_THE_ENDPOINT = frozenset({Blame.KEY, Blame.ADDRESS, Blame.MOVED, Blame.UNPAID})

#: OpenAI documents these for a 429 that waiting does not help.
_UNPAID_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_MODEL_CODES = frozenset({"model_not_found", "model_not_available", "deploymentnotfound", "invalid_model"})
_KEY_CODES = frozenset({"invalid_api_key", "api_key_invalid", "authentication_error", "unauthorized"})
_LENGTH_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"})
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "moderation_blocked",
        "data_inspection_failed",
        "datainspectionfailed",
        "prohibited_content",
        "invalid_prompt",
        "sensitive",
    }
)
_FILTER_WORDS = re.compile(
    r"content[ _-]?(?:filter|policy|management)|responsible ?ai|moderation|safety (?:system|filter|polic|guideline)"
    r"|usage polic|flagged|(?:inappropriate|prohibited|harmful)[ _]content|sensitive (?:content|information|word)"
    r"|inappropriate|datainspection|data_inspection|filtered (?:by|due)",
    re.IGNORECASE,
)
#: Anthropic says this with a 400, Google the next with a 400.
_UNPAID_WORDS = re.compile(r"credit balance is too low", re.IGNORECASE)
_KEY_WORDS = re.compile(r"api key not valid|(?:invalid|incorrect) api key", re.IGNORECASE)
_MODEL_WORDS = re.compile(
    r"model\b.{0,80}\b(?:does not exist|not found|not a valid model)|invalid model", re.IGNORECASE
)
_PARAMETER_WORDS = re.compile(
    r"response_format|json_schema|json_object|chat_template|enable_thinking|temperature|\bseed\b|max_(?:completion_)?tokens"
    r"|parameter",
    re.IGNORECASE,
)
_LATER = frozenset({408, 409, 425, 429})
_NEVER = frozenset({501, 505})
#: Of statuses in which a service says that it does not like the request; some filters answer 403 or 451.
_REFUSALS = frozenset({400, 406, 413, 415, 422})
_OF_STATUS = {401: Blame.KEY, 402: Blame.UNPAID, 403: Blame.KEY, 404: Blame.ADDRESS, 405: Blame.ADDRESS}


def blame(failure: RequestFailure) -> Blame:
    """Whose fault the failure is."""
    if failure.trouble is not FailureKind.STATUS:
        return Blame.MOMENT
    status, codes = failure.status, failure.codes
    if status == 429:
        return Blame.UNPAID if codes & _UNPAID_CODES else Blame.MOMENT
    if status in _LATER or (status >= 500 and status not in _NEVER):
        return Blame.MOMENT
    if status == 451 or (status in _REFUSALS | {403} and _is_filter(failure)):
        return Blame.LINES
    if status in _REFUSALS:
        return _blame_of_refusal(failure)
    if status == 404 and names_parameter(failure.detail):
        # A router that has no server for such a request.
        return Blame.DIALECT
    if 300 <= status < 400:
        return Blame.MOVED
    return _OF_STATUS.get(status, Blame.REQUEST)


def _is_filter(failure: RequestFailure) -> bool:
    return bool(failure.codes & _FILTER_CODES) or _FILTER_WORDS.search(failure.detail) is not None


def _blame_of_refusal(failure: RequestFailure) -> Blame:
    codes, said = failure.codes, failure.detail
    if codes & _LENGTH_CODES or failure.status == 413 or is_too_large(said):
        return Blame.LENGTH
    if codes & _UNPAID_CODES or _UNPAID_WORDS.search(said):
        return Blame.UNPAID
    if codes & _KEY_CODES or _KEY_WORDS.search(said):
        return Blame.KEY
    if codes & _MODEL_CODES or _MODEL_WORDS.search(said):
        return Blame.ADDRESS
    return Blame.DIALECT


def is_too_large(detail: str) -> bool:
    """True when a refusal says that the prompt does not fit the model's context."""
    said = detail.lower()
    return ("context" in said and any(word in said for word in ("length", "size", "window", "exceed"))) or (
        "too long" in said or "too large" in said
    )


def names_parameter(detail: str) -> bool:
    """True when a refusal names something that was sent beyond model and messages."""
    return _PARAMETER_WORDS.search(detail) is not None
