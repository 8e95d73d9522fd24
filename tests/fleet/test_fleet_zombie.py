"""A worker that stands still for longer than its leases last, and then goes on as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import Fleet, FleetBooks
from fleet_leases import RecordWatch, attempt_owners, await_holder, freeze, session_of
from planned_work import PlannedWork

SETTINGS = {"SEGUE_LEASE_SECONDS": "2", "SEGUE_FAKE_DELAY_MS": "500"}


@pytest.mark.long
def test_a_frozen_worker_wakes_up_too_late_to_make_a_record(tmp_path: Path) -> None:
    with Fleet(tmp_path / "fleet", SETTINGS) as fleet, fleet.store() as store:
        work = PlannedWork(fleet, tmp_path)
        fleet.start(2)
        job = work.submit("talk", 6)
        held = await_holder(fleet, units=4)
        wake = freeze(held.worker)
        before = set(FleetBooks.read(store).made)
        books = work.finish(job, "talk", 6)
        watch = RecordWatch.over(store)
        assert watch.look(list(books.made)) == []
        makers = {key: books.made[key][0] for key in held.keys if key not in before}
        assert makers, "it was frozen in the middle of its batch"
        wake()
        began = [attempt for attempt in books.attempts if attempt_owners(store)[session_of(attempt.id)] == held.name]
        fleet.until(
            lambda: all(each.ended_at for each in fleet.attempts() if each.id == began[-1].id),
            "the worker that was frozen ends its attempt",
        )
        after = FleetBooks.read(store)
        assert watch.look(list(books.made)) == []
        assert {key: made[0] for key, made in after.made.items()} == {key: made[0] for key, made in books.made.items()}
        assert began[-1].id not in makers.values()
        assert after.computed_again() == []
        # It is a worker like any other again.
        more = work.submit("more", 4)
        work.finish(more, "more", 4)
        assert held.worker.running
