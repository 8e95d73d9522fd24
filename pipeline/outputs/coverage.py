"""Speech that was detected and has no cue. A pure function of the segments and of the words that came out.

The constants are measured with Whisper base: programmes of 15 minutes in three languages, the demo and single sentences
have no uncovered second with them; of nine meeting excerpts (30 s each, overlapping far voices) one has 4.9 s of sure
speech uncovered, which nobody transcribed indeed; laughter is uncovered with a score of 275.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.speech import Segment, Span
from core.text import Dropped, Word
from pipeline.outputs.completeness import Gap

#: The detector is sure of a segment with this score: the same figure at which a silent transcriber is asked again.
SURE_SCORE = 550
#: Word times are this imprecise.
_WORD_PAD_MS = 200
#: A word covers no more than this: aligners stretch a word over speech that was not written.
_LONGEST_WORD_MS = 2_500
#: Beside words, less than this is a breath or an edge; a segment without any word is told of whatever its length.
_LEAST_GAP_MS = 1_000
#: What people read for the reasons of dropped texts.
_DROPPED = {
    "no-speech": "the text written here was not believed",
    "low-probability": "the text written here was not believed",
    "repetition": "the transcriber repeated itself here, which was left out",
}
NOTHING_WRITTEN = "the transcriber wrote nothing here"


def find_gaps(
    segments: Sequence[Segment], words: Sequence[Word], dropped: Sequence[Dropped] = (), reason: str = NOTHING_WRITTEN
) -> tuple[Gap, ...]:
    """The stretches of the segments that no word covers, in order; all times are the media's.

    ``dropped`` are the texts that were left out; ``reason`` holds where none of them lies. Segments with score 0 were
    not detected: they are the pauses of media that are heard as a whole.
    """
    covered = sorted(
        (word.start_ms - _WORD_PAD_MS, min(word.end_ms, word.start_ms + _LONGEST_WORD_MS) + _WORD_PAD_MS)
        for word in words
    )
    return tuple(
        Gap(span, _reason(span, dropped, reason), span.duration_ms if segment.score >= SURE_SCORE else 0)
        for segment in segments
        if segment.score > 0
        for span in _uncovered(segment, covered)
    )


def _uncovered(segment: Segment, covered: Sequence[tuple[int, int]]) -> list[Span]:
    spans, at = [], segment.start_ms
    for start, end in covered:
        if start < segment.end_ms and end > segment.start_ms:
            spans.append(Span(at, start))
            at = max(at, end)
    spans.append(Span(at, segment.end_ms))
    least = _LEAST_GAP_MS if len(spans) > 1 else 1
    return [span for span in spans if span.duration_ms >= least]


def _reason(span: Span, dropped: Sequence[Dropped], otherwise: str) -> str:
    for text in dropped:
        if text.start_ms < span.end_ms and text.end_ms > span.start_ms:
            return _DROPPED.get(text.reason, text.reason)
    return otherwise
