"""What jobs have cost so far, read from the facts on disk; only what was appended since the last look is read.

A quick account for budgets, not the ledger: on a worker a job pays for the time of its attempts, shared with whatever
else was active on the machine; of an embedded run, which exists for its jobs alone, it pays loading and pauses as well.
Time or usage without a known price is named, and never counted as nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING

from cache.store import Store
from core.money import Money, settle
from journals import attempts, node_session
from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    EngineLoaded,
    FactError,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
    parse_attempt_fact,
    parse_node_fact,
    parse_opening,
)
from ledger.billing import HOUR_MS, Rate, find_rates
from ledger.claims import Share
from ledger.entries import Bucket, Entry, Unpriced
from ledger.fees import Fees
from ledger.price_files import PROJECT_FILE, load_book, read_rows
from ledger.prices import PriceBook
from ledger.speed import RECENT, Speeds, measured_ms
from ledger.sweep import Sharing
from ledger.wants import Wants

if TYPE_CHECKING:
    from pathlib import Path

    from core.specs import EngineSpec
    from pipeline.runtime import Settings
    from pipeline.stages import Unit, estimated_usage

#: Provider of engines that are called over the network.
REMOTE = "openai"
#: How long after its last beat a machine may have worked on unseen.
_UNSEEN_MS = int(node_session.BEAT_SECONDS * 1000)


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Spent:
    """What some jobs have cost."""

    #: What is known of it, in nano-units of the currency asked for.
    nano: int
    #: What has no price, or one in another currency: one line each. The amount is then too low, and says nothing.
    unknown: tuple[str, ...] = ()


@dataclass
class _Use:
    """One attempt."""

    session: str
    process: str
    start: int
    end: int | None
    #: Job -> its part of the attempt.
    weights: Mapping[str, int]
    #: (job, amount) of what an API charged, or may have charged.
    fees: tuple[tuple[str, Money], ...] = ()
    #: Job -> what of the fees has no price.
    unpriced: tuple[tuple[str, str], ...] = ()
    #: Kept while the attempt is open.
    started: AttemptStarted | None = None


@dataclass
class _Node:
    """One node session."""

    opened: SessionOpened
    #: Worker -> its last sign of life, and how long it may have worked on after it.
    signs: dict[str, tuple[int, int]] = field(default_factory=dict)
    prices: list[PriceChanged] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)


class FeeMeter:
    """What an API charges for attempts, by the rows of a price book."""

    def __init__(self, book: PriceBook, own_engines: Collection[str] = ()) -> None:
        """``own_engines``: lines of engines that machines of one's own serve over the network, for no fee."""
        self._fees, self._own = Fees("", book, Wants(()), None), frozenset(own_engines)

    def charge(
        self, started: AttemptStarted, ended: AttemptEnded | None, weights: Mapping[str, int]
    ) -> tuple[tuple[tuple[str, Money], ...], tuple[tuple[str, str], ...]]:
        """((job, amount), ...) and ((job, what has no price), ...); before its end the estimated usage counts."""
        if not started.remote or started.engine in self._own:
            return (), ()
        shares = [Share(Bucket.API_FEE, job, "", weight) for job, weight in weights.items()]
        lines: list[Entry | Unpriced] = list(self._fees.of(started, ended, shares))
        amounts = tuple((line.job, Money(line.nano, line.currency)) for line in lines if isinstance(line, Entry))
        return amounts, tuple((line.job, line.why) for line in lines if isinstance(line, Unpriced))

    def unpriced(self, provider: str, engine: str) -> str:
        """What of this remote translator's usage has no price, in words; empty when all of it has one."""
        usage = {"requests": 1, "input_tokens": 1000, "output_tokens": 1000}
        started = AttemptStarted("", "", "translate", now_ms(), engine, provider, False, True, (), usage)
        _, unpriced = self.charge(started, None, {"": 1})
        return "; ".join(dict.fromkeys(why for _, why in unpriced))


@dataclass(frozen=True)
class Prices:
    """What things cost, as the settings say."""

    book: PriceBook
    #: Lines of engines that machines of one's own serve over the network, for no fee.
    own_engines: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, price_file: Path | None = None) -> Prices:
        """As the settings say; ``price_file`` goes before theirs. Raises PriceBookError."""
        own = frozenset(name.strip() for name in settings.own_engines.split(",") if name.strip())
        given = price_file or settings.price_file
        # A file that was named has to be there; one that nobody named need not.
        return cls(load_book(None, read_rows(given)) if given else load_book(settings.home / PROJECT_FILE), own)

    def meter(self) -> FeeMeter:
        """For the fees of attempts."""
        return FeeMeter(self.book, self.own_engines)


def weights_of(started: AttemptStarted, ended: AttemptEnded | None = None) -> dict[str, int]:
    """Job -> its part of an attempt: the speech in its units, or their number where none has any.

    Units that the engine was stopped before have no part in it, as in the ledger.
    """
    left = ended.left if ended is not None else frozenset[str]()
    units = [unit for unit in started.units if unit.key not in left] or started.units
    by_audio = any(unit.audio_ms for unit in units)
    found: dict[str, int] = {}
    for unit in units:
        found[unit.job] = found.get(unit.job, 0) + (unit.audio_ms if by_audio else 1)
    return found


class Spending:
    """What jobs have cost. Not thread-safe. Costs a reading of every journal once, then of what is new."""

    def __init__(self, store: Store, prices: Prices) -> None:
        self._store, self._meter, self._book = store, prices.meter(), prices.book
        #: Engine time of the latest batches on this store, by stage and engine, and of loading, by engine.
        self.batches, self.loads = Speeds[tuple[str, str]](RECENT), Speeds[str](RECENT)
        self._offsets: dict[str, int] = {}
        self._processes: dict[str, ProcessStarted] = {}
        self._process_ends: dict[str, int] = {}
        self._uses: dict[str, _Use] = {}
        self._by_session: dict[str, list[_Use]] = {}
        self._sessions_of: dict[str, set[str]] = {}
        self._nodes: dict[str, _Node] = {}

    def refresh(self) -> None:
        """Reads what is new. Raises StoreError."""
        for name in self._store.children((attempts.FOLDER,)):
            journal, self._offsets[name] = self._store.read_journal_from(
                (attempts.FOLDER, name), self._offsets.get(name, 0)
            )
            for raw in journal.entries:
                self._take(name.removesuffix(".jsonl"), raw)

    def of(self, jobs: Collection[str], currency: str, node_rate: str = "") -> Spent:
        """What these jobs have cost together, as of the last `refresh`, in ``currency``.

        ``node_rate`` (``0.526 USD`` an hour) is the price of machines that nobody knows one of. Raises StoreError,
        MoneyError for a price that cannot be read.
        """
        wanted = frozenset(jobs)
        total, unknown = Fraction(0), dict[str, None]()
        sessions = set(chain.from_iterable(self._sessions_of.get(job, ()) for job in wanted))
        for session in sorted(sessions):
            uses = self._by_session[session]
            for line in self._session_cost(session, uses, wanted, node_rate):
                if isinstance(line, str):
                    unknown[line] = None
                elif line[1] != currency:
                    unknown[f"machine {session[:12]} is priced in {line[1]}, the budget in {currency}"] = None
                else:
                    total += line[0]
        nano = settle(total, 1)
        for use in (use for session in sessions for use in self._by_session[session]):
            for job, fee in use.fees:
                if job in wanted and fee.currency == currency:
                    nano += fee.nano
                elif job in wanted:
                    unknown[f"an API charges in {fee.currency}, the budget is in {currency}"] = None
            unknown.update((why, None) for job, why in use.unpriced if job in wanted)
        return Spent(nano, tuple(unknown))

    def price_of(self, session: str, currency: str) -> Fraction | None:
        """What a machine costs an hour now, by its own word or the book's; None where that is not known, or not in
        ``currency``. Raises StoreError.
        """
        if not session:
            return None
        now = now_ms()
        node = self._node(session, now)
        rates = find_rates(node.opened, node.prices, max(now, node.opened.at + 1), self._book)
        return rates[-1].price if rates and rates[-1].currency == currency else None

    def expected_fee(self, unit: Unit, engine: EngineSpec, currency: str) -> int:
        """What an API is expected to charge for one unit, in nano-units of ``currency``; 0 for an engine of ours."""
        if engine.provider != REMOTE:
            return 0
        uses, usage = (UnitUse(unit.key, unit.audio_ms, unit.job_id),), estimated_usage(unit.stage, [unit])
        line = engine.describe()
        call = AttemptStarted("", "", str(unit.stage), now_ms(), line, engine.provider, False, True, uses, usage)
        fees, _ = self._meter.charge(call, None, {unit.job_id: 1})
        return sum(fee.nano for _, fee in fees if fee.currency == currency)

    # -- reading ---------------------------------------------------------------------------------------------

    def _take(self, process: str, raw: Mapping[str, object]) -> None:
        try:
            fact = parse_attempt_fact(process, raw)
        except FactError:
            # The ledger names and counts such lines; here nothing of them can be priced.
            return
        if isinstance(fact, ProcessStarted):
            self._processes[process] = fact
        elif isinstance(fact, ProcessEnded):
            self._process_ends[process] = fact.at
        elif isinstance(fact, EngineLoaded):
            self.loads.note(fact.engine, fact.seconds_ms, 1)
        elif isinstance(fact, AttemptStarted) and fact.attempt not in self._uses:
            card = self._processes.get(process)
            session = card.session if card is not None and card.session else process
            weights = weights_of(fact)
            fees, unpriced = self._meter.charge(fact, None, weights)
            use = _Use(session, process, fact.at, None, weights, fees, unpriced, fact)
            self._uses[fact.attempt] = use
            self._by_session.setdefault(session, []).append(use)
            for job in weights:
                self._sessions_of.setdefault(job, set()).add(session)
        elif isinstance(fact, AttemptEnded):
            ended = self._uses.get(fact.attempt)
            if ended is not None and ended.started is not None:
                place = ended.started.stage, ended.started.engine
                self.batches.note(place, fact.engine_ms, measured_ms(ended.started, fact))
                ended.weights = weights_of(ended.started, fact)
                ended.fees, ended.unpriced = self._meter.charge(ended.started, fact, ended.weights)
                ended.end, ended.started = max(fact.at, ended.start), None

    def _node(self, session: str, first: int) -> _Node:
        """The session with its newest beats and prices; ``first``: its first known instant."""
        node = self._nodes.get(session)
        if node is None:
            data = self._store.read_document((node_session.FOLDER, session, node_session.OPENED))
            node = _Node(parse_opening(json.loads(data)) if data else SessionOpened(session, first))
            if data:
                self._nodes[session] = node
        for name in self._store.children((node_session.FOLDER, session)):
            if not name.endswith(".jsonl"):
                continue
            parts = (node_session.FOLDER, session, name)
            journal, node.offsets[name] = self._store.read_journal_from(parts, node.offsets.get(name, 0))
            for raw in journal.entries:
                fact = parse_node_fact(session, raw)
                if isinstance(fact, PriceChanged):
                    node.prices.append(fact)
                elif isinstance(fact, ProcessEnded):
                    self._process_ends[fact.process] = fact.at
                elif isinstance(fact, (Beat, SessionClosed)):
                    unseen = _UNSEEN_MS if isinstance(fact, Beat) else 0
                    if fact.at >= node.signs.get(fact.worker, (0, 0))[0]:
                        node.signs[fact.worker] = fact.at, unseen
        return node

    # -- pricing ---------------------------------------------------------------------------------------------

    def _session_cost(
        self, session: str, uses: list[_Use], jobs: Collection[str], node_rate: str
    ) -> Iterable[tuple[Fraction, str] | str]:
        """(amount, currency) of the jobs' time on one machine, or what is not known of it."""
        node, now = self._node(session, min(use.start for use in uses)), now_ms()
        spans = [(use.start, max(use.end or self._open_end(use, node, now), use.start)) for use in uses]
        ours = [Fraction(sum(use.weights.get(job, 0) for job in jobs), sum(use.weights.values()) or 1) for use in uses]
        until = max(end for _, end in spans)
        embedded = any(use.process == session for use in uses)
        if embedded and node.signs:
            until = max(until, min(max(map(sum, node.signs.values())), now))
        rates = find_rates(node.opened, node.prices, max(until, node.opened.at + 1), self._book, node_rate)
        if embedded:
            # Its loading and pauses were for its jobs, each by its share of the work.
            work = sum(end - start for start, end in spans)
            weighed = sum((end - start) * share for (start, end), share in zip(spans, ours, strict=True))
            part = Fraction(weighed) / work if work else Fraction(0)
            yield from (_priced(rate, Fraction(rate.end - rate.start) * part, session) for rate in rates)
            return
        cuts = {border for rate in rates for border in (rate.start, rate.end)}
        sharing = Sharing(spans, cuts | {border for span in spans for border in span})
        for rate in rates:
            used = Fraction(0)
            for (start, end), share in zip(spans, ours, strict=True):
                first, last = max(start, rate.start), min(end, rate.end)
                if share and first < last:
                    used += Fraction(sharing.weight(first, last), sharing.scale) * share
            if used:
                yield _priced(rate, used, session)

    def _open_end(self, use: _Use, node: _Node, now: int) -> int:
        """Until when an attempt that has not ended may have gone on: its process may be dead."""
        card = self._processes.get(use.process)
        worker = card.worker if card else ""
        ends = [now, sum(node.signs[worker]) if worker in node.signs else now]
        if use.process in self._process_ends:
            ends.append(self._process_ends[use.process])
        if worker:
            # A worker has one process at a time.
            ends += [other.at for other in self._processes.values() if other.worker == worker and other.at > use.start]
        return min(ends)


def _priced(rate: Rate, ms: Fraction, session: str) -> tuple[Fraction, str] | str:
    if rate.price is None:
        return f"nobody knows what machine {session[:12]} costs an hour"
    return ms / HOUR_MS * rate.price, rate.currency
