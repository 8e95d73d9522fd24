"""Which attempt made each record, and when: from the records, and for what a purge has taken from the journals."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from accounting.typed_facts import Process
from cache.store import Store
from journals.facts import AttemptEnded, AttemptStarted, believable_counts, parse_instant

#: When an attempt came back with all it was given, and which: the first one made a record that a purge took.
WholeAttempt = tuple[int, str]


@dataclass
class UnitRecords:
    """What the records of some processes' units say."""

    #: Attempt that made a record, by key.
    made_by: dict[str, str] = field(default_factory=dict)
    #: When a record was made, where it says so, by key.
    made_at: dict[str, int] = field(default_factory=dict)
    #: Usage that a record says it took, by key, of those whose usage was asked for.
    used: dict[str, Mapping[str, int]] = field(default_factory=dict)
    #: Keys without a record.
    missing: set[str] = field(default_factory=set)


def read_records(store: Store, processes: Iterable[Process], used_of: Collection[str] | None = ()) -> UnitRecords:
    """The records of every unit that these processes were given; ``used_of``: whose usage is kept, None is all."""
    found = UnitRecords()
    for attempt in (attempt for each in processes for attempt in each.started):
        for unit in attempt.units:
            if unit.key in found.made_by or unit.key in found.missing:
                continue
            record = store.get(unit.key)
            if record is None:
                found.missing.add(unit.key)
                continue
            said = record.provenance
            maker = str(said.get("attempt", ""))
            # The same text once, where there is one.
            found.made_by[unit.key] = attempt.attempt if maker == attempt.attempt else maker
            if "at" in said:
                found.made_at[unit.key] = parse_instant(str(said["at"]))
            if used_of is None or unit.key in used_of:
                found.used[unit.key] = believable_counts(said)
    return found


def whole_attempts(processes: Collection[Process], there: Collection[str]) -> Iterator[tuple[str, WholeAttempt]]:
    """(key, attempt) of the attempts that came back with all they were given, for jobs that are not ``there``.

    Where a job's folder is there, a missing record is a unit that failed or was lost, and nobody made it.
    """
    ended = {fact.attempt: fact for each in processes for fact in each.facts if isinstance(fact, AttemptEnded)}
    for attempt in (attempt for each in processes for attempt in each.started):
        end = ended.get(attempt.attempt)
        if end is not None and _is_whole(attempt, end):
            for unit in attempt.units:
                if unit.job and unit.job not in there:
                    yield unit.key, (end.at, attempt.attempt)


def first_whole(found: Iterable[tuple[str, WholeAttempt]], keys: Collection[str]) -> dict[str, WholeAttempt]:
    """The first of them for each of ``keys`` that has any."""
    first: dict[str, WholeAttempt] = {}
    for key, attempt in found:
        if key in keys:
            first[key] = min(first.get(key, attempt), attempt)
    return first


def _is_whole(attempt: AttemptStarted, end: AttemptEnded) -> bool:
    return end.yielded >= len(attempt.units)
