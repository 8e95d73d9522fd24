"""What a good cue is, for each language. Sources: the BBC's and Netflix's public timed-text guidelines."""

from __future__ import annotations

from dataclasses import dataclass

from subtitles.graphemes import count_cells, count_clusters
from subtitles.scripts import WIDE_LANGUAGES, primary_language

#: Frame rate assumed when the media's is unknown; 2 frames of it are 80 ms.
DEFAULT_FPS = 25.0
#: Reading speed for languages that are not in the table.
DEFAULT_CHARS_PER_SECOND = 17
#: Characters a second that adults read without effort; a full-width character counts 1 in ja, zh and ko.
CHARS_PER_SECOND = {
    "ar": 20,
    "en": 20,
    "he": 17,
    "hi": 17,
    "ja": 4,
    "ko": 12,
    "ru": 17,
    "th": 17,
    "zh": 9,
}


@dataclass(frozen=True)
class CueRules:
    """Limits of one language's cues.

    Only the gap depends on the media, and no cue's text depends on the gap: texts are translated and hashed, so the
    frame rate must not change them.
    """

    #: BCP 47 tag the rules are for.
    language: str
    #: Most lines a cue may have.
    max_lines: int = 2
    #: Most characters a line may have; full-width ones when ``wide``.
    max_line_chars: int = 42
    #: True when a full-width character is the unit and a half-width one counts half.
    wide: bool = False
    #: Shortest time on screen: 5/6 s, rounded up.
    min_ms: int = 834
    #: Longest time on screen.
    max_ms: int = 7000
    #: Fastest reading speed.
    chars_per_second: int = DEFAULT_CHARS_PER_SECOND
    #: Shortest time between two cues: two frames, rounded up.
    gap_ms: int = 80

    @property
    def line_cells(self) -> int:
        """Most half-width cells in a line; a full-width character takes two."""
        return self.max_line_chars * 2 if self.wide else self.max_line_chars

    def cells(self, text: str) -> int:
        """Width of ``text`` in half-width cells."""
        return count_cells(text, self.wide)

    def reading_halves(self, text: str) -> int:
        """What has to be read, in half characters."""
        return self.cells(text) if self.wide else 2 * count_clusters(text)

    def reading_ms(self, text: str) -> int:
        """Time that reading ``text`` takes at ``chars_per_second``, rounded up."""
        return -(-self.reading_halves(text) * 500 // self.chars_per_second)


def gap_for(fps: float | None) -> int:
    """Two frames in milliseconds, rounded up; 80 when the rate is unknown or absurd."""
    rate = fps if fps is not None and 5.0 <= fps <= 300.0 else DEFAULT_FPS
    return int(-(-2000 // rate))


def rules_for(language_tag: str, fps: float | None = None) -> CueRules:
    """The rules for a BCP 47 language tag; ``fps`` is the video's frame rate, None when there is none."""
    primary = primary_language(language_tag)
    wide = primary in WIDE_LANGUAGES
    return CueRules(
        language=language_tag,
        max_line_chars=16 if wide else 42,
        wide=wide,
        chars_per_second=CHARS_PER_SECOND.get(primary, DEFAULT_CHARS_PER_SECOND),
        gap_ms=gap_for(fps),
    )
