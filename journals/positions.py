"""What the lines of one journal know of other files: how far another had been written when this line was.

A line may carry ``anchored``: the last anchor of its own journal that was durable by then, so that no anchor can be
taken away unseen. A line ``journals_seen`` is an end-of-log record: somebody looked at journals whose process is over,
or whose writer's own anchors do not reach them, and noted their ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import ValidationError, convert, to_builtins

from journals.chain import Anchor

#: The fact of an end-of-log record.
SEEN = "journals_seen"
_ANCHORED = "anchored"


def seen_fact(ends: Iterable[Anchor], at: str) -> dict[str, Any]:
    """The line of whoever saw these ends. ``at``: UTC, ISO 8601."""
    return {"fact": SEEN, "at": at, "seen": to_builtins(ends)}


def with_anchor(fact: Mapping[str, Any], anchor: Anchor) -> dict[str, Any]:
    """The fact as a line that knows the last anchor of its journal (an anchor of the file of anchors itself)."""
    return {**fact, _ANCHORED: to_builtins(anchor)}


def claims_of(entry: Mapping[str, Any]) -> list[Anchor]:
    """What a line knows of other files; nothing for a line without such words or with words that are not ours."""
    said = entry.get(_ANCHORED)
    raw = [said] if said is not None else []
    if entry.get("fact") == SEEN:
        seen = entry.get("seen")
        raw += seen if isinstance(seen, list) else []
    return [found for each in raw if (found := anchor_in(each)) is not None]


def anchor_in(raw: object) -> Anchor | None:
    """An anchor as a line says it; None for anything else."""
    try:
        return convert(raw, Anchor)
    except ValidationError:
        return None
