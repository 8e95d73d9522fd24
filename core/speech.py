"""Where speech is: segments, and the windows they are transcribed in. All times are integer milliseconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Span:
    """A half-open stretch of time, ``start_ms`` up to but without ``end_ms``."""

    start_ms: int
    end_ms: int

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Segment:
    """One stretch of speech with the silence around it left out; never longer than 28 s."""

    #: Position in the media's list of segments, from 0.
    index: int
    #: First millisecond, from the start of the media as a player shows it.
    start_ms: int
    #: First millisecond after it.
    end_ms: int
    #: How sure the detector is that this is speech: mean speech probability in thousandths, 0-1000.
    score: int

    @property
    def duration_ms(self) -> int:
        return self.end_ms - self.start_ms


@dataclass(frozen=True)
class Segmentation:
    """The speech found in one media file, and the silence that will not be paid for."""

    duration_ms: int
    segments: tuple[Segment, ...]

    @property
    def speech_ms(self) -> int:
        return sum(segment.duration_ms for segment in self.segments)

    @property
    def skipped_ms(self) -> int:
        return self.duration_ms - self.speech_ms


@dataclass(frozen=True)
class Window:
    """Consecutive segments that are transcribed together: their audio end to end, at most 29 s of it.

    Whisper's encoder costs the same for 2 s as for 30 s, so segments share its window. A window is the unit of
    transcription and of translation; it is fixed when the job is planned.
    """

    #: Position among the media's windows, from 0.
    index: int
    #: The segments in it, in order of time; never empty.
    segments: tuple[Segment, ...]
    #: For each segment, the stretch of the media that engines are given: the segment and a little of what is around it,
    #: since words lean on the silence beside them. Stretches may touch, never overlap. Empty where no audio is used.
    spans: tuple[Span, ...] = ()

    @property
    def start_ms(self) -> int:
        return self.segments[0].start_ms

    @property
    def end_ms(self) -> int:
        return self.segments[-1].end_ms

    @property
    def audio_ms(self) -> int:
        """Length of the joined audio, which is what an engine is given; without audio, of the segments."""
        return sum(stretch.duration_ms for stretch in self.spans or self.segments)
