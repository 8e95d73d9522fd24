"""Webhooks as jobs know them: which addresses are allowed, how they may be shown, and what became of each event."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import urlsplit

from msgspec import to_builtins
from msgspec.json import decode

from cache.names import JOBS
from cache.store import Store
from core.addresses import shown_url
from core.errors import UsageError
from core.keys import Digest, canonical_json, digest_value

_LONGEST_URL = 2000
#: Where events wait that nobody has taken yet.
OUTBOX = ("queue", "outbox")
#: Digits of an event's id.
EVENT_ID_LENGTH = 32


class EventEnd(StrEnum):
    """How the telling of an event ended."""

    DELIVERED = "delivered"
    #: The receiver answered 410: it wants no more of this.
    REFUSED = "refused"
    #: It could not be delivered in the time there was.
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class EventOutcome:
    """What became of one event. Written once; an event that has one is never sent again."""

    event_id: str
    job_id: str
    event: str
    #: The address as it may be shown.
    place: str
    end: EventEnd
    #: Times it was sent.
    attempts: int
    #: UTC, ISO 8601.
    at: str
    #: The last answer or error, one line.
    last: str = ""

    def describe(self) -> str:
        """One line for `segue status`."""
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        why = f": {self.last}" if self.last and self.end is not EventEnd.DELIVERED else ""
        return f"{self.event} {self.end} to {self.place} at {self.at} after {tries}{why}"


@dataclass(frozen=True)
class WaitingEvent:
    """An event that nobody has taken yet."""

    job_id: str
    event: str
    #: The address as it may be shown.
    place: str
    #: Times it was sent.
    attempts: int
    #: When it is sent again; Unix time in milliseconds, 0 for as soon as may be.
    next_ms: int
    #: The last answer or error, or why it was not sent; one line, empty before the first attempt.
    last: str

    def describe(self) -> str:
        """One line for `segue status`."""
        if not self.attempts:
            return f"{self.event} to {self.place} waits{f': {self.last}' if self.last else ' to be sent'}"
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        again = f"{datetime.fromtimestamp(self.next_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.event} to {self.place} waits after {tries}: {self.last}; tried again at {again}"


def check_webhook(url: str) -> str:
    """The URL itself. Raises UsageError, which never contains what may be secret in it, for what cannot be called."""
    hint = "give a full address, such as https://example.org/segue"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the webhook's URL cannot be read", hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise UsageError("a webhook's URL begins with http:// or https:// and names a host", hint)
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise UsageError("the webhook's URL is too long or holds characters that no URL may hold", hint)
    return url


def shown_webhook(url: str) -> str:
    """Scheme and host: user, path and query of a webhook's URL may be its secret."""
    return shown_url(url, path=False)


def end_event(retries: int) -> str:
    """Name of the event that tells how a job ended, after so many retries: one for each time it was asked for."""
    return f"ended-{retries}"


def make_event_id(job_id: str, event: str, url: str) -> str:
    """The same event of the same job for the same address has the same id, whoever makes it and when."""
    value = {"job": job_id, "event": event, "url": url}
    return Digest(digest_value(value))[:EVENT_ID_LENGTH]


def _outcome_parts(job_id: str, event_id: str) -> tuple[str, str, str]:
    return JOBS, job_id, f"event-{event_id}.json"


def write_outcome(store: Store, outcome: EventOutcome) -> None:
    """Makes an outcome durable; the first one stays."""
    parts = _outcome_parts(outcome.job_id, outcome.event_id)
    store.write_once(parts, canonical_json(to_builtins(outcome)))


def read_outcome(store: Store, job_id: str, event_id: str) -> EventOutcome | None:
    """What became of an event; None as long as it has not been told."""
    data = store.read_document(_outcome_parts(job_id, event_id))
    return None if data is None else decode(data, type=EventOutcome)


def outcomes(store: Store, job_id: str) -> list[EventOutcome]:
    """What became of a job's events, the latest last."""
    found = []
    for name in store.children((JOBS, job_id)):
        if name.startswith("event-") and name.endswith(".json"):
            outcome = read_outcome(store, job_id, name.removeprefix("event-").removesuffix(".json"))
            if outcome is not None:
                found.append(outcome)
    return sorted(found, key=lambda outcome: (outcome.at, outcome.event_id))


def read_waiting(store: Store, event_id: str) -> WaitingEvent | None:
    """An event that nobody has taken yet; None when there is none, or when it has been told."""
    data = store.read_document((*OUTBOX, f"{event_id}.json"))
    if data is None:
        return None
    try:
        note = json.loads(data)
        if read_outcome(store, note["job"], event_id) is not None:
            return None  # The note is from between two writes.
        said = store.read_state((*OUTBOX, f"{event_id}.state"))
        state = json.loads(said) if said else {}
        return WaitingEvent(
            job_id=note["job"],
            event=note["event"],
            place=shown_webhook(note["url"]),
            attempts=int(state.get("attempts", 0)),
            next_ms=int(state.get("next_ms", 0)),
            last=str(state.get("last", "")),
        )
    except (KeyError, TypeError, ValueError):
        return None  # The coordinator says of such a note that it is left where it is.


def waiting_events(store: Store) -> dict[str, list[WaitingEvent]]:
    """Every event that nobody has taken yet, by job. Read from disk, so a moment old."""
    found: dict[str, list[WaitingEvent]] = {}
    for name in store.children(OUTBOX):
        event = read_waiting(store, name.removesuffix(".json")) if name.endswith(".json") else None
        if event is not None:
            found.setdefault(event.job_id, []).append(event)
    return found
