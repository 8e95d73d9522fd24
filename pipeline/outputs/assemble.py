"""`assemble_job`: from a job's records to everything its outputs say. Deterministic; running it twice is harmless."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from core.speech import Span
from core.text import Dropped
from engines.translate.interface import TranslatedLine
from pipeline.job import Plan
from pipeline.outputs.completeness import Completeness, Gap, reason_of, state_of
from pipeline.outputs.coverage import NOTHING_WRITTEN, find_gaps
from pipeline.report import JobCounts, JobState, count_units
from pipeline.stages import STAGES
from pipeline.stages.reading import cues_of, transcript_failure, transcript_of, translation_of
from pipeline.timeline import ClipClock
from pipeline.work import JobWork
from subtitles.cues import Cue, CueDraft
from subtitles.lint import Finding, lint
from subtitles.rules import rules_for
from subtitles.timing import polish_times

#: Flag of a line whose translation failed, so that a later run will try it again.
FAILED = "failed"
NOT_TRANSCRIBED = "not transcribed yet"


@dataclass(frozen=True)
class Assembly:
    """A job's cues and translations, complete or with its gaps named."""

    plan: Plan
    #: BCP 47; empty when there was nothing to recognise.
    language: str
    cues: tuple[Cue, ...]
    #: Flags of each cue of the source, position by position.
    flags: tuple[tuple[str, ...], ...]
    #: Target language -> a line for each cue, ids are the cues'.
    translations: dict[str, tuple[TranslatedLine, ...]]
    gaps: tuple[Gap, ...]
    #: Texts over what is not speech, in media time.
    dropped: tuple[Dropped, ...]
    #: Language -> what still breaks a rule.
    findings: dict[str, tuple[Finding, ...]]
    #: How the job ends: done, partial or failed.
    state: JobState
    #: What is missing, in one line; empty when nothing is.
    reason: str
    tally: JobCounts
    #: Further files that stages deliver: what their names end in -> content. Made once, when they are asked for.
    stage_files: Callable[[], Mapping[str, bytes]] = field(default=dict, compare=False)

    @property
    def partial(self) -> bool:
        """True when something that was spoken or asked for is missing."""
        return self.state is not JobState.DONE


def assemble_job(work: JobWork) -> Assembly:
    """Everything that the outputs are made of, from the records that are there."""
    plan = work.plan
    drafts, flags, dropped = _source(work)
    cues = _timed(plan, drafts, work.language)
    translations = {
        target: tuple(
            TranslatedLine(cue.id, line.text, line.flags)
            for cue, line in zip(cues, _target_lines(work, target), strict=True)
        )
        for target in plan.settings.target_languages
    }
    findings = {work.language: lint(cues, rules_for(work.language, _fps(plan)))} if work.language else {}
    for target, lines in translations.items():
        translated = [Cue(cue.id, cue.start_ms, cue.end_ms, line.text) for cue, line in zip(cues, lines, strict=True)]
        findings[target] = lint([cue for cue in translated if cue.text], rules_for(target, _fps(plan)))
    flagged = [line for lines in translations.values() for line in lines if line.flags]
    complete = _completeness(work, cues, translations, dropped)
    return Assembly(
        plan=plan,
        language=work.language,
        cues=cues,
        flags=tuple(flags),
        translations=translations,
        gaps=complete.gaps,
        dropped=tuple(dropped),
        findings=findings,
        state=state_of(complete),
        reason=reason_of(complete),
        tally=JobCounts(
            duration_ms=plan.segmentation.duration_ms,
            speech_ms=plan.segmentation.speech_ms,
            cues=len(cues),
            review=len(flagged) + sum(1 for each in flags if each),
            dropped=len(dropped),
            lint=sum(len(found) for found in findings.values()),
            gaps=len(complete.gaps),
            missed_ms=complete.missed_ms,
            units=count_units(work),
        ),
        stage_files=cache(lambda: _stage_files(work)),
    )


def _stage_files(work: JobWork) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for stage in STAGES:
        if stage.active(work.plan.settings):
            files.update(stage.outputs(work))
    return files


def _fps(plan: Plan) -> float | None:
    return float(plan.media.fps) if plan.media.fps else None


def _source(work: JobWork) -> tuple[list[CueDraft], list[tuple[str, ...]], list[Dropped]]:
    """Drafts of all windows in order, the flags of each, and what was dropped, in media time."""
    drafts: list[CueDraft] = []
    flags: list[tuple[str, ...]] = []
    dropped: list[Dropped] = []
    for planned in work.plan.windows:
        cues = cues_of(work.results, planned.index) or ()
        transcript = transcript_of(work.results, planned.index)
        drafts.extend(cues)
        flags.extend([transcript.flags if transcript is not None else ()] * len(cues))
        if transcript is not None:
            clock = ClipClock(planned.window)
            for each in transcript.dropped:
                span = clock.stretch(each.start_ms, each.end_ms)
                dropped.append(Dropped(span.start_ms, span.end_ms, each.text, each.reason))
    return drafts, flags, dropped


def _timed(plan: Plan, drafts: Sequence[CueDraft], language: str) -> tuple[Cue, ...]:
    cues = tuple(Cue.from_draft(str(number), draft) for number, draft in enumerate(drafts, start=1))
    if plan.settings.captions:
        # Captions that were given keep the times that their author chose.
        return cues
    return polish_times(cues, rules_for(language or "en", _fps(plan)), plan.media.duration_ms)


def _target_lines(work: JobWork, target: str) -> list[TranslatedLine]:
    lines: list[TranslatedLine] = []
    for planned in work.plan.windows:
        cues = cues_of(work.results, planned.index) or ()
        found = translation_of(work.results, planned.index, work.language, target)
        lines.extend(found if found is not None else [TranslatedLine("", "", (FAILED,))] * len(cues))
    return lines


def _completeness(
    work: JobWork,
    cues: Sequence[Cue],
    translations: dict[str, tuple[TranslatedLine, ...]],
    dropped: Sequence[Dropped],
) -> Completeness:
    counts = work.counts.values()
    return Completeness(
        finished=work.finished,
        units=sum(count.total for count in counts),
        failed=sum(count.failed for count in counts) if work.has_failures else 0,
        cues=len(cues),
        gaps=_gaps(work, dropped),
        failure=next(iter(work.failed.values()), "no unit could say what language is spoken"),
        untranslated={target: sum(not line.text for line in lines) for target, lines in translations.items()},
    )


def _gaps(work: JobWork, dropped: Sequence[Dropped]) -> tuple[Gap, ...]:
    """Speech without a cue; captions that were given are taken as they are."""
    if work.plan.settings.captions:
        return ()
    gaps: list[Gap] = []
    for planned in work.plan.windows:
        cues = cues_of(work.results, planned.index)
        words = [word for cue in cues or () for word in cue.words]
        reason = NOT_TRANSCRIBED if cues is None else transcript_failure(work.results, planned.index) or NOTHING_WRITTEN
        gaps.extend(find_gaps(planned.window.segments, words, dropped, reason))
    lost = (Gap(Span(each.start_ms, each.end_ms), each.reason, each.missing_ms) for each in work.plan.media.lost)
    return (*gaps, *lost)
