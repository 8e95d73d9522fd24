"""What jobs have cost so far: the ledger's own entries, over the facts of the machines that worked for them.

For budgets, which ask again and again: every journal is read once, then what is new in it, and a machine is allocated
anew only when its facts or its life went on. Two things are left out, so that no record and no job folder has to be
read: a unit is paid for by the job that it was taken up for, though others may have wanted it as well, and all units of
an attempt that was broken off share its time. Time or usage without a known price is named, and never counted as
nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

from accounting.exchange_rates import exchange_of
from accounting.sharing.charge import Charging, Weights
from cache.store import Store
from core.money import Money, quote
from engines.roles import is_remote
from journals import attempts, node_session
from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    EngineLoaded,
    Fact,
    FactError,
    PriceChanged,
    ProcessStarted,
    SessionOpened,
    UnitUse,
)
from journals.lines import read_attempt_line, read_node_line, sound_facts
from journals.node_session import read_opening
from ledger.activity import Provenance, Share
from ledger.billing import find_rates
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Unpriced
from ledger.exchange import NATIVE, Exchange
from ledger.fees import Fees
from ledger.fold import FoldRules, fold_with
from ledger.price_book.price_files import PROJECT_FILE, load_book, read_rows, shipped_book
from ledger.price_book.prices import PriceBook
from ledger.speed import RECENT, Speeds, measured_ms
from pipeline.stages import priced_names, stage_named
from pipeline.stages.stage import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from core.specs import EngineSpec
    from pipeline.runtime import Settings
    from pipeline.stages.stage import Unit

#: A machine's facts are kept in memory for so many seconds after they were last asked for.
_KEPT_S = 60.0
_JOURNAL = ".jsonl"
_NOBODY = Demand(())


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def batch_ahead(stage: str, units: Sequence[Unit], engine: EngineSpec, *, remote: bool) -> AttemptStarted:
    """A batch that nobody has begun, as it would stand in the journal: what is expected of it can then be priced."""
    uses = tuple(UnitUse(unit.key, unit.audio_ms, unit.job_id) for unit in units)
    usage = stage_named(stage).expected_usage(units) if remote else {}
    return AttemptStarted("", "", stage, now_ms(), engine.describe(), engine.provider, False, remote, uses, usage)


@dataclass(frozen=True)
class Spent:
    """What some jobs have cost."""

    #: What is known of it, in nano-units of the currency asked for.
    nano: int
    #: What has no price, or one in another currency: one line each. The amount is then too low, and says nothing.
    unknown: tuple[str, ...] = ()


class FeeMeter:
    """What an API charges for attempts, by the rows of a price book."""

    def __init__(
        self,
        book: PriceBook,
        own_engines: Collection[str] = (),
        exchange: Exchange = NATIVE,
        whose: str = "the budget",
    ) -> None:
        """``own_engines``: lines of engines that machines of one's own serve over the network, for no fee.

        ``exchange``: with a currency, amounts are in it, and what no rate leads to it from has no price; ``whose``
        currency that is.
        """
        self._fees, self._own, self._exchange = Fees("", book, _NOBODY, None), frozenset(own_engines), exchange
        self._whose = whose

    def charge(self, started: AttemptStarted, ended: AttemptEnded | None = None) -> tuple[list[Money], list[str]]:
        """The amounts, and what has no price; before its end the estimated usage counts."""
        if not started.remote or started.engine in self._own:
            return [], []
        lines = list(self._fees.of(started, ended, [Share(Bucket.API_FEE, "", "", 1)]))
        charged, into = [line for line in lines if isinstance(line, LedgerEntry)], self._exchange.currency
        amounts = [self._exchange.money(Money(line.nano, line.currency), line.start) for line in charged]
        strange = {amount.currency: None for amount in amounts if into and amount.currency != into}
        unpriced = [line.why for line in lines if isinstance(line, Unpriced)]
        for each in strange:
            unpriced.append(_in_other(f"an API charges in {each}, {self._whose}", each, self._exchange, started.at))
        return [amount for amount in amounts if amount.currency not in strange], unpriced

    def unpriced(self, stage: Stage, engine: EngineSpec) -> str:
        """What of an engine's usage elsewhere has no price, in words; empty when all of it has one."""
        usage, line = dict.fromkeys(stage.meters, 1000), engine.describe()
        started = AttemptStarted("", "", stage.name, now_ms(), line, engine.provider, False, True, (), usage)
        _, unpriced = self.charge(started)
        return "; ".join(dict.fromkeys(unpriced))


@dataclass(frozen=True)
class Prices:
    """What things cost, as the settings say."""

    book: PriceBook
    #: Lines of engines that machines of one's own serve over the network, for no fee.
    own_engines: frozenset[str] = frozenset()
    #: Exchange rates, for whichever currency is asked for.
    exchange: Exchange = NATIVE

    @classmethod
    def of(cls, settings: Settings, price_file: Path | None = None) -> Prices:
        """As the settings say; ``price_file`` goes before theirs. Raises PriceBookError."""
        own = frozenset(name.strip() for name in settings.own_engines.split(",") if name.strip())
        exchange = exchange_of(settings)
        given = price_file or settings.price_file
        if given:
            # A file that was named has to be there; one that nobody named need not.
            return cls(shipped_book().with_rows(read_rows(given, priced_names())), own, exchange)
        return cls(load_book(settings.home / PROJECT_FILE, priced_names()), own, exchange)

    def meter(self, currency: str = "", whose: str = "the budget") -> FeeMeter:
        """For the fees of attempts; with a currency, in that; ``whose`` it is."""
        return FeeMeter(self.book, self.own_engines, self.exchange.into(currency) if currency else NATIVE, whose)

    def hourly(self, text: str, currency: str) -> Fraction | None:
        """A price an hour, ``0.526 USD``, in ``currency`` by today's rate; None where none leads there.

        Raises MoneyError.
        """
        price, said = quote(text)
        return self.exchange.into(currency).price(Fraction(price), said, now_ms())

    def why_none(self, what: str, said: str, currency: str, whose: str = "the budget") -> str:
        """In words, why ``what`` that is in one currency is not known in another; ``whose`` that one is."""
        return _in_other(f"{what}, {whose}", said, self.exchange.into(currency), now_ms())


def _in_other(what: str, said: str, exchange: Exchange, at: int) -> str:
    return f"{what} in {exchange.currency}; {exchange.why_none(said, at)}"


#: An amount's job, currency, and whether an API charged it.
_Part = tuple[str, str, bool]


@dataclass
class _Account:
    """What was spent on one machine."""

    #: How many of its facts were allocated, and after how many a `Spending.refresh`.
    facts: int
    read_at: int
    #: Whether a later instant changes nothing.
    final: bool
    amounts: dict[_Part, int] = field(default_factory=dict)
    #: Job -> what has no price, in words.
    unknown: dict[str, dict[str, None]] = field(default_factory=dict)


@dataclass
class _Machine:
    """The facts of one machine, read as far as they were there."""

    facts: list[Fact] = field(default_factory=list)
    #: Byte to go on from, by journal.
    offsets: dict[tuple[str, ...], int] = field(default_factory=dict)
    #: By what a machine of no known price costs an hour, and the currency.
    accounts: dict[tuple[str, str], _Account] = field(default_factory=dict)
    #: `Spending` has been refreshed so often when it was read, and when it was asked for in seconds.
    read_at: int = -1
    asked: float = 0.0


class Spending:
    """What jobs have cost. Not thread-safe."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store, self._prices = store, prices
        #: Engine time of the latest batches on this store, by stage and engine, and of loading, by engine.
        self.batches, self.loads = Speeds[tuple[str, str]](RECENT), Speeds[str](RECENT)
        self._refreshed = 0
        self._offsets: dict[str, int] = {}
        #: Machine of a process, processes of a machine, machines of a job.
        self._session_of: dict[str, str] = {}
        self._processes_of: dict[str, set[str]] = {}
        self._sessions_of: dict[str, set[str]] = {}
        self._open: dict[str, AttemptStarted] = {}
        self._machines: dict[str, _Machine] = {}

    def refresh(self) -> None:
        """Reads what is new. Raises StoreError."""
        self._refreshed += 1
        for name in self._store.children((attempts.FOLDER,)):
            process = name.removesuffix(_JOURNAL)
            facts, self._offsets[name] = self._read((attempts.FOLDER, name), self._offsets.get(name, 0), process)
            for fact in facts:
                self._take(process, fact)
        before = time.monotonic() - _KEPT_S
        self._machines = {name: machine for name, machine in self._machines.items() if machine.asked >= before}

    def of(self, jobs: Collection[str], currency: str, node_rate: str = "") -> Spent:
        """What these jobs have cost together, as of the last `refresh`, in ``currency``.

        ``node_rate`` (``0.526 USD`` an hour) is the price of machines that nobody knows one of. Raises StoreError.
        """
        nano, unknown = 0, dict[str, None]()
        for session in sorted(set(chain.from_iterable(self._sessions_of.get(job, ()) for job in jobs))):
            account = self._account(session, node_rate, currency)
            for (job, said, fee), amount in account.amounts.items():
                if job in jobs and said == currency:
                    nano += amount
                elif job in jobs:
                    what = f"an API charges in {said}" if fee else f"machine {session[:12]} is priced in {said}"
                    unknown[self._prices.why_none(what, said, currency)] = None
            for job in jobs:
                unknown.update(account.unknown.get(job, {}))
        return Spent(nano, tuple(unknown))

    def price_of(self, session: str, currency: str) -> Fraction | None:
        """What a machine costs an hour now, by its own word or the book's, in ``currency``; None where that is not
        known, or no exchange rate leads there. Raises StoreError.
        """
        now, facts = now_ms(), self._machine(session).facts if session else []
        opened = next((fact for fact in facts if isinstance(fact, SessionOpened)), None)
        if opened is None:
            return None
        changes = [fact for fact in facts if isinstance(fact, PriceChanged)]
        rates = find_rates(opened, changes, max(now, opened.at + 1), self._prices.book)
        if not rates or rates[-1].price is None:
            return None
        return self._prices.exchange.into(currency).price(Fraction(rates[-1].price), rates[-1].currency, now)

    def expected_fee(self, unit: Unit, engine: EngineSpec, currency: str) -> int:
        """What an API is expected to charge for one unit, in nano-units of ``currency``; 0 for an engine of ours."""
        if not is_remote(stage_named(unit.stage).role, engine.provider):
            return 0
        fees, _ = self._prices.meter(currency).charge(batch_ahead(unit.stage, [unit], engine, remote=True))
        return sum(fee.nano for fee in fees)

    # -- reading ---------------------------------------------------------------------------------------------

    def _read(self, parts: tuple[str, ...], offset: int, process: str = "") -> tuple[list[Fact], int]:
        """What was appended to a process's journal of attempts, or to one of a machine, and the byte to go on from."""
        lines, offset = self._store.read_lines_from(parts, offset)
        read, owner = (read_attempt_line, process) if process else (read_node_line, parts[1])
        # The ledger names and counts lines that are not what they say; here nothing of them can be priced.
        return [fact for _, fact in sound_facts(read, owner, lines.bodies, [])], offset

    def _opening(self, session: str) -> list[Fact]:
        try:
            opening = read_opening(self._store, session)
            return [] if opening is None else [opening.fact()]
        except FactError:
            return []

    def _take(self, process: str, fact: Fact) -> None:
        """Notes on which machine a job's work was, and how fast it went."""
        if isinstance(fact, ProcessStarted):
            self._join(process, fact.session or process)
        elif isinstance(fact, EngineLoaded):
            self.loads.note(fact.engine, fact.seconds_ms, 1)
        elif isinstance(fact, AttemptStarted):
            # A process whose first line is lost is a machine of its own, as in the ledger.
            session = self._session_of.get(process) or self._join(process, process)
            for unit in fact.units:
                self._sessions_of.setdefault(unit.job, set()).add(session)
            self._open[fact.attempt] = fact
        elif isinstance(fact, AttemptEnded) and (started := self._open.pop(fact.attempt, None)) is not None:
            self.batches.note((started.stage, started.engine), fact.engine_ms, measured_ms(started, fact))

    def _join(self, process: str, session: str) -> str:
        self._session_of[process] = session
        self._processes_of.setdefault(session, set()).add(process)
        return session

    def _machine(self, session: str) -> _Machine:
        """A machine with its newest facts; read once for each `refresh`."""
        machine = self._machines.setdefault(session, _Machine())
        machine.asked = time.monotonic()
        if machine.read_at == self._refreshed:
            return machine
        machine.read_at = self._refreshed
        if not any(isinstance(fact, SessionOpened) for fact in machine.facts):
            machine.facts += self._opening(session)
        journals: list[tuple[tuple[str, ...], str]] = [
            ((node_session.FOLDER, session, name), "")
            for name in self._store.children((node_session.FOLDER, session))
            if name.endswith(_JOURNAL)
        ]
        processes = sorted(self._processes_of.get(session, ()))
        journals += [((attempts.FOLDER, f"{process}{_JOURNAL}"), process) for process in processes]
        for parts, process in journals:
            facts, machine.offsets[parts] = self._read(parts, machine.offsets.get(parts, 0), process)
            machine.facts += facts
        return machine

    # -- allocating ------------------------------------------------------------------------------------------

    def _account(self, session: str, node_rate: str, currency: str) -> _Account:
        machine, asked = self._machine(session), (node_rate, currency)
        known = machine.accounts.get(asked)
        unchanged = known is not None and known.facts == len(machine.facts)
        if known is not None and unchanged and (known.final or known.read_at == machine.read_at):
            return known
        exchange = self._prices.exchange.into(currency)
        machine.accounts[asked] = account = self._allocate(session, machine, node_rate, exchange)
        return account

    def _allocate(self, session: str, machine: _Machine, node_rate: str, exchange: Exchange) -> _Account:
        now, facts, own = now_ms(), machine.facts, self._prices.own_engines
        rules = FoldRules(round(node_session.BEAT_SECONDS * 1000), node_rate, now, own, by_day=bool(exchange))
        ledger = fold_with(facts, Provenance({}, {}), _NOBODY, self._prices.book, None, rules, {session})
        account = _Account(len(facts), machine.read_at, all(bill.end.at < now for bill in ledger.bills))
        embedded = {session: _jobs_of(facts)} if session in self._processes_of.get(session, ()) else {}
        charging = Charging(Weights.of(ledger.entries, ledger.unpriced), embedded, ())
        for entry in exchange.entries(charging.entries(ledger.entries)):
            part = entry.job, entry.currency, entry.bucket is Bucket.API_FEE
            account.amounts[part] = account.amounts.get(part, 0) + entry.nano
        for usage in charging.unpriced(ledger.unpriced):
            fee = usage.bucket is Bucket.API_FEE
            why = usage.why if fee else f"what machine {session[:12]} costs an hour is not known"
            account.unknown.setdefault(usage.job, {})[why] = None
        return account


def _jobs_of(facts: Iterable[Fact]) -> list[str]:
    return sorted({unit.job for fact in facts if isinstance(fact, AttemptStarted) for unit in fact.units})
