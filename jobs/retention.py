"""What must be kept: all that a job's plan refers to. The rest may be collected; nothing goes by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

from cache.names import BLOBS
from cache.removal import Ages, Listing, Removal, RemovalReason, RemovedFile, garbage_in
from cache.store import Store
from core.errors import StoreError
from jobs.submissions import open_jobs, ordered_jobs
from pipeline.analysis import ANALYSIS
from pipeline.job import Plan
from pipeline.job_summary import Stamps, summary_of
from pipeline.jobs import JobFolder, list_jobs
from pipeline.report import JobState
from pipeline.work import JobWork


@dataclass(frozen=True)
class References:
    """Keys and blobs that jobs refer to."""

    keys: frozenset[str]
    blobs: frozenset[str]


@dataclass(frozen=True)
class _Held:
    """What one job's plan refers to, as far as its records are known."""

    keys: frozenset[str]
    #: Blobs of its views.
    views: frozenset[str]
    #: Whether nothing is left to be computed.
    finished: bool


def _held(folder: JobFolder, stamps: Stamps | None = None) -> _Held | None:
    """None for a job without a plan. Raises StoreError for a plan that makes no sense."""
    with _sensible(folder):
        data = folder.read_plan_data()
        if data is None:
            return None
        failures = folder.failures()
        summary = summary_of(folder, data, failures, stamps)
        plan = json.loads(data)
        analysis, views = Plan.held_in(plan)
        keys = {*summary.keys, *([analysis] if analysis else [])}
        there = (stamps or folder.store.stamps)(failures) if failures else ()
        if there:
            # What was translated beside a failed window has another key than it has once that is mended.
            keys |= JobWork.open(Plan.from_json(plan), folder.store, {}).keys
        return _Held(frozenset(keys), frozenset(views.values()), summary.finished)


def references(store: Store, folders: Iterable[JobFolder]) -> References:
    """What these jobs refer to, as far as their records are known."""
    return _all_of(_held(folder) for folder in folders)


def _all_of(held: Iterable[_Held | None]) -> References:
    found = [each for each in held if each is not None]
    keys = frozenset(chain.from_iterable(each.keys for each in found))
    return References(keys, frozenset(chain.from_iterable(each.views for each in found)))


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
    now_s, ages = time.time(), Ages()
    # Before the jobs themselves: what is planned meanwhile is then known to have waited.
    queued = _queued(store)
    listing = store.list_all()
    folders = [folder.listed() for folder in list_jobs(store)]
    jobs = {folder: _held(folder, _stamps_in(listing)) for folder in folders}
    unplanned = _unplanned(listing, jobs, queued)
    unfinished = [
        folder
        for folder, held in jobs.items()
        if folder.job_id not in unplanned and held is not None and (folder.job_id in queued or not held.finished)
    ]
    kept = _all_of(jobs.values())
    garbage = garbage_in(listing, kept.keys, kept.blobs, ages, now_s)
    spared: tuple[RemovedFile, ...] = ()
    if unfinished or unplanned:
        spared = tuple(
            file
            for file in garbage
            if file.reason is RemovalReason.UNREFERENCED and (unplanned or not _is_leftover(file, store))
        )
    # Runs on other machines ask nobody: whatever they have planned by now is theirs.
    later = references(store, _planned_since(store, jobs))
    staying = {file.place for file in spared}
    removed = store.remove_garbage(
        [file for file in garbage if file.place not in staying and _name(file) not in later.keys | later.blobs],
        dry_run=dry_run,
        now_s=now_s,
    )
    if audio:
        # Asked anew: in a large store the removal has taken an hour.
        queued = _queued(store)
        again = [held for folder, held in jobs.items() if folder.job_id in queued]
        since = references(store, _planned_since(store, jobs))
        needed = _all_of([*(jobs[folder] for folder in unfinished), *again]).blobs | since.blobs
        unneeded = store.purge(blobs=kept.blobs - needed, dry_run=dry_run)
        removed = Removal(removed.files + unneeded.files, dry_run, removed.stuck + unneeded.stuck)
    return Collected(removed, len(unfinished) + len(unplanned), spared)


def _stamps_in(listing: Listing) -> Stamps:
    """Looks records up in a listing."""
    records = listing.records
    return lambda keys: {key: records[key] for key in keys if key in records}


def _name(file: RemovedFile) -> str:
    return file.place.rpartition("/")[2]


def _queued(store: Store) -> frozenset[str]:
    """Jobs that somebody has asked the queue for and that have not ended."""
    # Orders first: taken up meanwhile, a job is among the open ones by then.
    waiting = ordered_jobs(store)
    return waiting | frozenset(open_jobs(store))


def _planned_since(store: Store, folders: Iterable[JobFolder]) -> list[JobFolder]:
    """Jobs that have come since these were listed."""
    known = {folder.job_id for folder in folders}
    return [folder for folder in list_jobs(store) if folder.job_id not in known]


def _is_leftover(file: RemovedFile, store: Store) -> bool:
    """True for audio, and for records that cost no engine anything."""
    folder, _, name = file.place.rpartition("/")
    if folder == BLOBS:
        return True
    head = store.head(name)
    return head is not None and head.kind == ANALYSIS


def _unplanned(listing: Listing, jobs: Mapping[JobFolder, _Held | None], queued: Collection[str]) -> set[str]:
    """Jobs that wait for a plan, have lost theirs, or a view of which is gone, so that they may be planned anew.

    They may want anything. A job that ended without ever having had a plan wants nothing.
    """
    found = set(queued)
    for folder, held in jobs.items():
        if held is None:
            found |= {folder.job_id} if _was_planned(folder) else set()
            continue
        found.discard(folder.job_id)
        if not (held.views <= listing.blobs.keys() or held.finished):
            found.add(folder.job_id)
    return found


def _was_planned(folder: JobFolder) -> bool:
    """True for a job without a plan that had one: it was damaged on disk, and what it referred to is worth keeping."""
    names = folder.names()
    ended = (JobState.DONE, JobState.PARTIAL)
    return any(name.startswith("wants-") for name in names) or any(
        result.state in ended for _, result in folder.results()
    )


def is_finished(folder: JobFolder) -> bool:
    """True when nothing is left to be computed, or when there is no plan to compute anything by."""
    held = _held(folder)
    return held is None or held.finished


def plan_of(folder: JobFolder) -> Plan | None:
    """A job's plan. Raises StoreError for one that makes no sense."""
    with _sensible(folder):
        return folder.read_plan()


@contextmanager
def _sensible(folder: JobFolder) -> Iterator[None]:
    """Raises StoreError for a plan that makes no sense: what it refers to cannot be known then."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"the plan of job {folder.job_id[:12]} makes no sense ({type(error).__name__}: {error})",
            "please report it; nothing is removed as long as it is not known what the job refers to",
        ) from error
