"""What a job is, for comparisons: its media, what became of each stretch, and what an API would count of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from accounting.report import MediaSpan, SpanStatus
from core.keys import Key
from ledger.api import Workload
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.stages import stage_charged_by
from pipeline.stages.reading import cues_of, transcript_failure
from pipeline.stages.stage import ChargedBy
from pipeline.work import JobWork

_TOKENS = ("input_tokens", "output_tokens")
#: The strongest of several words about one stretch comes first.
_STRENGTH = (SpanStatus.FAILED, SpanStatus.MISSING, SpanStatus.LOST, SpanStatus.COMPUTED, SpanStatus.CACHED)


@dataclass(frozen=True)
class JobContent:
    """A job's windows and the keys of their units."""

    #: The plan in force.
    plan: Plan
    #: The job's frontier as the disk shows it.
    work: JobWork
    #: Transcription of each window, where it is known which it is; empty when captions were given.
    transcribed: Mapping[int, Key]
    #: Translation of each window with text in it, by language.
    translated: Mapping[tuple[int, str], Key]

    @property
    def keys(self) -> frozenset[Key]:
        """Every unit that the job has asked for."""
        return frozenset(self.work.keys)

    @property
    def speech_ms(self) -> int:
        """Length of what engines are given."""
        return sum(planned.window.audio_ms for planned in self.plan.windows)


def read_content(folder: JobFolder) -> JobContent | None:
    """The job as the disk shows it; None when it has no plan (not planned yet, or purged)."""
    plan = folder.read_plan()
    if plan is None:
        return None
    work = JobWork.open(plan, folder.store, folder.failures())
    heard, written = stage_charged_by(ChargedBy.AUDIO), stage_charged_by(ChargedBy.TEXT)
    names = [stage.name if stage else "" for stage in (heard, written)]
    transcribed = {slot.window: key for slot, key in work.units.items() if slot.stage == names[0]}
    translated = {(slot.window, slot.language): key for slot, key in work.units.items() if slot.stage == names[1]}
    return JobContent(plan, work, transcribed, translated)


def workload(
    content: JobContent, used: Mapping[str, Mapping[str, int]], only: Collection[str] | None = None
) -> Workload:
    """The usage that an API would charge for; with ``only``, of the units of these keys.

    Tokens are None where a record does not say them: not measured is not 0.
    """
    plan = content.plan
    whole = only is None
    heard = () if plan.settings.captions else plan.windows
    chosen = [each for each in heard if whole or content.transcribed.get(each.index, "") in (only or ())]
    segments = tuple(segment.duration_ms for planned in chosen for segment in planned.window.segments)
    translated = {place: key for place, key in content.translated.items() if whole or key in (only or ())}
    characters = sum(len(cue.text) for index, _ in translated for cue in cues_of(content.work.results, index) or ())
    said = [used.get(key, {}) for key in translated.values()]
    # A text of some length has some tokens: where none are said they were not counted, or not believed.
    tokens: dict[str, int | None] = {
        name: sum(each[name] for each in said) if all(_counted(each, name) for each in said) else None
        for name in _TOKENS
    }
    if tokens["input_tokens"] == tokens["output_tokens"] == 0 and characters:
        tokens = dict.fromkeys(_TOKENS)
    found = Workload(
        file_ms=plan.media.duration_ms if whole and chosen else sum(segments),
        speech_ms=sum(segments),
        segments=segments,
        windows=tuple(planned.window.audio_ms for planned in chosen),
        input_tokens=tokens["input_tokens"],
        output_tokens=tokens["output_tokens"],
        characters=characters,
        requests=sum(each.get("requests", 1) for each in said),
    )
    return found if translated else replace(found, input_tokens=0, output_tokens=0, requests=0)


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
    #: Taken by a death at least once.
    lost: frozenset[str]


def timeline(content: JobContent, fates: Fates) -> tuple[MediaSpan, ...]:
    """The media from start to end: silence between the windows' stretches, and what became of each stretch."""
    spans: list[tuple[int, int, SpanStatus]] = []
    for planned in content.plan.windows:
        status = _status(content, planned.index, fates)
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


def _status(content: JobContent, index: int, fates: Fates) -> SpanStatus:
    """The strongest word of the window's units."""
    keys = [key for place, key in content.translated.items() if place[0] == index]
    if index in content.transcribed:
        keys.append(content.transcribed[index])
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
