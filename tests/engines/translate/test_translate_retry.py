"""Retries and dialects are values: tables of failures and decisions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engines.translate.dialect import Dialect, JsonMode, is_too_large, request_fields, simpler
from engines.translate.retry import RequestFailure, RetryDecision, Trouble, Verdict, parse_retry_after, retry_decision

TASK, ENDPOINT = RetryDecision(Verdict.GIVE_UP_TASK), RetryDecision(Verdict.GIVE_UP_ENDPOINT)


def again(wait_ms: int) -> RetryDecision:
    return RetryDecision(Verdict.RETRY, wait_ms)


def status(code: int, retry_after_ms: int | None = None, detail: str = "") -> RequestFailure:
    return RequestFailure(Trouble.STATUS, code, retry_after_ms, detail)


@pytest.mark.parametrize(
    ("failure", "attempt", "decision"),
    [
        (status(500), 1, again(500)),
        (status(503), 2, again(1000)),
        (status(502), 5, again(8000)),
        (status(500), 6, TASK),
        (status(429), 1, again(500)),
        (status(429, 7000), 1, again(7000)),
        (status(429, 100), 4, again(4000)),
        (status(429, 600_000), 1, TASK),
        (status(429, None, "insufficient_quota: check your plan"), 1, ENDPOINT),
        (status(401), 1, ENDPOINT),
        (status(402), 1, ENDPOINT),
        (status(403), 1, ENDPOINT),
        (status(404), 1, ENDPOINT),
        (status(418), 1, TASK),
        (RequestFailure(Trouble.TIMEOUT), 2, again(1000)),
        (RequestFailure(Trouble.TIMEOUT), 3, TASK),
        (RequestFailure(Trouble.UNSENT), 2, again(1000)),
        (RequestFailure(Trouble.UNSENT), 3, TASK),
        (RequestFailure(Trouble.DROPPED), 1, again(500)),
        (RequestFailure(Trouble.DROPPED), 6, TASK),
        (RequestFailure(Trouble.GARBLED), 6, TASK),
        (RequestFailure(Trouble.UNREACHABLE), 5, again(8000)),
        (RequestFailure(Trouble.UNREACHABLE), 6, ENDPOINT),
    ],
)
def test_decision_after_a_failure(failure: RequestFailure, attempt: int, decision: RetryDecision) -> None:
    assert retry_decision(failure, attempt) == decision


@pytest.mark.parametrize(
    ("header", "wait_ms"),
    [
        (None, None),
        ("", None),
        ("2", 2000),
        ("0.25", 250),
        ("-3", 0),
        ("soon", None),
        ("inf", None),
        ("Wed, 01 Jan 2025 00:00:30 GMT", 30_000),
        ("Tue, 31 Dec 2024 00:00:00 GMT", 0),
    ],
)
def test_reading_retry_after(header: str | None, wait_ms: int | None) -> None:
    assert parse_retry_after(header, datetime(2025, 1, 1, tzinfo=UTC)) == wait_ms


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("Unrecognized request argument supplied: chat_template_kwargs", {"template_options": False}),
        ("'max_tokens' is not supported, use 'max_completion_tokens'", {"token_field": "max_completion_tokens"}),
        ("'temperature' does not support 0", {"sampling": False}),
        ("response_format json_schema is not supported", {"json_mode": JsonMode.OBJECT}),
        ("Grammar error: unimplemented keys", {"json_mode": JsonMode.OBJECT}),
        ("bad request", {"template_options": False}),
    ],
)
def test_what_a_refusal_names_is_left_out_first(said: str, change: dict[str, object]) -> None:
    assert simpler(Dialect(), said) == Dialect(**change)


def test_refusals_end_when_nothing_is_left_to_leave_out() -> None:
    dialect: Dialect | None = Dialect()
    steps = 0
    while dialect is not None:
        dialect, steps = simpler(dialect, "no"), steps + 1
    assert steps == 5


@pytest.mark.parametrize(
    ("said", "large"),
    [
        ("This model's maximum context length is 2048 tokens", True),
        ("request (1202 tokens) exceeds the available context size", True),
        ("prompt is too long", True),
        ("unknown field context_id", False),
    ],
)
def test_recognising_a_prompt_that_does_not_fit(said: str, large: bool) -> None:
    assert is_too_large(said) is large


def test_a_plain_dialect_asks_for_no_format() -> None:
    fields = request_fields(Dialect(JsonMode.PLAIN, template_options=False), ["1"], 50, {"temperature": 0.0, "seed": 0})
    assert fields == {"max_tokens": 50, "temperature": 0.0, "seed": 0}
