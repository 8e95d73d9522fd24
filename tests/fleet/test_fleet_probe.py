"""A stage with late slots, takes and blobs, on a fleet whose workers are killed in the middle of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet import Fleet, FleetBooks
from segue_process import FAKES, Place, read_outputs, run_segue
from spoken import SAMPLE

from journals.attempts import read_attempts
from journals.lines import AttemptEndedLine, AttemptStartedLine, ProcessStartedLine
from pipeline.report import JobState

SETTINGS = {
    "SEGUE_FAKE_STAGES": "1",
    "SEGUE_PROBE_LIMIT": "30",
    "SEGUE_FAKE_DELAY_MS": "250",
    "SEGUE_BATCH_SIZE": "1",
    "SEGUE_BATCH_SECONDS": "1",
    "SEGUE_LEASE_SECONDS": "2",
}


@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=pytest.mark.long)])
def test_kills_among_the_units_of_a_stage_with_blobs_cost_the_batch_in_flight(tmp_path: Path, kills: int) -> None:
    targets = "es,ja,de,fr"
    with Fleet(tmp_path / "fleet", SETTINGS) as fleet:
        fleet.start(2)
        (job,) = fleet.submit([SAMPLE], targets=targets)
        killed: set[str] = set()
        for _ in range(kills):
            begun = fleet.until(lambda: _probing(fleet, killed), "a worker is at a unit of the stage")
            killed.add(begun)
            fleet.lose(next(worker for worker in fleet.workers if f"-{worker.pid}-" in begun))
            fleet.start_worker()
        view = fleet.wait([job])[job]
        assert view.state is JobState.DONE, fleet.report(str(view))
        with fleet.store() as store:
            assert FleetBooks.read(store).computed_again() == []
        place = Place(tmp_path / "alone")
        place.base.mkdir()
        whole = {**FAKES, "SEGUE_FAKE_STAGES": "1", "SEGUE_PROBE_LIMIT": "30"}
        ended = run_segue(["run", "--to", targets, "--out", str(place.out), str(SAMPLE)], place, whole)
        assert ended.code == 0, ended.err
        outputs = read_outputs(fleet.place.out)
        assert outputs == read_outputs(place.out)
        assert {f"sample.{language}.probe.wav" for language in targets.split(",")} <= outputs.keys()


def _probing(fleet: Fleet, killed: set[str]) -> str:
    """A worker, not killed yet, that has begun a batch of the stage and not ended it."""
    with fleet.store() as store:
        lines = list(read_attempts(store))
    workers = {line.session: line.worker for line in lines if isinstance(line, ProcessStartedLine)}
    ended = {line.attempt for line in lines if isinstance(line, AttemptEndedLine)}
    for line in lines:
        if isinstance(line, AttemptStartedLine) and line.stage == "probe" and line.attempt not in ended:
            worker = workers[line.attempt.split("/")[0]]
            if worker not in killed:
                return worker
    return ""
