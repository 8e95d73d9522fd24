"""What must be kept: all that a job's plan refers to. The rest may be collected; nothing goes by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cache.removal import Removal
from cache.store import Store
from core.errors import UsageError
from pipeline.jobs import JOBS, JobFolder, list_jobs
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
        plan = folder.read_plan()
        if plan is None:
            continue
        work = JobWork.open(plan, store, {})
        keys.update(plan.base_keys(), work.keys)
        if plan.audio:
            blobs.add(plan.audio)
    return References(frozenset(keys), frozenset(blobs))


def collect(store: Store, *, dry_run: bool, audio: bool) -> Removal:
    """Removes what no job refers to; with ``audio``, the decoded audio of all finished jobs as well.

    Audio that is needed again is decoded again from the media.
    """
    kept = references(store, list_jobs(store))
    unfinished = [folder for folder in list_jobs(store) if audio and not _is_finished(folder, store)]
    blobs = references(store, unfinished).blobs
    removed = store.gc(kept.keys, kept.blobs, dry_run=dry_run)
    if not audio:
        return removed
    unneeded = store.purge(blobs=kept.blobs - blobs, dry_run=dry_run)
    return Removal(removed.files + unneeded.files, dry_run)


def _is_finished(folder: JobFolder, store: Store) -> bool:
    plan = folder.read_plan()
    return plan is not None and JobWork.open(plan, store, folder.failures()).finished


def purge_owner(store: Store, owner: str, *, dry_run: bool) -> Removal:
    """Removes every byte in the store that was derived from an owner's media and that no other owner's job refers to.

    Outputs stay where they were delivered: they are the owner's files. Raises UsageError for an unknown owner.
    """
    mine: list[JobFolder] = []
    others: list[JobFolder] = []
    for folder in list_jobs(store):
        plan = folder.read_plan()
        (mine if plan is not None and plan.owner == owner else others).append(folder)
    if not mine:
        raise UsageError(f"no job belongs to '{owner}'", "'segue status' lists the jobs and their owners")
    gone, kept = references(store, mine), references(store, others)
    return store.purge(
        keys=gone.keys - kept.keys,
        blobs=gone.blobs - kept.blobs,
        trees=[(JOBS, folder.job_id) for folder in mine],
        dry_run=dry_run,
    )
