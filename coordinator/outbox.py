"""Webhooks: an event is noted on disk, signed, and sent until somebody takes it; once each, whatever is restarted.

An event that has not been told is a note in ``queue/outbox``; one that has been is a document in its job's folder,
written before the note is removed. So posting an event again, after a crash or after Redis has lost its memory, finds
one or the other. A crash between the receiver's answer and that document sends the event again, with the same id.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from cache.store import PutOutcome, Store
from core.errors import EngineError, StoreError
from core.keys import canonical_json
from core.version import VERSION
from engines.bounded_http import BoundedClient, Limits, TooSlowError
from jobs.webhooks import (
    OUTBOX,
    EventEnd,
    EventOutcome,
    check_webhook,
    make_event_id,
    read_outcome,
    shown_webhook,
    write_outcome,
)

_GONE = 410
#: The wall clock may be set while we sleep.
_LONGEST_SLEEP_S = 60.0
#: Answers that may say when to come again.
_PATIENCE = frozenset({429, 503})


@dataclass(frozen=True)
class OutboxRules:
    """How events are sent and how long it is tried. Times in seconds."""

    #: Pause after the first failure; it doubles after each.
    first_pause_s: float = 5.0
    longest_pause_s: float = 3600.0
    #: An event that nobody took for so long is given up.
    give_up_after_s: float = 24 * 3600.0
    connect_timeout_s: float = 5.0
    answer_timeout_s: float = 15.0
    #: Events in flight at once, and to one host: a host that hangs must not keep the others from being told.
    senders: int = 4
    senders_a_host: int = 2

    def pause_s(self, attempts: int, luck: float, asked_s: float = 0.0) -> float:
        """Pause after ``attempts`` failures; ``luck`` is from 0 to 1, ``asked_s`` what the receiver asked for."""
        pause_s = min(self.first_pause_s * 2.0 ** min(attempts - 1, 30), self.longest_pause_s)
        return max(pause_s * (0.5 + luck), min(asked_s, self.longest_pause_s))


@dataclass(frozen=True)
class WebhookResponse:
    """What came of sending an event once."""

    #: HTTP status; 0 when there was no answer.
    status: int
    #: One line that holds nothing of the URL.
    text: str
    #: Seconds that the receiver wants to be left alone.
    asked_s: float = 0.0

    @property
    def end(self) -> EventEnd | None:
        """How the event ended with it; None when it is to be sent again."""
        if 200 <= self.status < 300:
            return EventEnd.DELIVERED
        return EventEnd.REFUSED if self.status == _GONE else None


@dataclass(frozen=True)
class _Waiting:
    """An event that has not been told, as it is in memory: its body stays on disk."""

    job_id: str
    host: str
    attempts: int
    #: Wall clock, since it outlives this process.
    next_s: float


def sign(secret: str, at_s: int, body: bytes) -> str:
    """Value of the header ``Segue-Signature`` for a body that is sent at ``at_s`` (Unix time)."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Outbox:
    """One coordinator's outbox. Thread-safe; it sends in threads of its own until `close`."""

    def __init__(
        self,
        store: Store,
        secret: str,
        announce: Callable[[str], None],
        *,
        rules: OutboxRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._secret, self._announce = store, secret, announce
        self._rules, self._clock = rules or OutboxRules(), clock
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._in_flight: dict[str, str] = {}
        self._loaded = self._closing = self._told_of_secret = False
        self._settled: list[EventOutcome] = []
        # Its own log lines hold whole URLs.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def post(self, job_id: str, event: str, url: str, payload: Mapping[str, Any]) -> bool:
        """Takes an event for delivery; durable when this returns. False when it was posted before.

        ``event`` names what happened and which time it happened, such as ``ended-2``: the same event of a job is told
        to an address once. The body is ``{"id", "event", "job", "at", "data": payload}``. Raises StoreError, and
        UsageError for a URL that is none.
        """
        event_id = make_event_id(job_id, event, check_webhook(url))
        with self._changed:
            if event_id in self._waiting or read_outcome(self._store, job_id, event_id) is not None:
                return False
            at_s = self._clock()
            at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
            body = {"id": event_id, "event": event, "job": job_id, "at": at, "data": dict(payload)}
            note = {"job": job_id, "event": event, "url": url, "at_ms": round(at_s * 1000), "body": body}
            put = self._store.write_once((*OUTBOX, f"{event_id}.json"), canonical_json(note))
            fresh = put is not PutOutcome.LOST_RACE
            if fresh or self._loaded:
                self._waiting[event_id] = _Waiting(job_id, shown_webhook(url), 0, at_s)
                self._changed.notify_all()
            # Else an earlier coordinator's note is there, which is about to be loaded with the attempts it had.
            return fresh

    def collect(self) -> list[EventOutcome]:
        """Outcomes since the last call, so that views can show them."""
        with self._changed:
            settled, self._settled = self._settled, []
            return settled

    def waiting(self) -> int:
        """Events that have not been told yet."""
        with self._changed:
            return len(self._waiting)

    def close(self) -> None:
        """Waits for what is in flight, within its time-outs; the rest stays on disk for the next coordinator."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        with self._changed:
            patience_s = self._rules.connect_timeout_s + self._rules.answer_timeout_s
            self._changed.wait_for(lambda: not self._in_flight, patience_s)

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        said = ""
        while not self._is_closing():
            try:
                self._load()
                said = ""
            except StoreError as error:
                if str(error) != said:
                    said = str(error)
                    self._announce(f"webhooks wait for the disk: {said}")
            with self._changed:
                if not self._is_closing():
                    # Under one lock with the wait: an event that is posted in between must not be slept through.
                    self._changed.wait(self._rules.first_pause_s if said else self._send_due())

    def _is_closing(self) -> bool:
        with self._changed:
            return self._closing

    def _load(self) -> None:
        """Takes over what an earlier coordinator left."""
        if self._loaded:
            return
        for name in self._store.children(OUTBOX):
            if not name.endswith(".json"):
                continue
            try:
                self._take_over(name.removesuffix(".json"))
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - a note that makes no sense must not keep the others waiting
                self._announce(f"the webhook {name} is left where it is: {type(error).__name__}: {error}")
        self._loaded = True

    def _take_over(self, event_id: str) -> None:
        note = self._note(event_id)
        if note is None:
            return
        with self._changed:
            if event_id in self._waiting:
                return
            if read_outcome(self._store, note["job"], event_id) is not None:
                # Told already: the note is from between two writes, or a power cut has brought it back.
                self._remove(event_id)
                return
            data = self._store.read_state((*OUTBOX, f"{event_id}.state"))
            state = json.loads(data) if data else {"attempts": 0, "next_ms": 0}
            # A clock that has been set back must not put the next attempt off for days.
            latest_s = self._clock() + self._rules.longest_pause_s * 1.5
            next_s = min(state["next_ms"] / 1000, latest_s)
            self._waiting[event_id] = _Waiting(note["job"], shown_webhook(note["url"]), state["attempts"], next_s)

    def _send_due(self) -> float:
        """Starts what is due and may be sent; returns how long there is nothing to do, in seconds. Needs the lock."""
        if self._waiting and not self._secret and not self._told_of_secret:
            self._told_of_secret = True
            self._announce("webhooks wait: set SEGUE_NOTIFY_SECRET for the coordinator; nothing is sent unsigned")
        now = self._clock()
        busy = Counter(self._in_flight.values())
        pause_s = _LONGEST_SLEEP_S
        for event_id, waiting in sorted(self._waiting.items(), key=lambda item: item[1].next_s):
            if waiting.next_s > now:
                pause_s = min(pause_s, waiting.next_s - now)
                break
            if len(self._in_flight) >= self._rules.senders:
                break
            if event_id not in self._in_flight and busy[waiting.host] < self._rules.senders_a_host:
                busy[waiting.host] += 1
                self._in_flight[event_id] = waiting.host
                # Daemons: a receiver that answers a byte a second must not keep the coordinator from ending.
                sender = threading.Thread(target=self._send, args=(event_id, waiting), name="webhook", daemon=True)
                sender.start()
        return max(pause_s, 0.01)

    def _send(self, event_id: str, waiting: _Waiting) -> None:
        """In a sender's thread: one attempt, and what follows from it."""
        try:
            note = self._note(event_id)
            if note is None:
                with self._changed:
                    self._waiting.pop(event_id, None)
                return
            answer = self._attempt(event_id, note)
            attempts = waiting.attempts + (1 if self._secret else 0)
            expired = self._clock() - note["at_ms"] / 1000 >= self._rules.give_up_after_s
            end = answer.end or (EventEnd.GIVEN_UP if expired else None)
            if end is not None:
                self._settle(event_id, note, end, attempts, answer)
            else:
                self._put_off(event_id, waiting, attempts, answer)
        except StoreError as error:
            self._announce(f"webhook of job {waiting.job_id[:12]} waits for the disk: {error}")
            with self._changed:
                self._waiting[event_id] = replace(waiting, next_s=self._clock() + self._rules.first_pause_s)
        except Exception as error:  # noqa: BLE001 - a defect of ours on one event must neither end nor spin the others
            self._announce(f"webhook of job {waiting.job_id[:12]} cannot be sent: {type(error).__name__}: {error}")
            with self._changed:
                self._waiting[event_id] = replace(waiting, next_s=self._clock() + self._rules.longest_pause_s)
        finally:
            with self._changed:
                self._in_flight.pop(event_id, None)
                self._changed.notify_all()

    def _attempt(self, event_id: str, note: Mapping[str, Any]) -> WebhookResponse:
        """Sends an event once. Never raises."""
        if not self._secret:
            return WebhookResponse(0, "SEGUE_NOTIFY_SECRET is not set for the coordinator")
        # Escapes, not UTF-8: a file's name may hold bytes that are no text. The same bytes at every attempt.
        body = json.dumps(note["body"], sort_keys=True, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"segue/{VERSION}",
            "Segue-Event-Id": event_id,
            "Segue-Signature": sign(self._secret, int(self._clock()), body),
        }
        rules = self._rules
        timeout = httpx.Timeout(rules.answer_timeout_s, connect=rules.connect_timeout_s)
        limits = Limits(0, rules.connect_timeout_s + rules.answer_timeout_s, 1)
        try:
            # No redirects: the signature is meant for this address. The answer's body is nobody's business.
            client = BoundedClient(limits, timeout, certificates=note["url"].startswith("https:"), proxies=False)
            try:
                answer = client.ask("POST", note["url"], headers=headers, content=body, read_body=False)
            finally:
                client.close()
            asked = answer.headers.get("retry-after", "") if answer.status in _PATIENCE else ""
            return WebhookResponse(answer.status, f"HTTP {answer.status}", float(asked) if asked.isdecimal() else 0.0)
        except EngineError as error:
            return WebhookResponse(0, error.message)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
            # The text of such an error may quote the URL; its kind says enough.
            return WebhookResponse(0, _KINDS.get(type(error), type(error).__name__))

    def _settle(
        self, event_id: str, note: Mapping[str, Any], end: EventEnd, attempts: int, answer: WebhookResponse
    ) -> None:
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds")
        place = shown_webhook(note["url"])
        outcome = EventOutcome(event_id, note["job"], note["event"], place, end, attempts, at, answer.text)
        with self._changed:
            write_outcome(self._store, outcome)
            self._remove(event_id)
            self._waiting.pop(event_id, None)
            self._settled.append(outcome)
        if end is not EventEnd.DELIVERED:
            self._announce(f"webhook of job {note['job'][:12]}: {outcome.describe()}")

    def _put_off(self, event_id: str, waiting: _Waiting, attempts: int, answer: WebhookResponse) -> None:
        if not attempts:
            # For people who ask; it says nothing about when, so that a coordinator with a secret sends at once.
            state = {"attempts": 0, "next_ms": 0, "last": answer.text}
            self._store.replace_state((*OUTBOX, f"{event_id}.state"), canonical_json(state))
            with self._changed:
                self._waiting[event_id] = replace(waiting, next_s=self._clock() + self._rules.longest_pause_s)
            return
        pause_s = self._rules.pause_s(attempts, random.random(), answer.asked_s)
        next_s = self._clock() + pause_s
        state = {"attempts": attempts, "next_ms": round(next_s * 1000), "last": answer.text}
        self._store.replace_state((*OUTBOX, f"{event_id}.state"), canonical_json(state))
        with self._changed:
            self._waiting[event_id] = replace(waiting, attempts=attempts, next_s=next_s)
        if attempts == 1:
            self._announce(f"webhook of job {waiting.job_id[:12]} to {waiting.host}: {answer.text}; it is tried again")

    def _note(self, event_id: str) -> dict[str, Any] | None:
        data = self._store.read_document((*OUTBOX, f"{event_id}.json"))
        return None if data is None else json.loads(data)

    def _remove(self, event_id: str) -> None:
        self._store.remove((*OUTBOX, f"{event_id}.json"))
        self._store.remove((*OUTBOX, f"{event_id}.state"))


_KINDS: dict[type[BaseException], str] = {
    httpx.ConnectError: "the host cannot be reached",
    httpx.ConnectTimeout: "the host did not answer in time",
    httpx.ReadTimeout: "no answer in time",
    TooSlowError: "no answer in time",
    httpx.WriteTimeout: "the host took the event too slowly",
    httpx.RemoteProtocolError: "the host does not speak HTTP, or closed the connection",
    httpx.ReadError: "the connection broke",
    httpx.WriteError: "the connection broke",
}
