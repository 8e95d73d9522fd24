"""An answer that comes as a stream of events although none was asked for: some servers know no other way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from engines.bounded_http import read_json

#: Not `str.splitlines`: that also cuts at characters which may stand inside a text.
_LINE_END = re.compile(r"\r\n|\r|\n")
_FIELDS = ("data:", "event:", "id:", "retry:", ":")
_REASONING = ("reasoning_content", "reasoning")


def is_stream(content_type: str, text: str) -> bool:
    """Whether a body is a stream of events, as it says or as it looks."""
    return content_type.startswith("text/event-stream") or text.lstrip("\ufeff\r\n ").startswith(_FIELDS)


def completion_of_stream(text: str) -> dict[str, Any] | None:
    """The chat completion that the events add up to; None for what is no stream of chunks, or broke off."""
    content: list[str] = []
    reasoning: list[str] = []
    finish: Any = None
    found: dict[str, Any] = {}
    done = False
    for data in _events(text):
        if data.strip() == "[DONE]":
            done = True
            break
        try:
            chunk = read_json(data)
        except ValueError:
            return None
        if not isinstance(chunk, dict):
            return None
        if chunk.get("error"):
            return {"error": chunk["error"]}
        if isinstance(chunk.get("usage"), dict):
            found["usage"] = chunk["usage"]
        choice = _first(chunk.get("choices"))
        finish = choice.get("finish_reason") or finish
        delta = choice.get("delta") or choice.get("message")
        if isinstance(delta, dict):
            content.append(text_of(delta.get("content")))
            reasoning += [delta[name] for name in _REASONING if isinstance(delta.get(name), str)]
    if not done and finish is None:
        return None
    message = {"role": "assistant", "content": "".join(content), "reasoning_content": "".join(reasoning)}
    return {**found, "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def text_of(content: object) -> str:
    """The text of a message's content: text, or a list of parts of which those that are reasoning are left out."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(
        part["text"]
        for part in parts
        if isinstance(part, dict)
        and part.get("type", "text") in ("text", "output_text")
        and isinstance(part.get("text"), str)
    )


def _events(text: str) -> Iterator[str]:
    """The data of each event; a last one without its empty line counts as well."""
    lines: list[str] = []
    for line in (*_LINE_END.split(text.removeprefix("\ufeff")), ""):
        if line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def _first(choices: object) -> dict[str, Any]:
    """The first choice of a chunk; whoever sends several was not asked for them."""
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and choice.get("index", 0) == 0:
            return choice
    return {}
