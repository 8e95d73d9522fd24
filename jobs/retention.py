"""What must be kept: all that a job's plan refers to. The rest may be collected; nothing goes by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from cache.envelope import Retention
from cache.names import BLOBS
from cache.removal import Ages, Listing, Removal, RemovalReason, RemovedFile, garbage_in
from cache.store import Store
from core.errors import StoreError
from jobs.submissions import open_jobs, ordered_jobs
from pipeline.analysis import ANALYSIS
from pipeline.job import Plan
from pipeline.job_summary import blobs_named, summary_of
from pipeline.jobs import JobFolder, list_jobs
from pipeline.report import JobState
from pipeline.work import JobWork


@dataclass(frozen=True)
class References:
    """Keys and blobs that jobs refer to."""

    keys: frozenset[str]
    blobs: frozenset[str]


class BlobUse(NamedTuple):
    """What a blob is to a job."""

    digest: str
    name: str
    retention: Retention


@dataclass(frozen=True)
class _Held:
    """What one job's plan refers to, as far as its records are known."""

    keys: frozenset[str]
    #: Views that the plan names, and blobs that the records name.
    blobs: frozenset[BlobUse]
    #: Whether nothing is left to be computed.
    finished: bool

    def digests(self, *retentions: Retention) -> frozenset[str]:
        """The blobs that are one of these to the job."""
        return frozenset(use.digest for use in self.blobs if use.retention in retentions)


def _held(folder: JobFolder, listing: Listing | None = None) -> _Held | None:
    """None for a job without a plan. Raises StoreError for a plan that makes no sense."""
    with _sensible(folder):
        data = folder.read_plan_data()
        if data is None:
            return None
        failures = folder.failures()
        summary = summary_of(folder, data, failures, listing)
        plan = json.loads(data)
        analysis, views = Plan.held_in(plan)
        keys, refs = {*summary.keys, *([analysis] if analysis else [])}, summary.blobs
        there = (listing or folder.store).stamps(failures) if failures else ()
        if there:
            # What was translated beside a failed window has another key than it has once that is fixed.
            more = JobWork.open(Plan.from_json(plan), folder.store, {}).keys - keys
            keys |= more
            refs += blobs_named(folder.store, more)
        blobs = {BlobUse(digest, name, Retention.VIEW) for name, digest in views.items()}
        blobs |= {BlobUse(ref.digest, ref.name, ref.retention) for ref in refs}
        return _Held(frozenset(keys), frozenset(blobs), summary.finished)


def references(folders: Iterable[JobFolder]) -> References:
    """What these jobs refer to, as far as their records are known."""
    found = [held for folder in folders if (held := _held(folder)) is not None]
    blobs = (held.digests(*Retention) for held in found)
    return References(_union(held.keys for held in found), _union(blobs))


def _union(sets: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset(chain.from_iterable(sets))


def blob_uses(folder: JobFolder) -> frozenset[BlobUse]:
    """What the blobs are that a job refers to. Raises StoreError for a plan that cannot be read."""
    held = _held(folder)
    return held.blobs if held is not None else frozenset()


@dataclass(frozen=True)
class Collected:
    """What a collection did, or with ``dry_run`` would do, and what it left alone."""

    removal: Removal
    #: Jobs with work left; what they will find in the store is known when they have run.
    unfinished: int
    #: Records and blobs that no job refers to, and that stay because of those.
    spared: tuple[RemovedFile, ...] = ()


def collect(store: Store, *, dry_run: bool, views: bool) -> Collected:
    """Removes what no job refers to, and the scratch of finished jobs; with ``views``, their views as well.

    A view that is needed again is made again from the media. As long as a job is unfinished, what an engine was paid
    for stays, referred to or not: a lost transcript that is made again finds its old translations. Other leftovers go
    (views and analyses of plans that nobody follows any more), unless a job waits that has no plan yet.
    """
    # One instant for all passes: what comes of age meanwhile was not looked at.
    now_s, ages = time.time(), Ages()
    # Before the jobs themselves: what is planned meanwhile is then known to have waited.
    queued = _queued(store)
    listing = store.list_all()
    folders = [folder.listed() for folder in list_jobs(store)]
    jobs = {folder: _held(folder, listing) for folder in folders}
    unplanned = _unplanned(listing, jobs, queued)
    unfinished = [
        folder
        for folder, held in jobs.items()
        if folder.job_id not in unplanned and held is not None and (folder.job_id in queued or not held.finished)
    ]
    held_by = [held for held in jobs.values() if held is not None]
    working = _union(held.digests(*Retention) for folder in unfinished if (held := jobs[folder]) is not None)
    results = _union(held.digests(Retention.RESULT) for held in held_by)
    viewed = _union(held.digests(Retention.VIEW) for held in held_by)
    garbage = garbage_in(listing, _union(held.keys for held in held_by), working | results | viewed, ages, now_s)
    spared: tuple[RemovedFile, ...] = ()
    if unfinished or unplanned:
        loose = [file for file in garbage if file.reason is RemovalReason.UNREFERENCED]
        spared = tuple(loose) if unplanned else tuple(_paid_for(loose, store))
    # Runs on other machines ask nobody: whatever they have planned by now is theirs.
    later = references(_planned_since(store, jobs))
    staying = {file.place for file in spared}
    removed = store.remove_garbage(
        [file for file in garbage if file.place not in staying and _name(file) not in later.keys | later.blobs],
        dry_run=dry_run,
        now_s=now_s,
    )
    if views:
        # Asked anew: in a large store the removal has taken an hour.
        queued = _queued(store)
        again = [held for folder, held in jobs.items() if folder.job_id in queued and held is not None]
        since = references(_planned_since(store, jobs))
        needed = working | results | since.blobs | _union(held.digests(*Retention) for held in again)
        unneeded = store.purge(blobs=viewed - needed, dry_run=dry_run)
        removed = Removal(removed.files + unneeded.files, dry_run, removed.stuck + unneeded.stuck)
    return Collected(removed, len(unfinished) + len(unplanned), spared)


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


def _paid_for(files: Sequence[RemovedFile], store: Store) -> Iterator[RemovedFile]:
    """Those of these records that an engine was paid for, with the blobs that belong to them."""
    belonging: set[str] = set()
    for file in files:
        if file.place.startswith(f"{BLOBS}/"):
            continue
        head = store.head(_name(file))
        if head is not None and head.kind == ANALYSIS:
            continue
        yield file
        belonging |= {ref.digest for ref in head.blobs if ref.retention is not Retention.VIEW} if head else set()
    yield from (file for file in files if file.place.startswith(f"{BLOBS}/") and _name(file) in belonging)


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
        if not (held.digests(Retention.VIEW) <= listing.blobs.keys() or held.finished):
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
