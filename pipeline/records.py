"""The payloads that stages leave in the store, and how they are read back. Times are milliseconds of the clip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.keys import canonical_json
from core.text import Dropped, Word
from engines.transcribe.interface import LanguageGuess, Transcript
from engines.translate.interface import TranslatedLine, Translation
from pipeline.languages import from_whisper


def load(payload: bytes) -> dict[str, Any]:
    """The JSON object in a record's payload."""
    value = json.loads(payload)
    if not isinstance(value, dict):
        raise TypeError("a stage's payload is a JSON object")
    return value


def dump_guess(guess: LanguageGuess) -> bytes:
    """Payload of a detection."""
    return canonical_json({"language": from_whisper(guess.language), "probability": guess.probability})


def load_guess(payload: bytes) -> tuple[str, int]:
    """(language, probability in thousandths)."""
    value = load(payload)
    return value["language"], value["probability"]


def dump_transcript(transcript: Transcript) -> bytes:
    """Payload of a transcription."""
    return canonical_json(
        {
            "words": [[w.start_ms, w.end_ms, w.text, w.probability] for w in transcript.words],
            "dropped": [[d.start_ms, d.end_ms, d.text, d.reason] for d in transcript.dropped],
            "flags": list(transcript.flags),
        }
    )


def load_transcript(payload: bytes) -> Transcript:
    """The transcript in a payload."""
    value: Mapping[str, Any] = load(payload)
    return Transcript(
        words=tuple(Word(*fields) for fields in value["words"]),
        dropped=tuple(Dropped(*fields) for fields in value["dropped"]),
        flags=tuple(value["flags"]),
    )


def dump_translation(translation: Translation) -> bytes:
    """Payload of a translation: the lines by position, since ids are not part of the work."""
    return canonical_json({"lines": [[line.text, list(line.flags)] for line in translation.lines]})


def load_translation(payload: bytes) -> tuple[TranslatedLine, ...]:
    """The lines by position; their ids are empty."""
    return tuple(TranslatedLine("", text, tuple(flags)) for text, flags in load(payload)["lines"])
