"""Language tags as people write them, as BCP 47 fixes them, and as Whisper calls them."""

from __future__ import annotations

import re

from core.errors import UsageError
from media.sources import shown

#: Whisper's own codes where they differ from BCP 47's primary language; its engine knows the way back.
_WHISPER_TO_BCP47 = {"jw": "jv", "no": "nb"}


def normalise_language(text: str) -> str:
    """A valid BCP 47 tag in its usual spelling: ``PT_br`` -> ``pt-BR``. Raises UsageError for anything else."""
    import langcodes

    cleaned = text.strip().replace("_", "-")
    try:
        tag = langcodes.standardize_tag(cleaned)
    except (langcodes.tag_parser.LanguageTagError, ValueError, LookupError):
        tag = ""
    if not tag or tag == "und" or not langcodes.tag_is_valid(tag):
        raise UsageError(
            f"'{shown(text)}' is not a language tag", "use BCP 47: es, ja, pt-BR, zh-Hans, es-419 (several: es,ja)"
        )
    return tag


def parse_targets(text: str) -> tuple[str, ...]:
    """``es, ja`` -> ``("es", "ja")``: normalised, in the order given, each once.

    Semicolons and spaces part them as well: in a manifest that commas part, ``es;ja`` needs no quotes.
    """
    parts = [part for part in re.split(r"[,;|\s]+", text) if part]
    return tuple(dict.fromkeys(normalise_language(part) for part in parts))


def parse_source(text: str) -> str:
    """The source language; ``auto`` and nothing mean that it is decided by vote."""
    return "" if text.strip().lower() in ("", "auto") else normalise_language(text)


def from_whisper(code: str) -> str:
    """The BCP 47 tag for a code that Whisper reported."""
    return _WHISPER_TO_BCP47.get(code, code)


def guess_language(text: str) -> str:
    """The language that a text of some length most likely is in."""
    from py3langid import classify

    language, _ = classify(text)
    return normalise_language(str(language))


def same_text(source: str, target: str) -> bool:
    """True when the target needs no translation: same language, and no other script asked for (en -> en-GB)."""
    import langcodes

    one, other = langcodes.Language.get(source), langcodes.Language.get(target)
    if one.language != other.language:
        return False
    return other.script is None or other.script == (one.script or one.maximize().script)


def language_name(tag: str) -> str:
    """The language's English name, for people: ``pt-BR`` -> ``Portuguese (Brazil)``."""
    import langcodes

    return langcodes.Language.get(tag).display_name()
