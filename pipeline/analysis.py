"""Decoding a file once and finding the speech in it. A record that every job over the same audio shares."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cache.blobs import BlobReader
from cache.envelope import BlobRef, Record, Retention
from cache.faults import BlobDamagedError
from cache.store import Store
from core.audio import BYTES_PER_SAMPLE, ms_to_samples
from core.keys import Digest, Key, canonical_json, digest_chunks, make_key
from core.speech import Segment, Segmentation, Span, Window
from engines.device import cpu_threads
from media.claims import expected_ms
from media.decode import decode_pcm, decoder_id
from media.probe import probe
from media.tracks import AudioTrack, Lost, MediaInfo, select_track
from pipeline.job import SPEECH
from segmenter.detection import Segmenter
from segmenter.params import SegmenterParams
from segmenter.windows import pack_windows, windows_end_to_end, with_pauses

ANALYSIS_VERSION = 3
#: Kind of its record.
ANALYSIS = "analysis"
#: Beyond this, decoding is what the detectors wait for.
MOST_SEGMENTER_THREADS = 4


@dataclass(frozen=True)
class Analysis:
    """Where the speech of one media file is, and its decoded audio."""

    key: Key
    #: Digest of the blob with the decoded audio: 16 kHz mono signed 16-bit, little endian, no header.
    audio: Digest
    duration_ms: int
    fps: Fraction | None
    segments: tuple[Segment, ...]
    #: Each window, and the digest of its joined samples.
    windows: tuple[tuple[Window, Digest], ...]
    warnings: tuple[str, ...]
    #: Sound that the file should hold and that did not come out of it.
    lost: tuple[Lost, ...] = ()

    @property
    def segmentation(self) -> Segmentation:
        return Segmentation(self.duration_ms, self.segments)

    def as_json(self) -> dict[str, Any]:
        """The record's payload."""
        return {
            "audio": self.audio,
            "duration_ms": self.duration_ms,
            "fps": [self.fps.numerator, self.fps.denominator] if self.fps else None,
            "segments": [[s.start_ms, s.end_ms, s.score] for s in self.segments],
            "windows": [
                {
                    "segments": [segment.index for segment in window.segments],
                    "spans": [[span.start_ms, span.end_ms] for span in window.spans],
                    "audio": digest,
                }
                for window, digest in self.windows
            ],
            "warnings": list(self.warnings),
            "lost": [each.as_json() for each in self.lost],
        }

    @classmethod
    def from_json(cls, key: Key, value: dict[str, Any]) -> Analysis:
        """The analysis in a payload that `as_json` made."""
        segments = tuple(Segment(i, *numbers) for i, numbers in enumerate(value["segments"]))
        windows = []
        for index, entry in enumerate(value["windows"]):
            spans = tuple(Span(*ends) for ends in entry["spans"])
            window = Window(index, tuple(segments[i] for i in entry["segments"]), spans)
            windows.append((window, Digest(entry["audio"])))
        return cls(
            key=key,
            audio=Digest(value["audio"]),
            duration_ms=value["duration_ms"],
            fps=Fraction(*value["fps"]) if value["fps"] else None,
            segments=segments,
            windows=tuple(windows),
            warnings=tuple(value["warnings"]),
            lost=tuple(Lost(*fields) for fields in value["lost"]),
        )


@dataclass(frozen=True)
class AnalysisRequest:
    """What an analysis depends on."""

    path: Path
    digest: Digest
    #: Audio track wanted: empty for the default one, an index, or a language.
    track: str
    params: SegmenterParams

    def key(self) -> Key:
        """Includes the decoder: another one gives other samples for the same file."""
        return make_key(
            "analysis",
            ANALYSIS_VERSION,
            media=self.digest,
            track=self.track,
            segmenter=self.params.as_json(),
            decoder=decoder_id(),
        )


def analyse(
    request: AnalysisRequest, store: Store, on_decoded: Callable[[int, int], None] = lambda done_ms, total_ms: None
) -> Analysis:
    """The analysis of one file, from the store when it is there and its audio too.

    ``on_decoded`` is told milliseconds decoded and the expected total. Raises MediaError when the file is unusable.
    """
    found = find_analysis(request.key(), store)
    if found is not None:
        return found
    info = probe(request.path)
    track = select_track(info, request.track)
    analysis, speech = _decode_and_segment(request, info, track, store, on_decoded)
    store.put(Record(request.key(), ANALYSIS, canonical_json(analysis.as_json()), {}, (speech,)))
    return analysis


def find_analysis(key: Key, store: Store) -> Analysis | None:
    """The stored analysis, if both it and its audio are still there."""
    record = store.get(key)
    if record is None:
        return None
    analysis = Analysis.from_json(key, json.loads(record.payload))
    return analysis if store.has_blob(analysis.audio) else None


def _decode_and_segment(
    request: AnalysisRequest,
    info: MediaInfo,
    track: AudioTrack,
    store: Store,
    on_decoded: Callable[[int, int], None],
) -> tuple[Analysis, BlobRef]:
    samples = 0
    store.require_space(ms_to_samples(expected_ms(info)) * BYTES_PER_SAMPLE)
    threads = min(cpu_threads(), MOST_SEGMENTER_THREADS)
    with closing(Segmenter(request.params, threads)) as segmenter, store.blob_writer("audio") as writer:
        stream = decode_pcm(info, track)
        for block in stream:
            segmenter.feed(block)
            writer.write(block.astype("<i2", copy=False).tobytes())
            samples += len(block)
            on_decoded(samples // ms_to_samples(1), info.duration_ms)
        segmentation = segmenter.finish()
    speech = writer.ref(SPEECH, Retention.VIEW)
    if request.params.whole_media:
        segmentation = with_pauses(segmentation, request.params)
        packed = windows_end_to_end(segmentation, request.params)
    else:
        packed = pack_windows(segmentation, request.params)
    with open_audio(store, speech.digest) as audio:
        windows = tuple((window, digest_chunks(_joined(audio, window))) for window in packed)
    analysis = Analysis(
        key=request.key(),
        audio=speech.digest,
        duration_ms=segmentation.duration_ms,
        fps=info.frame_rate,
        segments=segmentation.segments,
        windows=windows,
        warnings=stream.report.warnings,
        lost=stream.report.lost,
    )
    return analysis, speech


def _joined(audio: BlobReader, window: Window) -> Iterator[bytes]:
    for span in window.spans:
        yield audio.read(
            ms_to_samples(span.start_ms) * BYTES_PER_SAMPLE, ms_to_samples(span.duration_ms) * BYTES_PER_SAMPLE
        )


def open_audio(store: Store, digest: str) -> BlobReader:
    """The decoded audio of a job. Raises BlobDamagedError when it is gone or damaged."""
    reader = store.open_blob(digest)
    if reader is None:
        raise BlobDamagedError(f"the decoded audio {digest[:12]} is not in the store any more", "run the same again")
    return reader


def window_samples(audio: BlobReader, window: Window) -> npt.NDArray[np.float32]:
    """The joined samples of a window: shape (n,), 16 kHz mono float32 in [-1, 1)."""
    pcm = np.frombuffer(b"".join(_joined(audio, window)), dtype="<i2")
    return pcm.astype(np.float32) / 32768.0
