"""What the parts of the coordinator share. Touched by its loop's thread only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from cache.store import Store
from coordinator.active import ActiveJob
from coordinator.defects import JobDefectError, blaming
from coordinator.fairness import FairShare
from coordinator.in_flight import InFlightBatches
from coordinator.rates import Rates
from coordinator.register import JobRegister
from journals.demand import DemandLog
from journals.log_ends import COORDINATOR, EndOfLogRecorder, process_name
from pipeline.jobs import JobFolder
from pipeline.runtime import Runtime
from tasks.broker import Broker

#: Who writes journals in the name of the coordinator.
WRITER = "coordinator"


@dataclass
class Floor:
    """Jobs, batches and workers, as the coordinator knows them."""

    runtime: Runtime
    broker: Broker
    announce: Callable[[str], None]
    store: Store
    rates: Rates
    register: JobRegister
    #: What this coordinator saw of others' journals.
    witness: EndOfLogRecorder
    #: When jobs wanted their units.
    wants: DemandLog
    share: FairShare = field(default_factory=FairShare)
    in_flight: InFlightBatches = field(default_factory=InFlightBatches)
    active: dict[str, ActiveJob] = field(default_factory=dict)
    #: The workers that are alive, as they describe themselves.
    workers: list[dict[str, Any]] = field(default_factory=list)
    #: Jobs in which a defect was met, still to be set aside.
    defects: list[JobDefectError] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)

    @classmethod
    def over(cls, runtime: Runtime, broker: Broker, announce: Callable[[str], None]) -> Floor:
        """An empty floor over a store."""
        store = runtime.store
        witness = EndOfLogRecorder(store, f"{process_name()}-{COORDINATOR}")
        return cls(runtime, broker, announce, store, Rates(store), JobRegister(store), witness, DemandLog(witness))

    @property
    def store_id(self) -> str:
        return self.store.identity.id

    @property
    def target_ms(self) -> int:
        """Engine time that a batch aims at."""
        return self.runtime.settings.batch_seconds * 1000

    @contextmanager
    def isolating(self, job_id: str) -> Iterator[None]:
        """As `blaming`, but the loop over the other jobs goes on: the job is set aside at the end of this part."""
        try:
            with blaming(job_id):
                yield
        except JobDefectError as defect:
            self.defects.append(defect)

    def log(self, job_id: str, event: str, text: str, **ids: str) -> None:
        """A line in a job's log."""
        JobFolder(self.store, job_id).incidents.log(WRITER, event, text, **ids)

    def say(self, line: str) -> None:
        """Announces a line once, until it is forgotten."""
        if line not in self._said:
            self._said.add(line)
            self.announce(line)

    def forget(self, start: str) -> None:
        """Lines with this start are news again."""
        self._said = {line for line in self._said if not line.startswith(start)}
