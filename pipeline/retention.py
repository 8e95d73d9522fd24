"""What must be kept: all that a job's plan refers to. The rest may be collected; nothing goes by itself."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cache.names import BLOBS
from cache.removal import Removal, RemovalReason, RemovedFile
from cache.store import Store
from core.errors import StoreError
from pipeline.analysis import ANALYSIS
from pipeline.job import Plan
from pipeline.jobs import JOBS, JobFolder, list_jobs
from pipeline.report import JobState
from pipeline.submissions import open_jobs, ordered_jobs
from pipeline.work import JobWork


@dataclass(frozen=True)
class References:
    """Keys and blobs that jobs refer to."""

    keys: frozenset[str]
    blobs: frozenset[str]


def references(store: Store, folders: Iterable[JobFolder]) -> References:
    """What these jobs refer to, as far as their records are known."""
    keys: set[str] = set()
    blobs: set[str] = set()
    for folder in folders:
        plan = plan_of(folder)
        if plan is None:
            continue
        keys.update(plan.base_keys())
        # Twice: what was translated beside a failed window has another key than it will have when that is mended.
        for failures in ({}, folder.failures()):
            keys.update(JobWork.open(plan, store, failures).keys)
        if plan.audio:
            blobs.add(plan.audio)
    return References(frozenset(keys), frozenset(blobs))


@dataclass(frozen=True)
class Collected:
    """What a collection did, or with ``dry_run`` would do, and what it left alone."""

    removal: Removal
    #: Jobs with work left; what they will find in the store is known when they have run.
    unfinished: int
    #: Records and audio that no job refers to, and that stay because of those.
    spared: tuple[RemovedFile, ...] = ()


def collect(store: Store, *, dry_run: bool, audio: bool) -> Collected:
    """Removes what no job refers to; with ``audio``, the decoded audio of all finished jobs as well.

    Audio that is needed again is decoded again from the media. As long as a job is unfinished, what an engine was paid
    for stays, referred to or not: a lost transcript that is made again finds its old translations. Other leftovers go
    (audio and analyses of plans that nobody follows any more), unless a job waits that has no plan yet.
    """
    # One instant for all passes: what comes of age meanwhile was not looked at.
    now_s = time.time()
    # Before the jobs themselves: what is planned meanwhile is then known to have waited.
    queued = _queued(store)
    folders = list_jobs(store)
    unplanned = _unplanned(store, folders, queued)
    unfinished = [
        folder
        for folder in folders
        if folder.job_id not in unplanned and (folder.job_id in queued or not is_finished(folder, store))
    ]
    kept = references(store, folders)
    spared: tuple[RemovedFile, ...] = ()
    if unfinished or unplanned:
        loose = store.gc(kept.keys, kept.blobs, dry_run=True, now_s=now_s)
        spared = tuple(
            file
            for file in loose.files
            if file.reason is RemovalReason.UNREFERENCED and (unplanned or not _is_leftover(file, store))
        )
    names = {file.place.rpartition("/")[2] for file in spared}
    # Runs on other machines ask nobody: whatever they have planned by now is theirs.
    later = references(store, _planned_since(store, folders))
    removed = store.gc(kept.keys | names | later.keys, kept.blobs | names | later.blobs, dry_run=dry_run, now_s=now_s)
    if audio:
        # Asked anew: in a large store the removal has taken an hour.
        queued = _queued(store)
        again = [folder for folder in folders if folder.job_id in queued]
        needed = _audio_of([*unfinished, *again, *_planned_since(store, folders)])
        unneeded = store.purge(blobs=kept.blobs - needed, dry_run=dry_run)
        removed = Removal(removed.files + unneeded.files, dry_run)
    return Collected(removed, len(unfinished) + len(unplanned), spared)


def _queued(store: Store) -> frozenset[str]:
    """Jobs that somebody has asked the queue for and that have not ended."""
    # Orders first: taken up meanwhile, a job is among the open ones by then.
    waiting = ordered_jobs(store)
    return waiting | frozenset(open_jobs(store))


def _audio_of(folders: Iterable[JobFolder]) -> set[str]:
    """The decoded audio of these jobs."""
    plans = [plan_of(folder) for folder in folders]
    return {plan.audio for plan in plans if plan is not None and plan.audio}


def _planned_since(store: Store, folders: Iterable[JobFolder]) -> list[JobFolder]:
    """Jobs that have come since these were listed."""
    known = {folder.job_id for folder in folders}
    return [folder for folder in list_jobs(store) if folder.job_id not in known]


def _is_leftover(file: RemovedFile, store: Store) -> bool:
    """True for audio, and for records that cost no engine anything."""
    folder, _, name = file.place.rpartition("/")
    if folder == BLOBS:
        return True
    record = store.get(name)
    return record is not None and record.kind == ANALYSIS


def _unplanned(store: Store, folders: Iterable[JobFolder], queued: Collection[str]) -> set[str]:
    """Jobs that wait for a plan, have lost theirs, or whose audio is gone, so that they may be planned anew.

    They may want anything. A job that ended without ever having had a plan wants nothing.
    """
    found = set(queued)
    for folder in folders:
        plan = plan_of(folder)
        if plan is None:
            found |= {folder.job_id} if _was_planned(folder) else set()
            continue
        found.discard(folder.job_id)
        if plan.audio and not store.has_blob(plan.audio) and not is_finished(folder, store):
            found.add(folder.job_id)
    return found


def _was_planned(folder: JobFolder) -> bool:
    """True for a job without a plan that had one: it was damaged on disk, and what it referred to is worth keeping."""
    names = folder.store.children((JOBS, folder.job_id))
    ended = (JobState.DONE, JobState.PARTIAL)
    return any(name.startswith("wants-") for name in names) or any(
        result.state in ended for _, result in folder.results()
    )


def is_finished(folder: JobFolder, store: Store) -> bool:
    """True when nothing is left to be computed, or when there is no plan to compute anything by."""
    plan = plan_of(folder)
    return plan is None or JobWork.open(plan, store, folder.failures()).finished


def plan_of(folder: JobFolder) -> Plan | None:
    """A job's plan. Raises StoreError for one that makes no sense: what it refers to cannot be known then."""
    try:
        return folder.read_plan()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the plan of job {folder.job_id[:12]} makes no sense ({type(error).__name__}: {error})",
            "please report it; nothing is removed as long as it is not known what the job refers to",
        ) from error
