"""Renews leases in a thread while the work goes on, and says which of them others have taken over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence

from tasks.broker import Broker, BrokerAwayError

#: Without a sign of life from the one who works for so long, leases are left to run out: it may hang on a dead disk.
_PULSE_SECONDS = 30.0


class LeaseRenewer:
    """The leases of one worker on the batch that it computes. Safe for several threads.

    A broker that is away is no reason to stop: what is computed stays computed, and when it is back the leases are
    asserted again, unless another worker has them by then.
    """

    def __init__(
        self, broker: Broker, lease_seconds: int, on_lost: Callable[[int], None], say: Callable[[str], None]
    ) -> None:
        self._broker, self._lease_s, self._say = broker, float(lease_seconds), say
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._keys: set[str] = set()
        #: Replaced whole, so that it can be read without waiting for a call to the broker.
        self._lost: frozenset[str] = frozenset()
        self._token = ""
        self._renewed = self._pulsed = time.monotonic()
        self._away = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="leases", daemon=True)
        self._thread.start()

    def take(self, keys: Sequence[str], token: str) -> set[str]:
        """Leases what is free and keeps it from now on; returns it. Raises BrokerAwayError."""
        with self._lock:
            ours = self._broker.lease(keys, token)
            self._keys, self._lost, self._token = set(ours), frozenset(), token
            self._renewed = self._pulsed = time.monotonic()
        return ours

    def pulse(self) -> None:
        """The one who works says that it does."""
        self._pulsed = time.monotonic()

    def check(self) -> None:
        """Renews at once if the last renewal is so old that the leases may have run out: we may have been frozen.

        While the broker is known to be away there is nothing to learn: the thread asks it again and again.
        """
        if not self._away and time.monotonic() - self._renewed > self._lease_s * 2 / 3:
            self._renew()

    def lost(self) -> frozenset[str]:
        """Keys of this batch that others have taken over. Never waits."""
        return self._lost

    def release(self, token: str, keys: Collection[str] | None = None) -> None:
        """Gives leases of this token back, all of them by default. A broker that is away forgets them by itself."""
        with self._lock:
            if token != self._token:
                # It came late: the next batch may be about the same units.
                return
            ours = self._keys if keys is None else self._keys.intersection(keys)
            if not ours:
                return
            self._keys = self._keys - ours
            try:
                # Within the lock: a renewal that came after it would take the leases again.
                self._broker.release(sorted(ours), self._token)
            except BrokerAwayError as error:
                self._note_away(error)

    def close(self) -> None:
        """Ends the thread; what is still leased runs out."""
        self._closed.set()

    def _work(self) -> None:
        while not self._closed.wait(self._lease_s / 3):
            if time.monotonic() - self._pulsed < _PULSE_SECONDS:
                self._renew()

    def _renew(self) -> None:
        with self._lock:
            if not self._keys:
                self._renewed = time.monotonic()
                return
            began = time.monotonic()
            try:
                kept = self._broker.renew(sorted(self._keys), self._token)
            except BrokerAwayError as error:
                self._note_away(error)
                return
            self._renewed = began
            if self._away:
                self._away = False
                self._say("the broker is back; leases asserted again")
            lost = self._keys - kept
            if lost:
                self._on_lost(len(lost))
            self._lost |= lost
            self._keys = self._keys & kept

    def _note_away(self, error: BrokerAwayError) -> None:
        if not self._away:
            self._away = True
            self._say(f"{error}; what is being computed goes on")
