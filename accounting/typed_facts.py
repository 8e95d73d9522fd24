"""The journals of processes and machines, as typed facts: what lies in the store's folders, and nothing made of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cache.store import Store
from journals.attempts import FOLDER as ATTEMPTS
from journals.facts import (
    AttemptStarted,
    Beat,
    Fact,
    FactError,
    ProcessStarted,
    SessionClosed,
    parse_attempt_fact,
    parse_node_fact,
    parse_opening,
)
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED

JOURNAL = ".jsonl"


@dataclass(frozen=True)
class Process:
    """One journal of attempts."""

    #: Its name.
    name: str
    #: Node session; the name itself for an embedded run.
    session: str
    #: What it says, in the file's order.
    facts: tuple[Fact, ...]
    #: Language of a unit by its key, where it has one.
    languages: Mapping[str, str]
    #: How many lines it has.
    lines: int

    @property
    def started(self) -> Iterator[AttemptStarted]:
        """Its attempts."""
        return (fact for fact in self.facts if isinstance(fact, AttemptStarted))

    @property
    def last(self) -> int:
        """Its last sign of life."""
        return max((getattr(fact, "at", 0) for fact in self.facts), default=0)


def read_processes(store: Store, errors: list[str], limits: Mapping[str, int] | None = None) -> list[Process]:
    """Every process's journal. ``limits`` cuts journals to so many facts; those it does not name are left out."""
    found = []
    for name in store.children((ATTEMPTS,)):
        if not name.endswith(JOURNAL):
            continue
        entries, damaged = _entries(store, (ATTEMPTS, name), limits)
        if entries or damaged:
            found.append(_process(name.removesuffix(JOURNAL), entries, damaged, errors))
    return found


def _entries(
    store: Store, parts: tuple[str, ...], limits: Mapping[str, int] | None
) -> tuple[tuple[dict[str, Any], ...], int]:
    journal = store.read_journal(parts)
    if limits is None:
        return journal.entries, journal.damaged
    return journal.entries[: limits.get("/".join(parts), 0)], 0


def _process(name: str, entries: Sequence[Mapping[str, Any]], damaged: int, errors: list[str]) -> Process:
    facts: list[Fact] = []
    languages: dict[str, str] = {}
    session = name
    for raw in entries:
        try:
            fact = parse_attempt_fact(name, raw)
        except FactError as error:
            errors.append(str(error))
            continue
        if fact is None:
            continue
        facts.append(fact)
        if isinstance(fact, ProcessStarted):
            session = fact.session or name
        elif isinstance(fact, AttemptStarted):
            languages.update({unit["key"]: unit["language"] for unit in raw["units"] if unit.get("language")})
    if damaged:
        errors.append(f"{ATTEMPTS}/{name}{JOURNAL}: {damaged} lines are not whole")
    return Process(name, session, tuple(facts), languages, len(entries))


@dataclass(frozen=True)
class NodeJournal:
    """What a machine's folder says."""

    #: Opening document as it lies there; None when there is none or it cannot be read.
    opening: Mapping[str, Any] | None
    #: The machine's facts.
    facts: tuple[Fact, ...]
    #: How many facts each journal had, by its path below home.
    heads: Mapping[str, int]

    @property
    def last(self) -> int:
        """Its last sign of life."""
        return max((fact.at for fact in self.facts if isinstance(fact, (Beat, SessionClosed))), default=0)

    @property
    def closed(self) -> int | None:
        """When its last worker left; None when none said so."""
        return max((fact.at for fact in self.facts if isinstance(fact, SessionClosed)), default=None)


def read_opening(store: Store, session: str) -> dict[str, Any] | None:
    """The opening document of a machine as it lies there; None when there is none. Raises FactError, StoreError."""
    data = store.read_document((NODES, session, OPENED))
    try:
        found: dict[str, Any] | None = None if data is None else dict(json.loads(data))
    except (ValueError, TypeError) as error:
        raise FactError(str(error)) from error
    return found


def read_node(store: Store, session: str, errors: list[str], limits: Mapping[str, int] | None = None) -> NodeJournal:
    """One machine's facts; empty where it has no folder."""
    facts: list[Fact] = []
    heads: dict[str, int] = {}
    names = [name for name in store.children((NODES, session)) if name.endswith(JOURNAL)]
    if limits is not None and not any(f"{NODES}/{session}/{name}" in limits for name in names):
        # Nobody knew of this machine then.
        return NodeJournal(None, (), {})
    opening: dict[str, Any] | None = None
    try:
        opening = read_opening(store, session)
        if opening is not None:
            facts.append(parse_opening(opening))
    except FactError as error:
        errors.append(f"{NODES}/{session}/{OPENED}: {error}")
    for name in names:
        entries, damaged = _entries(store, (NODES, session, name), limits)
        heads[f"{NODES}/{session}/{name}"] = len(entries)
        if damaged:
            errors.append(f"{NODES}/{session}/{name}: {damaged} lines are not whole")
        for raw in entries:
            try:
                fact = parse_node_fact(session, raw)
            except FactError as error:
                errors.append(str(error))
                continue
            if fact is not None:
                facts.append(fact)
    return NodeJournal(opening, tuple(facts), heads)


def describe_node(opening: Mapping[str, Any] | None) -> str:
    """What a machine is, in one line: cloud, size, region and kind, else its host's name."""
    raw = opening or {}
    kind = {True: "spot", False: "on demand", None: ""}[raw.get("spot")]
    place = (str(raw.get(name) or "") for name in ("cloud", "size", "region"))
    return " ".join(part for part in (*place, kind) if part) or str(raw.get("host") or "")
