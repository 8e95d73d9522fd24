"""Units of work and their keys: what determines each stage's output, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.keys import Key, make_key
from core.specs import EngineSpec
from engines.translate.interface import TranslationTask
from pipeline.job import PlannedWindow


class Stage(StrEnum):
    """The stages of a job, in the order in which they feed each other."""

    DETECT = "detect"
    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


#: The role of the engine that computes each stage (`engines.roles`).
ROLES = {Stage.DETECT: "transcriber", Stage.TRANSCRIBE: "transcriber", Stage.TRANSLATE: "translator"}


def loaded_for(role: str) -> Stage:
    """The stage that an engine's loading is noted with: the last that it computes."""
    return [stage for stage, needed in ROLES.items() if needed == role][-1]


#: Raised when a stage's meaning or payload changes; old records are then simply not found.
STAGE_VERSIONS = {Stage.DETECT: 1, Stage.TRANSCRIBE: 1, Stage.TRANSLATE: 1}

#: Tokens of instructions around a request's lines, and characters to a token: for usage that nobody reported because
#: the process died. Chosen high, since what an API may have charged counts as spent until proved otherwise.
_PROMPT_TOKENS = 400
_CHARACTERS_A_TOKEN = 2


@dataclass(frozen=True)
class Unit:
    """One record that is wanted: a stage applied to a window (and a target language)."""

    stage: Stage
    job_id: str
    window: int
    key: Key
    #: Length of the speech it covers, for progress and batch sizes.
    audio_ms: int
    #: Target language of a translation, else empty.
    language: str = ""
    #: Source language of a transcription, else empty.
    source: str = ""
    #: What the translator is given, else None.
    task: TranslationTask | None = None

    def describe(self) -> str:
        """A name for messages: ``translate es, window 12``."""
        language = f" {self.language}" if self.language else ""
        return f"{self.stage}{language}, window {self.window + 1}"


def detect_key(spec: EngineSpec, planned: PlannedWindow) -> Key:
    """Language detection reads the samples only."""
    return make_key(Stage.DETECT, STAGE_VERSIONS[Stage.DETECT], engine=spec.as_json(), audio=planned.audio)


def transcribe_key(spec: EngineSpec, planned: PlannedWindow, language: str) -> Key:
    """Transcription reads the samples, where the segments were joined and how sure the detector was, the language."""
    return make_key(
        Stage.TRANSCRIBE,
        STAGE_VERSIONS[Stage.TRANSCRIBE],
        engine=spec.as_json(),
        audio=planned.audio,
        layout=planned.layout(),
        language=language,
    )


def translate_key(spec: EngineSpec, task: TranslationTask) -> Key:
    """Translation reads texts, context, languages and the glossary terms that occur; neither times nor ids."""
    parts: dict[str, Any] = {
        "engine": spec.as_json(),
        "source": task.source_language,
        "target": task.target_language,
        "lines": [line.text for line in task.lines],
        "before": task.before,
        "after": task.after,
        "glossary": task.glossary,
    }
    return make_key(Stage.TRANSLATE, STAGE_VERSIONS[Stage.TRANSLATE], **parts)


def estimated_usage(stage: Stage, units: Sequence[Unit]) -> dict[str, int]:
    """What a remote engine may use for these units, by meter."""
    if stage is not Stage.TRANSLATE:
        return {"requests": len(units), "audio_ms": sum(unit.audio_ms for unit in units)}
    characters = sum(len(line.text) for unit in units if unit.task for line in unit.task.lines)
    tokens = characters // _CHARACTERS_A_TOKEN
    return {
        "requests": len(units),
        "input_tokens": tokens + _PROMPT_TOKENS * len(units),
        "output_tokens": tokens,
        "characters": characters,
    }
