"""The last touch on the times of a job's cues: long enough to read, never overlapping, two frames apart.

Every time is computed from the cue's words (when they were spoken), never from the times that an earlier pass gave, so
polishing twice changes nothing. Cues without words (captions that were given) keep their author's times: they are only
trimmed where they overlap or leave no gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from subtitles.cues import LINGER_MS, Cue
from subtitles.rules import CueRules

#: How much earlier than its first word a cue may come when it would be too short otherwise.
LEAD_IN_MS = 250
#: A pause shorter than this between two cues looks like a flicker: the first cue stays until the gap.
FLICKER_MS = 480
#: The least time that two cues which start together are pulled apart by, besides the gap.
_SLIVER_MS = 200


def polish_times(cues: Sequence[Cue], rules: CueRules, duration_ms: int) -> tuple[Cue, ...]:
    """The same cues, in the same order and with the same texts, with the times that a viewer gets.

    ``cues`` are those of the whole job, in order; ``duration_ms`` is the media's. Cues are extended towards
    ``min_ms`` and their reading time into free space, by at most ``LINGER_MS``; no cue overlaps the next, starts before
    0 or ends after the media; between two cues there are at least ``gap_ms`` (in media too short for that, less).
    """
    speech = [_speech(cue, duration_ms) for cue in cues]
    slot = min(rules.gap_ms + _SLIVER_MS, duration_ms // max(1, len(cues)))
    gap = min(rules.gap_ms, slot // 2)
    starts = _lead_in(cues, speech, _spread(speech, slot, duration_ms), rules.min_ms, gap)
    polished = []
    for index, cue in enumerate(cues):
        limit = starts[index + 1] - gap if index + 1 < len(cues) else duration_ms
        end = _end(cue, starts[index], speech[index][1], limit, rules)
        polished.append(replace(cue, start_ms=starts[index], end_ms=end))
    return tuple(polished)


def _speech(cue: Cue, duration_ms: int) -> tuple[int, int]:
    """When the cue is spoken, inside the media."""
    start, end = cue.start_ms, cue.end_ms
    if cue.words:
        start, end = cue.words[0].start_ms, max(word.end_ms for word in cue.words)
    start = min(max(0, start), duration_ms)
    return start, max(start, min(end, duration_ms))


def _spread(speech: Sequence[tuple[int, int]], slot: int, duration_ms: int) -> list[int]:
    """Starts in order, at least ``slot`` apart and from the media's end; moved as little and as late as possible."""
    starts: list[int] = []
    for index, (start, _) in enumerate(speech):
        earliest = starts[-1] + slot if starts else 0
        latest = duration_ms - (len(speech) - index) * slot
        starts.append(min(max(start, earliest), max(latest, earliest)))
    return starts


def _lead_in(
    cues: Sequence[Cue], speech: Sequence[tuple[int, int]], starts: list[int], min_ms: int, gap: int
) -> list[int]:
    """Starts a little earlier for the cues that have no room to become long enough behind them."""
    moved = list(starts)
    for index in range(len(cues) - 2, -1, -1):
        if not cues[index].words:
            continue
        room_ms = min(moved[index + 1] - gap, speech[index][1] + LINGER_MS) - starts[index]
        free_from = max(speech[index - 1][1], starts[index - 1] + _SLIVER_MS) + gap if index else 0
        lead_ms = min(min_ms - room_ms, LEAD_IN_MS, starts[index] - free_from)
        moved[index] -= max(0, lead_ms)
    return moved


def _end(cue: Cue, start: int, spoken_to: int, limit: int, rules: CueRules) -> int:
    end = max(spoken_to, start)
    if cue.words:
        wanted = start + max(rules.min_ms, rules.reading_ms(cue.text))
        end = max(end, min(wanted, spoken_to + LINGER_MS))
        if end < limit < end + FLICKER_MS and limit <= spoken_to + LINGER_MS:
            end = limit
    elif end == start:
        end = start + _SLIVER_MS
    return max(start, min(end, limit, start + rules.max_ms))
