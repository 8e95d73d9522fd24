"""Journals whose lines are chained, with their heads noted in a second place, so that the ledger can be verified.

The second place is a journal of anchors, chained as well; each holds the other. An anchor knows how far the journal had
been written, and the journal's next line knows that anchor: neither can be cut off or taken away alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from cache.store import Store
from core.errors import StoreError
from journals.chain import Anchor, Chain
from journals.positions import with_anchor

#: Folder of the anchors, apart from the journals.
ANCHORS = ("ledger", "anchors")
#: Seconds between two anchors of a journal. What is younger is held by records, by whoever sees the process's end
#: (`journals.log_ends`), and else by nobody.
ANCHOR_SECONDS = 5.0


def anchors_of(parts: Sequence[str]) -> tuple[str, ...]:
    """Where the anchors of a journal lie."""
    return (*ANCHORS, parts[-1])


class HashChainedLog:
    """One process's own journal. Safe for several threads."""

    def __init__(self, store: Store, parts: Sequence[str]) -> None:
        self._store, self._parts = store, tuple(parts)
        self._anchor_parts = anchors_of(parts)
        self._chain, self._anchors = Chain("/".join(parts)), Chain("/".join(self._anchor_parts))
        self._anchored_at = -ANCHOR_SECONDS
        #: The last durable anchor, as long as no line knows it.
        self._unsaid: Anchor | None = None
        self._begun = False
        self._lock = threading.Lock()

    def append(self, facts: Sequence[Mapping[str, Any]], *, durable: bool) -> str:
        """Appends facts; returns the hash of the last one's line. Raises StoreError.

        The first append is durable and anchored whatever is asked for: from then on the file cannot go unseen.
        """
        with self._lock:
            durable = durable or not self._begun
            if self._unsaid is not None:
                facts = [with_anchor(facts[0], self._unsaid), *facts[1:]]
            sealed = self._chain.seal_all(facts)
            try:
                self._store.append(self._parts, sealed, durable=durable)
            except BaseException:
                self._chain.doubt()
                raise
            self._begun, self._unsaid = True, None
            head = self._chain.head
            # Only of what is durable: an anchor must not know lines that a power cut may take.
            if durable and time.monotonic() - self._anchored_at >= ANCHOR_SECONDS:
                self._anchor()
        return head

    def close(self) -> None:
        """Anchors what has been written durably; the last append before it must have been durable."""
        with self._lock:
            self._anchor()

    def _anchor(self) -> None:
        self._anchored_at = time.monotonic()
        sealed = self._anchors.seal(to_builtins(self._chain.anchor))
        try:
            # Durable, since the next line will say that it is there.
            self._store.append(self._anchor_parts, [sealed], durable=True)
        except BaseException as error:
            # The journal itself is written; its next anchor covers this one.
            self._anchors.doubt()
            if not isinstance(error, StoreError):
                raise
        else:
            self._unsaid = self._anchors.anchor
