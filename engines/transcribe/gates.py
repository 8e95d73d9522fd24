"""What Whisper's text is worth: the gates that its batched use skips, and which words are not believed. Pure functions.

The thresholds of compression (2.4), mean log probability (-1.0) and no speech (0.6) are Whisper's own (`transcribe`
of openai-whisper and faster-whisper); the others were measured; the cases
stand in ``tests/engines/transcribe/test_transcribe_gates.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import pairwise

from engines.transcribe.interface import ClipSegment
from engines.transcribe.loops import PUNCTUATION, compression_ratio, decoder_loops, mostly_ideographs, said_once
from engines.transcribe.words import TimedWord, by_segment

_COMPRESSION_LIMIT = 2.4
_LOGPROB_LIMIT = -1.0
_LOGPROB_DOUBTFUL = -0.7
_LOGPROB_GOOD = -0.5
_NO_SPEECH_LIMIT = 0.6
#: Nobody speaks more characters a second than this; auctioneers reach about 25.
_FASTEST_CHARACTERS = 35.0
#: A character of these scripts is a syllable or a word.
_FASTEST_IDEOGRAPHS = 14.0
#: A clip shorter than this may crowd its only word.
_SHORT_MS = 700
#: This part of the words, and at least this many, without length: the aligner found no place for them.
_PILED_PART, _PILED_WORDS = 0.3, 4
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_NO_PUNCTUATION = str.maketrans("", "", PUNCTUATION)
#: Laughter as it is spelled: haha, hehehe, jajaja, はは, 哈哈, ㅋㅋ, 笑. One "ha" may be a word.
_LAUGHTER = re.compile(
    r"(?:a?(?:h+[aeiou]+){2,}h*|(?:j[aei]){2,}j?|[はハひヒふフへヘほホぁァっッー]{3,}|[哈呵嘿]{2,}|[ㅋㅎ]+|笑+)"
)
#: A segment that surely is speech, and long enough to hold a word.
_SURE_SCORE, _SURE_MS = 550, 1_000
#: One that may be speech: far voices of meetings score as low as this.
_FAINT_SCORE, _FAINT_MS = 200, 1_500
#: In sure speech a new word begins at least this often.
_LONGEST_UNSPOKEN_MS = 4_000
#: Points of doubt at which words are taken for invented.
_DOUBT_LIMIT = 4
#: Points at which a person should look.
_DOUBTFUL = 2


class RedecodeReason(StrEnum):
    """Why a clip's text is decoded again."""

    COMPRESSION = "compression"
    LOW_PROBABILITY = "low-probability"
    REPETITION = "repetition"
    PILED_WORDS = "piled-words"
    TEXT_RATE = "text-rate"
    MISSING_SPEECH = "missing-speech"
    #: Nothing was written where the detector saw speech without being sure: faint voices, or no voice at all.
    UNWRITTEN = "unwritten"


@dataclass(frozen=True)
class Evidence:
    """One decoding of one clip, as the gates see it."""

    text: str
    words: tuple[TimedWord, ...]
    segments: tuple[ClipSegment, ...]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


def suspicions(evidence: Evidence) -> tuple[RedecodeReason, ...]:
    """Every gate that this decoding does not pass."""
    found = []
    # What somebody has said again and again deflates well, and is no fault.
    if min(evidence.compression_ratio, compression_ratio(said_once(evidence.words))) > _COMPRESSION_LIMIT:
        found.append(RedecodeReason.COMPRESSION)
    if evidence.text.strip() and evidence.avg_logprob < _LOGPROB_LIMIT:
        found.append(RedecodeReason.LOW_PROBABILITY)
    if decoder_loops(evidence.words):
        found.append(RedecodeReason.REPETITION)
    if _piled(evidence.words):
        found.append(RedecodeReason.PILED_WORDS)
    if _too_fast(evidence):
        found.append(RedecodeReason.TEXT_RATE)
    if missing_segments(evidence.words, evidence.segments):
        found.append(RedecodeReason.MISSING_SPEECH)
    if unwritten_segments(evidence.words, evidence.segments):
        found.append(RedecodeReason.UNWRITTEN)
    return tuple(found)


def missing_segments(words: Sequence[TimedWord], segments: Sequence[ClipSegment]) -> list[int]:
    """Indexes of segments that surely are speech and got no words, or none over a long stretch."""
    if not segments:
        return []
    found = []
    for index, (segment, spoken) in enumerate(zip(segments, by_segment(words, segments), strict=True)):
        sure = segment.score >= _SURE_SCORE and segment.end_ms - segment.start_ms >= _SURE_MS
        if sure and (not spoken or _longest_silence(spoken, segment) > _LONGEST_UNSPOKEN_MS):
            found.append(index)
    return found


def unwritten_segments(words: Sequence[TimedWord], segments: Sequence[ClipSegment]) -> list[int]:
    """Indexes of segments that may be speech and got no words at all."""
    grouped = by_segment(words, segments)
    return [
        index
        for index, segment in enumerate(segments)
        if segment.score >= _FAINT_SCORE and segment.end_ms - segment.start_ms >= _FAINT_MS and not grouped[index]
    ]


def _longest_silence(words: Sequence[TimedWord], segment: ClipSegment) -> int:
    """The longest stretch in which no word begins: the aligner stretches a word over speech that was not written."""
    marks = [segment.start_ms, *(word.start_ms for word in words), segment.end_ms]
    return max(after - before for before, after in pairwise(marks))


def _piled(words: Sequence[TimedWord]) -> bool:
    piled = sum(1 for word in words if word.end_ms <= word.start_ms)
    return piled >= max(_PILED_WORDS, _PILED_PART * len(words))


def _too_fast(evidence: Evidence) -> bool:
    audio_ms = sum(segment.end_ms - segment.start_ms for segment in evidence.segments)
    text = evidence.text.strip()
    fastest = _FASTEST_IDEOGRAPHS if mostly_ideographs(text) else _FASTEST_CHARACTERS
    return len(text) * 1000 > fastest * max(audio_ms, _SHORT_MS)


def doubt(words: Sequence[TimedWord], score: int, no_speech_prob: float, avg_logprob: float = 0.0) -> int:
    """Points against words being spoken: their probabilities, the detector's score, the no-speech token. 4 is too many.

    No single witness reaches 4: quiet or unclear speech has a fair score or fair probabilities. ``avg_logprob`` counts
    where it is the mean over just these words.
    """
    if not words:
        return 0
    probabilities = [min(1.0, max(word.probability, 1e-4)) for word in words]
    logprob = sum(math.log(probability) for probability in probabilities) / len(probabilities)
    mean = sum(probabilities) / len(probabilities)
    points = _points(-min(logprob, avg_logprob), -_LOGPROB_DOUBTFUL, -_LOGPROB_LIMIT) + _points(-mean, -0.5, -0.35)
    points += _points(-score, -500, -300) - (1 if score >= 700 else 0)
    return points + (1 if no_speech_prob > _NO_SPEECH_LIMIT else 0)


def _points(value: float, one: float, two: float) -> int:
    """0 up to ``one``, 1 above it, 2 above ``two``."""
    return (value > one) + (value > two)


def unbelieved(evidence: Evidence) -> list[int]:
    """Indexes of the segments whose words are not believed: they say nothing, or were invented over noise or music."""
    return [
        index
        for index, (words, points) in enumerate(_doubts(evidence))
        if words and (is_speechless("".join(word.text for word in words)) or points >= _DOUBT_LIMIT)
    ]


def _doubts(evidence: Evidence) -> list[tuple[list[TimedWord], int]]:
    """The words of each segment and the points against them."""
    several = len(evidence.segments) > 1
    # The no-speech token is about the whole clip: with several segments it says something only if all went badly.
    no_speech = evidence.no_speech_prob if not several or evidence.avg_logprob < _LOGPROB_LIMIT else 0.0
    logprob = 0.0 if several else evidence.avg_logprob
    good = several and evidence.avg_logprob > _LOGPROB_GOOD
    doubts = []
    before = ""
    for segment, words in zip(evidence.segments, by_segment(evidence.words, evidence.segments), strict=True):
        points = doubt(words, segment.score, no_speech, logprob)
        if good and words:
            # Among words that are sure, an unsure one is rather mumbled than invented; one in the middle of a sentence
            # was spoken next door and put here by the aligner.
            points = min(points, _DOUBTFUL) if _runs_on(before, words) else points - 1
        doubts.append((words, points))
        before = words[-1].text if words else before
    return doubts


def _runs_on(before: str, words: Sequence[TimedWord]) -> bool:
    """True when the words lie inside a sentence that began before them and does not end with them."""
    return (
        bool(before)
        and not before.rstrip().endswith(_SENTENCE_ENDS)
        and not words[-1].text.rstrip().endswith(_SENTENCE_ENDS)
    )


def is_doubtful(evidence: Evidence) -> bool:
    """True when a person should look at the text, although it is kept."""
    if not evidence.words:
        return False
    return evidence.avg_logprob < _LOGPROB_DOUBTFUL or any(points >= _DOUBTFUL for _, points in _doubts(evidence))


def agreement(one: str, other: str) -> float:
    """How much of two texts is the same words in the same order, 0-1; characters where there are no spaces."""
    texts = [text.casefold().translate(_NO_PUNCTUATION) for text in (one, other)]
    first, second = (list(text.replace(" ", "")) if mostly_ideographs(text) else text.split() for text in texts)
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def is_speechless(text: str) -> bool:
    """True for a text that says nothing: no letter or digit in it (``. . . .``), or laughter spelled out."""
    words = [word.strip(PUNCTUATION) for word in text.casefold().replace("-", " ").split()]
    spoken = [word for word in words if any(character.isalnum() for character in word)]
    return all(_LAUGHTER.fullmatch(word) for word in spoken)
