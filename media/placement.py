"""Resampled sound laid on the clock that a player shows: silence for gaps, jumps closed, drift corrected."""

from __future__ import annotations

from core.audio import SAMPLE_RATE, ms_to_samples
from core.errors import MediaError

#: Timestamps that are off by less than this are rounding: the sound goes on where it is.
_TOLERANCE = ms_to_samples(50)
#: A step back by more than this between two frames is a clock that was set back, not drift.
_STEP_BACK = ms_to_samples(100)
#: In containers whose clock may jump, a longer step forward is a jump, a shorter one a gap that players show.
_LONGEST_GAP = 3600 * SAMPLE_RATE


class Placement:
    """Where the next samples go. All positions are samples of the output, 0 at the start of the file."""

    def __init__(self, jumping: bool, subject: str) -> None:
        """``jumping`` for containers whose clock may jump; ``subject`` names the file in errors."""
        self._jumping, self._subject = jumping, subject
        #: Where the output ends.
        self.end = 0
        self._shift = 0
        self._expected: int | None = None

    def restart(self) -> None:
        """What comes next has a clock of its own, whose zero is where the output ends now."""
        self._shift, self._expected = self.end, None

    def note_frame(self, start: int | None, length: int) -> None:
        """A decoded frame by its own timestamp: closes jumps. Raises MediaError for a gap that is no pause."""
        if start is None:
            self._expected = None if self._expected is None else self._expected + length
            return
        step = start - (start if self._expected is None else self._expected)
        if step < -_STEP_BACK or (step > _LONGEST_GAP and self._jumping):
            self._shift -= step
        elif step > _LONGEST_GAP or start + self._shift - self.end > _LONGEST_GAP:
            raise MediaError(
                f"{self._subject}: has a gap of more than an hour in its sound", "cut it at the gap into two files"
            )
        self._expected = start + length

    def place(self, start: int | None, length: int) -> tuple[int, int]:
        """For ``length`` samples of timestamp ``start``: silence to put before them, and samples to leave out."""
        off = 0 if start is None else start + self._shift - self.end
        if self.end and abs(off) <= _TOLERANCE:
            off = 0
        silence, skipped = max(off, 0), min(max(-off, 0), length)
        self.end += silence + length - skipped
        return silence, skipped

    def at(self, start: int | None) -> int:
        """Where sound of timestamp ``start`` belongs, at the end when it has none."""
        return self.end if start is None else max(0, start + self._shift)
