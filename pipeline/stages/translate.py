"""The lines of each window in each target language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from engines.translate.interface import Line, TranslatedLine, Translation, TranslationTask
from engines.translate.prompt import relevant_glossary
from pipeline.job import JobSettings, Plan
from pipeline.languages import same_text
from pipeline.stages.cues import cues_slot
from pipeline.stages.language import LANGUAGE, SpokenLanguage, language_in
from pipeline.stages.stage import ChargedBy, Done, Inputs, Need, OnFailure, Results, Settled, Slot, Stage, Unit
from pipeline.views import OpenViews

#: Cues of the neighbouring windows that a translator sees as context.
CONTEXT_BEFORE = 2
CONTEXT_AFTER = 1
#: Tokens of instructions around a request's lines, and characters to a token: for usage that nobody reported because
#: the process died. Chosen high, since what an API may have charged counts as spent until proved otherwise.
_PROMPT_TOKENS = 400
_CHARACTERS_A_TOKEN = 2


class LineRow(msgspec.Struct, frozen=True, array_like=True):
    """A translated line."""

    text: str
    flags: tuple[str, ...]


class TranslationPayload(msgspec.Struct, frozen=True):
    """The lines by position, since ids are not part of the work."""

    lines: tuple[LineRow, ...]


class Translate(Stage):
    """A tuple of `TranslatedLine` for each window and target; their ids are empty."""

    name = "translate"
    role = "translator"
    charged_by = ChargedBy.TEXT
    noun = "translation"
    meters = ("requests", "input_tokens", "output_tokens")
    divisible = True
    follows = (SpokenLanguage.name,)
    payload = TranslationPayload

    def active(self, settings: JobSettings) -> bool:
        return bool(translated_targets(settings, settings.source_language))

    def slots(self, plan: Plan, results: Results, changed: Slot | None) -> Iterable[Slot]:
        language = language_in(results)
        if not language:
            return ()
        targets = translated_targets(plan.settings, language)
        return (Slot(self.name, planned.index, target) for planned in plan.windows for target in targets)

    def has(self, plan: Plan, slot: Slot) -> bool:
        return slot.language in plan.settings.target_languages and not slot.take

    def expected(self, plan: Plan) -> tuple[int, int]:
        targets = len(translated_targets(plan.settings, plan.settings.source_language))
        return len(plan.windows) * targets, targets * sum(planned.window.audio_ms for planned in plan.windows)

    def needs(self, plan: Plan, slot: Slot) -> tuple[Need, ...]:
        around = range(max(slot.window - 1, 0), min(slot.window + 2, len(plan.windows)))
        return Need(LANGUAGE, OnFailure.BLOCKING), *(Need(cues_slot(near)) for near in around)

    def shortcut(self, plan: Plan, slot: Slot, inputs: Inputs) -> Settled | None:
        """Where nothing was said there is nothing to translate, and no record to keep of it."""
        return None if inputs[cues_slot(slot.window)] else Done(())

    def parts(self, plan: Plan, slot: Slot, inputs: Inputs) -> dict[str, Any]:
        """Texts, context, languages and the glossary terms that occur; neither times nor ids."""
        task = _task("", plan, slot, inputs)
        return {
            "source": task.source_language,
            "target": task.target_language,
            "lines": [line.text for line in task.lines],
            "before": task.before,
            "after": task.after,
            "glossary": task.glossary,
        }

    def request(self, plan: Plan, unit: Unit, views: OpenViews) -> TranslationTask:
        return _task(unit.key, plan, unit.slot, unit.inputs)

    def pack(self, value: Translation) -> TranslationPayload:
        return TranslationPayload(tuple(LineRow(line.text, tuple(line.flags)) for line in value.lines))

    def unpack(self, payload: TranslationPayload) -> tuple[TranslatedLine, ...]:
        return tuple(TranslatedLine("", line.text, line.flags) for line in payload.lines)

    def characters(self, slot: Slot, inputs: Inputs) -> int:
        return sum(len(cue.text) for cue in inputs.get(cues_slot(slot.window)) or ())

    def expected_usage(self, units: Sequence[Unit]) -> dict[str, int]:
        characters = sum(self.characters(unit.slot, unit.inputs) for unit in units)
        tokens = characters // _CHARACTERS_A_TOKEN
        return {
            "requests": len(units),
            "input_tokens": tokens + _PROMPT_TOKENS * len(units),
            "output_tokens": tokens,
            "characters": characters,
        }


def translated_targets(settings: JobSettings, language: str) -> tuple[str, ...]:
    """The targets that need a translator; all of them as long as the language is not known."""
    return tuple(target for target in settings.target_languages if not language or not same_text(language, target))


def translation_slot(window: int, target: str) -> Slot:
    """The slot of a window's translation."""
    return Slot(Translate.name, window, target)


def _task(name: str, plan: Plan, slot: Slot, inputs: Inputs) -> TranslationTask:
    texts = [cue.text for cue in inputs[cues_slot(slot.window)]]
    before = [cue.text for cue in inputs.get(cues_slot(slot.window - 1)) or ()][-CONTEXT_BEFORE:]
    after = [cue.text for cue in inputs.get(cues_slot(slot.window + 1)) or ()][:CONTEXT_AFTER]
    target = slot.language
    # One target a term: what is said of the language itself goes before what is said of all.
    terms = {
        term.source.casefold(): (term.source, term.target)
        for language in ("", target.split("-", 1)[0], target)
        for term in plan.settings.glossary
        if term.language == language
    }
    return TranslationTask(
        id=name,
        source_language=inputs[LANGUAGE],
        target_language=target,
        lines=tuple(Line(str(position), text) for position, text in enumerate(texts)),
        before=tuple(before),
        after=tuple(after),
        glossary=relevant_glossary(tuple(terms.values()), texts),
    )
