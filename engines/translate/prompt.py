"""What a chat model is asked. Pure: the same lines always give the same words.

The prompt is part of what a translation depends on, so any change to this file raises `PROMPT_VERSION`, which
stands in every spec's options and thereby in every key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from engines.translate.interface import Line, TranslationTask
from engines.translate.languages import language_name, text_weight, writes_densely

PROMPT_VERSION = "1"

#: Characters of one subtitle: two lines of 42, or of 16 where a character is a word.
_BUDGET = 84
_DENSE_BUDGET = 32
#: Tokens that even a short line may take, with its id and quotes.
_TOKENS_FOR_A_LINE = 40
#: Context that is worth its tokens: the last and first few lines around the window.
_CONTEXT_LINES = 6


def relevant_glossary(glossary: Sequence[tuple[str, str]], lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The pairs whose source term occurs in the lines, sorted: only these may change a translation.

    A key that holds these instead of the whole glossary survives the addition of a term that is not said here.
    """
    text = "\n".join(lines)
    return tuple(sorted({(term, wanted) for term, wanted in glossary if term.strip() and occurs(term, text)}))


def occurs(term: str, text: str) -> bool:
    """True when the term stands in the text as a word of its own (inside words for scripts without spaces)."""
    start = r"(?<!\w)" if re.match(r"\w", term) and term[0].isascii() else ""
    end = r"(?!\w)" if re.search(r"\w$", term) and term[-1].isascii() else ""
    return re.search(start + re.escape(term.strip()) + end, text, re.IGNORECASE) is not None


def system_prompt(task: TranslationTask) -> str:
    """The standing instructions; they depend on the two languages only, so servers can reuse their prefix."""
    source, target = language_name(task.source_language), language_name(task.target_language)
    budget = _DENSE_BUDGET if writes_densely(task.target_language) else _BUDGET
    return (
        f"You translate subtitles from {source} into {target}.\n"
        "You are given a JSON object whose members are subtitle lines: the name is the line's number, the value its "
        "text. Answer with one JSON object that has exactly the same names, each with the translation of that line "
        "and nothing else.\n"
        f"- Write natural, idiomatic {target} as it is spoken. Keep the speaker's tone; if unclear, be neutral.\n"
        "- One answer for one line: never merge lines, never move words to another line, never leave one out, "
        "even when a sentence runs over several lines.\n"
        f"- Be as short as the original; at most {budget} characters a line if it can be done.\n"
        "- Keep numbers, names, links and placeholders such as {name} or %s.\n"
        "- Never leave a line in the original language; only names, numbers and words that are the same in "
        f"{target} stay as they are.\n"
        "- No notes, no quotes around lines, no speaker names that are not in the line."
    )


def user_prompt(
    task: TranslationTask, lines: Mapping[str, Line], complaints: Mapping[str, str], with_context: bool = True
) -> str:
    """The lines by number, with context, glossary and, when asked again, what was wrong before."""
    parts: list[str] = []
    if with_context and task.before:
        parts.append("Said before (context only, do not translate):\n" + "\n".join(task.before[-_CONTEXT_LINES:]))
    if with_context and task.after:
        parts.append("Said after (context only, do not translate):\n" + "\n".join(task.after[:_CONTEXT_LINES]))
    glossary = relevant_glossary(task.glossary, [line.text for line in lines.values()])
    if glossary:
        pairs = "\n".join(f"{term} -> {wanted}" for term, wanted in glossary)
        parts.append("Always translate these terms like this:\n" + pairs)
    if complaints:
        notes = "\n".join(f"{number}: {complaint}" for number, complaint in complaints.items())
        parts.append("An earlier answer was not usable:\n" + notes)
    asked = json.dumps({number: line.text for number, line in lines.items()}, ensure_ascii=False, indent=0)
    parts.append(f"Translate into {language_name(task.target_language)}:\n{asked}")
    return "\n\n".join(parts)


def reply_schema(numbers: Sequence[str]) -> dict[str, Any]:
    """JSON schema (strict, as OpenAI defines it) of an object with one string for each number."""
    return {
        "type": "object",
        "properties": {number: {"type": "string"} for number in numbers},
        "required": list(numbers),
        "additionalProperties": False,
    }


def reply_tokens(lines: Sequence[Line]) -> int:
    """Tokens an honest answer stays under, generous for scripts that tokenizers know badly; a runaway one does not."""
    return sum(_TOKENS_FOR_A_LINE + text_weight(line.text) * 2 // 10 for line in lines)
