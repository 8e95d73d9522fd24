"""Whether anybody has touched the ledger: every journal against its chain, its anchors, its records and its closings.

Journals of attempts and of nodes are chained (`ledger.chain`). A job's wants are not: of them each line's checksum is
checked, and a whole line that was taken away is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cache.store import Store
from core.errors import StoreError
from core.keys import canonical_json, digest_bytes
from ledger.chain import Anchor, FileCheck, Flaw, Problem, join_checks, verify_file
from pipeline.attempts import FOLDER as ATTEMPTS
from pipeline.books_closing import LEDGER, all_closed
from pipeline.jobs import JOBS
from pipeline.node_session import FOLDER as NODES
from pipeline.node_session import OPENED
from pipeline.sealed import ANCHORS

_JOURNAL = ".jsonl"
_WANTS = "wants-"
#: With which a journal ends that its process closed; it is then anchored durably.
_LAST_FACTS = ("process_ended", "session_closed")


@dataclass(frozen=True)
class Verification:
    """What checking the whole ledger showed."""

    #: What is wrong, by file and line; none is what an untouched ledger has.
    problems: tuple[Problem, ...]
    #: Journals from before lines were chained: their checksums hold, a dropped line would not be seen.
    unsealed: tuple[str, ...]
    #: Head of every chained journal.
    heads: tuple[Anchor, ...]
    #: Pieces that crashes left.
    torn: int
    #: Files that were read.
    files: int
    #: Lines of chained journals.
    lines: int
    #: Attempts that a record names, whose line was compared with the record.
    referenced: int


def verify_store(store: Store) -> Verification:
    """Checks every journal and document of the ledger. Raises StoreError when the disk fails.

    Changes nothing, but that the store moves a damaged document into its quarantine, as whenever it reads one.
    """
    problems = _damaged_documents(store)
    anchors, found_wrong = _anchors(store)
    problems += found_wrong
    by_file: dict[str, list[Anchor]] = {}
    for anchor in anchors:
        by_file.setdefault(anchor.file, []).append(anchor)
    checks: list[FileCheck] = []
    unsealed: list[str] = []
    keys: set[str] = set()
    lines = 0
    for name in _journals(store):
        last: list[object] = [None]

        def on_entry(entry: dict[str, object], last: list[object] = last) -> None:
            keys.update(_keys(entry))
            last[0] = entry.get("fact")

        check = verify_file(name, _bytes(store, name), by_file.get(name, ()), on_entry)
        if last[0] in _LAST_FACTS and name not in by_file:
            place = "/".join((*ANCHORS, name.rpartition("/")[2]))
            problems.append(Problem(place, 0, Flaw.MISSING, f"{name} was ended in order, and nothing anchors it"))
        lines += check.anchor.lines
        flaws = {problem.flaw for problem in check.problems}
        if flaws == {Flaw.UNSEALED} and not check.anchor.lines:
            unsealed.append(name)
            check = FileCheck(name, check.anchor, (), check.torn, check.unclosed, check.attempts, check.documents)
        checks.append(check)
    wants = _wants(store)
    for name, found in wants.items():
        keys |= found[0]
        if found[1]:
            problems.append(Problem(name, 0, Flaw.DAMAGED, f"{found[1]} lines fail their checksum"))
        if found[2]:
            problems.append(Problem(name, 0, Flaw.REPEATED, f"{found[2]} lines are there again"))
    references = _references(store, keys)
    known = {name for check in checks for name in check.documents}
    documents = {name: digest for name, digest in _documents(store) if name in known}
    problems += join_checks(checks, documents, by_file, references)
    return Verification(
        problems=tuple(sorted(set(problems))),
        unsealed=tuple(sorted(unsealed)),
        heads=tuple(check.anchor for check in checks if check.anchor.lines),
        torn=sum(check.torn for check in checks),
        files=len(checks) + len(documents) + len(wants),
        lines=lines,
        referenced=len(references),
    )


def _journals(store: Store) -> Iterator[str]:
    yield from (f"{ATTEMPTS}/{name}" for name in store.children((ATTEMPTS,)) if name.endswith(_JOURNAL))
    for session in store.children((NODES,)):
        for name in store.children((NODES, session)):
            if name.endswith(_JOURNAL):
                yield f"{NODES}/{session}/{name}"


def _bytes(store: Store, name: str) -> bytes:
    """The file as it lies there: a journal's reader would leave out what is to be found."""
    try:
        return (Path(store.home) / name).read_bytes()
    except OSError as error:
        raise StoreError(f"{name} cannot be read: {error.strerror}", "check the disk that holds SEGUE_HOME") from error


def _keys(entry: dict[str, object]) -> Iterator[str]:
    units = entry.get("units")
    for unit in units if isinstance(units, list) else ():
        if isinstance(unit, dict) and isinstance(unit.get("key"), str):
            yield unit["key"]


def _anchors(store: Store) -> tuple[list[Anchor], list[Problem]]:
    """From the anchors' own journals and from the closings."""
    found: list[Anchor] = []
    problems: list[Problem] = []
    for name in store.children(ANCHORS):
        journal = store.read_journal((*ANCHORS, name))
        found += [Anchor.from_json(entry) for entry in journal.entries]
        # One piece may be the last that a crash tore, but then it does not end as whole lines do.
        place = "/".join((*ANCHORS, name))
        whole = sum(line.endswith(b"}") for line in _bytes(store, place).split(b"\n")) - len(journal.entries)
        if journal.damaged > 1 or whole > 0:
            problems.append(Problem(place, 0, Flaw.DAMAGED, f"{journal.damaged} lines fail their checksum"))
    for month in all_closed(store):
        found += [Anchor(name, lines, head) for name, (lines, head) in month.anchors.items()]
        if month.closing.digest != month.digest:
            problems.append(Problem(f"ledger/closed-{month.month}.json", 0, Flaw.CHANGED, "its digest is another"))
    return found, problems


def _damaged_documents(store: Store) -> list[Problem]:
    """Closings, price books and bills whose checksum fails."""
    names = [name for name in store.children((LEDGER,)) if name.endswith(".json")]
    gone = [name for name in names if store.read_document((LEDGER, name)) is None]
    return [Problem(f"{LEDGER}/{name}", 0, Flaw.DAMAGED, "its checksum fails; it is in quarantine") for name in gone]


def _wants(store: Store) -> dict[str, tuple[set[str], int, int]]:
    """By journal of a job's wants: the keys in it, how many of its lines fail their checksum, how many are double."""
    found = {}
    for job in store.children((JOBS,)):
        for name in store.children((JOBS, job)):
            if name.startswith(_WANTS) and name.endswith(_JOURNAL):
                journal = store.read_journal((JOBS, job, name))
                keys = {key for entry in journal.entries for key in entry.get("keys", ())}
                double = len(journal.entries) - len({canonical_json(entry) for entry in journal.entries})
                found[f"{JOBS}/{job}/{name}"] = keys, journal.damaged, double
    return found


def _references(store: Store, keys: Collection[str]) -> dict[str, str]:
    """The line of each attempt, as the records that it made know it."""
    found: dict[str, str] = {}
    for key in sorted(keys):
        record = store.get(key)
        if record is not None and record.provenance.get("line"):
            found[str(record.provenance["attempt"])] = str(record.provenance["line"])
    return found


def _documents(store: Store) -> Iterator[tuple[str, str]]:
    for session in store.children((NODES,)):
        data = store.read_document((NODES, session, OPENED))
        if data is not None:
            yield f"{NODES}/{session}/{OPENED}", digest_bytes(data)
