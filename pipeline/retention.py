"""What must be kept: all that a job's plan refers to. The rest may be collected; nothing goes by itself."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache.removal import Ages, Removal, RemovalReason, RemovedFile
from cache.store import Store
from core.errors import UsageError
from pipeline.delivery import is_ours, note_parts, outputs_for
from pipeline.jobs import JOBS, LAST, JobFolder, list_jobs
from pipeline.sources import digest_parts
from pipeline.submissions import filed_orders, open_jobs, order_parts, orders_by_job, wanted_of
from pipeline.webhooks import OUTBOX
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
        keys.update(plan.base_keys())
        # Twice: what was translated beside a failed window has another key than it will have when that is mended.
        for failures in ({}, folder.failures()):
            keys.update(JobWork.open(plan, store, failures).keys)
        if plan.audio:
            blobs.add(plan.audio)
    return References(frozenset(keys), frozenset(blobs))


def collect(store: Store, *, dry_run: bool, audio: bool) -> Removal:
    """Removes what no job refers to; with ``audio``, the decoded audio of all finished jobs as well.

    Audio that is needed again is decoded again from the media. As long as a job is unfinished, no record goes: which
    ones it will find is known only when it has run.
    """
    folders = list_jobs(store)
    unfinished = [folder for folder in folders if not _is_finished(folder, store)]
    kept = references(store, folders)
    ages = Ages(unreferenced_s=math.inf) if unfinished else Ages()
    removed = store.gc(kept.keys, kept.blobs, dry_run=dry_run, ages=ages)
    if not audio:
        return removed
    unneeded = store.purge(blobs=kept.blobs - references(store, unfinished).blobs, dry_run=dry_run)
    return Removal(removed.files + unneeded.files, dry_run)


def _is_finished(folder: JobFolder, store: Store) -> bool:
    plan = folder.read_plan()
    return plan is not None and JobWork.open(plan, store, folder.failures()).finished


def purge_owner(store: Store, owner: str, *, dry_run: bool, keep_outputs: bool = False) -> Removal:
    """Removes every byte that was derived from an owner's media and that no other owner's job refers to.

    Delivered outputs go too, unless ``keep_outputs`` or somebody has edited them; the media themselves are never
    touched. Raises UsageError for an unknown owner.
    """
    waiting = {
        job_id: orders
        for job_id, orders in orders_by_job(store).items()
        if any(order.submission is not None and order.submission.owner == owner for order in orders)
    }
    mine: list[JobFolder] = []
    others: list[JobFolder] = []
    for folder in list_jobs(store):
        (mine if _owner(folder) == owner else others).append(folder)
    busy = {folder.job_id for folder in mine}.intersection(open_jobs(store))
    if busy and not dry_run:
        raise UsageError(
            f"{len(busy)} jobs of '{owner}' are in the queue, {min(busy)[:12]} among them", "cancel them first"
        )
    if not mine and not waiting:
        raise UsageError(f"no job belongs to '{owner}'", "'segue status' lists the jobs and their owners")
    gone, kept = references(store, mine), references(store, others)
    media = _media(mine) - _media(others)
    delivered = outputs_for(media, store)
    outputs = [] if keep_outputs else _remove_outputs(delivered, store, dry_run=dry_run)
    trees: list[tuple[str, ...]] = [(JOBS, folder.job_id) for folder in mine]
    trees.append(LAST)
    trees.extend(order_parts(order) for orders in waiting.values() for order in orders)
    trees.extend(_events(store, {folder.job_id for folder in mine}))
    trees.extend(note_parts(path) for path in delivered)
    trees.extend(digest_parts(each) for each in sorted(media))
    removed = store.purge(keys=gone.keys - kept.keys, blobs=gone.blobs - kept.blobs, trees=trees, dry_run=dry_run)
    return Removal((*outputs, *removed.files), dry_run)


def _owner(folder: JobFolder) -> str:
    """Whom a job belongs to; a submitted one may have no plan yet."""
    plan = folder.read_plan()
    if plan is not None:
        return plan.owner
    wanted = wanted_of(filed_orders(folder.store, folder.job_id))
    return wanted.submissions[0].owner if wanted else ""


def _events(store: Store, jobs: Collection[str]) -> list[tuple[str, ...]]:
    """Webhooks about these jobs that nobody has taken yet."""
    found: list[tuple[str, ...]] = []
    for name in store.children(OUTBOX):
        data = store.read_document((*OUTBOX, name)) if name.endswith(".json") else None
        if data is not None and json.loads(data)["job"] in jobs:
            found += [(*OUTBOX, name), (*OUTBOX, f"{name.removesuffix('.json')}.state")]
    return found


def _media(folders: Iterable[JobFolder]) -> set[Path]:
    return {delivery.media for folder in folders for delivery, _ in folder.results()}


def _remove_outputs(delivered: Mapping[Path, Path], store: Store, *, dry_run: bool) -> list[RemovedFile]:
    """Deletes outputs that are as Segue wrote them."""
    files = []
    for path, media in delivered.items():
        if path.is_file() and is_ours(path, media, store):
            files.append(RemovedFile(str(path), path.stat().st_size, RemovalReason.PURGED))
            if not dry_run:
                path.unlink(missing_ok=True)
    return files
