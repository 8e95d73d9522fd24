"""Purging: removes jobs with all that was derived for them alone, once a person has seen what that takes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cache.names import JOBS
from cache.removal import Removal, RemovalReason, RemovedFile
from cache.store import Store
from core.errors import UsageError
from core.keys import canonical_json
from jobs.presence import run_sign
from jobs.retention import is_finished, plan_of, references
from jobs.submissions import filed_orders, open_jobs, order_parts, orders_by_job, wanted_of
from jobs.webhooks import OUTBOX
from journals.log_ends import EndOfLogRecorder, process_name
from pipeline.inputs.sources import digest_parts
from pipeline.jobs import LAST, JobFolder, demand_state, list_jobs
from pipeline.outputs.delivery import is_ours, note_parts, outputs_of_media


@dataclass(frozen=True)
class Purge:
    """What purging some jobs takes, or has taken."""

    jobs: tuple[str, ...]
    #: Jobs among them with work left.
    unfinished: int
    #: Jobs among them that nobody has taken up from the queue.
    waiting: int
    #: Files of the store: records, blobs, plans, journals, notes.
    removal: Removal
    #: Delivered files that are as Segue wrote them.
    outputs: tuple[RemovedFile, ...]
    #: True when those go as well.
    with_outputs: bool
    #: Delivered files that somebody has edited; they stay.
    edited: tuple[Path, ...]
    #: Records and blobs that other jobs use too; they stay.
    shared: int
    #: Files that could not be removed, each with the reason; known once it was tried.
    stuck: tuple[str, ...] = ()
    #: Why it cannot be done now; empty when it can.
    refused: str = ""
    #: What helps then.
    remedy: str = ""

    @property
    def files(self) -> tuple[RemovedFile, ...]:
        """Everything that goes."""
        return (*self.outputs, *self.removal.files) if self.with_outputs else self.removal.files


@dataclass(frozen=True)
class _Found:
    """What `purge` needs beside what it shows."""

    shown: Purge
    keys: frozenset[str]
    blobs: frozenset[str]
    trees: tuple[tuple[str, ...], ...]


def jobs_of_owner(store: Store, owner: str) -> tuple[str, ...]:
    """Every job of an owner, those included that only wait in the queue. Raises UsageError when there is none."""
    waiting = {
        job_id
        for job_id, orders in orders_by_job(store).items()
        if any(order.submission is not None and order.submission.owner == owner for order in orders)
    }
    found = {folder.job_id for folder in list_jobs(store) if _owner(folder) == owner} | waiting
    if not found:
        raise UsageError(f"no job belongs to '{owner}'", "'segue status' lists the jobs and their owners")
    return tuple(sorted(found))


def find_purge(store: Store, jobs: Collection[str], *, outputs: bool) -> Purge:
    """What `purge` would take now; removes nothing."""
    return _find(store, jobs, outputs=outputs).shown


def purge(store: Store, jobs: Collection[str], *, outputs: bool) -> Purge:
    """Removes these jobs and every byte that was derived for them and that no other job refers to.

    Delivered files go with ``outputs``, unless somebody has edited them or another job delivers them as well; the media
    are never touched. Raises UsageError while one of the jobs is in the queue or being run.
    """
    found = _find(store, jobs, outputs=outputs)
    if found.shown.refused:
        raise UsageError(found.shown.refused, found.shown.remedy)
    # Before, so that no crash leaves a gap in the ledger that nobody has a word for.
    recorder = EndOfLogRecorder(store, process_name())
    recorder.note_purge([job_id for job_id in found.shown.jobs if store.children((JOBS, job_id))])
    recorder.close()
    _forget_last(store, found.shown.jobs)
    removed, stuck = [], []
    for file in found.shown.outputs if outputs else ():
        try:
            Path(file.place).unlink(missing_ok=True)
            removed.append(file)
        except OSError as error:
            stuck.append(f"{file.place}: {error.strerror}")
    removal = store.purge(keys=found.keys, blobs=found.blobs, trees=found.trees, dry_run=False)
    gone = tuple(removed) if outputs else found.shown.outputs
    return replace(found.shown, removal=removal, outputs=gone, stuck=(*stuck, *removal.stuck))


def _find(store: Store, jobs: Collection[str], *, outputs: bool) -> _Found:
    asked = frozenset(jobs)
    waiting = {job_id: orders for job_id, orders in orders_by_job(store).items() if job_id in asked}
    folders = list_jobs(store)
    mine = [folder for folder in folders if folder.job_id in asked]
    others = [folder for folder in folders if folder.job_id not in asked]
    gone, kept = references(mine), references(others)
    keys, blobs = gone.keys - kept.keys, gone.blobs - kept.blobs
    media, elsewhere = _media(mine), _media(others)
    delivered = _delivered(store, mine, others)
    there = {path: is_ours(path, of, store) for path, of in delivered.items() if path.is_file()}
    trees: list[tuple[str, ...]] = [(JOBS, folder.job_id) for folder in mine]
    trees.extend(demand_state(folder.job_id) for folder in mine)
    trees.extend(order_parts(order) for orders in waiting.values() for order in orders)
    trees.extend(_events(store, asked))
    trees.extend(digest_parts(each) for each in sorted(media - elsewhere))
    # The note of a file that stays, stays with it: only by it a later run knows that it may renew the file.
    trees.extend(note_parts(path, of) for path, of in delivered.items() if outputs or not there.get(path))
    shared = (gone.keys & kept.keys) - store.missing(gone.keys & kept.keys)
    why_not, remedy = _why_not(store, mine)
    shown = Purge(
        jobs=tuple(sorted({folder.job_id for folder in mine} | waiting.keys())),
        unfinished=sum(not is_finished(folder) for folder in mine),
        waiting=len(waiting),
        removal=store.purge(keys=keys, blobs=blobs, trees=trees, dry_run=True),
        outputs=tuple(_as_removed(path) for path, ours in there.items() if ours),
        with_outputs=outputs,
        edited=tuple(path for path, ours in there.items() if not ours),
        shared=len(shared) + sum(store.has_blob(digest) for digest in gone.blobs & kept.blobs),
        refused=why_not,
        remedy=remedy,
    )
    return _Found(shown, frozenset(keys), frozenset(blobs), tuple(trees))


def _why_not(store: Store, folders: Sequence[JobFolder]) -> tuple[str, str]:
    """Why these cannot be purged now, and what helps: nothing is taken from under those who are at it."""
    queued = set(open_jobs(store))
    now = datetime.now(UTC)
    for folder in folders:
        named = f"job {folder.job_id[:12]} of '{_owner(folder)}'"
        if folder.job_id in queued:
            return f"{named} is in the queue", "cancel it first"
        sign = run_sign(folder, now)
        if sign is not None and sign.alive:
            return f"{named} is {sign.describe(now)}", "stop that run first, or let it end"
    return "", ""


def _owner(folder: JobFolder) -> str:
    """Whom a job belongs to; a submitted one may have no plan yet, and a file that failed never gets one."""
    plan = plan_of(folder)
    if plan is not None:
        return plan.owner
    wanted = wanted_of(filed_orders(folder.store, folder.job_id))
    return wanted.submissions[0].owner if wanted else folder.noted_owner()


def _media(folders: Iterable[JobFolder]) -> set[Path]:
    return {delivery.media for folder in folders for delivery, _ in folder.results()}


def _delivered(store: Store, mine: Iterable[JobFolder], others: Iterable[JobFolder]) -> dict[Path, Path]:
    """Output -> media: what was delivered for these jobs and for none of the others.

    Of media that other jobs are about as well, only what these jobs say they delivered; else also what was exported.
    """
    found: dict[Path, Path] = {}
    shared = _media(others)
    for folder in mine:
        for delivery, result in folder.results():
            known = result.outputs if delivery.media in shared else outputs_of_media(delivery.media, store)
            found |= dict.fromkeys(known, delivery.media)
    for folder in others:
        for _, result in folder.results():
            for path in result.outputs:
                found.pop(path, None)
    return found


def _as_removed(path: Path) -> RemovedFile:
    return RemovedFile(str(path), path.stat().st_size, RemovalReason.PURGED)


def _events(store: Store, jobs: Collection[str]) -> list[tuple[str, ...]]:
    """Webhooks about these jobs that nobody has taken yet."""
    found: list[tuple[str, ...]] = []
    for name in store.children(OUTBOX):
        data = store.read_document((*OUTBOX, name)) if name.endswith(".json") else None
        if data is not None and json.loads(data)["job"] in jobs:
            found += [(*OUTBOX, name), (*OUTBOX, f"{name.removesuffix('.json')}.state")]
    return found


def _forget_last(store: Store, jobs: Collection[str]) -> None:
    data = store.read_state(LAST)
    last = json.loads(data)["jobs"] if data else []
    if not set(jobs).isdisjoint(last):
        store.replace_state(LAST, canonical_json({"jobs": [job_id for job_id in last if job_id not in jobs]}))
