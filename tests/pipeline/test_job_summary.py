"""A job's summary says what its records say, whatever has become of them, and spares opening them when they are as they
were.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from aged_store import Shop, complete
from job_bench import Bench

from cache.envelope import Record
from cache.filesystem import Filesystem
from cache.names import JOBS
from cache.store import Store
from core.errors import StoreError
from core.text import Word
from engines.transcribe.interface import Transcript
from jobs.retention import collect
from jobs.status import JobStatus, status_of
from pipeline.job_summary import JobSummary, summary_of
from pipeline.jobs import JobFolder, list_jobs
from pipeline.outputs.assemble import assemble_job
from pipeline.report import JobState, count_units
from pipeline.stages import stage_named
from pipeline.work import JobWork

NAME = "summary.state"


def from_records(folder: JobFolder) -> JobSummary:
    """The summary by the long way: every record opened."""
    plan = folder.read_plan()
    assert plan is not None
    work = JobWork.open(plan, folder.store, folder.failures())
    ended = assemble_job(work).state if work.finished or work.has_failures else None
    found = [folder.store.get(key) for key in (*work.keys, *filter(None, [plan.analysis]))]
    blobs = tuple(ref for record in found if record for ref in record.blobs)
    return JobSummary(tuple(sorted(work.keys)), count_units(work), work.language, work.finished, ended, blobs)


def as_kept(folder: JobFolder) -> JobSummary:
    data = folder.read_plan_data()
    assert data is not None
    return summary_of(folder, data, folder.failures())


def forget(store: Store) -> None:
    for folder in list_jobs(store):
        (store.home / JOBS / folder.job_id / NAME).unlink(missing_ok=True)


def standings(store: Store) -> list[JobStatus | None]:
    return [status_of(folder, ()) for folder in list_jobs(store)]


class Change:
    """What may become of a job's records between two looks."""

    def __init__(self, shop: Shop, chance: random.Random) -> None:
        self._shop, self._chance = shop, chance

    def apply(self, folder: JobFolder) -> None:
        plan = folder.read_plan()
        assert plan is not None
        work = JobWork.open(plan, folder.store, folder.failures())
        found = sorted(key for key in work.keys if folder.store.has(key))
        name = self._chance.choice(["lose", "complete", "fail", "retry", "rewrite", "touch", "damage", "nothing"])
        if name == "lose" and found:
            self._shop.lose(self._chance.sample(found, 1))
        elif name == "complete":
            complete(folder)
        elif name == "fail" and (ready := work.ready()):
            folder.note_failure(self._chance.choice(ready), "the engine gave no result")
        elif name == "retry":
            folder.clear_failures()
        elif name == "rewrite" and found:
            self._rewrite(folder, self._chance.choice(found))
        elif name == "touch" and found:
            os.utime(self._path(self._chance.choice(found)))
        elif name == "damage" and found:
            self._path(self._chance.choice(found)).write_bytes(b"junk")

    def _rewrite(self, folder: JobFolder, key: str) -> None:
        """Damaged, and computed again by an engine that says it otherwise."""
        record = folder.store.get(key)
        if record is None or record.kind != "transcribe":
            return
        words = (Word(0, 700, f" Otherwise{self._chance.random()}.", 900),)
        self._shop.lose([key])
        folder.store.put(Record(record.key, record.kind, stage_named("transcribe").encode(Transcript(words)), {}))

    def _path(self, key: str) -> Path:
        return self._shop.store.home / "objects" / key[:2] / key


@pytest.mark.parametrize("seed", range(4))
def test_whatever_becomes_of_a_job_its_summary_says_what_its_records_say(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    shop = Shop(tmp_path, chance)
    folders = [shop.job(f"film{number}", chance.randrange(1, 6)) for number in range(3)]
    change = Change(shop, chance)
    for _ in range(10):
        folder = chance.choice(folders)
        change.apply(folder)
        for each in folders:
            assert as_kept(each) == from_records(each) == as_kept(each)


class Counting(Filesystem):
    """Counts which records are opened."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()

    def read(self, path: str) -> bytes:
        self.opened["record" if "/objects/" in path else "other"] += 1
        return super().read(path)

    def open_read(self, path: str) -> int:
        self.opened["record" if "/objects/" in path else "other"] += 1
        return super().open_read(path)


def test_no_record_is_opened_of_a_job_that_is_as_it_was(tmp_path: Path) -> None:
    shop = Shop(tmp_path, random.Random(3))
    for number in range(3):
        complete(shop.job(f"film{number}", 4))
    shop.job("waiting", 3)
    disk = Counting()
    with Store.open(shop.store.home, filesystem=disk) as store:
        first = standings(store)
        assert disk.opened["record"] > 0
        disk.opened.clear()
        assert standings(store) == first
        collect(store, dry_run=True, views=False)
        assert disk.opened["record"] == 0


def test_a_run_leaves_the_summaries_of_the_jobs_that_it_ended(bench: Bench) -> None:
    done = bench.run_one()
    assert done.state is JobState.DONE
    store = bench.runtime().store
    (folder,) = list_jobs(store)
    assert (store.home / JOBS / folder.job_id / NAME).exists()
    disk = Counting()
    with Store.open(store.home, filesystem=disk) as opened:
        kept = as_kept(JobFolder(opened, folder.job_id))
        assert disk.opened["record"] == 0
    assert kept == from_records(folder)
    assert (kept.finished, kept.ended) == (True, JobState.DONE)


def test_lists_and_collections_say_the_same_with_and_without_summaries(tmp_path: Path) -> None:
    chance = random.Random(11)
    shop = Shop(tmp_path, chance)
    folders = [shop.job(f"film{number}", chance.randrange(1, 6)) for number in range(8)]
    change = Change(shop, chance)
    for folder in folders:
        for _ in range(3):
            change.apply(folder)
    shop.loose("translate")
    shop.age()
    shop.store.verify()
    shown, found = standings(shop.store), collect(shop.store, dry_run=True, views=False)
    assert standings(shop.store) == shown
    assert collect(shop.store, dry_run=True, views=False) == found
    forget(shop.store)
    assert collect(shop.store, dry_run=True, views=False) == found
    forget(shop.store)
    assert standings(shop.store) == shown


@pytest.mark.parametrize("junk", [b"", b"[]", b"null", b'{"made_from": 1}', b"\xff", b"[" * 100_000])
def test_a_summary_that_makes_no_sense_is_made_again(tmp_path: Path, junk: bytes) -> None:
    shop = Shop(tmp_path, random.Random(5))
    folder = shop.job("film", 3)
    complete(folder)
    shop.store.replace_state((JOBS, folder.job_id, NAME), junk)
    assert as_kept(folder) == from_records(folder)
    assert shop.store.read_state((JOBS, folder.job_id, NAME)) != junk


def test_a_summary_of_another_segue_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path, random.Random(5))
    folder = shop.job("film", 3)
    complete(folder)
    as_kept(folder)
    disk = Counting()
    monkeypatch.setattr("pipeline.job_summary.VERSION", "99.0.0")
    with Store.open(shop.store.home, filesystem=disk) as store:
        as_kept(JobFolder(store, folder.job_id))
    assert disk.opened["record"] > 0


def test_a_store_that_cannot_be_written_is_listed_all_the_same(tmp_path: Path) -> None:
    class ReadOnly(Filesystem):
        def create(self, path: str) -> int:
            raise OSError(30, "Read-only file system", path)

    shop = Shop(tmp_path, random.Random(5))
    folder = shop.job("film", 3)
    complete(folder)
    expected = from_records(folder)
    with Store.open(shop.store.home, filesystem=ReadOnly()) as store:
        with pytest.raises(StoreError):
            store.replace_state(("state", "last.state"), b"{}")
        assert as_kept(JobFolder(store, folder.job_id)) == expected
