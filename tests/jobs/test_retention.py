"""What a collection takes while jobs are unfinished: nothing that any of them, or any export, would miss."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from itertools import count
from pathlib import Path

import pytest
from aged_store import Shop, complete

from cache.removal import DAY_S
from cache.store import Store
from core.errors import StoreError
from core.keys import canonical_json
from jobs import retention
from jobs.retention import collect
from jobs.submissions import OrderKind, file_order, give_order, order_parts, pending_orders
from pipeline.analysis import ANALYSIS
from pipeline.job import PLAN_VERSION, SPEECH
from pipeline.jobs import JobFolder, list_jobs
from pipeline.outputs.assemble import assemble_job
from pipeline.work import JobWork


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, random.Random(1))


@pytest.mark.parametrize("seed", range(6))
def test_after_a_collection_no_job_has_more_left_to_do_and_every_export_says_the_same(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    shop = Shop(tmp_path, chance)
    folders = [shop.job(f"film{number}", chance.randrange(1, 7)) for number in range(4)]
    for folder in folders:
        complete(folder)
    # Some lose what they had, as to a damaged disk: what followed from it is still there, and named by nobody.
    hurt = [folder for folder in folders if chance.random() < 0.6]
    for folder in hurt:
        plan = folder.read_plan()
        assert plan is not None
        keys = sorted(JobWork.open(plan, shop.store, {}).keys)
        shop.lose(chance.sample(keys, min(len(keys), chance.randrange(1, 4))))
    loose = [shop.loose(kind) for kind in (ANALYSIS, "transcribe", "translate")]
    blob = shop.blob()
    shop.age()
    whole = {folder.job_id: _shown(folder) for folder in folders}
    copied = tmp_path / "copy"
    shutil.copytree(shop.store.home, copied)
    done = collect(shop.store, dry_run=False, views=False)
    assert {folder.job_id: _shown(folder) for folder in folders} == whole
    assert not shop.store.has_blob(blob)
    assert not shop.store.has(loose[0])
    assert shop.store.has(loose[1]) == shop.store.has(loose[2]) == bool(done.unfinished)
    with Store.open(copied) as before:
        for folder in folders:
            assert complete(folder) == complete(JobFolder(before, folder.job_id))


def _shown(folder: JobFolder) -> object:
    plan = folder.read_plan()
    assert plan is not None
    work = JobWork.open(plan, folder.store, folder.failures())
    return assemble_job(work) if work.finished else sorted(unit.key for unit in work.ready())


def test_a_job_that_waits_for_its_plan_spares_everything(shop: Shop) -> None:
    job = shop.maker.submit("talk", 1)
    for order in pending_orders(shop.store):
        file_order(shop.store, order)
    shop.store.purge(trees=[("jobs", job, "plan-1.json")], dry_run=False)
    kept = [shop.loose(kind) for kind in (ANALYSIS, "transcribe", "translate")]
    blob = shop.blob()
    shop.age()
    done = collect(shop.store, dry_run=False, views=False)
    assert (done.removal.files, done.unfinished) == ((), 1)
    assert len(done.spared) >= 4
    assert all(shop.store.has(key) for key in kept)
    assert shop.store.has_blob(blob)


def test_a_submitted_job_that_nobody_has_taken_up_spares_everything(shop: Shop) -> None:
    submission = shop.maker.submission("talk", (), "tester", "normal", {}, "")  # type: ignore[arg-type]
    give_order(shop.store, OrderKind.SUBMIT, submission.job_id, submission)
    kept = shop.loose(ANALYSIS)
    shop.age()
    assert collect(shop.store, dry_run=False, views=False).removal.files == ()
    assert shop.store.has(kept)


def test_an_order_that_only_another_version_can_read_spares_everything(shop: Shop) -> None:
    submission = shop.maker.submission("talk", (), "tester", "normal", {}, "")  # type: ignore[arg-type]
    order = give_order(shop.store, OrderKind.SUBMIT, submission.job_id, submission)
    data = shop.store.read_document(order_parts(order))
    assert data is not None
    shop.store.purge(trees=[order_parts(order)], dry_run=False)
    shop.store.write_once(order_parts(order), canonical_json(json.loads(data) | {"v": 99}))
    kept = shop.loose("translate")
    shop.age()
    assert collect(shop.store, dry_run=False, views=False).removal.files == ()
    assert shop.store.has(kept)


def test_a_finished_job_that_is_asked_for_again_keeps_its_audio(shop: Shop) -> None:
    folder = shop.job("film", 3)
    complete(folder)
    plan = folder.read_plan()
    assert plan is not None
    order = give_order(shop.store, OrderKind.RETRY, folder.job_id)
    assert collect(shop.store, dry_run=False, views=True).unfinished == 1
    assert shop.store.has_blob(plan.view(SPEECH))
    shop.store.remove(order_parts(order))
    assert collect(shop.store, dry_run=False, views=True).unfinished == 0
    assert not shop.store.has_blob(plan.view(SPEECH))


def test_what_comes_of_age_during_a_collection_stays(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.job("film", 3)
    kept = [shop.loose("translate") for _ in range(4)]
    now = time.time()
    for hour, key in enumerate(kept):
        (path,) = shop.store.home.rglob(key)
        os.utime(path, (now, now - 7 * DAY_S + 1800 + 3600 * hour))
    # Each look at the clock is an hour later than the one before.
    hours = count()
    monkeypatch.setattr(time, "time", lambda: now + 3600 * next(hours))
    collect(shop.store, dry_run=False, views=False)
    assert all(shop.store.has(key) for key in kept)


def test_a_job_that_a_run_plans_during_a_collection_keeps_what_it_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[JobFolder] = []

    def listed(store: Store) -> list[JobFolder]:
        found = list_jobs(store)
        if not came:
            came.append(shop.job("film", 3))
            complete(came[0])
            shop.age()
        return found

    monkeypatch.setattr(retention, "list_jobs", listed)
    collect(shop.store, dry_run=False, views=True)
    plan = came[0].read_plan()
    assert plan is not None
    assert complete(came[0]) == []
    assert shop.store.has_blob(plan.view(SPEECH))


def test_a_job_that_failed_before_it_had_a_plan_keeps_nothing_back(shop: Shop) -> None:
    shop.store.append(("jobs", "ab" * 12, "log-coordinator.jsonl"), [{"at": "2026-01-01", "event": "ended"}])
    loose = shop.loose("transcribe")
    shop.age()
    done = collect(shop.store, dry_run=True, views=False)
    assert (len(done.removal.files), done.unfinished, done.spared) == (1, 0, ())
    assert shop.store.has(loose)


def test_a_job_whose_audio_has_gone_keeps_what_it_may_be_planned_anew_by(shop: Shop) -> None:
    folder = shop.job("film", 3)
    plan = folder.read_plan()
    assert plan is not None
    shop.store.purge(blobs=[plan.view(SPEECH)], dry_run=False)
    blob, loose = shop.blob(), shop.loose(ANALYSIS)
    shop.age()
    done = collect(shop.store, dry_run=False, views=False)
    assert (done.removal.files, done.unfinished) == ((), 1)
    assert shop.store.has_blob(blob)
    assert shop.store.has(loose)


def test_a_job_that_has_lost_its_plan_spares_everything(shop: Shop) -> None:
    folder = shop.job("film", 3)
    complete(folder)
    shop.store.append(("jobs", folder.job_id, "wants-one.jsonl"), [{"fact": "job_wanted", "at": "2026-01-01"}])
    shop.store.purge(trees=[("jobs", folder.job_id, "plan-1.json")], dry_run=False)
    shop.age()
    done = collect(shop.store, dry_run=False, views=False)
    assert (done.removal.files, done.unfinished) == ((), 1)
    assert done.spared


def test_nothing_is_removed_when_a_plan_makes_no_sense(shop: Shop) -> None:
    shop.store.write_once(("jobs", "ab" * 12, "plan-1.json"), canonical_json({"plan_version": PLAN_VERSION}))
    loose = shop.loose("transcribe")
    shop.age()
    with pytest.raises(StoreError, match="abababababab makes no sense"):
        collect(shop.store, dry_run=False, views=True)
    assert shop.store.has(loose)
