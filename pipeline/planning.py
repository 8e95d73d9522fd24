"""`plan_job`: from a request to a plan that is written once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.store import Store
from core.keys import Digest
from core.speech import Segment, Window
from media.probe import probe
from pipeline.analysis import Analysis, AnalysisRequest, analyse
from pipeline.job import SPEECH, Caption, JobSettings, MediaFacts, Plan, PlannedWindow, make_job_id
from pipeline.jobs import JobFolder
from segmenter.params import SegmenterParams

#: Captions that are translated together when they were given as the transcript.
CAPTIONS_TOGETHER = 12
#: A pause this long ends such a group early once it is half full.
CAPTION_PAUSE_MS = 2_000


@dataclass(frozen=True)
class PlanRequest:
    """One media file, and the settings its job is frozen with."""

    path: Path
    digest: Digest
    owner: str
    settings: JobSettings
    params: SegmenterParams
    captions: tuple[Caption, ...] = ()
    #: What a person should know about the files that were read for it; warnings of the job.
    notes: tuple[str, ...] = ()

    @property
    def job_id(self) -> str:
        return make_job_id(self.owner, self.digest, self.settings)


def plan_job(
    request: PlanRequest, folder: JobFolder, on_decoded: Callable[[int, int], None] = lambda done_ms, total_ms: None
) -> Plan:
    """The job's plan: the one on disk, or a new one that is durable when this returns.

    Raises MediaError when the file is unusable; nothing is left behind then.
    """
    existing = folder.read_plan()
    if existing is not None:
        return existing
    if request.captions:
        return folder.write_plan(_plan_captions(request))
    return folder.write_plan(_plan_audio(request, _analyse(request, folder.store, on_decoded)))


def ensure_views(
    request: PlanRequest,
    plan: Plan,
    folder: JobFolder,
    names: Collection[str],
    on_decoded: Callable[[int, int], None] = lambda done_ms, total_ms: None,
    *,
    damaged: bool = False,
) -> Plan:
    """The plan, with the views of these ``names`` in the store: decoded again when collected or ``damaged``.

    Another decoder may give other samples; the job is then planned anew, and only what is missing is computed.
    Raises StoreError for a view that the job was planned without.
    """
    wanted = [plan.view(name) for name in names]
    if all(folder.store.has_blob(digest) for digest in wanted) and not damaged:
        return plan
    analysis = _analyse(request, folder.store, on_decoded)
    return plan if _views_of(analysis) == plan.views else folder.write_plan(_plan_audio(request, analysis))


def draft_plan(request: PlanRequest, store: Store) -> Plan:
    """The plan that the request would get, without making a job of it."""
    if request.captions:
        return _plan_captions(request)
    return _plan_audio(request, _analyse(request, store))


def _analyse(
    request: PlanRequest, store: Store, on_decoded: Callable[[int, int], None] = lambda done_ms, total_ms: None
) -> Analysis:
    wanted = AnalysisRequest(request.path, request.digest, request.settings.track, request.params)
    return analyse(wanted, store, on_decoded)


def _views_of(analysis: Analysis) -> dict[str, Digest]:
    return {SPEECH: analysis.audio}


def _plan_audio(request: PlanRequest, analysis: Analysis) -> Plan:
    windows = tuple(PlannedWindow(window, digest) for window, digest in analysis.windows)
    return Plan(
        job_id=request.job_id,
        owner=request.owner,
        media=MediaFacts(
            request.digest, analysis.duration_ms, analysis.fps, (*request.notes, *analysis.warnings), analysis.lost
        ),
        settings=request.settings,
        analysis=analysis.key,
        views=_views_of(analysis),
        segments=analysis.segments,
        windows=windows,
    )


def _plan_captions(request: PlanRequest) -> Plan:
    info = probe(request.path)
    ends_ms = max(caption.end_ms for caption in request.captions)
    late = ("the captions go on after the media's end: do they belong to it?",) if ends_ms > info.duration_ms else ()
    groups = group_captions(request.captions)
    segments = tuple(
        Segment(index, group[0].start_ms, max(caption.end_ms for caption in group), 1000)
        for index, group in enumerate(groups)
    )
    windows = tuple(PlannedWindow(Window(index, (segments[index],)), "", group) for index, group in enumerate(groups))
    return Plan(
        job_id=request.job_id,
        owner=request.owner,
        media=MediaFacts(request.digest, max(info.duration_ms, ends_ms), info.frame_rate, (*request.notes, *late)),
        settings=request.settings,
        analysis="",
        views={},
        segments=segments,
        windows=windows,
    )


def group_captions(captions: Sequence[Caption]) -> tuple[tuple[Caption, ...], ...]:
    """Captions in groups that are translated together, parted at a long pause where there is one."""
    groups: list[list[Caption]] = []
    for caption in captions:
        current = groups[-1] if groups else None
        if (
            current is None
            or len(current) >= CAPTIONS_TOGETHER
            or (len(current) >= CAPTIONS_TOGETHER // 2 and caption.start_ms - current[-1].end_ms > CAPTION_PAUSE_MS)
        ):
            groups.append([caption])
        else:
            current.append(caption)
    return tuple(tuple(group) for group in groups)
