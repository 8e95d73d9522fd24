"""What a translator is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One cue's text, without line breaks."""

    #: The caller's name for it, unique in its task; results carry it back.
    id: str
    text: str


@dataclass(frozen=True)
class TranslationTask:
    """The lines of one window, and what surrounds them."""

    id: str
    #: BCP 47.
    source_language: str
    #: BCP 47, region or script where it matters (``pt-BR``, ``zh-Hans``).
    target_language: str
    lines: tuple[Line, ...]
    #: Text just before and just after, for context only: never translated, never returned.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    #: (source term, required target term) pairs.
    glossary: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class TranslatedLine:
    """One line's translation. A line that could not be translated has empty text and the flag ``untranslated``."""

    id: str
    text: str
    #: Why a person should look: ``untranslated``, ``copied``, ``refused``, ``same-answer``, ``too-long``, ``merged``,
    #: ``glossary``, ``wrong-script``.
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Translation:
    """Exactly one translated line for each line of the task, in the task's order.

    Lines that come back missing, merged, copied, extra or running away are asked for again, then one by one, then
    flagged; a source line is never passed off as its translation.
    """

    lines: tuple[TranslatedLine, ...]


def token_usage(
    requests: int = 0, input_tokens: int = 0, output_tokens: int = 0, unanswered: int = 0
) -> dict[str, int]:
    """Usage by the meters of APIs. ``unanswered`` requests were sent and no answer came: they may be charged."""
    found = {"requests": requests, "input_tokens": input_tokens, "output_tokens": output_tokens}
    return found | ({"unanswered": unanswered} if unanswered else {})
