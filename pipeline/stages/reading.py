"""What a job's results say, for whoever assembles outputs or counts them: language, transcripts, cues, translations."""

from __future__ import annotations

from collections.abc import Sequence

from engines.transcribe.interface import Transcript
from engines.translate.interface import TranslatedLine
from pipeline.job import PlannedWindow
from pipeline.languages import same_text
from pipeline.stages.cues import cues_slot
from pipeline.stages.detect import choose_voters
from pipeline.stages.language import language_in
from pipeline.stages.stage import Done, Failed, Results
from pipeline.stages.transcribe import transcript_slot
from pipeline.stages.translate import translation_slot
from subtitles.cues import CueDraft


def windows_asked(windows: Sequence[PlannedWindow]) -> tuple[int, ...]:
    """Indices of the windows whose language is asked for, where nobody says it."""
    return choose_voters(windows)


def language_of(results: Results) -> str:
    """The language that is spoken; empty while it is not known."""
    return language_in(results)


def transcript_of(results: Results, window: int) -> Transcript | None:
    """A window's transcript; None while there is none, and where captions were given."""
    found = results.get(transcript_slot(window))
    return found.value if isinstance(found, Done) else None


def transcript_failure(results: Results, window: int) -> str:
    """Why a window has no transcript; empty where it has one or may still get one."""
    found = results.get(transcript_slot(window))
    return found.reason if isinstance(found, Failed) else ""


def cues_of(results: Results, window: int) -> tuple[CueDraft, ...] | None:
    """A window's cues in media time; None as long as they are not known."""
    found = results.get(cues_slot(window))
    return found.value if isinstance(found, Done) else None


def translation_of(results: Results, window: int, language: str, target: str) -> tuple[TranslatedLine, ...] | None:
    """A window's lines in a target language, which may be the one spoken; None where they are missing."""
    if language and same_text(language, target):
        return tuple(TranslatedLine("", cue.text) for cue in cues_of(results, window) or ())
    found = results.get(translation_slot(window, target))
    return found.value if isinstance(found, Done) else None
