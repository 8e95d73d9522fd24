"""A transcriber that listens to nothing: words made from each clip's digest, for tests and for trying Segue out.

Every text begins with the word ``fake`` so that nobody takes it for a transcript.
"""

from __future__ import annotations

import hashlib
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.errors import EngineError, SettingsError
from core.keys import Digest, digest_bytes, digest_value
from core.specs import EngineSpec
from core.text import Word
from engines.engine import EngineChoice, Result, Stopping, never
from engines.resources import EngineResources
from engines.transcribe.batching import BatchLimit, heard, settle
from engines.transcribe.interface import Clip, ClipSegment, LanguageGuess, LanguageQuestion, Transcript

DEFAULT_MODEL = "fake-words"
#: Changes when the same clip would get other words.
_REVISION = 1
_BATCH_SIZE = 8
#: Exit status of a process that the fault ``die`` has ended.
DEATH_STATUS = 86
#: Faults by the place of a clip or task in the engine's life, and by what its digest is a multiple of.
_FAULTS = ("fail", "oom", "crash", "die", "kill", "hang", "sick", "mute", "skip", "astray")
_FAULT_HINT = "use <name>:<number>, with a comma between; names: " + ", ".join(_FAULTS)
#: A spoken word with its pause takes about this long.
_WORD_MS = 320
_MOST_WORDS = 90
_VOCABULARY = (
    *("amber", "basin", "candle", "drift", "ember", "fathom", "garnet", "harbor", "island", "juniper", "kettle"),
    *("lantern", "meadow", "needle", "orchard", "pebble", "quarry", "river", "saddle", "timber", "umber", "valley"),
    *("willow", "yonder", "zephyr"),
)


def freeze(choice: EngineChoice, resources: EngineResources) -> EngineSpec:
    """The fake's spec. Raises SettingsError for an option other than ``language``."""
    del resources
    choice.refuse_options("the fake transcriber", ("language",))
    revision = digest_value({"fake-transcriber": _REVISION})
    options = tuple(sorted(choice.options))
    return EngineSpec("fake", choice.model or DEFAULT_MODEL, revision, choice.compute_type, options)


def open_engine(spec: EngineSpec, resources: EngineResources) -> FakeTranscriber:
    """Ready at once. Raises SettingsError when ``resources.fake_faults`` cannot be read."""
    return FakeTranscriber(spec, resources)


class FakeTranscriber:
    """Deterministic words; the faults of ``resources.fake_faults`` on request.

    ``fail:<n>``: clips whose digest is a multiple of n fail, always the same ones. ``oom:<k>``: batches of more than
    k clips run out of memory. ``crash:<n>``: the n-th clip of this engine raises EngineError. ``die:<n>``: the n-th
    clip ends the process at once, as SIGKILL would. ``kill:<n>``: clips whose digest is a multiple of n do so each time
    they are computed. ``hang:<n>``: such clips are never finished, and nothing after them. ``sick:<n>``: from the n-th
    clip of this engine on, its device fails as a GPU does. ``mute:<n>``: clips whose digest is a multiple of n get no
    words. ``skip:<n>``: they get no result. ``astray:<n>``: their words have no number for a time, lie behind the clip
    or end before they begin.
    """

    remote = False

    def __init__(self, spec: EngineSpec, resources: EngineResources) -> None:
        self._spec = spec
        self._language = dict(spec.options).get("language", "en")
        self._delay_s = resources.fake_delay_ms / 1000
        self._faults = parse_faults(resources.fake_faults)
        self._batch_size = resources.batch_size or _BATCH_SIZE
        self._limit = BatchLimit(self._batch_size)
        self._begun = 0

    @property
    def spec(self) -> EngineSpec:
        return self._spec

    @property
    def batch_size(self) -> int:
        return min(self._batch_size, self._limit.clips)

    def run(
        self, requests: Sequence[Clip] | Sequence[LanguageQuestion], stopping: Stopping = never
    ) -> Iterator[Result]:
        """As `Engine.run`; the batch is computed as a whole."""
        del stopping
        clips = [request for request in requests if isinstance(request, Clip)]
        yield from (
            Result(request.id, LanguageGuess(self._language, 900))
            for request in requests
            if isinstance(request, LanguageQuestion)
        )
        every = self._faults.get("skip")
        skipped = {clip.id for clip in clips if every is not None and is_chosen(clip_digest(clip), every)}
        yield from (result for result in settle(clips, self._compute, self._limit) if result.id not in skipped)

    def usage(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        """Nothing to give back."""

    def _compute(self, batch: Sequence[Clip]) -> Iterator[Result]:
        fits = self._faults.get("oom")
        if fits is not None and len(batch) > fits:
            raise MemoryError(f"a fake device holds {fits} clips, not {len(batch)}")
        for clip in batch:
            digest = clip_digest(clip)
            self._play_faults(digest)
            play_lasting_faults(self._faults, digest)
            if self._delay_s:
                time.sleep(self._delay_s)
            words = fake_words(clip, f"{self._spec.model}:{digest}")
            if is_chosen(digest, self._faults.get("mute")):
                words = ()
            elif is_chosen(digest, self._faults.get("astray")):
                words = tuple(_astray(place, word) for place, word in enumerate(words))
            yield heard(clip, Transcript(words))

    def _play_faults(self, digest: Digest) -> None:
        self._begun += 1
        if self._begun == self._faults.get("die"):
            os._exit(DEATH_STATUS)
        if self._begun >= self._faults.get("sick", self._begun + 1):
            raise RuntimeError("parallel_for failed: cudaErrorIllegalAddress: an illegal memory access was encountered")
        if self._begun == self._faults.get("crash"):
            raise EngineError("the fake transcriber crashed", "it was told to by its faults")
        if is_chosen(digest, self._faults.get("fail")):
            raise ValueError("the fake transcriber was told to fail on this clip")


def parse_faults(text: str) -> dict[str, int]:
    """``fail:3,oom:4`` as a dict. Raises SettingsError for anything else."""
    faults: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = part.partition(":")
        if name not in _FAULTS or not number.isdigit() or int(number) == 0:
            raise SettingsError(f"not a fault that fakes can play: {part!r}", _FAULT_HINT)
        faults[name] = int(number)
    return faults


def is_chosen(digest: Digest, every: int | None) -> bool:
    """True for the digests that a fault ``<name>:<every>`` strikes: always the same ones."""
    return every is not None and int(digest[:8], 16) % every == 0


def play_lasting_faults(faults: Mapping[str, int], digest: Digest) -> None:
    """The faults that strike the same clips and tasks on whichever machine they are computed."""
    if is_chosen(digest, faults.get("kill")):
        print("the fake engine was told to die of this one", file=sys.stderr, flush=True)
        os._exit(DEATH_STATUS)
    while is_chosen(digest, faults.get("hang")):
        time.sleep(3600)


def _astray(place: int, word: Word) -> Word:
    """A word whose times break every promise, in turn."""
    times = ((math.nan, word.end_ms), (word.start_ms + 90_000, word.end_ms + 90_000), (word.end_ms, word.start_ms))
    start, end = times[place % 3]
    return Word(start, end, word.text, word.probability)  # type: ignore[arg-type]


def clip_digest(clip: Clip) -> Digest:
    """Digest of the clip's samples as float32."""
    return digest_bytes(np.ascontiguousarray(clip.samples, dtype=np.float32).tobytes())


def fake_words(clip: Clip, seed: str) -> tuple[Word, ...]:
    """Words that lie inside the clip's segments, the same for the same seed and segments."""
    words: list[Word] = []
    sentence = 0
    for number, segment in enumerate(clip.segments):
        noise = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        length = segment.end_ms - segment.start_ms
        count = max(1, min(length // _WORD_MS, _MOST_WORDS)) if length > 0 else 0
        for place in range(count):
            start, end = _slot(segment, place, count)
            byte = noise[place % len(noise)] ^ (place // len(noise))
            text = "fake" if sentence == 0 else _VOCABULARY[byte % len(_VOCABULARY)]
            sentence += 1
            if sentence > 4 + byte % 7 or place == count - 1:
                text, sentence = text + ("." if byte % 5 else "?"), 0
            words.append(Word(start, end, " " + text, 800 + byte % 200))
    return tuple(words)


def _slot(segment: ClipSegment, place: int, count: int) -> tuple[int, int]:
    """The place-th of ``count`` equal stretches of a segment, with a little pause at its end where there is room."""
    length = segment.end_ms - segment.start_ms
    start = segment.start_ms + length * place // count
    end = segment.start_ms + length * (place + 1) // count
    return start, max(start, end - (60 if end - start > 200 else 0))
