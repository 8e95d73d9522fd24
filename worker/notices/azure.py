"""Azure: instance metadata and Scheduled Events.

Protocol: https://learn.microsoft.com/azure/virtual-machines/linux/scheduled-events. Events of every VM of a scale set
are shown to each of its VMs, and acknowledging one lets it start for all the VMs that it names.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from worker.notices.metadata import MetadataAnswer, MetadataError, MetadataHttp, Pace, refused
from worker.notices.notice import SUDDEN_SECONDS, Notice, NoticeSource, Sighting, notice_within

_HEADERS = {"Metadata": "true"}
_INSTANCE = "/metadata/instance?api-version=2021-02-01"
_EVENTS = "/metadata/scheduledevents?api-version=2020-07-01"

#: Events that delete the VM: we go at once, because staying longer is only paid for.
_DELETING = frozenset({"Preempt", "Terminate"})
#: Events that end every process but leave the VM. They are announced from minutes to days ahead, so we work on until
#: shortly before. `Freeze` is none of them: a pause of seconds, which leases outlive.
_RESTARTING = frozenset({"Reboot", "Redeploy"})
_RESTART_HORIZON_S = 120.0

#: An event is withdrawn when it is missing from so many looks in a row: one incomplete answer is no withdrawal.
_LOOKS_TO_WITHDRAW = 2
_ACKNOWLEDGE_TRIES = 3


@dataclass(frozen=True)
class AzureEvent:
    """One scheduled event as the service states it."""

    event_id: str
    #: Preempt, Terminate, Reboot, Redeploy or Freeze.
    event_type: str
    #: Names of the VMs that it strikes.
    resources: tuple[str, ...]
    started: bool
    #: Seconds until it may start; None once it has started, or when the time cannot be read.
    seconds_left: float | None
    description: str

    def names_only(self, vm_name: str) -> bool:
        return {name.casefold() for name in self.resources} == {vm_name.casefold()}

    def names(self, vm_name: str) -> bool:
        return vm_name.casefold() in {name.casefold() for name in self.resources}


class AzureMetadata:
    """Azure's metadata service."""

    def __init__(self, http: MetadataHttp) -> None:
        self._http = http

    def compute(self) -> dict[str, Any]:
        """What the service says of this VM: name, vmId, vmSize, location, zone, priority. Raises MetadataError."""
        answer = self._http.ask("GET", _INSTANCE, _HEADERS)
        if answer.status != 200:
            raise refused("Azure's instance metadata", answer)
        compute = answer.json_object("Azure's instance metadata").get("compute")
        if not isinstance(compute, dict) or not isinstance(compute.get("name"), str) or not compute["name"]:
            raise MetadataError("Azure's instance metadata do not name this VM")
        return compute

    def events(self, timeout: float | None = None) -> tuple[AzureEvent, ...]:
        """The scheduled events of this VM and its neighbours. Raises MetadataError."""
        answer = self._http.ask("GET", _EVENTS, _HEADERS, timeout=timeout)
        if answer.status != 200:
            raise refused("Azure's scheduled events", answer)
        events = answer.json_object("Azure's scheduled events").get("Events")
        if not isinstance(events, list):
            raise MetadataError("Azure's scheduled events: no list of events in the answer")
        return tuple(_parse_event(event, answer) for event in events)

    def start(self, event_id: str) -> None:
        """Lets an event start now, for every VM that it names. Raises MetadataError."""
        answer = self._http.ask("POST", _EVENTS, _HEADERS, body={"StartRequests": [{"EventId": event_id}]})
        if answer.status != 200:
            raise refused("acknowledging an event to Azure", answer)


def _parse_event(event: Any, answer: MetadataAnswer) -> AzureEvent:
    if not isinstance(event, dict) or not isinstance(event.get("EventId"), str):
        raise MetadataError("Azure's scheduled events: an event without an id")
    resources = event.get("Resources")
    names = resources if isinstance(resources, list) else []
    return AzureEvent(
        event_id=event["EventId"],
        event_type=str(event.get("EventType", "")),
        resources=tuple(str(name) for name in names),
        started=event.get("EventStatus") == "Started",
        seconds_left=_seconds_left(event.get("NotBefore"), answer),
        description=" ".join(str(event.get("Description") or "").split()),
    )


def _seconds_left(not_before: Any, answer: MetadataAnswer) -> float | None:
    """Seconds until the time that Azure writes as ``Mon, 19 Sep 2016 18:29:47 GMT``; empty once started."""
    if not isinstance(not_before, str) or not not_before:
        return None
    try:
        moment = parsedate_to_datetime(not_before)
    except ValueError:
        return _iso_seconds_left(not_before, answer)
    return answer.seconds_until(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _iso_seconds_left(text: str, answer: MetadataAnswer) -> float | None:
    # Older versions of the interface wrote 2016-09-19T18:29:47Z.
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return answer.seconds_until(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


@dataclass
class _Delivered:
    """A notice that was given, and what its event has said since."""

    notice: Notice
    event: AzureEvent
    missing: int = 0


class AzureFeed:
    """Scheduled events that name this VM."""

    source = NoticeSource.AZURE

    def __init__(self, http: MetadataHttp, pace: Pace) -> None:
        self._http, self._service, self._pace = http, AzureMetadata(http), pace
        self._vm_name = ""
        self._answered = False
        self._delivered: dict[str, _Delivered] = {}
        self._lock = threading.Lock()

    def describe(self) -> str:
        return f"Azure scheduled events at {self._http.url}"

    def look(self) -> Sighting:
        if not self._vm_name:
            self._vm_name = str(self._service.compute()["name"])
        timeout = self._pace.timeout if self._answered else self._pace.first_timeout
        events = {event.event_id: event for event in self._service.events(timeout)}
        self._answered = True
        with self._lock:
            withdrawn = self._withdrawn(events)
            notices = tuple(self._deliver(event) for event in events.values() if self._is_new(event))
        return Sighting(notices, withdrawn, self._pace.interval)

    def _is_new(self, event: AzureEvent) -> bool:
        if event.event_id in self._delivered or not event.names(self._vm_name):
            return False
        if event.event_type in _DELETING:
            return True
        soon = event.started or event.seconds_left is None or event.seconds_left <= _RESTART_HORIZON_S
        return event.event_type in _RESTARTING and soon

    def _deliver(self, event: AzureEvent) -> Notice:
        seconds = SUDDEN_SECONDS
        if not event.started and event.seconds_left is not None and event.seconds_left > 0:
            seconds = event.seconds_left
        state = "has started" if event.started else f"in {seconds:.0f} s"
        detail = f"Azure: {event.event_type} of {self._vm_name} {state}"
        if event.description:
            detail += f" ({event.description})"
        notice = notice_within(self.source, seconds, detail, event_id=event.event_id)
        self._delivered[event.event_id] = _Delivered(notice, event)
        return notice

    def _withdrawn(self, events: dict[str, AzureEvent]) -> tuple[Notice, ...]:
        """Delivered notices whose event vanished before it started; those that had started are merely over."""
        gone = []
        for event_id, delivered in list(self._delivered.items()):
            if event_id in events:
                delivered.event, delivered.missing = events[event_id], 0
                continue
            delivered.missing += 1
            if delivered.missing < _LOOKS_TO_WITHDRAW:
                continue
            del self._delivered[event_id]
            if not delivered.event.started:
                gone.append(delivered.notice)
        return tuple(gone)

    def acknowledge(self, notice: Notice) -> bool:
        with self._lock:
            delivered = self._delivered.get(notice.event_id)
        if delivered is None or delivered.event.started or not delivered.event.names_only(self._vm_name):
            return False
        for attempt in range(1, _ACKNOWLEDGE_TRIES + 1):
            try:
                self._service.start(notice.event_id)
            except MetadataError:
                if attempt == _ACKNOWLEDGE_TRIES:
                    raise
                time.sleep(min(self._pace.interval, 0.5))
            else:
                return True
        return False

    def close(self) -> None:
        self._http.close()
