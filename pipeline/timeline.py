"""From a window's joined audio to the media's own time, and from words to cues."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from core.speech import Span, Window
from core.text import Word
from engines.transcribe.interface import Transcript
from pipeline.job import PlannedWindow
from subtitles.cues import CueDraft, build_cues
from subtitles.rules import rules_for


class ClipClock:
    """Maps milliseconds of a window's joined audio to milliseconds of the media."""

    def __init__(self, window: Window) -> None:
        self._spans = window.spans
        self._starts: list[int] = []
        at = 0
        for span in window.spans:
            self._starts.append(at)
            at += span.duration_ms

    def place(self, start_ms: int, end_ms: int) -> Span:
        """Where a stretch of the clip lies in the media.

        A stretch over a join belongs to the side that holds its middle: the silence that was left out between
        two segments is never inside a word.
        """
        index = max(bisect_right(self._starts, (start_ms + end_ms) // 2) - 1, 0)
        span, offset = self._spans[index], self._starts[index]
        first = min(max(span.start_ms + start_ms - offset, span.start_ms), span.end_ms)
        last = min(max(span.start_ms + end_ms - offset, first), span.end_ms)
        return Span(first, last)

    def stretch(self, start_ms: int, end_ms: int) -> Span:
        """From where the clip's stretch begins to where it ends, whatever was left out in between."""
        last = max(end_ms - 1, start_ms)
        return Span(self.place(start_ms, start_ms).start_ms, self.place(last, last + 1).end_ms)


def media_words(window: Window, transcript: Transcript) -> tuple[Word, ...]:
    """The transcript's words at their places in the media, in order and without overlap."""
    clock = ClipClock(window)
    words: list[Word] = []
    for word in transcript.words:
        span = clock.place(word.start_ms, word.end_ms)
        start = max(span.start_ms, words[-1].end_ms) if words else span.start_ms
        words.append(replace(word, start_ms=start, end_ms=max(span.end_ms, start)))
    return tuple(words)


def window_cues(planned: PlannedWindow, transcript: Transcript | None, language: str) -> tuple[CueDraft, ...]:
    """The cues of one window, in media time: from its words, or from the captions that were given.

    Depends on this window only, so that its translation can start while the rest is still being transcribed. The
    frame rate is left out on purpose: a cue's text must not depend on the picture.
    """
    if planned.captions:
        return tuple(CueDraft(c.start_ms, c.end_ms, c.text, ()) for c in planned.captions)
    if transcript is None or not transcript.words:
        return ()
    breaks = [span.end_ms for span in planned.window.spans[:-1]]
    return build_cues(media_words(planned.window, transcript), language, breaks, rules_for(language))
