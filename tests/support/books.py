"""Who computed what, and whether anything was computed that was already there: from the journals and the records."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from cache.store import Store
from journals.attempts import FOLDER


@dataclass(frozen=True)
class Attempt:
    """One batch that was given to an engine."""

    id: str
    stage: str
    #: Unit key -> milliseconds of audio.
    units: dict[str, int]
    #: Name of the process's journal.
    session: str
    #: Units that the engine gave back; None when the process did not live to note it.
    yielded: int | None

    @property
    def audio_ms(self) -> int:
        return sum(self.units.values())


@dataclass(frozen=True)
class Books:
    """Every attempt on a store, in the order in which the processes ran, and the attempt each record names."""

    attempts: tuple[Attempt, ...]
    #: Unit key -> id of the attempt that its record came from.
    made_by: dict[str, str]

    def lost(self, attempt: Attempt) -> dict[str, int]:
        """The units of an attempt whose records another attempt had to make."""
        return {key: ms for key, ms in attempt.units.items() if self.made_by.get(key) != attempt.id}

    def recomputed_ms(self) -> int:
        """Audio given to an engine again."""
        times: defaultdict[str, list[int]] = defaultdict(list)
        for attempt in self.attempts:
            for key, audio_ms in attempt.units.items():
                times[key].append(audio_ms)
        return sum(sum(again[1:]) for again in times.values())


def session_names(home: Path) -> list[str]:
    """The journals of all processes that have begun an attempt."""
    folder = home / FOLDER
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def read_books(home: Path, sessions: list[str]) -> Books:
    """The books of a store, whose processes ran in this order."""
    with Store.open(home, create=False) as store:
        facts = [(name, fact) for name in sessions for fact in store.read_journal((FOLDER, name)).entries]
        yielded = {fact["attempt"]: int(fact["yielded"]) for _, fact in facts if fact["fact"] == "attempt_ended"}
        attempts = tuple(
            Attempt(
                id=fact["attempt"],
                stage=fact["stage"],
                units={unit["key"]: unit["audio_ms"] for unit in fact["units"]},
                session=name,
                yielded=yielded.get(fact["attempt"]),
            )
            for name, fact in facts
            if fact["fact"] == "attempt_started"
        )
        made_by = {}
        for key in {key for attempt in attempts for key in attempt.units}:
            record = store.get(key)
            if record is not None:
                made_by[key] = str(record.provenance["attempt"])
    return Books(attempts, made_by)


def find_breaches(books: Books, killed: frozenset[str]) -> list[str]:
    """What must never be: one line each. ``killed`` are the sessions that did not end by themselves.

    A record names the attempt that made it; so a key that is in any later attempt was computed although it was
    finished, and what an attempt lost must be the batch in flight when its process was killed: its last one.
    """
    breaches = []
    order = {attempt.id: place for place, attempt in enumerate(books.attempts)}
    last_of = {attempt.session: attempt.id for attempt in books.attempts}
    for attempt in books.attempts:
        for key in attempt.units:
            maker = books.made_by.get(key)
            if maker is None:
                breaches.append(f"{attempt.stage} {key[:8]} has no record in the end")
            elif order[maker] < order[attempt.id]:
                breaches.append(f"{attempt.stage} {key[:8]} was finished by {maker} and begun again by {attempt.id}")
        lost = books.lost(attempt)
        given = len(attempt.units) if attempt.yielded is None else attempt.yielded
        if attempt.session not in killed and len(lost) > len(attempt.units) - given:
            breaches.append(f"{attempt.id} lost {len(lost)} units though nobody killed it")
        elif lost and last_of[attempt.session] != attempt.id:
            breaches.append(f"{attempt.id} lost {len(lost)} units though it was not the batch in flight")
    return breaches


def find_call_breaches(books: Books, calls: Path) -> list[str]:
    """Compares the books with the calls that the engines really got (see counted_segue.py)."""
    noted = [json.loads(line) for line in calls.read_text(encoding="utf-8").splitlines()] if calls.exists() else []
    breaches = [
        f"{call['stage']} was called for {len(call['finished'])} finished units" for call in noted if call["finished"]
    ]
    planned = [(attempt.stage, tuple(attempt.units)) for attempt in books.attempts]
    at = 0
    for call in noted:
        wanted = (call["stage"], tuple(call["keys"]))
        while at < len(planned) and planned[at] != wanted:
            at += 1
        if at == len(planned):
            breaches.append(f"a call of {call['stage']} with {len(call['keys'])} units is not in the attempts")
            break
        at += 1
    if len(planned) - len(noted) > len({attempt.session for attempt in books.attempts}):
        breaches.append(f"{len(planned)} attempts noted, {len(noted)} calls made")
    return breaches
