"""What opening a job's records comes to, kept beside its plan, so that lists and collections need not open them again.

Never the truth: it counts only for the very plan, failures and records that it was made from, and for the Segue that
made it. Whoever finds it stale opens the records, and keeps what that came to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cache.envelope import BlobRef, Retention
from cache.names import JOBS, check_blob
from cache.store import Listing, Stamp, Store
from core.errors import StoreError
from core.keys import Digest, Key, canonical_json, digest_bytes, digest_value
from core.version import VERSION
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.outputs.assemble import assemble_job
from pipeline.outputs.delivery import Delivery
from pipeline.report import FileResult, JobState, count_units
from pipeline.stages import STAGES
from pipeline.work import JobWork

#: Raised when a summary holds something else.
SUMMARY_VERSION = 2
_NAME = "summary.state"


@dataclass(frozen=True)
class JobSummary:
    """A job's records as whoever opens it now would find them."""

    #: Every key that the job asks the store for, sorted.
    keys: tuple[Key, ...]
    #: Unit counts by stage: (total, done, cached, failed).
    units: Mapping[str, tuple[int, int, int, int]]
    #: Language spoken; empty as long as it is not known.
    language: str
    #: Whether every unit is done or has failed.
    finished: bool
    #: How the job ends; None while units are missing and none has failed.
    ended: JobState | None
    #: The blobs that these records and the analysis name.
    blobs: tuple[BlobRef, ...] = ()

    @property
    def begun(self) -> bool:
        """True when any unit is done."""
        return any(done for _, done, _, _ in self.units.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "keys": list(self.keys),
            "units": {stage: list(counts) for stage, counts in self.units.items()},
            "language": self.language,
            "finished": self.finished,
            "ended": str(self.ended) if self.ended else None,
            "blobs": [[ref.name, ref.digest, ref.size, ref.retention.value] for ref in self.blobs],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> JobSummary:
        """The summary that `as_json` wrote."""
        return cls(
            keys=tuple(Key(key) for key in value["keys"]),
            units={stage: (c[0], c[1], c[2], c[3]) for stage, c in value["units"].items()},
            language=value["language"],
            finished=value["finished"],
            ended=JobState(value["ended"]) if value["ended"] else None,
            blobs=tuple(
                BlobRef(name, Digest(check_blob(digest)), size, Retention(retention))
                for name, digest, size, retention in value["blobs"]
            ),
        )


def summary_of(
    folder: JobFolder, plan_data: bytes, failures: Mapping[Key, str], listing: Listing | None = None
) -> JobSummary:
    """The job's summary, as it was kept or from its records.

    ``plan_data`` is the plan in force, ``failures`` are those of the round in force. ``listing`` of the store spares
    looking for the records and blobs of many jobs one by one. A job that has lost a result is looked at anew. Raises
    what a plan or record that makes no sense raises.
    """
    kept = _read(folder)
    made_from = _made_from(digest_bytes(plan_data), failures)
    if kept is not None and kept[0] == made_from:
        summary = kept[1]
        stamps = listing.stamps(summary.keys) if listing else folder.store.stamps(summary.keys)
        if kept[2] == _seal(summary.keys, stamps) and _has_results(summary, folder.store, listing):
            return summary
    work = JobWork.open(Plan.from_json(json.loads(plan_data)), folder.store, failures)
    return _keep(folder, work, made_from, _ended(work))


def _has_results(summary: JobSummary, store: Store, listing: Listing | None) -> bool:
    results = [ref.digest for ref in summary.blobs if ref.retention is Retention.RESULT]
    return all(digest in listing.blobs if listing else store.has_blob(digest) for digest in results)


def finished_result(folder: JobFolder, delivery: Delivery) -> FileResult | None:
    """As `JobFolder.finished_result`, but None as well when what the outputs were made of was found damaged since.

    Costs a look into quarantine, which is empty as long as no disk fails.
    """
    known = folder.finished_result(delivery)
    return None if known is None or _was_damaged(folder) else known


def _was_damaged(folder: JobFolder) -> bool:
    store = folder.store
    damaged = store.quarantined()
    if not damaged:
        return False
    kept = _read(folder)
    if kept is None or (any(parts[:2] == (JOBS, folder.job_id) for parts in damaged) and not folder.has_plan()):
        return True
    names = {parts[-1] for parts in damaged}
    return bool(store.missing(names.intersection(kept[1].keys))) or not all(
        store.has_blob(ref.digest) for ref in kept[1].blobs if ref.retention is Retention.RESULT and ref.digest in names
    )


def blobs_named(store: Store, keys: Iterable[str]) -> tuple[BlobRef, ...]:
    """The blobs that these records name; opens each of them."""
    heads = (store.head(key) for key in keys)
    return tuple(dict.fromkeys(ref for head in heads if head is not None for ref in head.blobs))


def note_summary(folder: JobFolder, work: JobWork, ended: JobState | None = None) -> None:
    """Keeps the summary of a job that this process is through with; ``ended`` as `assemble_job` has it, if it ran."""
    made_from = _made_from(digest_bytes(canonical_json(work.plan.as_json())), work.failed)
    _keep(folder, work, made_from, (ended if work.finished else None) or _ended(work))


def _ended(work: JobWork) -> JobState | None:
    return assemble_job(work).state if work.finished or work.has_failures else None


def _keep(folder: JobFolder, work: JobWork, made_from: str, ended: JobState | None) -> JobSummary:
    named = chain.from_iterable(refs for _, refs in sorted(work.blobs.items()))
    summary = JobSummary(
        keys=tuple(sorted(work.keys)),
        units=_as_found(work),
        language=work.language,
        finished=work.finished,
        ended=ended,
        blobs=tuple(dict.fromkeys([*named, *blobs_named(folder.store, filter(None, [work.plan.analysis]))])),
    )
    # A disk that is full or only to be read from: the next one who looks opens the records again.
    with suppress(StoreError):
        stamps = folder.store.stamps(summary.keys)
        if _is_of(work, stamps):
            value = {"made_from": made_from, "records": _seal(summary.keys, stamps), "summary": summary.as_json()}
            folder.store.replace_state((JOBS, folder.job_id, _NAME), canonical_json(value), durable=False)
    return summary


def _as_found(work: JobWork) -> dict[str, tuple[int, int, int, int]]:
    """The units as whoever opens the job finds them: what has a record counts as found in the store."""
    return {
        stage: (total, done, done - work.counts[stage].shortcuts, failed)
        for stage, (total, done, _, failed) in count_units(work).items()
    }


def _is_of(work: JobWork, stamps: Mapping[str, Stamp]) -> bool:
    """True when the records that are there are those that the work knows of."""
    ready = {unit.key for unit in work.ready()}
    return all((key in stamps) == (key not in ready) for key in work.keys if key not in work.failed)


def _made_from(plan: str, failures: Mapping[Key, str]) -> str:
    versions = {stage.name: stage.version for stage in STAGES}
    return digest_value([SUMMARY_VERSION, VERSION, versions, plan, dict(failures)])


def _seal(keys: Iterable[str], stamps: Mapping[str, Stamp]) -> str:
    """Changes when any of the records comes, goes, or is another one."""
    lines = [f"{key} {stamp[0]} {stamp[1]}" if (stamp := stamps.get(key)) else f"{key} -" for key in keys]
    return digest_bytes("\n".join(lines).encode("ascii"))


def _read(folder: JobFolder) -> tuple[str, JobSummary, str] | None:
    """(what it was made from, the summary, the seal of its records)."""
    data = folder.store.read_state((JOBS, folder.job_id, _NAME)) if folder.may_hold(_NAME) else None
    if data is None:
        return None
    try:
        value = json.loads(data)
        return value["made_from"], JobSummary.from_json(value["summary"]), value["records"]
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError):
        return None
