"""What is in a key, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.keys import Digest, Key, canonical_json, digest_value, make_key
from core.specs import EngineSpec
from core.speech import Segment, Span, Window
from pipeline.job import GlossaryTerm, JobSettings, MediaFacts, Plan, PlannedWindow
from pipeline.stages import stage_named
from pipeline.stages.cues import cues_slot
from pipeline.stages.language import LANGUAGE
from pipeline.stages.stage import Slot
from subtitles.cues import CueDraft

SPEC = EngineSpec("faster-whisper", "base", "r1", "int8", (("beam", "5"),))


def planned_window(*segments: Segment) -> PlannedWindow:
    spans = tuple(Span(segment.start_ms - 100, segment.end_ms + 100) for segment in segments)
    return PlannedWindow(Window(0, segments, spans), "a" * 64)


PLANNED = planned_window(Segment(0, 1000, 3000, 912), Segment(1, 4000, 6500, 877))
#: Texts before, of, and after a window; source and target language; glossary terms.
TEXTS: dict[str, Any] = {
    "before": "Before.",
    "lines": ("Hello.", "Bye."),
    "after": "After.",
    "source": "en",
    "target": "es",
    "glossary": (),
}


def plan_of(*windows: PlannedWindow, glossary: tuple[GlossaryTerm, ...] = ()) -> Plan:
    settings = JobSettings("", ("es", "pt"), "", {}, {}, glossary)
    return Plan("j" * 24, "me", MediaFacts(Digest("m" * 64), 9000, None), settings, "", "", (), windows)


def transcribe_key(spec: EngineSpec, planned: PlannedWindow, language: str) -> Key:
    return stage_named("transcribe").key(plan_of(planned), Slot("transcribe"), {LANGUAGE: language}, spec)


def detect_key(spec: EngineSpec, planned: PlannedWindow) -> Key:
    return stage_named("detect").key(plan_of(planned), Slot("detect"), {}, spec)


def translate_key(spec: EngineSpec, texts: dict[str, Any], at_ms: int = 0) -> Key:
    def cues(*lines: str) -> tuple[CueDraft, ...]:
        return tuple(
            CueDraft(at_ms + 1000 * place, at_ms + 1000 * place + 900, line, ()) for place, line in enumerate(lines)
        )

    inputs = {
        LANGUAGE: texts["source"],
        cues_slot(0): cues(texts["before"]),
        cues_slot(1): cues(*texts["lines"]),
        cues_slot(2): cues(texts["after"]),
    }
    plan = plan_of(PLANNED, PLANNED, PLANNED, glossary=texts["glossary"])
    return stage_named("translate").key(plan, Slot("translate", 1, texts["target"]), inputs, spec)


def shifted(planned: PlannedWindow, by_ms: int, by_index: int) -> PlannedWindow:
    moved = tuple(
        Segment(s.index + by_index, s.start_ms + by_ms, s.end_ms + by_ms, s.score) for s in planned.window.segments
    )
    return replace(planned_window(*moved), window=replace(planned_window(*moved).window, index=by_index))


def test_a_window_keeps_its_key_wherever_it_stands() -> None:
    moved = shifted(PLANNED, 12_345, 7)
    assert transcribe_key(SPEC, moved, "en") == transcribe_key(SPEC, PLANNED, "en")
    assert detect_key(SPEC, moved) == detect_key(SPEC, PLANNED)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "small"},
        {"revision": "r2"},
        {"compute_type": "float16"},
        {"options": (("beam", "1"),)},
        {"provider": "other"},
    ],
)
def test_everything_about_the_engine_is_in_the_key(change: dict[str, object]) -> None:
    other = replace(SPEC, **change)
    assert transcribe_key(other, PLANNED, "en") != transcribe_key(SPEC, PLANNED, "en")
    assert translate_key(other, TEXTS) != translate_key(SPEC, TEXTS)


def test_audio_language_and_joins_are_in_a_transcriptions_key() -> None:
    key = transcribe_key(SPEC, PLANNED, "en")
    assert transcribe_key(SPEC, PLANNED, "de") != key
    assert transcribe_key(SPEC, replace(PLANNED, audio="b" * 64), "en") != key
    rejoined = planned_window(Segment(0, 1000, 3500, 912), Segment(1, 4000, 6000, 877))
    assert transcribe_key(SPEC, rejoined, "en") != key


def test_a_detectors_last_digit_is_not_in_the_key() -> None:
    nearly = planned_window(Segment(0, 1000, 3000, 913), Segment(1, 4000, 6500, 876))
    assert transcribe_key(SPEC, nearly, "en") == transcribe_key(SPEC, PLANNED, "en")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "pt"},
        {"source": "fr"},
        {"lines": ("Hello!", "Bye.")},
        {"before": "Earlier."},
        {"after": "Else."},
        {"glossary": (GlossaryTerm("Hello", "Hola"),)},
    ],
)
def test_everything_a_translator_reads_is_in_the_key(change: dict[str, object]) -> None:
    assert translate_key(SPEC, TEXTS | change) != translate_key(SPEC, TEXTS)


def test_times_and_terms_that_do_not_occur_are_not_in_a_translations_key() -> None:
    assert translate_key(SPEC, TEXTS, at_ms=5000) == translate_key(SPEC, TEXTS)
    assert translate_key(SPEC, TEXTS | {"glossary": (GlossaryTerm("goat", "cabra"),)}) == translate_key(SPEC, TEXTS)


def test_canonical_json_does_not_depend_on_order_and_refuses_floats() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == '{"a":"ü","b":1}'.encode()
    assert digest_value({"a": 1, "b": 2}) == digest_value({"b": 2, "a": 1})
    with pytest.raises(TypeError, match="float"):
        canonical_json({"a": [0.5]})


def test_kind_and_version_part_keys() -> None:
    keys = {make_key("a", 1, x=1), make_key("a", 2, x=1), make_key("b", 1, x=1), make_key("a", 1, x=2)}
    assert len(keys) == 4
