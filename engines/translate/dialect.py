"""Which optional parts of a chat request an endpoint understands; learned from its refusals. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from engines.translate.prompt import reply_schema


class JsonMode(StrEnum):
    """How an endpoint is held to JSON, the strictest first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    PLAIN = "plain"


@dataclass(frozen=True)
class RequestDialect:
    """What is sent beyond model and messages."""

    json_mode: JsonMode = JsonMode.SCHEMA
    #: ``chat_template_kwargs`` to switch a model's thinking off (vLLM, llama.cpp, SGLang).
    template_options: bool = True
    #: ``temperature`` and ``seed``; some hosted models refuse any but their own.
    sampling: bool = True
    #: Newer hosted models call it ``max_completion_tokens``.
    token_field: str = "max_tokens"


def request_fields(
    dialect: RequestDialect, numbers: Sequence[str], tokens: int, sampling: dict[str, float | int]
) -> dict[str, Any]:
    """The optional members of a chat request in this dialect."""
    fields: dict[str, Any] = {dialect.token_field: tokens}
    if dialect.sampling:
        fields.update(sampling)
    if dialect.template_options:
        fields["chat_template_kwargs"] = {"enable_thinking": False}
    if dialect.json_mode is JsonMode.SCHEMA:
        schema = {"name": "subtitle_lines", "strict": True, "schema": reply_schema(numbers)}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.json_mode is JsonMode.OBJECT:
        fields["response_format"] = {"type": "json_object"}
    return fields


def simpler(dialect: RequestDialect, detail: str) -> RequestDialect | None:
    """The dialect to try after a refusal (400, 415, 422) with these words; None when nothing is left to leave out.

    What the words name goes first; when they name nothing, the least needed part goes.
    """
    said = detail.lower()
    names_format = any(
        word in said for word in ("response_format", "json_schema", "json_object", "schema", "guided", "grammar")
    )
    if dialect.template_options and ("chat_template" in said or "enable_thinking" in said):
        return replace(dialect, template_options=False)
    if dialect.token_field == "max_tokens" and "max_completion_tokens" in said:
        return replace(dialect, token_field="max_completion_tokens")
    if dialect.sampling and ("temperature" in said or "seed" in said) and not names_format:
        return replace(dialect, sampling=False)
    if names_format and dialect.json_mode is not JsonMode.PLAIN:
        return replace(dialect, json_mode=_looser(dialect.json_mode))
    if dialect.template_options:
        return replace(dialect, template_options=False)
    if dialect.json_mode is not JsonMode.PLAIN:
        return replace(dialect, json_mode=_looser(dialect.json_mode))
    if dialect.sampling:
        return replace(dialect, sampling=False)
    return None


def _looser(mode: JsonMode) -> JsonMode:
    return JsonMode.OBJECT if mode is JsonMode.SCHEMA else JsonMode.PLAIN
