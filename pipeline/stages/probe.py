"""A stage that exists to prove the others: a tone for each translated window, made by a fake engine.

It has everything that a stage can have (late slots, a unit for each language, two takes, a blob, an engine of its own,
flags, a delivered file), is switched on by SEGUE_FAKE_STAGES=1, and runs on a fleet in the tests. Its tones mean
nothing.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from cache.faults import BlobDamagedError
from pipeline.stages.stage import Done, Inputs, Need, NewBlob, OnFailure, Results, Slot, Stage, StageOption, Unit
from pipeline.stages.translate import Translate, translated_targets

if TYPE_CHECKING:
    from engines.probe import ProbeRequest, Tone
    from pipeline.job import JobSettings, Plan
    from pipeline.stages.stage import StageJob
    from pipeline.views import OpenViews

_RATE = 16_000


class TonePayload(msgspec.Struct, frozen=True):
    """A tone as it is recorded; its samples are the blob ``tone``."""

    #: The text that it stands for.
    text: str
    #: Whether the text was short enough.
    fits: bool


class Probe(Stage):
    """A `TonePayload` for each translated window; a second take asks for a shorter text."""

    name = "probe"
    role = "prober"
    follows = (Translate.name, "probe")
    attempts = 2
    divisible = True
    payload = TonePayload
    switch = "fake_stages"
    options = (
        StageOption("fake_stages", bool, False, "Also run the stages that exist for tests.", hidden=True),
        StageOption("probe_limit", int, 40, "Characters that a fake tone has room for.", hidden=True),
    )

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        settled = results.get(changed) if changed is not None else None
        if changed is None or not isinstance(settled, Done):
            return ()
        if changed.stage == Translate.name:
            # Where nothing was said there is nothing to stand for.
            return (Slot(self.name, changed.window, changed.language),) if settled.value else ()
        return () if settled.value.fits or changed.take + 1 == self.attempts else (_take(changed, changed.take + 1),)

    def has(self, plan: Plan, slot: Slot) -> bool:
        return slot.language in plan.settings.target_languages and slot.take < self.attempts

    def expected(self, plan: Plan) -> tuple[int, int]:
        targets = len(translated_targets(plan.settings, plan.settings.source_language))
        return len(plan.windows) * targets, targets * sum(planned.window.audio_ms for planned in plan.windows)

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        spoken = Need(_translation(slot), OnFailure.BLOCKING)
        return (spoken, Need(_take(slot, slot.take - 1))) if slot.take else (spoken,)

    def parts(self, plan: Plan, slot: Slot, inputs: Inputs) -> dict[str, Any]:
        return {"text": _text(slot, inputs), "room": _room(plan, slot)}

    def request(self, plan: Plan, unit: Unit, views: OpenViews) -> ProbeRequest:
        from engines.probe import ProbeRequest

        return ProbeRequest(unit.key, _text(unit.slot, unit.inputs), _room(plan, unit.slot))

    def pack(self, value: Tone) -> TonePayload:
        return TonePayload(value.text, value.fits)

    def unpack(self, payload: TonePayload) -> TonePayload:
        return payload

    def blobs(self, value: Tone) -> tuple[NewBlob, ...]:
        return (NewBlob("tone", value.samples),)

    def suffixes(self, settings: JobSettings) -> tuple[str, ...]:
        return tuple(f"{language}.probe.wav" for language in settings.target_languages)

    def outputs(self, job: StageJob) -> Mapping[str, bytes]:
        """``es.probe.wav``: the tones of the takes that were chosen, one after the other."""
        chosen: dict[str, dict[int, Slot]] = {}
        for slot in sorted(slot for slot, found in job.results.items() if isinstance(found, Done)):
            if slot.stage == self.name:
                # The last take is the one that fits, or as near to it as it gets.
                chosen.setdefault(slot.language, {})[slot.window] = slot
        return {
            f"{language}.probe.wav": _wave(b"".join(_samples(job, slot) for slot in windows.values()))
            for language, windows in chosen.items()
        }


def _take(slot: Slot, take: int) -> Slot:
    return slot._replace(take=take)


def _translation(slot: Slot) -> Slot:
    return Slot(Translate.name, slot.window, slot.language)


def _text(slot: Slot, inputs: Inputs) -> str:
    return " ".join(line.text for line in inputs[_translation(slot)])


def _room(plan: Plan, slot: Slot) -> int:
    """Characters that this take may have; 0 for as many as there are, of which it is then said whether they fit."""
    limit = int(plan.settings.options.get("probe_limit", 40))
    return -limit if slot.take == 0 else limit


def _samples(job: StageJob, slot: Slot) -> bytes:
    head = job.store.head(job.units[slot])
    for blob in head.blobs if head else ():
        reader = job.store.open_blob(blob.digest)
        if reader is not None:
            with reader:
                return reader.read(0, blob.size)
    raise BlobDamagedError(f"the tone of {slot.describe()} is not in the store any more", "run the same again")


def _wave(samples: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes(samples)
    return out.getvalue()
