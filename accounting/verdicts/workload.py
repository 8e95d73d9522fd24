"""What a job is, for comparisons: its media, what became of each stretch, and what an API would count of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from accounting.media_spans import MediaSpan, SpanStatus
from core.keys import Key
from core.money import Conversion
from ledger.api import Counterfactual, Workload, counterfactuals
from ledger.price_book.prices import PriceBook
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.stages import charged_stages, main_stages
from pipeline.stages.reading import cues_of, transcript_failure
from pipeline.stages.stage import ChargedBy, Failed, Slot, Stage
from pipeline.work import JobWork, inputs_of

_TOKENS = ("input_tokens", "output_tokens")
#: The strongest of several words about one stretch comes first.
_STRENGTH = (SpanStatus.FAILED, SpanStatus.MISSING, SpanStatus.LOST, SpanStatus.COMPUTED, SpanStatus.CACHED)


@dataclass(frozen=True)
class JobContent:
    """A job's windows and the keys of their units."""

    #: The plan in force.
    plan: Plan
    #: The job's units as the disk shows them.
    work: JobWork

    @property
    def keys(self) -> frozenset[Key]:
        """Every unit that the job has asked for."""
        return frozenset(self.work.keys)

    def units(self, stage: str) -> dict[Slot, Key]:
        """The units of a stage, as far as it is known which they are."""
        return {slot: key for slot, key in self.work.units.items() if slot.stage == stage}

    @property
    def speech_ms(self) -> int:
        """Length of what engines are given."""
        return sum(planned.window.audio_ms for planned in self.plan.windows)


def read_content(folder: JobFolder) -> JobContent | None:
    """The job as the disk shows it; None when it has no plan (not planned yet, or purged)."""
    plan = folder.read_plan()
    if plan is None:
        return None
    return JobContent(plan, JobWork.open(plan, folder.store, folder.failures()))


def compared_stages(content: JobContent) -> tuple[Stage, ...]:
    """The stages of a job that APIs would have charged for. What was begun from captions heard nothing; where nothing
    was said, no text was paid for."""
    return tuple(
        stage
        for stage in charged_stages()
        if stage.active(content.plan.settings)
        and (stage.charged_by is ChargedBy.AUDIO or any(slot.stage == stage.name for slot in content.work.units))
    )


def workload(
    content: JobContent, stage: Stage, used: Mapping[str, Mapping[str, int]], only: Collection[str] | None = None
) -> Workload:
    """The usage that an API which does a stage's work would charge for; with ``only``, of the units of these keys.

    Tokens are None where a record does not say them: not measured is not 0.
    """
    units = {slot: key for slot, key in content.units(stage.name).items() if only is None or key in only}
    if stage.charged_by is ChargedBy.AUDIO:
        return _sound(content.plan, None if only is None else {slot.window for slot in units})
    return _text(content, stage, units, used)


def stage_counterfactuals(
    stage: Stage, load: Workload, book: PriceBook, at: int, conversions: Sequence[Conversion] = ()
) -> list[Counterfactual]:
    """What each API would have charged for one stage's work, by what that stage says APIs count."""
    by_sound, by_text = (
        (stage.name,) if stage.charged_by is kind else () for kind in (ChargedBy.AUDIO, ChargedBy.TEXT)
    )
    return counterfactuals(load, book, at, by_sound=by_sound, by_text=by_text, conversions=conversions)


def _sound(plan: Plan, only: Collection[int] | None) -> Workload:
    """The whole media, or these windows."""
    chosen = [each for each in plan.windows if only is None or each.index in only]
    segments = tuple(segment.duration_ms for planned in chosen for segment in planned.window.segments)
    return Workload(
        file_ms=plan.media.duration_ms if only is None and chosen else sum(segments),
        speech_ms=sum(segments),
        segments=segments,
        windows=tuple(planned.window.audio_ms for planned in chosen),
    )


def _text(
    content: JobContent, stage: Stage, units: Mapping[Slot, Key], used: Mapping[str, Mapping[str, int]]
) -> Workload:
    if not units:
        return Workload(input_tokens=0, output_tokens=0, characters=0)
    results, characters = content.work.results, 0
    for slot in units:
        inputs = inputs_of(stage.needs(content.plan, slot), results)
        characters += 0 if isinstance(inputs, Failed) else stage.characters(slot, inputs)
    said = [used.get(key, {}) for key in units.values()]
    # A text of some length has some tokens: where none are said they were not counted, or not believed.
    tokens: dict[str, int | None] = {
        name: sum(each[name] for each in said) if all(_counted(each, name) for each in said) else None
        for name in _TOKENS
    }
    if tokens["input_tokens"] == tokens["output_tokens"] == 0 and characters:
        tokens = dict.fromkeys(_TOKENS)
    return Workload(
        input_tokens=tokens["input_tokens"],
        output_tokens=tokens["output_tokens"],
        characters=characters,
        requests=sum(each.get("requests", 1) for each in said),
    )


def _counted(said: Mapping[str, int], meter: str) -> bool:
    """Whether a record tells a meter: nothing at all is right only where nobody was asked."""
    return meter in said and (said[meter] > 0 or not said.get("requests"))


@dataclass(frozen=True)
class Fates:
    """What became of units, by key."""

    #: Computed for this job, which paid for it.
    paid: frozenset[str]
    #: There before the job wanted it.
    cached: frozenset[str]
    #: Under way in an engine when a death took it, at least once.
    lost: frozenset[str]


def timeline(content: JobContent, fates: Fates) -> tuple[MediaSpan, ...]:
    """The media from start to end: silence between the windows' stretches, and what became of each stretch."""
    spans: list[tuple[int, int, SpanStatus]] = []
    shown, keys = {stage.name for stage in main_stages()}, defaultdict[int, list[Key]](list)
    for slot, key in content.work.units.items():
        if slot.stage in shown:
            keys[slot.window].append(key)
    for planned in content.plan.windows:
        status = _status(content, planned.index, keys[planned.index], fates)
        window = planned.window
        spans += [(stretch.start_ms, stretch.end_ms, status) for stretch in window.spans or window.segments]
    found: list[MediaSpan] = []
    at = 0
    for start, end, status in sorted(spans):
        begin = max(start, at)
        if begin > at:
            found.append(MediaSpan(at, begin, SpanStatus.SKIPPED))
        if end > begin:
            found.append(MediaSpan(begin, end, status))
            at = end
    if content.plan.media.duration_ms > at:
        found.append(MediaSpan(at, content.plan.media.duration_ms, SpanStatus.SKIPPED))
    return tuple(found)


def _status(content: JobContent, index: int, keys: Collection[Key], fates: Fates) -> SpanStatus:
    """The strongest word of the window's units, whose keys these are."""
    failed = content.work.failed
    words = {_word(key, failed, fates) for key in keys}
    if transcript_failure(content.work.results, index):
        words.add(SpanStatus.FAILED)
    if not keys and not content.plan.settings.captions and cues_of(content.work.results, index) is None:
        words.add(SpanStatus.MISSING)
    return next((word for word in _STRENGTH if word in words), SpanStatus.COMPUTED)


def _word(key: str, failed: Mapping[Key, str], fates: Fates) -> SpanStatus:
    if Key(key) in failed:
        return SpanStatus.FAILED
    if key in fates.lost:
        return SpanStatus.LOST if key in fates.paid else SpanStatus.MISSING
    if key in fates.paid:
        return SpanStatus.COMPUTED
    return SpanStatus.CACHED if key in fates.cached else SpanStatus.MISSING
