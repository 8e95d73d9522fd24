"""The cues of each window: from its words, or the captions that were given. What is translated, and what is shown."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.job import Plan
from pipeline.stages.language import LANGUAGE
from pipeline.stages.stage import Done, Inputs, Need, Results, Settled, Slot, Stage
from pipeline.stages.transcribe import transcript_slot
from pipeline.timeline import window_cues


class Cues(Stage):
    """A tuple of `subtitles.cues.CueDraft` for each window, in media time."""

    name = "window-cues"

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        return (cues_slot(planned.index) for planned in plan.windows)

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        if plan.settings.captions:
            return (Need(LANGUAGE),)
        return Need(LANGUAGE), Need(transcript_slot(slot.window))

    def shortcut(self, plan: Plan, slot: Slot, inputs: Inputs) -> Settled:
        transcript = inputs.get(transcript_slot(slot.window))
        return Done(window_cues(plan.windows[slot.window], transcript, inputs[LANGUAGE] or ""))


def cues_slot(window: int) -> Slot:
    """The slot of a window's cues."""
    return Slot(Cues.name, window)
