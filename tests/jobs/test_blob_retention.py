"""What becomes of the blobs that a job's records name: kept, collected, purged, counted."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from aged_store import Shop, complete

from cache.envelope import BlobRef, Retention
from cache.store import Record, Store
from core.keys import Key, canonical_json, make_key
from jobs.blob_counts import BlobCounts, count_blobs
from jobs.checkup import CheckStatus, examine
from jobs.purging import find_purge, purge
from jobs.retention import collect
from jobs.status import status_of
from pipeline.job import PLAN_VERSION, SPEECH
from pipeline.job_summary import JobSummary, summary_of
from pipeline.jobs import JobFolder
from pipeline.work import JobWork

RESULT, VIEW, SCRATCH = Retention.RESULT, Retention.VIEW, Retention.SCRATCH


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, random.Random(1))


def blob(shop: Shop, content: str, retention: Retention = RESULT, name: str = "") -> BlobRef:
    with shop.store.blob_writer("audio") as writer:
        writer.write(content.encode() * 50)
    return writer.ref(name or content, retention)


def work_of(folder: JobFolder) -> JobWork:
    plan = folder.read_plan()
    assert plan is not None
    return JobWork.open(plan, folder.store, folder.failures())


def summary(folder: JobFolder) -> JobSummary:
    data = folder.read_plan_data()
    assert data is not None
    return summary_of(folder, data, folder.failures())


def give(folder: JobFolder, *refs: BlobRef) -> Record:
    """One of the job's records, which names these blobs from now on."""
    record = folder.store.get(sorted(work_of(folder).keys)[0])
    assert record is not None
    folder.store.purge(keys=[record.key], dry_run=False)
    voiced = replace(record, blobs=refs)
    folder.store.put(voiced)
    return voiced


def finished(shop: Shop, name: str, *refs: BlobRef) -> JobFolder:
    folder = shop.job(name, 2)
    complete(folder)
    if refs:
        give(folder, *refs)
    return folder


def bytes_of(store: Store, refs: Iterable[BlobRef]) -> int:
    return sum((store.home / "blobs" / ref.digest).stat().st_size for ref in refs)


def there(store: Store, *refs: BlobRef) -> list[bool]:
    return [store.has_blob(ref.digest) for ref in refs]


def test_a_finished_jobs_results_and_views_stay_and_its_scratch_goes(shop: Shop) -> None:
    refs = (blob(shop, "voice"), blob(shop, "frames", VIEW), blob(shop, "steps", SCRATCH))
    folder = finished(shop, "film", *refs)
    assert collect(shop.store, dry_run=False, views=False).removal.files == (), "it is young"
    shop.age()
    dry = collect(shop.store, dry_run=True, views=False)
    assert (len(dry.removal.files), dry.removal.bytes) == (1, bytes_of(shop.store, refs[2:]))
    assert there(shop.store, *refs) == [True, True, True]
    assert collect(shop.store, dry_run=False, views=False).removal.files == dry.removal.files
    assert there(shop.store, *refs) == [True, True, False]
    assert summary(folder).finished
    assert work_of(folder).finished


def test_an_unfinished_jobs_scratch_stays(shop: Shop) -> None:
    refs = (blob(shop, "voice"), blob(shop, "steps", SCRATCH))
    folder = finished(shop, "film", *refs)
    shop.lose(sorted(work_of(folder).keys)[-1:])
    shop.age()
    assert collect(shop.store, dry_run=False, views=True).unfinished == 1
    assert there(shop.store, *refs) == [True, True]


def test_views_of_finished_jobs_go_when_that_is_asked_for(shop: Shop) -> None:
    refs = (blob(shop, "voice"), blob(shop, "frames", VIEW))
    folder = finished(shop, "film", *refs)
    plan = folder.read_plan()
    assert plan is not None
    speech = BlobRef(SPEECH, plan.view(SPEECH), 0, VIEW)
    size = bytes_of(shop.store, (refs[1], speech))
    dry = collect(shop.store, dry_run=True, views=True)
    assert (len(dry.removal.files), dry.removal.bytes) == (2, size)
    assert collect(shop.store, dry_run=False, views=True).removal.files == dry.removal.files
    assert there(shop.store, *refs, speech) == [True, False, False]
    assert work_of(folder).finished


def test_what_is_a_view_to_one_job_and_a_result_to_another_stays(shop: Shop) -> None:
    shared = blob(shop, "voice", VIEW)
    finished(shop, "film", shared)
    other = finished(shop, "other", replace(shared, retention=RESULT))
    collect(shop.store, dry_run=False, views=True)
    assert there(shop.store, shared) == [True]
    assert work_of(other).finished


def loose(shop: Shop, *refs: BlobRef) -> Key:
    """A record that no job refers to, though an engine was paid for it."""
    key = make_key("translate", 1, nonce=len(refs))
    shop.store.put(Record(key, "translate", b"{}", {}, refs))
    return key


def test_a_record_that_is_spared_keeps_its_result(shop: Shop) -> None:
    refs = (blob(shop, "voice"), blob(shop, "frames", VIEW))
    key, nobodys = loose(shop, *refs), shop.blob()
    waiting = shop.job("waiting", 2)
    shop.age()
    done = collect(shop.store, dry_run=False, views=False)
    assert {file.place.rpartition("/")[2] for file in done.spared} == {key, refs[0].digest}
    assert there(shop.store, *refs) == [True, False]
    assert not shop.store.has_blob(nobodys)
    assert shop.store.get(key) is not None
    complete(waiting)
    collect(shop.store, dry_run=False, views=False)
    assert not shop.store.has(key)
    assert there(shop.store, *refs) == [False, False]


def test_a_job_whose_result_is_lost_is_unfinished_and_computes_that_unit_again(shop: Shop) -> None:
    ref = blob(shop, "voice")
    folder = finished(shop, "film", ref)
    record = give(folder, ref)
    assert summary(folder).finished
    (shop.store.home / "blobs" / ref.digest).unlink()
    assert not summary(folder).finished
    assert [unit.key for unit in work_of(folder).ready()] == [record.key]
    assert collect(shop.store, dry_run=True, views=False).unfinished == 1
    shown = status_of(folder, ())
    assert shown is not None
    assert complete(folder) == [record.key]


def test_a_purged_jobs_blobs_go_unless_anothers_record_names_them(shop: Shop) -> None:
    own, shared = blob(shop, "own"), blob(shop, "shared")
    steps = blob(shop, "steps", SCRATCH)
    first, second = finished(shop, "first"), finished(shop, "second")
    # Records of their own, that no other job's plan leads to.
    mine = sorted(work_of(first).keys - work_of(second).keys)
    others = sorted(work_of(second).keys - work_of(first).keys)
    for key, refs in ((mine[0], (own, shared, steps)), (others[0], (shared,))):
        record = shop.store.get(key)
        assert record is not None
        shop.lose([key])
        shop.store.put(replace(record, blobs=refs))
    found = find_purge(shop.store, [first.job_id], outputs=False)
    places = {file.place for file in found.removal.files}
    assert {f"blobs/{ref.digest}" for ref in (own, shared, steps)} & places == {
        f"blobs/{own.digest}",
        f"blobs/{steps.digest}",
    }
    assert there(shop.store, own, shared, steps) == [True, True, True]
    purge(shop.store, [first.job_id], outputs=False)
    assert there(shop.store, own, shared, steps) == [False, True, False]
    assert work_of(second).finished
    purge(shop.store, [second.job_id], outputs=False)
    assert there(shop.store, shared) == [False]


def counted(counts: BlobCounts) -> dict[str, int]:
    return {name: tally.files for name, tally in counts.by_name().items()}


def test_blobs_are_counted_by_what_they_are(shop: Shop) -> None:
    assert counted(count_blobs(shop.store)) == {"views": 0, "results": 0, "scratch": 0, "unreferenced": 0}
    voice, steps = blob(shop, "voice"), blob(shop, "steps", SCRATCH)
    finished(shop, "film", voice, steps, blob(shop, "frames", VIEW))
    finished(shop, "other", replace(steps, retention=RESULT))
    nobodys = shop.blob()
    counts = count_blobs(shop.store)
    wanted = {"view frames": 1, "view speech": 1, "results": 2, "scratch": 0, "unreferenced": 1}
    assert counted(counts) == wanted
    assert counts.results.bytes == bytes_of(shop.store, (voice, steps))
    assert counts.unreferenced.bytes == (shop.store.home / "blobs" / nobodys).stat().st_size
    findings = [finding for finding in examine(shop.runtime) if finding.name == "blobs"]
    assert [finding.health for finding in findings] == [CheckStatus.OK]
    assert "view speech 0.0 MB in 1 file, results 0.0 MB in 2 files, unreferenced" in findings[0].detail
    assert "segue cache gc" in findings[0].fix


def test_blobs_of_a_job_whose_plan_cannot_be_read_are_not_silently_called_unreferenced(shop: Shop) -> None:
    finished(shop, "film", blob(shop, "voice"))
    shop.store.write_once(("jobs", "ab" * 12, "plan-1.json"), canonical_json({"plan_version": PLAN_VERSION}))
    counts = count_blobs(shop.store)
    assert counts.results.files == 1
    assert len(counts.unread) == 1
    assert "makes no sense" in counts.unread[0]
    findings = [finding for finding in examine(shop.runtime) if finding.name == "blobs"]
    assert [finding.health for finding in findings] == [CheckStatus.OK, CheckStatus.WARNING]
