"""The journals of processes and machines, as typed facts: what lies in the store's folders, and nothing made of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.journal import Lines
from cache.store import Store
from journals.attempts import FOLDER as ATTEMPTS
from journals.facts import AttemptStarted, Beat, Fact, FactError, ProcessStarted, SessionClosed
from journals.lines import AttemptStartedLine, read_attempt_line, read_node_line, sound_facts
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED, Opening, read_opening

JOURNAL = ".jsonl"
#: The first line of a process's journal is shorter.
_FIRST_LINE_BYTES = 4096


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


def read_processes(
    store: Store,
    errors: list[str],
    limits: Mapping[str, int] | None = None,
    names: Collection[str] | None = None,
) -> list[Process]:
    """Every process's journal, or those of these names. ``limits`` cuts journals to so many facts; those it does not
    name are left out."""
    found = []
    for name in store.children((ATTEMPTS,)) if names is None else sorted(f"{name}{JOURNAL}" for name in names):
        if name.endswith(JOURNAL) and (process := read_process(store, name.removesuffix(JOURNAL), errors, limits)):
            found.append(process)
    return found


def read_process(store: Store, name: str, errors: list[str], limits: Mapping[str, int] | None = None) -> Process | None:
    """One process's journal; None for one that says nothing."""
    bodies, damaged = _lines(store, (ATTEMPTS, f"{name}{JOURNAL}"), limits)
    return _process(name, bodies, damaged, errors) if bodies or damaged else None


def machine_of(store: Store, name: str) -> str | None:
    """The machine of a process, from the beginning of its journal; None for one that says nothing."""
    with (Path(store.home) / ATTEMPTS / f"{name}{JOURNAL}").open("rb") as file:
        data = file.read(_FIRST_LINE_BYTES)
    first = Lines.of(data[: data.rfind(b"\n") + 1]).bodies[:1]
    for _, fact in sound_facts(read_attempt_line, name, first, []):
        if isinstance(fact, ProcessStarted):
            return fact.session or name
    process = read_process(store, name, [])
    return None if process is None else process.session


def _lines(store: Store, parts: tuple[str, ...], limits: Mapping[str, int] | None) -> tuple[tuple[bytes, ...], int]:
    lines = store.read_lines(parts)
    if limits is None:
        return lines.bodies, lines.damaged
    return lines.bodies[: limits.get("/".join(parts), 0)], 0


def _process(name: str, bodies: Sequence[bytes], damaged: int, errors: list[str]) -> Process:
    facts: list[Fact] = []
    languages: dict[str, str] = {}
    session = name
    for line, fact in sound_facts(read_attempt_line, name, bodies, errors):
        facts.append(fact)
        if isinstance(line, AttemptStartedLine):
            languages.update({unit.key: unit.language for unit in line.units if unit.language})
        elif isinstance(fact, ProcessStarted):
            session = fact.session or name
    if damaged:
        errors.append(f"{ATTEMPTS}/{name}{JOURNAL}: {damaged} lines are not whole")
    return Process(name, session, tuple(facts), languages, len(bodies))


@dataclass(frozen=True)
class NodeJournal:
    """What a machine's folder says."""

    #: Its opening; None when there is none or it cannot be read.
    opening: Opening | None
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


def read_node(store: Store, session: str, errors: list[str], limits: Mapping[str, int] | None = None) -> NodeJournal:
    """One machine's facts; empty where it has no folder."""
    facts: list[Fact] = []
    heads: dict[str, int] = {}
    names = [name for name in store.children((NODES, session)) if name.endswith(JOURNAL)]
    if limits is not None and not any(f"{NODES}/{session}/{name}" in limits for name in names):
        # Nobody knew of this machine then.
        return NodeJournal(None, (), {})
    opening: Opening | None = None
    try:
        opening = read_opening(store, session)
        if opening is not None:
            facts.append(opening.fact())
    except FactError as error:
        errors.append(f"{NODES}/{session}/{OPENED}: {error}")
    for name in names:
        bodies, damaged = _lines(store, (NODES, session, name), limits)
        heads[f"{NODES}/{session}/{name}"] = len(bodies)
        if damaged:
            errors.append(f"{NODES}/{session}/{name}: {damaged} lines are not whole")
        facts += [fact for _, fact in sound_facts(read_node_line, session, bodies, errors)]
    return NodeJournal(opening, tuple(facts), heads)


def describe_node(opening: Opening | None) -> str:
    """What a machine is, in one line: cloud, size, region and kind, else its host's name."""
    if opening is None:
        return ""
    kind = {True: "spot", False: "on demand", None: ""}[opening.spot]
    place = (opening.cloud, opening.size, opening.region, kind)
    return " ".join(part for part in place if part) or opening.host
