"""A job whose media begin later asks for the same work, whatever the stage: nothing of a slot's place is in its key."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from aged_store import Shop, complete

from core.speech import Segment, Span, Window
from pipeline.job import Plan
from pipeline.stages import engine_stages
from pipeline.work import JobWork

SHIFT_MS = 12_345


def shifted(plan: Plan) -> Plan:
    """The same speech, later in the media."""

    def later(segment: Segment) -> Segment:
        return replace(segment, start_ms=segment.start_ms + SHIFT_MS, end_ms=segment.end_ms + SHIFT_MS)

    def moved(window: Window) -> Window:
        spans = tuple(Span(span.start_ms + SHIFT_MS, span.end_ms + SHIFT_MS) for span in window.spans)
        return replace(window, segments=tuple(map(later, window.segments)), spans=spans)

    windows = tuple(replace(planned, window=moved(planned.window)) for planned in plan.windows)
    media = replace(plan.media, duration_ms=plan.media.duration_ms + SHIFT_MS)
    return replace(plan, media=media, segments=tuple(map(later, plan.segments)), windows=windows)


def test_media_that_begin_later_find_every_record_of_every_stage(tmp_path: Path) -> None:
    shop = Shop(tmp_path, random.Random(3))
    folder = shop.job("talk", 6)
    plan = folder.read_plan()
    assert plan is not None
    settings = replace(plan.settings, source_language="", target_languages=("es", "ja"))
    engines = {stage.role: shop.runtime.engine_spec(stage.role) for stage in engine_stages()}
    plan = replace(plan, settings=replace(settings, engines=engines))
    folder.write_plan(plan)
    complete(folder)
    here, there = JobWork.open(plan, shop.store, {}), JobWork.open(shifted(plan), shop.store, {})
    assert here.finished
    assert there.finished
    assert here.units == there.units
    assert {slot.stage for slot in here.units} == {
        stage.name for stage in engine_stages() if stage.active(plan.settings)
    }
