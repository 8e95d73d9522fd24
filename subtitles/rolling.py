"""Rolling captions, as YouTube and live captioning write them: a cue repeats what stands on screen and adds a line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from subtitles.events import SubtitleEvent

#: Cues that follow each other by no more belong to one screen.
_GAP_MS = 200
#: Shares of the pairs of neighbours that make a file rolling: that repeat, and that repeat and add something.
_REPEATING = 0.6
_ADDING = 0.25
#: With fewer cues it may be chance.
_FEWEST = 4


def merge_rolling(events: Sequence[SubtitleEvent]) -> list[SubtitleEvent] | None:
    """The events with each line said once; None for captions that do not roll. Lines are clean, none is empty."""
    if len(events) < _FEWEST:
        return None
    pairs = list(itertools.pairwise(events))
    repeated = [_repeated(before, after) for before, after in pairs]
    adding = sum(0 < count < len(after.lines) for count, (_, after) in zip(repeated, pairs, strict=True))
    if sum(map(bool, repeated)) < _REPEATING * len(pairs) or adding < _ADDING * len(pairs):
        return None
    merged = [events[0]]
    for count, event in zip(repeated, events[1:], strict=True):
        last = merged[-1]
        if count:
            # What is repeated stays on screen, at most until the next line is said.
            end_ms = max(last.end_ms, event.start_ms if count < len(event.lines) else event.end_ms)
            merged[-1] = SubtitleEvent(last.start_ms, end_ms, last.lines)
        if count < len(event.lines):
            merged.append(SubtitleEvent(event.start_ms, event.end_ms, event.lines[count:]))
    return merged


def _repeated(before: SubtitleEvent, after: SubtitleEvent) -> int:
    """How many of the first lines of ``after`` are the last ones of ``before``, still on screen."""
    if not before.start_ms <= after.start_ms <= before.end_ms + _GAP_MS:
        return 0
    most = min(len(before.lines), len(after.lines))
    return next((count for count in range(most, 0, -1) if before.lines[-count:] == after.lines[:count]), 0)
