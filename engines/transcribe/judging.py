"""From a first decoding to a transcript: second looks at suspects, and the words that are not believed left out.

Nothing here touches a model: another decoding is asked for through ``look``, so the rules can be tested with tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from core.text import Dropped
from engines.transcribe.clips import cut_clip, cuts_around, fine_cuts, halving_cut, whole_segments
from engines.transcribe.decoding import PLAIN_SEARCH, Search
from engines.transcribe.gates import (
    Evidence,
    RedecodeReason,
    agreement,
    is_doubtful,
    missing_segments,
    suspicions,
    unbelieved,
    unwritten_segments,
)
from engines.transcribe.interface import Clip, Transcript
from engines.transcribe.loops import decoder_loops
from engines.transcribe.words import TimedWord, as_words, by_segment

#: Decodes one clip alone.
Look = Callable[[Clip, Search], Evidence]

#: How suspects are searched again, in this order, until a decoding passes every gate.
SECOND_SEARCHES = (Search(timestamps=True), Search(repetition_penalty=1.1, no_repeat_ngram=5))
#: A decoding whose mean log probability is lower by this much is not better for being unsuspected.
_WORSE_LOGPROB = 0.5
#: Nor is one that lost this part of the words.
_FEWER_WORDS = 0.8
#: Looks at the same sound agree in less than this part of their words, in so many looks: they were inventions.
_AGREEMENT, _LOOKS_TO_COMPARE = 0.25, 3


@dataclass(frozen=True)
class Reading:
    """One decoding with its unbelieved words taken out, and what is still wrong with it."""

    evidence: Evidence
    dropped: tuple[Dropped, ...]
    suspicions: tuple[RedecodeReason, ...]

    @property
    def faults(self) -> int:
        """How much is wrong: every suspicion once, and every segment without its words once more."""
        words, segments = self.evidence.words, self.evidence.segments
        lost = {*missing_segments(words, segments), *unwritten_segments(words, segments)}
        return len(self.suspicions) + len(lost)

    @property
    def is_suspect(self) -> bool:
        """True when another look may correct it.

        Not when every word was refused and nothing is missed: a second look at noise only finds other inventions.
        """
        if RedecodeReason.MISSING_SPEECH in self.suspicions:
            return True
        return bool(self.suspicions) and (bool(self.evidence.words) or not self.dropped)


def judge(clip: Clip, first: Reading, look: Look) -> Transcript:
    """The transcript of a clip whose first reading is ``first``; ``look`` is called only if that is a suspect."""
    best = first
    texts = [first.evidence.text]
    if first.is_suspect:
        for candidate in _second_looks(clip, first, look):
            texts.append(candidate.evidence.text)
            if _is_better(candidate, best):
                best = candidate
            if not best.suspicions:
                break
    if _is_invention(first, best, texts):
        best = _refuse_all(best)
    return _transcript(best, retried=len(texts) > 1)


def _is_invention(first: Reading, best: Reading, texts: Sequence[str]) -> bool:
    """True when the model was unsure and wrote something else at every look: over speech, looks agree in part."""
    unsure = RedecodeReason.LOW_PROBABILITY in first.suspicions and is_doubtful(best.evidence)
    written = [text for text in texts if text.strip()]
    if not unsure or len(written) < _LOOKS_TO_COMPARE:
        return False
    return all(agreement(*pair) < _AGREEMENT for pair in combinations(written, 2))


def _refuse_all(reading: Reading) -> Reading:
    evidence = replace(reading.evidence, words=(), text="")
    return Reading(evidence, (*reading.dropped, *_dropped(reading.evidence.words, "low-probability")), ())


def read(evidence: Evidence) -> Reading:
    """A decoding without the words that are not believed."""
    refused = set(unbelieved(evidence))
    if not refused:
        return _reading(evidence, ())
    kept: list[TimedWord] = []
    dropped: list[Dropped] = []
    for index, words in enumerate(by_segment(evidence.words, evidence.segments)):
        if index in refused:
            dropped.extend(_dropped(words, "no-speech"))
        else:
            kept.extend(words)
    text = "".join(word.text for word in kept)
    return _reading(replace(evidence, words=tuple(kept), text=text), tuple(dropped))


def _reading(evidence: Evidence, dropped: tuple[Dropped, ...]) -> Reading:
    return Reading(evidence, dropped, suspicions(evidence))


def _is_better(candidate: Reading, best: Reading) -> bool:
    if len(candidate.evidence.words) < _FEWER_WORDS * len(best.evidence.words) and not _repeats(best):
        return False
    if candidate.faults != best.faults:
        lost = best.evidence.avg_logprob - candidate.evidence.avg_logprob
        return candidate.faults < best.faults and (lost < _WORSE_LOGPROB or not best.evidence.words)
    return candidate.evidence.avg_logprob > best.evidence.avg_logprob


def _repeats(reading: Reading) -> bool:
    return RedecodeReason.REPETITION in reading.suspicions or RedecodeReason.COMPRESSION in reading.suspicions


def _second_looks(clip: Clip, first: Reading, look: Look) -> Iterator[Reading]:
    """Other decodings of the clip alone, the most promising first."""
    words, segments = first.evidence.words, first.evidence.segments
    lost = {*missing_segments(words, segments), *unwritten_segments(words, segments)}
    cuts = cuts_around(segments, sorted(lost))
    if cuts:
        yield _in_parts(clip, cuts, look)
    if set(first.suspicions) == {RedecodeReason.UNWRITTEN}:
        return
    for search in SECOND_SEARCHES:
        yield read(look(clip, search))
    middle = halving_cut(clip)
    if middle is not None and [middle] != cuts:
        yield _in_parts(clip, [middle], look)
    fine = fine_cuts(clip) if RedecodeReason.MISSING_SPEECH in first.suspicions else []
    if fine and fine not in (cuts, [middle]):
        yield _in_parts(clip, fine, look)


def _in_parts(clip: Clip, cuts_ms: Sequence[int], look: Look) -> Reading:
    """The clip decoded part by part, each alone, and put together again."""
    readings = [(offset, part, read(look(part, PLAIN_SEARCH))) for offset, part in cut_clip(clip, cuts_ms)]
    words = tuple(
        replace(word, start_ms=word.start_ms + offset, end_ms=word.end_ms + offset)
        for offset, _part, reading in readings
        for word in reading.evidence.words
    )
    dropped = tuple(
        replace(item, start_ms=item.start_ms + offset, end_ms=item.end_ms + offset)
        for offset, _part, reading in readings
        for item in reading.dropped
    )
    spoken = [(part, reading.evidence) for _offset, part, reading in readings if reading.evidence.words]
    weight = sum(len(evidence.words) for _part, evidence in spoken)
    evidence = Evidence(
        text="".join(evidence.text for _part, evidence in spoken),
        words=words,
        segments=whole_segments(clip),
        avg_logprob=sum(evidence.avg_logprob * len(evidence.words) for _part, evidence in spoken) / max(1, weight),
        no_speech_prob=min(reading.evidence.no_speech_prob for _offset, _part, reading in readings),
        compression_ratio=max((evidence.compression_ratio for _part, evidence in spoken), default=0.0),
    )
    return Reading(evidence, dropped, suspicions(evidence))


def _transcript(reading: Reading, retried: bool) -> Transcript:
    words, loops = _without_loops(reading.evidence.words)
    dropped = tuple(sorted((*reading.dropped, *loops), key=lambda item: (item.start_ms, item.end_ms)))
    doubtful = bool(set(reading.suspicions) - {RedecodeReason.UNWRITTEN}) or is_doubtful(reading.evidence)
    flags = (("retried",) if retried else ()) + (("low-confidence",) if doubtful and words else ())
    return Transcript(as_words(words), dropped, flags)


def _without_loops(words: Sequence[TimedWord]) -> tuple[list[TimedWord], list[Dropped]]:
    """The words with every loop that nobody has said cut down to its phrase said once."""
    kept: list[TimedWord] = list(words)
    dropped: list[Dropped] = []
    while loops := decoder_loops(kept):
        second, end = loops[0].second, loops[0].end
        dropped.extend(_dropped(kept[second:end], "repetition"))
        del kept[second:end]
    return kept, dropped


def _dropped(words: Sequence[TimedWord], reason: str) -> tuple[Dropped, ...]:
    """One entry for a run of words."""
    if not words:
        return ()
    text = "".join(word.text for word in words).strip()
    return (Dropped(words[0].start_ms, words[-1].end_ms, text, reason),)
