"""Whether anybody has touched the ledger: every journal against its chain, and against everything that knows of it.

That is its anchors, witnesses of its process's end, the records that its attempts made, and closings. Anchors and
witnesses are journals themselves and are checked in the same way, last, since all others know of them. Beside journals:
jobs' plans and orders (`verify_jobs`), and price rows that were used (`verify_prices`). Nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from accounting.checks.verify_jobs import JobEvidence, plan_digests
from accounting.checks.verify_prices import kept_book_problems, row_problems
from accounting.closing import LEDGER, ClosedMonth, all_closed
from accounting.fleet_ledger import PricingRules
from accounting.kept.period_totals import changed_sums
from accounting.periods import now_ms
from cache.journal import decode_body
from cache.names import JOBS, OBJECTS, record_shard
from cache.store import Store
from core.errors import StoreError
from core.keys import canonical_json, digest_bytes, is_digest
from journals.attempts import FOLDER as ATTEMPTS
from journals.chain import Anchor, FileCheck, Flaw, LogProblem, LogReader, join_checks, read_file
from journals.hash_chained import ANCHORS, anchors_of
from journals.log_ends import DEMAND, IMPORTED, JOURNAL, LOG_ENDS, PURGED, is_last_fact
from journals.node_session import FOLDER as NODES
from journals.node_session import OPENED
from journals.positions import SEEN, anchor_in, claims_of
from ledger.price_book.prices import PriceBook
from pipeline.jobs import LEDGER_STATE

#: With which the paths of files of anchors begin.
_OF_ANCHORS = "/".join((*ANCHORS, ""))


@dataclass(frozen=True)
class Verification:
    """What checking the whole ledger showed."""

    #: What is wrong, by file and line; none is what an untouched ledger has.
    problems: tuple[LogProblem, ...]
    #: Journals from before lines were chained: their checksums hold, a dropped line would not be seen.
    unsealed: tuple[str, ...]
    #: Journals of processes whose end nobody has seen: they run, or were killed, and what they wrote after their last
    #: anchor could be cut off.
    unseen: tuple[str, ...]
    #: Plans and orders of jobs of whose present form no line knows: nobody took the job up since, or from before lines
    #: knew of them.
    unbound: tuple[str, ...]
    #: Head of every chained journal; of a job's demand, only where no end-of-log record knows it.
    heads: tuple[Anchor, ...]
    #: Pieces that crashes left.
    torn: int
    #: Files that were read.
    files: int
    #: Lines of chained journals.
    lines: int
    #: Attempts that a record names, whose line was compared with the record.
    referenced: int


@dataclass(frozen=True)
class PricesNow:
    """The price book of today."""

    #: Its rows.
    book: PriceBook
    #: The file in which people keep theirs.
    file: str
    #: How facts are priced beside it.
    rules: PricingRules = field(default_factory=PricingRules)


def verify_store(store: Store, prices: PricesNow | None = None) -> Verification:
    """Checks every journal and document of the ledger, and the rows of ``prices`` that were used.

    Not a byte of the store is changed. Raises StoreError when the disk fails.
    """
    with Store.look(store.home) as looked:
        return _verify(looked, prices)


def _verify(store: Store, prices: PricesNow | None) -> Verification:
    found = _read_all(store, prices)
    if not found.problems:
        return found
    # Whoever writes meanwhile was read at different times: what is really wrong is wrong a second time as well.
    again = _read_all(store, prices)
    before = {_place(problem) for problem in found.problems}
    return replace(again, problems=tuple(problem for problem in again.problems if _place(problem) in before))


def _place(problem: LogProblem) -> tuple[str, int, str]:
    """Without the flaw: a tail that was taken away is something else once its writer goes on."""
    return problem.file, problem.line, problem.detail


def _read_all(store: Store, prices: PricesNow | None) -> Verification:
    survey, damaged = _Survey(store), _damaged_documents(store)
    survey.read_closings()
    seconds = [survey.read(name) for name in _second_places(store)]
    for name in _journals(store):
        survey.check(survey.read(name))
    for journal in seconds:
        survey.check(journal)
    return survey.conclude(damaged, prices)


@dataclass
class _Journal:
    """A journal that was read and is still to be compared with what others know of it."""

    name: str
    reading: LogReader
    #: Its last whole line.
    last: Mapping[str, Any]


class _Survey:
    """Everything that was read so far, and what it knows of everything else."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: What lines, anchors and closings know, by file.
        self._claims: defaultdict[str, set[Anchor]] = defaultdict(set)
        self._problems: list[LogProblem] = []
        self._checks: list[FileCheck] = []
        self._unsealed: list[str] = []
        self._unseen: list[str] = []
        #: Keys of units that an attempt was given or that a job wanted.
        self._keys: set[str] = set()
        #: Jobs whose folders a person had removed.
        self._purged: set[str] = set()
        #: Terms of imported price rows, by id.
        self._imported: defaultdict[str, set[str]] = defaultdict(set)
        self._jobs = JobEvidence()
        self._closed: list[ClosedMonth] = []

    def read_closings(self) -> None:
        """What closed months know."""
        self._closed = all_closed(self._store)
        self._problems += kept_book_problems(self._store, self._closed)
        for month in self._closed:
            self._learn(Anchor(name, lines, head) for name, (lines, head) in month.anchors.items())
            if month.closing.digest != month.digest:
                place = f"{LEDGER}/closed-{month.month}.json"
                self._problems.append(LogProblem(place, 0, Flaw.CHANGED, "its digest is another"))

    def read(self, name: str) -> _Journal:
        """Reads a journal, and learns from its lines."""
        last: dict[str, Any] = {}
        waiting: list[Anchor] = []
        is_anchors, is_wants = name.startswith(_OF_ANCHORS), name.startswith(f"{JOBS}/")

        def on_line(body: bytes) -> None:
            nonlocal last, waiting
            try:
                entry = decode_body(body)
            except ValueError:
                # The chain reads no more of a line than it needs.
                self._problems.append(LogProblem(name, 0, Flaw.DAMAGED, "a line of it is no JSON object"))
                return
            last = entry
            if waiting:
                self._learn(waiting)
            fact = entry.get("fact")
            if is_anchors:
                waiting = _anchors_in(entry)
            elif fact == SEEN or "anchored" in entry:
                waiting = claims_of(entry)
            else:
                waiting = []
            if is_wants:
                self._jobs.learn(name, entry)
            if "units" in entry or "keys" in entry:
                self._keys.update(_keys(entry))
            elif fact == PURGED and isinstance(entry.get("jobs"), list):
                self._purged.update(str(job) for job in entry["jobs"])
            elif fact == IMPORTED and isinstance(entry.get("rows"), dict):
                for row, digest in entry["rows"].items():
                    self._imported[row].add(str(digest))

        reading = read_file(name, self._bytes(name), on_line)
        # A last line without its newline may have been torn by a crash: it knows nothing for sure.
        if not reading.unclosed:
            self._learn(waiting)
        if is_anchors and not reading.lines:
            # From before anchors were chained.
            for entry in self._store.read_journal(name.split("/")).entries:
                self._learn(_anchors_in(entry))
        return _Journal(name, reading, last)

    def check(self, journal: _Journal) -> None:
        """Compares a journal with what was learned of it."""
        name, known = journal.name, self._claims[journal.name]
        check = journal.reading.check(known)
        if check.anchor.lines:
            self._check_end(journal, check, known)
        elif {problem.flaw for problem in check.problems} == {Flaw.UNSEALED}:
            self._unsealed.append(name)
            check = replace(check, problems=())
            # An anchor was written twice in those days when a journal was closed right after it.
            if not name.startswith(_OF_ANCHORS):
                self._check_unsealed(name)
        self._checks.append(check)

    def _check_end(self, journal: _Journal, check: FileCheck, known: Collection[Anchor]) -> None:
        """Whether anybody knows a journal's last line; of one that was ended in order, somebody must."""
        name, end = journal.name, check.anchor
        if end in known or name.startswith(_OF_ANCHORS):
            return
        if check.unclosed:
            # A crash took the newline alone: nobody takes such a line for whole, so the end-of-log record knows the
            # one before.
            if all(anchor.lines != end.lines - 1 for anchor in known):
                self._unseen.append(name)
        elif is_last_fact(journal.last):
            place = "/".join(anchors_of(name.split("/")))
            words = f"{name} was ended in order, and the anchor of its end is not there"
            self._problems.append(LogProblem(place, 0, Flaw.MISSING, words))
        else:
            self._unseen.append(name)

    def _check_unsealed(self, name: str) -> None:
        """What can be known of a journal from before lines were chained; its words count all the same."""
        entries = self._store.read_journal(name.split("/")).entries
        for entry in entries:
            self._keys.update(_keys(entry))
        double = len(entries) - len({canonical_json(entry) for entry in entries})
        if double:
            self._problems.append(LogProblem(name, 0, Flaw.REPEATED, f"{double} lines are there again"))

    def conclude(self, damaged: list[LogProblem], prices: PricesNow | None) -> Verification:
        """All of it together; ``damaged`` are documents whose checksum fails."""
        references, damaged_records = _references(self._store, self._keys)
        of_jobs, unbound = self._jobs.check(self._store)
        damaged = [*damaged, *damaged_records, *(one for one in of_jobs if one.flaw is Flaw.DAMAGED)]
        if prices is not None:
            rows = row_problems(self._store, self._closed, self._imported, prices.book, prices.file)
            self._problems += rows
            self._problems += _sum_problems(self._store, prices)
        known = {name for check in self._checks for name in check.documents} - {one.file for one in damaged}
        checks = [replace(check, documents=_only(check.documents, known)) for check in self._checks]
        documents = {name: digest for name, digest in _documents(self._store) if name in known}
        problems = self._problems + of_jobs + join_checks(checks, documents, self._expected(), references)
        unseen = set(self._unseen)
        return Verification(
            problems=tuple(sorted({*problems, *damaged})),
            unsealed=tuple(sorted(self._unsealed)),
            unseen=tuple(sorted(unseen)),
            unbound=tuple(sorted(unbound)),
            heads=tuple(
                check.anchor
                for check in checks
                if check.anchor.lines and (check.file in unseen or not check.file.startswith(f"{JOBS}/"))
            ),
            torn=sum(check.torn for check in checks),
            files=len(checks) + len(documents),
            lines=sum(check.anchor.lines for check in checks),
            referenced=len(references),
        )

    def _expected(self) -> Iterator[str]:
        """Files that somebody knows; not those that a person had removed."""
        for name in self._claims:
            parts = name.split("/")
            if parts[0] != JOBS or len(parts) < 2 or parts[1] not in self._purged:
                yield name

    def _learn(self, anchors: Iterable[Anchor]) -> None:
        for anchor in anchors:
            self._claims[anchor.file].add(anchor)

    def _bytes(self, name: str) -> bytes:
        """The file as it lies there: a journal's reader would leave out what is to be found."""
        try:
            return (Path(self._store.home) / name).read_bytes()
        except OSError as error:
            hint = "check the disk that holds SEGUE_HOME"
            raise StoreError(f"{name} cannot be read: {error.strerror}", hint) from error


def _sum_problems(store: Store, prices: PricesNow) -> list[LogProblem]:
    """Kept sums that would be shown and are not what the facts come to."""
    words = "what is kept of machine {} is not what its facts come to; delete the folder, it is made anew"
    place, rules = "/".join(LEDGER_STATE), replace(prices.rules, now=prices.rules.now or now_ms())
    return [
        LogProblem(place, 0, Flaw.CHANGED, words.format(session)) for session in changed_sums(store, prices.book, rules)
    ]


def _anchors_in(entry: Mapping[str, Any]) -> list[Anchor]:
    """A line of a file of anchors."""
    found = anchor_in(entry)
    return [] if found is None else [found]


def _only(documents: Mapping[str, str], known: set[str]) -> dict[str, str]:
    return {name: digest for name, digest in documents.items() if name in known}


def _second_places(store: Store) -> Iterator[str]:
    """The journals in which others are noted."""
    for folder in (ANCHORS, LOG_ENDS):
        yield from ("/".join((*folder, name)) for name in store.children(folder) if name.endswith(JOURNAL))


def _journals(store: Store) -> Iterator[str]:
    """All others, machines' first: a supervisor's beats know of its engine processes' journals."""
    for session in store.children((NODES,)):
        for name in store.children((NODES, session)):
            if name.endswith(JOURNAL):
                yield f"{NODES}/{session}/{name}"
    yield from (f"{ATTEMPTS}/{name}" for name in store.children((ATTEMPTS,)) if name.endswith(JOURNAL))
    for job in store.children((JOBS,)):
        for name in store.children((JOBS, job)):
            if name.startswith(DEMAND) and name.endswith(JOURNAL):
                yield f"{JOBS}/{job}/{name}"


def _keys(entry: Mapping[str, Any]) -> Iterator[str]:
    """Keys of a batch, or of what a job wanted."""
    units = entry.get("units")
    for unit in units if isinstance(units, list) else ():
        if isinstance(unit, dict) and is_digest(unit.get("key")):
            yield unit["key"]
    keys = entry.get("keys")
    yield from (key for key in keys if is_digest(key)) if isinstance(keys, list) else ()


def _damaged_documents(store: Store) -> list[LogProblem]:
    """Closings, price books and bills whose checksum fails."""
    names = [name for name in store.children((LEDGER,)) if name.endswith(".json")]
    gone = [name for name in names if store.read_document((LEDGER, name)) is None]
    return [LogProblem(f"{LEDGER}/{name}", 0, Flaw.DAMAGED, "its checksum fails") for name in gone]


def _references(store: Store, keys: Iterable[str]) -> tuple[dict[str, str], list[LogProblem]]:
    """The line of each attempt, as the records that it made know it; and the records that are damaged."""
    found, damaged = dict[str, str](), list[LogProblem]()
    for key in sorted(keys):
        record = store.get(key)
        if record is not None and record.provenance.get("line"):
            found[str(record.provenance["attempt"])] = str(record.provenance["line"])
        elif record is None and store.has(key):
            words = "the record's checksum fails, or the result that it names has gone"
            damaged.append(LogProblem(f"{OBJECTS}/{record_shard(key)}/{key}", 0, Flaw.DAMAGED, words))
    return found, damaged


def _documents(store: Store) -> Iterator[tuple[str, str]]:
    """SHA-256 of every document that a line may know."""
    places: list[tuple[str, ...]] = [(NODES, session, OPENED) for session in store.children((NODES,))]
    places += [(LEDGER, name) for name in store.children((LEDGER,)) if name.endswith(".json")]
    for parts in places:
        data = store.read_document(parts)
        if data is not None:
            yield "/".join(parts), digest_bytes(data)
    yield from plan_digests(store)
