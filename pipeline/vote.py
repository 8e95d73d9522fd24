"""The job's language, decided by several windows spread over it: a jingle at the start must not decide it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from pipeline.job import PlannedWindow

#: Windows asked. Five spread over the file outvote one that is music or a quotation.
VOTERS = 5
#: A window's weight stops growing with its length here: long does not mean more right.
_FULL_WEIGHT_MS = 10_000


def choose_voters(windows: Sequence[PlannedWindow]) -> tuple[int, ...]:
    """Indices of the windows to ask: of each fifth of the media, the one that is most surely speech."""
    if len(windows) <= VOTERS:
        return tuple(range(len(windows)))
    chosen = []
    for part in range(VOTERS):
        low, high = part * len(windows) // VOTERS, (part + 1) * len(windows) // VOTERS
        chosen.append(max(range(low, high), key=lambda index: (_weight(windows[index]), -index)))
    return tuple(chosen)


def _weight(planned: PlannedWindow) -> int:
    """Milliseconds of believed speech, up to the point where more does not help."""
    surely = sum((end - start) * score for start, end, score in planned.layout()) // 1000
    return min(surely, _FULL_WEIGHT_MS)


def decide_language(windows: Sequence[PlannedWindow], guesses: Mapping[int, tuple[str, int]]) -> str:
    """The language with the most weight behind it; empty when nobody could say.

    ``guesses`` maps a window's index to (BCP 47 language, probability in thousandths). Ties go to the earlier name,
    so that the result depends on nothing but the guesses.
    """
    votes: defaultdict[str, int] = defaultdict(int)
    for index, (language, probability) in guesses.items():
        if language:
            votes[language] += max(_weight(windows[index]), 1) * probability
    return min(votes, key=lambda language: (-votes[language], language)) if votes else ""
