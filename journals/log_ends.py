"""End-of-log records: whoever learns that a process is over notes durably how far its journals had come.

A process that is killed anchors nothing any more, so that its last lines could be cut off unseen. A supervisor
notes the end of its engine process, a coordinator those of a worker that has gone silent, a run those of the run whose
job it takes up. An end-of-log record is true of a journal that is still written as well: it had come at least so far.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.journal import decode_body
from cache.store import Store
from core.errors import StoreError
from core.keys import digest_bytes
from journals.chain import Anchor, hash_of
from journals.hash_chained import HashChainedLog, anchors_of
from journals.positions import claims_of, seen_fact

#: Folder of end-of-log records of processes that have no other journal, one file a process.
LOG_ENDS = ("ledger", "log-ends")
#: The last fact of a journal whose process left in order. Its end is then anchored durably.
_LAST_FACTS = frozenset({"process_ended", "session_closed", "recorder_ended"})
#: With which the names of journals of attempts, of beats and of a job's demand can be told apart.
BEATS, DEMAND = "beats-", "wants-"
JOURNAL = ".jsonl"
#: The fact that a person had jobs' folders removed.
PURGED = "jobs_purged"
#: The fact that price rows were imported: row id -> digest of what its amounts depend on.
IMPORTED = "prices_imported"
#: With which the names of all coordinators end.
COORDINATOR = "coordinator"
#: Anchors are told apart by the journals' own names: a process's attempts have the same name otherwise.
_SEEN = "seen-"
_LEDGER, _DOCUMENT = "ledger", ".json"
_ATTEMPTS, _NODES, _JOBS = "attempts", "nodes", "jobs/"
#: A journal's last line is looked for in so many of its last bytes, then in more.
_TAIL_BYTES = 64 * 1024
_TAIL_FACTOR = 16
#: So many runs are looked at by whoever begins the next.
RECENT = 16


def process_name(family: str = "") -> str:
    """A name for a process's journals that no other has: when, and whose. ``family``: what its siblings share."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}-{family or os.getpid()}-{os.urandom(4).hex()}"


@dataclass(frozen=True)
class JournalEnd:
    """The last whole line of a sealed journal."""

    #: How far it goes.
    anchor: Anchor
    #: The line.
    entry: Mapping[str, Any]

    @property
    def in_order(self) -> bool:
        """Whether its process left in order."""
        return is_last_fact(self.entry)

    @property
    def at(self) -> datetime:
        """When the line was written, as it says; the beginning of time where it does not."""
        try:
            said = datetime.fromisoformat(str(self.entry.get("at")))
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return said if said.tzinfo is not None else said.replace(tzinfo=UTC)


def is_last_fact(entry: Mapping[str, Any]) -> bool:
    """Whether a line says that its own process left in order; a supervisor's about another process does not."""
    return entry.get("fact") in _LAST_FACTS and "process" not in entry


def read_end(store: Store, name: str) -> JournalEnd | None:
    """The end of a journal by its path below home; None for one without a sealed line. Raises StoreError."""
    parts = tuple(name.split("/"))
    try:
        size = (Path(store.home) / name).stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{name} cannot be read: {error.strerror}", "check the disk that holds SEGUE_HOME") from error
    tail = _TAIL_BYTES
    while True:
        lines, _ = store.read_lines_from(parts, max(size - tail, 0))
        for body in reversed(lines.bodies):
            with suppress(ValueError):
                entry = decode_body(body)
                if isinstance(entry, dict) and type(entry.get("n")) is int:
                    return JournalEnd(Anchor(name, entry["n"] + 1, hash_of(body)), entry)
        if tail >= size:
            return None
        tail *= _TAIL_FACTOR


def ends_of(store: Store, names: Iterable[str], known: Collection[Anchor] = ()) -> list[Anchor]:
    """The ends of these journals and of their anchors, durable.

    Without those of processes that left in order, whose own anchors reach their last line, and without ``known``.
    Raises StoreError.
    """
    found = []
    for name in names:
        parts = tuple(name.split("/"))
        end = read_end(store, name)
        if end is None:
            continue
        anchor = read_end(store, "/".join(anchors_of(parts)))
        if end.in_order and anchor is not None and _is_of(anchor.entry, end.anchor):
            continue
        for each in (end, anchor):
            if each is not None and each.anchor not in known:
                # What such a record knows must not be lost to a power cut after it.
                store.settle_journal(tuple(each.anchor.file.split("/")))
                found.append(each.anchor)
    return found


def _is_of(entry: Mapping[str, Any], end: Anchor) -> bool:
    return (entry.get("file"), entry.get("lines"), entry.get("head")) == (end.file, end.lines, end.head)


def journals_of_run(store: Store, session: str) -> list[str]:
    """The journals of an embedded run, or of a coordinator, by the name that they share."""
    return [journal_of_process(session), *beats_of(store, session), log_ends_of(session)]


def log_ends_of(process: str) -> str:
    """What a process saw of others, where it has a journal of its own for that."""
    return "/".join((*LOG_ENDS, f"{_SEEN}{process}{JOURNAL}"))


def journal_of_process(process: str) -> str:
    """A process's journal of attempts."""
    return f"{_ATTEMPTS}/{process}{JOURNAL}"


def processes_by_family(store: Store) -> dict[str, list[str]]:
    """The journals of attempts by the family in their names, as they are now. Raises StoreError."""
    found: dict[str, list[str]] = {}
    for name in store.children((_ATTEMPTS,)):
        found.setdefault(_family_of_process(name), []).append(f"{_ATTEMPTS}/{name}")
    return found


def journals_of_worker(beats: str, processes: Mapping[str, Collection[str]]) -> list[str]:
    """A process's beats (a path below home), and the journals of its engine processes or of the run that it was.

    ``processes`` as `processes_by_family` found them.
    """
    family, session = family_of(beats), beats.split("/")[1]
    return [beats, *processes.get(family, ()), journal_of_process(session), log_ends_of(session)]


def family_of(beats: str) -> str:
    """What the names of a worker's engine processes have in common, by the path of its beats."""
    return beats.rpartition("/")[2].removeprefix(BEATS).removesuffix(JOURNAL)


def _family_of_process(name: str) -> str:
    """``<stamp>-<family>-<chance>.jsonl``"""
    return name.partition("-")[2].rpartition("-")[0]


class EndOfLogRecorder:
    """One process's own journal of the ends that it saw. Safe for several threads; without facts there is no file."""

    def __init__(self, store: Store, name: str) -> None:
        """``name``: the process's, as in `process_name`."""
        self.name = name
        self._store = store
        self._journal = HashChainedLog(store, log_ends_of(name).split("/"))
        self._lock = threading.Lock()
        self._begun = self._closed = False

    def see(self, names: Iterable[str], known: Collection[Anchor] = ()) -> None:
        """Notes how far these journals have come, as `ends_of` finds it. Raises StoreError."""
        self.note(ends_of(self._store, names, known), durable=True)

    def look_around(self) -> None:
        """Notes the ends of the last few runs that did not leave in order, once. Raises StoreError."""
        mine = {journal_of_process(self.name), log_ends_of(self.name)}
        names = [name for name in recent_runs(self._store) if name not in mine and f"/{self.name}/" not in name]
        # Of other runs: a coordinator's have two lines for each of its jobs, and reading them takes seconds.
        others = [name for name in self._store.children(LOG_ENDS) if not name.endswith(f"{COORDINATOR}{JOURNAL}")]
        newest = sorted(others, reverse=True)[:RECENT]
        self.see(names, set().union(*(seen_ends(self._store, name) for name in newest)))

    def note(self, ends: Collection[Anchor], *, durable: bool = False) -> None:
        """Notes ends that are durable. Raises StoreError."""
        if ends:
            self._append(seen_fact(ends, _now()), durable=durable)

    def note_purge(self, jobs: Collection[str]) -> None:
        """A person has these jobs' folders removed: their journals are missing rightly. Raises StoreError."""
        if jobs:
            self._append({"fact": PURGED, "at": _now(), "jobs": sorted(jobs)}, durable=True)

    def note_documents(self) -> None:
        """Notes the closings, price books and bills that are there, so that none can be taken away unseen."""
        found = {}
        for name in self._store.children((_LEDGER,)):
            data = self._store.read_document((_LEDGER, name)) if name.endswith(_DOCUMENT) else None
            if data is not None:
                found[f"{_LEDGER}/{name}"] = digest_bytes(data)
        if found:
            self._append({"fact": "documents_kept", "at": _now(), "documents": found}, durable=True)

    def note_price_rows(self, rows: Mapping[str, str]) -> None:
        """Notes the terms of price rows that a person imported, so that a later change to them is seen."""
        if rows:
            self._append({"fact": IMPORTED, "at": _now(), "rows": dict(rows)}, durable=True)

    def close(self) -> None:
        """Notes durably that this recorder says nothing more; once is enough. Raises StoreError."""
        with self._lock:
            over, self._closed = self._closed or not self._begun, True
        if not over:
            self._journal.append([{"fact": "recorder_ended", "at": _now()}], durable=True)
            self._journal.close()

    def _append(self, fact: Mapping[str, Any], *, durable: bool) -> None:
        with self._lock:
            self._begun = True
        self._journal.append([fact], durable=durable)


def keep_documents(store: Store) -> None:
    """Notes the ledger's documents, for a command that has written one. Raises StoreError."""
    recorder = EndOfLogRecorder(store, process_name())
    recorder.note_documents()
    recorder.close()


def keep_price_rows(store: Store, rows: Mapping[str, str]) -> None:
    """Notes imported price rows, by id, with a digest of their terms. Raises StoreError."""
    recorder = EndOfLogRecorder(store, process_name())
    recorder.note_price_rows(rows)
    recorder.close()


def imported_rows(store: Store) -> dict[str, set[str]]:
    """Digests of the terms of imported price rows, by id, as `keep_price_rows` noted them. Raises StoreError."""
    found: dict[str, set[str]] = {}
    for name in store.children(LOG_ENDS):
        entries = store.read_journal((*LOG_ENDS, name)).entries if name.endswith(JOURNAL) else ()
        for entry in entries:
            if entry.get("fact") == IMPORTED and isinstance(entry.get("rows"), dict):
                for row, digest in entry["rows"].items():
                    found.setdefault(row, set()).add(str(digest))
    return found


def recent_runs(store: Store) -> list[str]:
    """The journals of the last few runs: whoever begins one looks whether the others left in order."""
    names = sorted(store.children((_ATTEMPTS,)), reverse=True)[:RECENT]
    return [each for name in names for each in journals_of_run(store, name.removesuffix(JOURNAL))]


def beats_of(store: Store, session: str) -> list[str]:
    """Paths of the beats of a machine's processes. Raises StoreError."""
    return [f"{_NODES}/{session}/{name}" for name in store.children((_NODES, session)) if _is_beats(name)]


def _is_beats(name: str) -> bool:
    return name.startswith(BEATS) and name.endswith(JOURNAL)


def seen_ends(store: Store, name: str) -> set[Anchor]:
    """Every end that a process with a journal of its own (its file's name) has noted, but for those of jobs' demand:
    whoever takes a job up looks at them, and a coordinator notes two for each. Raises StoreError.
    """
    entries = store.read_journal((*LOG_ENDS, name)).entries
    return {end for entry in entries for end in claims_of(entry) if not end.file.startswith(_JOBS)}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
