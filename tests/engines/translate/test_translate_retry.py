"""Retries and dialects are values: tables of failures and decisions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engines.translate.blame import Blame, FailureKind, RequestFailure, blame, is_too_large
from engines.translate.dialect import JsonMode, RequestDialect, request_fields, simpler
from engines.translate.retry import RetryAction, RetryDecision, asked_wait_ms, parse_retry_after, retry_decision

TASK, ENDPOINT = RetryDecision(RetryAction.GIVE_UP_TASK), RetryDecision(RetryAction.GIVE_UP_ENDPOINT)


def again(wait_ms: int) -> RetryDecision:
    return RetryDecision(RetryAction.RETRY, wait_ms)


def status(code: int, retry_after_ms: int | None = None, detail: str = "", *codes: str) -> RequestFailure:
    return RequestFailure(FailureKind.STATUS, code, retry_after_ms, detail, frozenset(codes))


def said(code: int, detail: str = "", *codes: str) -> RequestFailure:
    return status(code, None, detail, *codes)


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
        (status(429, None, "check your plan and billing details", "insufficient_quota"), 1, ENDPOINT),
        (status(429, 1500, "Quota reached: see your plan and billing page.", "resource_exhausted"), 1, again(1500)),
        (status(401), 1, ENDPOINT),
        (status(402), 1, ENDPOINT),
        (status(403), 1, ENDPOINT),
        (status(404), 1, ENDPOINT),
        (status(418), 1, TASK),
        (RequestFailure(FailureKind.TIMEOUT), 2, again(1000)),
        (RequestFailure(FailureKind.TIMEOUT), 3, TASK),
        (RequestFailure(FailureKind.UNSENT), 2, again(1000)),
        (RequestFailure(FailureKind.UNSENT), 3, TASK),
        (RequestFailure(FailureKind.DROPPED), 1, again(500)),
        (RequestFailure(FailureKind.DROPPED), 6, TASK),
        (RequestFailure(FailureKind.GARBLED), 6, TASK),
        (RequestFailure(FailureKind.UNREACHABLE), 5, again(8000)),
        (RequestFailure(FailureKind.UNREACHABLE), 6, ENDPOINT),
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
    assert simpler(RequestDialect(), said) == RequestDialect(**change)


def test_refusals_end_when_nothing_is_left_to_leave_out() -> None:
    dialect: RequestDialect | None = RequestDialect()
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
    fields = request_fields(
        RequestDialect(JsonMode.PLAIN, template_options=False), ["1"], 50, {"temperature": 0.0, "seed": 0}
    )
    assert fields == {"max_tokens": 50, "temperature": 0.0, "seed": 0}


@pytest.mark.parametrize(
    ("failure", "fault"),
    [
        # Later.
        (said(429, "any words about billing, payment and credit balance"), Blame.MOMENT),
        (said(429, "", "rate_limit_exceeded", "tokens"), Blame.MOMENT),
        (said(408), Blame.MOMENT),
        (said(500), Blame.MOMENT),
        (said(503, "the content filter is down"), Blame.MOMENT),
        (said(529, "Overloaded", "overloaded_error"), Blame.MOMENT),
        (RequestFailure(FailureKind.TIMEOUT), Blame.MOMENT),
        (RequestFailure(FailureKind.DROPPED), Blame.MOMENT),
        # These lines.
        (said(400, "filtered by policy prompt", "content_filter"), Blame.LINES),
        (said(400, "The response was filtered due to Azure's content management policy."), Blame.LINES),
        (said(400, "", "invalid_prompt"), Blame.LINES),
        (said(400, "Input data may contain inappropriate content.", "data_inspection_failed"), Blame.LINES),
        (said(403, "Your chosen model requires moderation and your input was flagged"), Blame.LINES),
        (said(451), Blame.LINES),
        # Too long.
        (said(400, "", "context_length_exceeded"), Blame.LENGTH),
        (said(400, "prompt is too long: 210000 tokens"), Blame.LENGTH),
        (said(413), Blame.LENGTH),
        # How it is written.
        (said(400, "Unknown parameter: 'seed'"), Blame.DIALECT),
        (said(422, "extra fields not permitted"), Blame.DIALECT),
        (said(404, "No endpoints found that support the requested parameters: response_format"), Blame.DIALECT),
        # The endpoint.
        (said(401), Blame.KEY),
        (said(403), Blame.KEY),
        (said(400, "API key not valid. Please pass a valid API key.", "invalid_argument"), Blame.KEY),
        (said(400, "", "api_key_invalid"), Blame.KEY),
        (said(402), Blame.UNPAID),
        (said(429, "", "insufficient_quota"), Blame.UNPAID),
        (said(400, "Your credit balance is too low to access the API."), Blame.UNPAID),
        (said(404, "The model `x` does not exist", "model_not_found"), Blame.ADDRESS),
        (said(400, "The model `x` does not exist."), Blame.ADDRESS),
        (said(302), Blame.MOVED),
        (said(308), Blame.MOVED),
        # Nobody knows.
        (said(418), Blame.REQUEST),
        (said(501), Blame.REQUEST),
    ],
)
def test_whose_fault_a_failure_is(failure: RequestFailure, fault: Blame) -> None:
    assert blame(failure) is fault


@pytest.mark.parametrize(
    ("headers", "words", "wait_ms"),
    [
        ({"retry-after": "3"}, "retry in 1.5s", 3000),
        ({"retry-after-ms": "250", "retry-after": "3"}, "", 250),
        ({"retry-after-ms": "soon"}, "", None),
        ({}, "Please retry in 1.5s.", 1500),
        ({}, "Please try again in 6m0s. Visit our page", 360_000),
        ({}, "try again in 250ms", 250),
        ({}, "Retry after 20 seconds", 20_000),
        ({}, "wait 2 minutes", 120_000),
        ({}, "try again in 1h2m3s", 3_723_000),
        ({}, "retry in a while", None),
        ({}, "", None),
    ],
)
def test_how_long_a_server_asks_to_be_left_alone(headers: dict[str, str], words: str, wait_ms: int | None) -> None:
    assert asked_wait_ms(headers, words) == wait_ms
