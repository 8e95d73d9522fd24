"""Journals whose lines are chained, with their heads noted in a second place, so that the ledger can be verified."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from cache.store import Store
from core.errors import StoreError
from ledger.chain import Chain

#: Folder of the anchors, apart from the journals.
ANCHORS = ("ledger", "anchors")
#: Seconds between two anchors of a journal: what is younger may be taken away unseen, unless a record knows it.
ANCHOR_SECONDS = 10.0


class SealedJournal:
    """One process's own journal. Safe for several threads."""

    def __init__(self, store: Store, parts: Sequence[str]) -> None:
        self._store, self._parts = store, tuple(parts)
        self._chain = Chain("/".join(parts))
        self._anchored_at = -ANCHOR_SECONDS
        self._lock = threading.Lock()

    def append(self, facts: Sequence[Mapping[str, Any]], *, durable: bool) -> str:
        """Appends facts; returns the hash of the last one's line. Raises StoreError."""
        with self._lock:
            sealed = self._chain.seal_all(facts)
            try:
                self._store.append(self._parts, sealed, durable=durable)
            except BaseException:
                self._chain.doubt()
                raise
            head = self._chain.head
            # Only of what is durable: an anchor must not know lines that a power cut may take.
            if durable and time.monotonic() - self._anchored_at >= ANCHOR_SECONDS:
                self._anchor()
        return head

    def close(self) -> None:
        """Anchors what has been written durably; the last append before it must have been durable."""
        with self._lock:
            self._anchor(durable=True)

    def _anchor(self, *, durable: bool = False) -> None:
        self._anchored_at = time.monotonic()
        with suppress(StoreError):  # The journal itself is written; its next anchor covers this one.
            self._store.append((*ANCHORS, self._parts[-1]), [self._chain.anchor.as_json()], durable=durable)
