"""What the ledger makes of a storm: every nano-unit of every machine is somewhere, once, and nobody touched a line."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from cache.store import Store
from core.money import settle
from ledger.entries import Bucket, Entry
from ledger.facts import AttemptEnded, AttemptStarted
from ledger.loss import lost_work, value_of_resumability
from ledger.prices import PriceBook
from pipeline.books import BookRules, FleetBooks, read_books
from pipeline.books_verify import verify_store

#: What each machine of a storm costs an hour.
RATE, CURRENCY = Decimal("0.149"), "USD"
_HOUR_MS = 3_600_000
_WORK = frozenset({Bucket.BUSY, Bucket.LOST, Bucket.DUPLICATE})


@dataclass(frozen=True)
class LedgerToll:
    """The ledger after a storm."""

    sessions: int = 0
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
        return [
            f"ledger: {self.entries} entries of {self.sessions} machines at {RATE} {CURRENCY}/h sum to "
            f"{sum(self.by_bucket.values())} of {self.billed} billed nano-{CURRENCY} ({shares})",
            f"ledger: {self.attempts} attempts, {self.unended} without an end; lost work {self.lost_ms / 1000:.1f} s "
            f"in {self.deaths} deaths that took any, without checkpoints {self.without_ms / 1000:.1f} s",
            f"ledger: {self.lines_verified} lines verified, {self.torn} torn by kills",
        ]


def read_ledger(store: Store) -> LedgerToll:
    """The books of a fleet whose processes have all ended, and what is wrong with them."""
    books = read_books(store, PriceBook(()), rules=BookRules(node_rate=f"{RATE} {CURRENCY}"))
    started = [fact for fact in books.facts.facts if isinstance(fact, AttemptStarted)]
    ended = {fact.attempt: fact for fact in books.facts.facts if isinstance(fact, AttemptEnded)}
    checked = verify_store(store)
    by_bucket: defaultdict[str, int] = defaultdict(int)
    for entry in books.entries:
        by_bucket[entry.bucket.value] += entry.nano
    worth = value_of_resumability(books.entries)
    breaches = [
        *_find_unbalanced(books),
        *_find_repeated(books.entries),
        *_find_unaccounted(books, started, ended),
        *(f"the ledger was not made by us alone: {problem}" for problem in checked.problems),
    ]
    return LedgerToll(
        sessions=len(books.folded.bills),
        attempts=len(started),
        unended=sum(1 for each in started if each.attempt not in ended),
        entries=len(books.entries),
        billed=sum(bill.totals().get(CURRENCY, 0) for bill in books.folded.bills),
        by_bucket=dict(sorted(by_bucket.items())),
        lost_ms=lost_work(books.entries).ms,
        without_ms=worth.without.ms,
        deaths=worth.deaths,
        lines_verified=checked.lines,
        torn=checked.torn,
        breaches=tuple(breaches),
    )


def _find_unbalanced(books: FleetBooks) -> list[str]:
    """Machines whose entries are not their bill, or whose bill is not their hours times the rate."""
    breaches = []
    sums: defaultdict[str, int] = defaultdict(int)
    spans: defaultdict[str, int] = defaultdict(int)
    for entry in books.entries:
        if entry.bucket is not Bucket.API_FEE:
            sums[entry.session] += entry.nano
            spans[entry.session] += entry.unit_ms
    bills = {bill.session: bill for bill in books.folded.bills}
    for session, bill in bills.items():
        wanted = settle(Fraction(bill.billed_until - bill.start, _HOUR_MS), RATE)
        if not sums[session] == bill.totals().get(CURRENCY, 0) == wanted:
            breaches.append(
                f"machine {session}: entries {sums[session]}, bill {bill.totals()}, hours times rate {wanted}"
            )
    missing = {process.session for process in books.facts.facts if hasattr(process, "session")} - bills.keys()
    breaches += [f"machine {session} has no bill" for session in sorted(missing) if session]
    breaches += [f"entries of {session}, which has no bill" for session in sorted(sums.keys() - bills.keys())]
    if books.unpriced:
        breaches.append(f"{len(books.unpriced)} uses of machines have no price, although each has one")
    breaches += [f"not in order: {line}" for line in books.errors if "are not whole" not in line]
    return breaches


def _find_repeated(entries: tuple[Entry, ...]) -> list[str]:
    times = Counter(entry.id for entry in entries)
    return [f"entry {name} is there {count} times" for name, count in times.items() if count > 1]


def _find_unaccounted(books: FleetBooks, started: list[AttemptStarted], ends: Mapping[str, AttemptEnded]) -> list[str]:
    """Attempts that took time and have no entry, or one in a bucket that the records speak against."""
    breaches = []
    buckets: defaultdict[str, set[Bucket]] = defaultdict(set)
    for entry in books.entries:
        if entry.bucket in _WORK:
            buckets[entry.attempt].add(entry.bucket)
            if not entry.fake:
                breaches.append(f"attempt {entry.attempt} is not marked as a fake engine's")
    for each in started:
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
