"""Tokens as an endpoint reports them: a claim that is believed only as far as it is plausible. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Instructions and templates that a server adds to a prompt, and tokens to a byte of it at the very most.
_ADDED_TOKENS, _TOKENS_A_BYTE = 4096, 4


def believable_usage(
    usage: object, request: Mapping[str, Any], request_bytes: int, answer_bytes: int
) -> dict[str, int]:
    """``usage`` of a completion as far as it can be true; what cannot is left out, as if it had not been reported.

    A prompt has no more tokens than its bytes allow, and an answer no more than were asked for, or than it has bytes.
    """
    said = usage if isinstance(usage, dict) else {}
    allowed = max(_whole(request.get("max_tokens")), _whole(request.get("max_completion_tokens")), answer_bytes)
    most = {"prompt_tokens": _TOKENS_A_BYTE * request_bytes + _ADDED_TOKENS, "completion_tokens": allowed}
    counts = {name: said.get(name) for name in most}
    return {name: count for name, count in counts.items() if type(count) is int and 0 <= count <= most[name]}


def _whole(value: object) -> int:
    return value if type(value) is int else 0
