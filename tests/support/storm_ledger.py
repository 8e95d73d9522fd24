"""What the ledger makes of a storm: every nano-unit of every machine is somewhere, once, and nobody touched a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from own_model_server import ENGINE
from storm_bills import BEAT_MS, CURRENCY, MachinePapers, expected_bill, read_papers, storm_prices
from whole_ledger import read_fleet_ledger

from accounting.checks.verify import verify_store
from accounting.fleet_ledger import FleetLedger, PricingRules
from cache.store import Store
from journals.facts import AttemptEnded, AttemptStarted, ProcessStarted
from ledger.entries import Bucket, LedgerEntry, Period
from ledger.loss import value_of_resumability
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension

_RULES = PricingRules(own_engines=frozenset({ENGINE}))
_WORK = frozenset({Bucket.BUSY, Bucket.LOST, Bucket.DUPLICATE})


@dataclass(frozen=True)
class LedgerToll:
    """The ledger after a storm."""

    sessions: int = 0
    #: Machines by cloud.
    clouds: dict[str, int] = field(default_factory=dict)
    #: Machines that cost nothing, since their cloud took them within the first hour.
    free: int = 0
    #: Machines whose price changed while they were there.
    stepped: int = 0
    #: Attempts that called the server of one's own.
    remote: int = 0
    attempts: int = 0
    #: Attempts that no process lived to end.
    unended: int = 0
    entries: int = 0
    billed: int = 0
    #: Nano-units by bucket.
    by_bucket: dict[str, int] = field(default_factory=dict)
    lost_ms: int = 0
    without_ms: int = 0
    deaths: int = 0
    lines_verified: int = 0
    torn: int = 0
    breaches: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """What is printed."""
        shares = ", ".join(f"{name} {nano}" for name, nano in self.by_bucket.items())
        clouds = ", ".join(f"{count} {name}" for name, count in self.clouds.items())
        return [
            f"ledger: {self.entries} entries of {self.sessions} machines ({clouds}; {self.stepped} with price steps, "
            f"{self.free} free in their first hour) sum to {sum(self.by_bucket.values())} of {self.billed} billed "
            f"nano-{CURRENCY} ({shares})",
            f"ledger: {self.attempts} attempts, {self.remote} of them at a server of our own, {self.unended} without "
            f"an end; lost work {self.lost_ms / 1000:.1f} s in {self.deaths} deaths that took any, "
            f"without checkpoints {self.without_ms / 1000:.1f} s",
            f"ledger: {self.lines_verified} lines verified, {self.torn} torn by kills",
        ]


def read_ledger(store: Store, began: int, until: int) -> LedgerToll:
    """The books of a fleet whose processes have all ended, and what is wrong with them; the storm raged from ``began``
    until ``until`` (ms since the epoch)."""
    # The bill of a machine may go on for a minimum after the storm.
    book = storm_prices(began, until + 120_000)
    books = read_fleet_ledger(store, book, rules=_RULES)
    papers = list(read_papers(store))
    started = [fact for fact in books.facts.facts if isinstance(fact, AttemptStarted)]
    ended = {fact.attempt: fact for fact in books.facts.facts if isinstance(fact, AttemptEnded)}
    checked = verify_store(store)
    by_bucket: defaultdict[str, int] = defaultdict(int)
    for entry in books.entries:
        by_bucket[entry.bucket.value] += entry.nano
    worth = value_of_resumability(books.entries)
    breaches = [
        *_find_unbalanced(books, papers, began),
        *_find_uneven(books),
        *_find_split(books, store, book, (began + until) // 2),
        *_find_repeated(books.entries),
        *_find_unaccounted(books, started, ended),
        *(f"the ledger was not made by us alone: {problem}" for problem in checked.problems),
    ]
    return LedgerToll(
        sessions=len(books.folded.bills),
        clouds=dict(sorted(Counter(each.cloud for each in papers).items())),
        free=sum(1 for bill in books.folded.bills if any(part.rule for part in bill.segments)),
        stepped=sum(1 for bill in books.folded.bills if len(bill.segments) > 1),
        remote=sum(1 for each in started if each.remote),
        attempts=len(started),
        unended=sum(1 for each in started if each.attempt not in ended),
        entries=len(books.entries),
        billed=sum(bill.totals().get(CURRENCY, 0) for bill in books.folded.bills),
        by_bucket=dict(sorted(by_bucket.items())),
        lost_ms=worth.lost.ms,
        without_ms=worth.without.ms,
        deaths=worth.deaths,
        lines_verified=checked.lines,
        torn=checked.torn,
        breaches=tuple(breaches),
    )


def _find_unbalanced(books: FleetLedger, papers: list[MachinePapers], began: int) -> list[str]:
    """Machines whose entries are not their bill, or whose bill is not what it must be by their papers."""
    breaches = []
    sums: defaultdict[str, int] = defaultdict(int)
    spans: defaultdict[str, int] = defaultdict(int)
    for entry in books.entries:
        sums[entry.session] += entry.nano
        spans[entry.session] += entry.unit_ms
    bills = {bill.session: bill for bill in books.folded.bills}
    worked = _last_work(books)
    for machine in papers:
        session, bill = machine.session, bills.pop(machine.session, None)
        if bill is None:
            breaches.append(f"machine {session} has no bill")
            continue
        last = max(machine.last, worked.get(session, 0))
        if not last <= bill.end.at <= last + BEAT_MS:
            breaches.append(f"machine {session} ended at {bill.end.at}, and its last sign of life is of {last}")
        wanted, until = expected_bill(machine, bill.end.at, began)
        if not sums[session] == bill.totals().get(CURRENCY, 0) == wanted:
            breaches.append(f"machine {session}: entries {sums[session]}, bill {bill.totals()}, by its papers {wanted}")
        if not spans[session] == bill.billed_until - bill.start == until - machine.start:
            breaches.append(f"machine {session}: entries of {spans[session]} ms, by its papers {until - machine.start}")
    breaches += [f"machine {session} has a bill and no papers" for session in sorted(bills)]
    strangers = sums.keys() - {machine.session for machine in papers}
    breaches += [f"entries of {session}, which is no machine" for session in sorted(strangers)]
    if books.unpriced:
        breaches.append(f"{len(books.unpriced)} uses have no price, although each machine has one: {books.unpriced[0]}")
    breaches += [f"not in order: {line}" for line in books.errors if "are not whole" not in line]
    return breaches


def _last_work(books: FleetLedger) -> dict[str, int]:
    """The last that was heard of each machine's engines."""
    homes = {fact.process: fact.session for fact in books.facts.facts if isinstance(fact, ProcessStarted)}
    makers = {fact.attempt: fact.process for fact in books.facts.facts if isinstance(fact, AttemptStarted)}
    found: dict[str, int] = {}
    heard = [(makers.get(name, ""), books.facts.made_at.get(key, 0)) for key, name in books.facts.made_by.items()]
    for fact in books.facts.facts:
        process = makers[fact.attempt] if isinstance(fact, AttemptEnded) else getattr(fact, "process", "")
        heard.append((process, getattr(fact, "at", 0)))
    for process, at in heard:
        if process in homes:
            found[homes[process]] = max(found.get(homes[process], 0), at)
    return found


def _find_uneven(books: FleetLedger) -> list[str]:
    """Ways of dividing the fleet's cost whose parts are not the whole: jobs and what none of them caused, for one."""
    billed = sum(bill.totals().get(CURRENCY, 0) for bill in books.folded.bills)
    breaches = []
    for dimension in Dimension:
        parts = sum(line.nano for sums in books.by(dimension).values() for line in sums.values())
        if parts != billed:
            breaches.append(f"by {dimension}: parts of {parts} for bills of {billed}")
    return breaches


def _find_split(books: FleetLedger, store: Store, book: PriceBook, edge: int) -> list[str]:
    """An edge of months in the middle of the storm, on which the two sides do not sum to what they are together."""
    halves = [
        read_fleet_ledger(store, book, rules=_RULES, period=period)
        for period in (Period(0, edge), Period(edge, 10**14))
    ]
    whole = _amounts(books.entries)
    parts = _amounts(entry for half in halves for entry in half.entries)
    return [] if parts == whole else [f"cut at {edge}, the storm costs {parts} instead of {whole}"]


def _amounts(entries: Iterable[LedgerEntry]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for entry in entries:
        sums[f"{entry.session} {entry.bucket}"] += entry.nano
    return {name: nano for name, nano in sums.items() if nano}


def _find_repeated(entries: tuple[LedgerEntry, ...]) -> list[str]:
    times = Counter(entry.id for entry in entries)
    return [f"entry {name} is there {count} times" for name, count in times.items() if count > 1]


def _find_unaccounted(books: FleetLedger, started: list[AttemptStarted], ends: Mapping[str, AttemptEnded]) -> list[str]:
    """Attempts that took time and have no entry, or one in a bucket that the records speak against."""
    breaches = []
    buckets: defaultdict[str, set[Bucket]] = defaultdict(set)
    for entry in books.entries:
        if entry.bucket in _WORK:
            buckets[entry.attempt].add(entry.bucket)
            if entry.fake == (entry.engine == ENGINE):
                breaches.append(f"attempt {entry.attempt} of {entry.engine} is marked as fake: {entry.fake}")
    for each in started:
        if each.remote != (each.engine == ENGINE):
            breaches.append(f"attempt {each.attempt} of {each.engine} is marked as remote: {each.remote}")
        made = {unit.key for unit in each.units if books.facts.made_by.get(unit.key) == each.attempt}
        over = ends.get(each.attempt)
        allowed = {Bucket.BUSY} if made else set()
        if len(made) < len({unit.key for unit in each.units}):
            allowed.add(Bucket.DUPLICATE if over is not None else Bucket.LOST)
        found = buckets[each.attempt]
        if not found <= allowed:
            breaches.append(f"attempt {each.attempt} is in {sorted(found)}, its records say {sorted(allowed)}")
        if not found and (over is None or over.engine_ms > 0):
            breaches.append(f"attempt {each.attempt} has no entry")
    unknown = buckets.keys() - {each.attempt for each in started}
    return breaches + [f"entries of attempt {name}, which nobody began" for name in sorted(unknown)]
