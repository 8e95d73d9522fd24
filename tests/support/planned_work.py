"""Jobs of a fleet that need no decoding, and how their ends are checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fleet import Fleet, FleetBooks
from fleet_leases import planner
from planned_reference import reference_outputs
from segue_process import read_outputs

from pipeline.report import JobState


@dataclass
class PlannedWork:
    """Jobs of many units each, submitted to a fleet, and what an undisturbed run makes of the same jobs."""

    fleet: Fleet
    #: For the undisturbed run.
    scratch: Path

    def submit(self, name: str, windows: int, targets: tuple[str, ...] = ()) -> str:
        """Submits one job; its id."""
        return planner(self.fleet).submit(name, windows, targets=targets)

    def finish(self, job: str, name: str, windows: int, targets: tuple[str, ...] = ()) -> FleetBooks:
        """Waits for the job; it is done, its outputs are right, and no finished unit was begun again anywhere."""
        view = self.fleet.wait([job])[job]
        assert view.state is JobState.DONE, self.fleet.report(str(view))
        expected = reference_outputs(self.scratch / f"reference {name}", {name: windows}, targets)
        found = read_outputs(self.fleet.place.out)
        assert {file: found.get(file) for file in expected} == expected
        with self.fleet.store() as store:
            books = FleetBooks.read(store)
        assert books.computed_again() == []
        return books
