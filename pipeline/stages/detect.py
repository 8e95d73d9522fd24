"""Which language each of a few windows seems to be in. `language` lets them vote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engines.transcribe.interface import LanguageGuess, LanguageQuestion
from pipeline.job import SPEECH, JobSettings, Plan, PlannedWindow
from pipeline.languages import from_whisper
from pipeline.stages.stage import ChargedBy, Inputs, Results, Slot, Stage, Unit
from pipeline.views import OpenViews

#: Windows asked. Five spread over the file outvote one that is music or a quotation.
VOTERS = 5
#: A window's weight stops growing with its length here: long does not mean more right.
_FULL_WEIGHT_MS = 10_000


class GuessPayload(msgspec.Struct, frozen=True):
    """A guess as it is recorded."""

    #: BCP 47.
    language: str
    #: In thousandths.
    probability: int


class Detect(Stage):
    """A language guess for each voter."""

    name = "detect"
    role = "transcriber"
    part_of = "transcribe"
    charged_by = ChargedBy.AUDIO
    views = (SPEECH,)
    usual_pace = 100
    payload = GuessPayload

    def active(self, settings: JobSettings) -> bool:
        return not settings.captions and not settings.source_language

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        return detection_slots(plan)

    def parts(self, plan: Plan, slot: Slot, inputs: Inputs) -> dict[str, Any]:
        """Language detection reads the samples only."""
        return {"audio": plan.windows[slot.window].audio}

    def request(self, plan: Plan, unit: Unit, views: OpenViews) -> LanguageQuestion:
        return LanguageQuestion(unit.key, views.window(plan, unit.window))

    def pack(self, value: LanguageGuess) -> GuessPayload:
        return GuessPayload(from_whisper(value.language), value.probability)

    def unpack(self, payload: GuessPayload) -> tuple[str, int]:
        """(language, probability in thousandths)."""
        return payload.language, payload.probability


def detection_slots(plan: Plan) -> tuple[Slot, ...]:
    """One slot for each window that is asked."""
    return tuple(Slot(Detect.name, index) for index in choose_voters(plan.windows))


def choose_voters(windows: Sequence[PlannedWindow]) -> tuple[int, ...]:
    """Indices of the windows to ask: of each fifth of the media, the one that is most surely speech."""
    if len(windows) <= VOTERS:
        return tuple(range(len(windows)))
    chosen = []
    for part in range(VOTERS):
        low, high = part * len(windows) // VOTERS, (part + 1) * len(windows) // VOTERS
        chosen.append(max(range(low, high), key=lambda index: (voting_weight(windows[index]), -index)))
    return tuple(chosen)


def voting_weight(planned: PlannedWindow) -> int:
    """Milliseconds of believed speech, up to the point where more does not help."""
    surely = sum((end - start) * score for start, end, score in planned.layout()) // 1000
    return min(surely, _FULL_WEIGHT_MS)
