"""The emulated machine: who it is, and what its cloud has decided about it. Shared by the dialects."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from worker.notices.metadata import Cloud

#: What each cloud promises between notice and end, in seconds.
NOTICE_SECONDS = {Cloud.AZURE: 30.0, Cloud.AWS: 120.0, Cloud.GCP: 30.0}
#: A VM that is never the emulated one.
OTHER_VM = "another-vm"


@dataclass(frozen=True)
class EmulatedFacts:
    """What the instance metadata say."""

    cloud: Cloud
    #: Azure's and GCP's name of the VM; AWS's local host name.
    name: str
    size: str
    region: str
    zone: str
    spot: bool

    @property
    def instance_id(self) -> str:
        """As the cloud writes it, always the same for the same name."""
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        if self.cloud is Cloud.AZURE:
            return str(uuid.UUID(digest[:32]))
        if self.cloud is Cloud.AWS:
            return f"i-{digest[:17]}"
        return str(int(digest[:15], 16))


_TYPICAL = {
    Cloud.AZURE: ("Standard_NC4as_T4_v3", "westeurope", "1"),
    Cloud.AWS: ("g4dn.xlarge", "eu-west-1", "eu-west-1b"),
    Cloud.GCP: ("g2-standard-4", "europe-west4", "europe-west4-b"),
}


def typical_facts(cloud: Cloud, name: str, *, spot: bool = True) -> EmulatedFacts:
    """A small GPU machine of that cloud."""
    size, region, zone = _TYPICAL[cloud]
    return EmulatedFacts(cloud, name, size, region, zone, spot)


@dataclass
class EmulatedEvent:
    """One decision to take machines away."""

    event_id: str
    #: Preempt, Terminate, Reboot, Redeploy or Freeze; only Azure's dialect shows it.
    event_type: str
    #: Names of the machines that it strikes.
    resources: tuple[str, ...]
    #: When it strikes; does not slide.
    deadline: datetime
    #: AWS: terminate, stop or hibernate.
    action: str
    started: bool = False


@dataclass
class EmulatedNode:
    """The machine's state. Fields are read and changed under ``changed``, which wakes those who wait for a change."""

    facts: EmulatedFacts
    changed: threading.Condition = field(default_factory=threading.Condition)
    events: list[EmulatedEvent] = field(default_factory=list)
    #: AWS: when a rebalance was recommended.
    rebalance_at: datetime | None = None
    #: Azure: DocumentIncarnation, and the base of GCP's etags.
    incarnation: int = 1
    #: Ids of events that were acknowledged, in order.
    acknowledged: list[str] = field(default_factory=list)
    #: Told the id of an event that was acknowledged.
    on_acknowledged: Callable[[str], None] | None = None
    #: The service is being stopped: nobody may go on waiting.
    leaving: bool = False

    def own_event(self) -> EmulatedEvent | None:
        """The event that strikes this machine. Call it under ``changed``."""
        return next((event for event in self.events if self.facts.name in event.resources), None)

    def schedule(self, seconds: float, resources: tuple[str, ...], event_type: str, action: str) -> str:
        """Decides an event that strikes in ``seconds``; returns its id."""
        deadline = datetime.now(UTC) + timedelta(seconds=seconds)
        event = EmulatedEvent(str(uuid.uuid4()).upper(), event_type, resources, deadline, action)
        with self.changed:
            self.events.append(event)
            self._note_change()
        return event.event_id

    def begin(self, event_id: str) -> bool:
        """Marks an event as started; False when it is no longer there, or has started."""
        with self.changed:
            for event in self.events:
                if event.event_id == event_id and not event.started:
                    event.started = True
                    self._note_change()
                    return True
        return False

    def remove(self, event_id: str) -> bool:
        """Takes an event off the list: it is over, or was cancelled; False when it was not there."""
        with self.changed:
            kept = [event for event in self.events if event.event_id != event_id]
            found = len(kept) < len(self.events)
            self.events[:] = kept
            if found:
                self._note_change()
        return found

    def recommend_rebalance(self) -> None:
        with self.changed:
            self.rebalance_at = datetime.now(UTC)
            self._note_change()

    def acknowledge(self, event_ids: list[str]) -> bool:
        """What Azure's StartRequests do; False when one of the ids is unknown."""
        with self.changed:
            if not set(event_ids) <= {event.event_id for event in self.events}:
                return False
            self.acknowledged.extend(event_ids)
        for event_id in event_ids:
            if self.on_acknowledged is not None:
                self.on_acknowledged(event_id)
        return True

    def _note_change(self) -> None:
        self.incarnation += 1
        self.changed.notify_all()
