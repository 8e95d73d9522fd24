"""The words of each window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from core.text import Dropped, Word
from engines.transcribe.interface import Clip, ClipSegment, Transcript
from engines.transcribe.words import in_order
from pipeline.job import SPEECH, JobSettings, Plan
from pipeline.stages.detect import Detect
from pipeline.stages.language import LANGUAGE
from pipeline.stages.stage import ChargedBy, Inputs, Need, OnFailure, Results, Slot, Spared, Stage, StageUsage, Unit
from pipeline.views import OpenViews

#: Flag of a transcript whose words the engine had placed otherwise than promised.
TIMES_MENDED = "times-mended"


class WordRow(msgspec.Struct, frozen=True, array_like=True):
    """A word; times are milliseconds of the clip, the probability is in thousandths."""

    start_ms: int
    end_ms: int
    text: str
    probability: int


class DroppedRow(msgspec.Struct, frozen=True, array_like=True):
    """A text that was written over what is no speech."""

    start_ms: int
    end_ms: int
    text: str
    reason: str


class TranscriptPayload(msgspec.Struct, frozen=True):
    """A transcript as it is recorded."""

    words: tuple[WordRow, ...]
    dropped: tuple[DroppedRow, ...]
    flags: tuple[str, ...]


class Transcribe(Stage):
    """A transcript for each window."""

    name = "transcribe"
    role = "transcriber"
    charged_by = ChargedBy.AUDIO
    noun = "transcription"
    usual_api = "openai/whisper-1"
    views = (SPEECH,)
    payload = TranscriptPayload

    def active(self, settings: JobSettings) -> bool:
        return not settings.captions

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        return (Slot(self.name, planned.index) for planned in plan.windows)

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        return (Need(LANGUAGE, OnFailure.BLOCKING),)

    def parts(self, plan: Plan, slot: Slot, inputs: Inputs) -> dict[str, Any]:
        """The samples, where the segments were joined and how sure the detector was, the language."""
        planned = plan.windows[slot.window]
        return {"audio": planned.audio, "layout": planned.layout(), "language": inputs[LANGUAGE]}

    def request(self, plan: Plan, unit: Unit, views: OpenViews) -> Clip:
        planned = plan.windows[unit.window]
        segments = tuple(ClipSegment(*span) for span in planned.layout())
        language = unit.inputs[LANGUAGE].split("-", 1)[0]
        return Clip(unit.key, views.window(plan, unit.window), segments, language)

    def check(self, request: Clip, value: Transcript) -> Transcript:
        """The transcript with words in order; a person is told where the engine had placed them otherwise."""
        words = in_order(value.words, len(request.samples) // 16)
        return value if words == value.words else replace(value, words=words, flags=(*value.flags, TIMES_MENDED))

    def pack(self, value: Transcript) -> TranscriptPayload:
        return TranscriptPayload(
            tuple(WordRow(w.start_ms, w.end_ms, w.text, w.probability) for w in value.words),
            tuple(DroppedRow(d.start_ms, d.end_ms, d.text, d.reason) for d in value.dropped),
            tuple(value.flags),
        )

    def unpack(self, payload: TranscriptPayload) -> Transcript:
        return Transcript(
            tuple(Word(w.start_ms, w.end_ms, w.text, w.probability) for w in payload.words),
            tuple(Dropped(d.start_ms, d.end_ms, d.text, d.reason) for d in payload.dropped),
            payload.flags,
        )

    def spared_by_silence(self, plan: Plan, results: Results, took: Mapping[str, StageUsage]) -> Spared | None:
        # It reads cues and transcripts, whose files import this one.
        from pipeline.stages.silence import spared_by_silence

        engine = plan.settings.engines[self.role].describe()
        return spared_by_silence(plan, results, took[self.name], took.get(Detect.name, StageUsage()), engine)


def transcript_slot(window: int) -> Slot:
    """The slot of a window's transcript."""
    return Slot(Transcribe.name, window)
