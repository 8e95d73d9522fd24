"""Measures the segmenter: speech kept, silence skipped, cues, nonspeech, speed, and what a shifted start costs.

    python bench/segmenter_bench.py [--media ../shared/media] [--loco]

Without the shared recordings it measures on sounds that it makes, and says so.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.segmenter_material import (
    Clip,
    Samples,
    made_sounds,
    meetings,
    nonspeech,
    programmes,
    stand_in_programme,
    telephone,
    whole,
    with_noise,
)
from bench.segmenter_measures import Cues, Frames, audio_digests, cues_of, frames_of, window_digests
from core.audio import SAMPLE_RATE, SAMPLES_PER_MS
from core.speech import Segmentation
from segmenter.detection import Segmenter, find_speech
from segmenter.detectors import SILERO_FRAME, SileroJudge
from segmenter.params import SegmenterParams
from segmenter.windows import pack_windows

ROOT = Path(__file__).resolve().parent.parent
PARAMS = SegmenterParams()
_BLOCK = SAMPLE_RATE


def segmented(samples: Samples) -> Segmentation:
    return find_speech((samples[at : at + _BLOCK] for at in range(0, len(samples), _BLOCK)), PARAMS)


def report_meetings(clips: list[Clip]) -> None:
    altered = {
        "as recorded": lambda samples: samples,
        "12 dB softer": lambda samples: whole(samples * 0.25),
        "12 dB louder": lambda samples: whole(samples * 4.0),
        "telephone band": telephone,
        "noise at 20 dB": lambda samples: with_noise(samples, 20, np.random.default_rng(1)),
    }
    for name, alter in altered.items():
        total = Frames()
        for clip in clips:
            found = segmented(alter(clip.samples))
            total += frames_of(found.segments, clip.speech, found.duration_ms)
        print(f"meetings, {name}: {total}")
    print("  (the shipped weights have seen these excerpts: --loco gives the figure for unseen ones)")


def report_programmes(clips: list[Clip]) -> None:
    total = Cues()
    for clip in clips:
        found = segmented(clip.samples)
        cues = cues_of(found.segments, clip.speech, found.duration_ms)
        total += cues
        windows = pack_windows(found, PARAMS)
        fill = sum(window.audio_ms for window in windows) / max(len(windows), 1) / 1000
        print(f"programme {clip.name}: {cues}; {len(windows)} windows of {fill:.1f} s")
    print(f"programmes: {total}")


def report_nonspeech(clips: list[Clip]) -> None:
    for clip in clips:
        found = segmented(clip.samples)
        if found.segments:
            scores = ", ".join(str(segment.score) for segment in found.segments)
            seconds = found.duration_ms / 1000
            print(f"nonspeech {clip.name}: {found.speech_ms / 1000:.1f} of {seconds:.0f} s kept, scores {scores}")
    kept = sum(segmented(clip.samples).speech_ms for clip in clips)
    print(f"nonspeech: {kept / 1000:.1f} of {sum(len(c.samples) for c in clips) / SAMPLE_RATE:.0f} s called speech")


def report_speed(samples: Samples, minutes: int) -> None:
    """One core's time for everything, beside Silero alone over the same audio in the same run."""
    long = np.resize(samples, minutes * 60 * SAMPLE_RATE)
    segmenter, judge = Segmenter(PARAMS), SileroJudge()
    started = time.process_time()
    for at in range(0, len(long), _BLOCK):
        segmenter.feed(long[at : at + _BLOCK])
    segmenter.finish()
    ours = time.process_time() - started
    started = time.process_time()
    for at in range(0, len(long), 60 * SAMPLE_RATE):
        part = long[at : at + 60 * SAMPLE_RATE].astype(np.float32) / 32768
        judge.logits(part, np.ones(len(part) // SILERO_FRAME, bool))
    alone = time.process_time() - started
    seconds = len(long) / SAMPLE_RATE
    print(f"speed: {seconds / ours:.0f} x real time on one core (Silero alone, same run: {seconds / alone:.0f} x)")


def report_shift(clip: Clip) -> None:
    """How many digests of segments and windows survive an intro, and appended material."""
    base = segmented(clip.samples)
    segments, windows = audio_digests(clip.samples, base.segments), window_digests(clip.samples, base, PARAMS)
    for intro_ms in (37, 10_000, 10_037):
        intro = whole(np.random.default_rng(2).normal(0, 20, intro_ms * SAMPLES_PER_MS))
        _report_survivors(f"{intro_ms} ms intro", clip, (segments, windows), np.concatenate([intro, clip.samples]))
    appended = np.concatenate([clip.samples, clip.samples[: 20 * SAMPLE_RATE]])
    _report_survivors("20 s appended", clip, (segments, windows), appended)


def _report_survivors(what: str, clip: Clip, base: tuple[list[str], list[str]], samples: Samples) -> None:
    found = segmented(samples)
    segments = set(audio_digests(samples, found.segments))
    windows = set(window_digests(samples, found, PARAMS))
    print(
        f"{clip.name}, {what}: {sum(name in segments for name in base[0])} of {len(base[0])} segments and "
        f"{sum(name in windows for name in base[1])} of {len(base[1])} windows keep their digest"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--media", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared" / "media"
    )
    parser.add_argument("--loco", action="store_true", help="also train without each meeting in turn (minutes)")
    parser.add_argument("--minutes", type=int, default=20, help="length of the audio that speed is measured on")
    arguments = parser.parse_args()
    if (arguments.media / "ami").is_dir():
        spoken, told = meetings(arguments.media), programmes(arguments.media)
        silent = nonspeech(arguments.media)
        report_meetings(spoken)
    else:
        print(f"no recordings in {arguments.media}: measuring on synthetic audio, which is easier than speech")
        spoken, told, silent = [], [stand_in_programme(1)], []
    report_programmes(told)
    report_nonspeech([*silent, *made_sounds(2, seed=99)])
    report_speed(np.concatenate([clip.samples for clip in [*spoken, *told]]), arguments.minutes)
    for clip in told:
        report_shift(clip)
    if arguments.loco and spoken:
        from bench.segmenter_train import clips_to_learn, examples, report_leave_one_out

        report_leave_one_out(examples(clips_to_learn(arguments.media, [], None)), PARAMS)


if __name__ == "__main__":
    main()
