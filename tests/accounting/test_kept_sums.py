"""Sums that are kept between two questions are what folding everything anew would say, to the nano-unit."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from fleet_simulation import MONTH_EDGE, VLLM, Fleet, price_book, row, simulate
from job_bench import Bench
from journal_writer import JournalWriter, instant, job_of, key_of
from ledger_journals import Journals, job
from spoken import SPEECH

from accounting import months
from accounting.exchange_rates import parse_rates
from accounting.facts import FactReader
from accounting.fleet_ledger import FleetLedger, PricingRules, fold_facts
from accounting.job import ReportRules, job_report
from accounting.kept.period_totals import read_totals
from accounting.months import close_month, read_period, with_people
from accounting.periods import month_of, month_text, months_of
from accounting.sharing.idle import IdleRule, with_shared_idle
from accounting.sharing.month_use import MonthUse, month_uses
from accounting.sharing.people import PeopleRules, audio_of
from accounting.typed_facts import NodeJournal, read_node
from cache.journal import Lines
from cache.store import Store
from cli.money.ledger_fleet import print_fleet
from cli.money.ledger_groups import table_of
from jobs.purging import purge
from journals.facts import AttemptEnded, AttemptStarted, Fact, ProcessStarted, SessionOpened, UnitUse
from ledger.entries import Period
from ledger.exchange import Exchange
from ledger.price_book.prices import Meter, PriceBook
from pipeline.jobs import demand_state

OLD = Period(MONTH_EDGE - 30 * 86_400_000, MONTH_EDGE)
NEW = Period(MONTH_EDGE, MONTH_EDGE + 31 * 86_400_000)
BOOK = price_book()
STEPS = 8
#: Days around the month's edge, and one that is long over.
RATES = [f"USD EUR 0.{90 + place} 2026-{day} ECB" for place, day in enumerate(("11-01", "11-30", "12-01", "12-02"))]
DEARER = BOOK.with_rows([row("openai/tomorrow", "openai", Meter.AUDIO_SECOND, "model-of-tomorrow", "0.001")])


@dataclass
class History:
    """A store that grows as a fleet works."""

    store: Store
    fleet: Fleet
    rng: random.Random

    def __post_init__(self) -> None:
        homes = {f.process: f.session or f.process for f in self.fleet.facts if isinstance(f, ProcessStarted)}
        languages = {key: said for want in self.fleet.wants for key, said in want.languages.items()}
        self.writer = JournalWriter(self.store, homes, languages)
        self._left = list(self.fleet.facts)
        self._written = list[Fact]()
        self._made = set[str]()
        self._purged = set[str]()

    def grow(self, until: int, late: float = 0.0) -> None:
        """What happened until then is on the disk, but for a part that comes later."""
        begun = {
            fact.attempt for fact in self.fleet.facts if isinstance(fact, AttemptStarted) and fact not in self._left
        }
        now, later = list[Fact](), list[Fact]()
        for fact in self._left:
            held = self.rng.random() < late and not isinstance(fact, (ProcessStarted, SessionOpened))
            held |= isinstance(fact, AttemptEnded) and fact.attempt not in begun
            if getattr(fact, "at", 0) > until or held:
                later.append(fact)
                continue
            now.append(fact)
            if isinstance(fact, AttemptStarted):
                begun.add(fact.attempt)
        self.writer.write(now)
        self._left = later
        self._written += now
        for key, attempt in self.fleet.made_by.items():
            if attempt in begun and self.fleet.made_at[key] <= until and key not in self._made:
                self._made.add(key)
                self.writer.record(key, attempt, self.fleet.made_at[key])
        for want in self.fleet.wants:
            if want.job not in self._purged:
                self.writer.want(want, until)

    def purge(self) -> None:
        """An owner's purge of one job."""
        want = self.rng.choice(self.fleet.wants)
        self._purged.add(want.job)
        self.store.purge(keys=[key_of(key) for key in want.keys], trees=[("jobs", job_of(want.job))], dry_run=False)

    def lose_records(self) -> None:
        """Records that somebody deleted."""
        self.store.purge(keys=[key_of(key) for key in self._some()], dry_run=False)

    def compute_again(self, at: int) -> None:
        """Records that were lost, made once more by another attempt, which its journal knows before."""
        process, lost = f"again{at}", self._some()
        session = self.rng.choice([machine.opened.session for machine in self.fleet.machines])
        units = tuple(UnitUse(key, 1000, self.rng.choice(self.fleet.wants).job) for key in lost)
        self.writer.homes[process] = session
        self.writer.write([ProcessStarted(process, session, "w0", at)])
        attempt = f"{process}/transcribe/1"
        self.writer.write([AttemptStarted(attempt, process, "transcribe", at, VLLM, units=units)])
        for key in lost:
            self.writer.record(key, attempt, at + 10)
        if self.rng.random() < 0.7:
            self.writer.write([AttemptEnded(attempt, at + 20, 15, len(units))])

    def _some(self) -> list[str]:
        return self.rng.sample(sorted(self.fleet.made_by), min(5, len(self.fleet.made_by)))


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _fd: None)


def check_same(store: Store, book: PriceBook, rules: PricingRules, period: Period | None) -> FleetLedger:
    """Every figure of the kept sums is that of the books of all facts."""
    kept = read_totals(store, book, rules, period)
    reader = FactReader(store)
    anew = fold_facts(reader.facts(reader.sessions()), book, rules, period)
    assert kept.totals.cells == anew.totals.cells
    assert kept.unpriced_totals.cells == anew.unpriced_totals.cells
    assert kept.residuals == anew.residuals
    assert kept.errors == anew.errors
    assert kept.under_way == anew.under_way
    assert (kept.owners, kept.embedded, kept.began) == (anew.owners, anew.embedded, anew.began)
    assert kept.exchanged() == anew.exchanged()
    assert (kept.audio or audio_of(kept.facts)) == audio_of(anew.facts)
    if period is not None:
        check_months(kept, anew, period)
    return kept


def check_months(kept: FleetLedger, anew: FleetLedger, period: Period) -> None:
    """What each month was used for is what folding it by itself says."""
    uses = month_uses(kept)
    for part in months_of(period):
        alone = fold_facts(anew.facts, anew.book, anew.rules, part)
        start = month_of(part.start).start
        assert uses[start] == (month_uses(alone).get(start) or MonthUse(month_of(start)))


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 60))])
def test_kept_sums_are_those_of_all_facts_whatever_happens_in_between(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    history = History(Store.open(tmp_path), simulate(seed, minutes=25), rng)
    rules = PricingRules(own_engines=frozenset({VLLM}))
    book, at = BOOK, MONTH_EDGE - 3_600_000
    for _ in range(STEPS):
        at += rng.randint(0, 1_800_000)
        match rng.choice(("grow", "grow", "grow", "purge", "lose", "again", "prices", "rules", "rates", "nothing")):
            case "grow":
                history.grow(at, rng.choice((0, 0.05)))
            case "purge":
                history.purge()
            case "lose":
                history.lose_records()
            case "again":
                history.compute_again(at)
            case "prices":
                book = DEARER if book is BOOK else BOOK
            case "rules":
                rules = replace(rules, node_rate="" if rules.node_rate else "0.5 USD")
            case "rates":
                told = rng.sample(RATES, rng.randint(0, len(RATES)))
                rules = replace(rules, exchange=Exchange("EUR", tuple(parse_rates("; ".join(told)))))
        now = replace(rules, now=at + rng.choice((0, 10**9)))
        for period in rng.sample((OLD, NEW, None, Period(MONTH_EDGE - 10**6, MONTH_EDGE + 10**6)), 2):
            check_same(history.store, book, now, period)


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(4, 40))])
def test_books_after_a_closed_month_are_those_of_all_facts(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    history = History(Store.open(tmp_path), simulate(seed, minutes=25), rng)
    at = MONTH_EDGE + rng.randint(0, 600_000)
    monkeypatch.setattr("accounting.months.now_ms", lambda: at)
    history.grow(at, 0.1)
    close_month(history.store, month_text(OLD.start), BOOK, PricingRules())
    for _ in range(STEPS):
        at += rng.randint(0, 600_000)
        match rng.choice(("grow", "purge", "lose", "nothing", "nothing")):
            case "grow":
                history.grow(at, rng.choice((0, 0.1)))
            case "purge":
                history.purge()
            case "lose":
                history.lose_records()
        rules = replace(rng.choice((LATER, euros(*RATES[:2]))), now=at)
        kept = read_period(history.store, BOOK, rules, NEW)
        anew = months._read_with_closed(history.store, BOOK, rules, NEW)
        assert kept.totals == anew.totals
        assert kept.unpriced_totals == anew.unpriced_totals
        assert (kept.late, kept.residuals, kept.errors) == (anew.late, anew.residuals, anew.errors)
        assert (kept.standing, kept.exchanged(), kept.under_way) == (anew.standing, anew.exchanged(), anew.under_way)
        assert month_uses(kept).get(NEW.start) == (month_uses(anew).get(NEW.start) or MonthUse(NEW))
        assert (kept.entries, kept.unpriced) == (anew.entries, anew.unpriced)


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(3, 30))])
def test_a_jobs_report_is_the_same_from_the_machines_that_worked_for_it(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(seed)
    history = History(Store.open(tmp_path), simulate(seed, minutes=25), rng)
    at = MONTH_EDGE - 3_600_000
    for _ in range(STEPS):
        at += rng.randint(0, 1_800_000)
        match rng.choice(("grow", "grow", "grow", "purge", "lose")):
            case "grow":
                history.grow(at, 0.05)
            case "purge":
                history.purge()
            case "lose":
                history.lose_records()
        rules = ReportRules(replace(LATER, now=at + rng.choice((0, 10**9))), idle=IdleRule.FLEET)
        read_totals(history.store, BOOK, rules.pricing, None)
        whose = job_of(rng.choice(history.fleet.wants).job)
        found = job_report(history.store, whose, BOOK, rules).as_json()
        with monkeypatch.context() as patch:
            patch.setattr("accounting.job.machines_of", lambda *_: None)
            assert job_report(history.store, whose, BOOK, rules).as_json() == found


def test_a_jobs_report_reads_no_machine_that_did_nothing_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = Journals(tmp_path)
    for name, whose in (("one", "anna"), ("two", "bert")):
        journals.node(f"node-{name}", 0, 100, "3.60 USD")
        journals.process(name, 0, f"node-{name}")
        journals.record(name, journals.attempt(name, 10, 20, [(name, 5000, job(whose))]))
        journals.wanted(job(whose), 0, 90, [name])
    rules = ReportRules(LATER, idle=IdleRule.FLEET)
    before = job_report(journals.store, job("anna"), BOOK, rules).as_json()
    read_totals(journals.store, BOOK, LATER, None)
    opened: list[str] = []
    real = Store.read_lines

    def noting(store: Store, parts: Sequence[str]) -> Lines:
        opened.append("/".join(parts))
        return real(store, parts)

    monkeypatch.setattr(Store, "read_lines", noting)
    assert job_report(journals.store, job("anna"), BOOK, rules).as_json() == before
    assert "attempts/one.jsonl" in opened
    assert not [path for path in opened if path.endswith("two.jsonl") or "node-two" in path]


def test_what_is_found_of_a_closed_month_is_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(Store.open(tmp_path), simulate(5, minutes=25), random.Random(5))
    at = MONTH_EDGE + 10**9
    monkeypatch.setattr("accounting.months.now_ms", lambda: at)
    history.grow(at, 0.2)
    close_month(history.store, month_text(OLD.start), BOOK, PricingRules())
    history.grow(at)
    found = read_period(history.store, BOOK, LATER, NEW)
    assert found.late
    monkeypatch.setattr("accounting.late_entries.all_closed", None)
    assert read_period(history.store, BOOK, LATER, NEW).totals == found.totals


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, list[str]]:
    """A store of a fleet that is over, and the machines whose journals were read since."""
    history = History(Store.open(tmp_path), simulate(5, minutes=25), random.Random(5))
    history.grow(10**15)
    read: list[str] = []

    def noting(store: Store, session: str, errors: list[str]) -> NodeJournal:
        read.append(session)
        return read_node(store, session, errors)

    monkeypatch.setattr("accounting.kept.machine_fold.read_node", noting)
    return history.store, read


LATER = PricingRules(now=MONTH_EDGE + 10**10)


def euros(*rates: str) -> PricingRules:
    return replace(LATER, exchange=Exchange("EUR", tuple(parse_rates("; ".join(rates)))))


def test_machines_that_are_over_are_read_once(counted: tuple[Store, list[str]]) -> None:
    store, read = counted
    both = Period(OLD.start, NEW.end)
    check_same(store, BOOK, LATER, both)
    assert sorted(read) == ["vm0", "vm1", "vm2"]
    read.clear()
    check_same(store, BOOK, LATER, both)
    check_same(store, BOOK, LATER, OLD)
    check_same(store, BOOK, LATER, Period(0, 86_400_000))
    assert read == []


def test_a_machine_that_grew_is_read_again_and_no_other(counted: tuple[Store, list[str]]) -> None:
    store, read = counted
    before = check_same(store, BOOK, LATER, None)
    read.clear()
    late = {"fact": "beat", "at": instant(MONTH_EDGE + 10**8), "worker": "w0"}
    store.append(("nodes", "vm1", "beats-w0.jsonl"), [late])
    assert check_same(store, BOOK, LATER, None).totals != before.totals
    assert read == ["vm1"]


def test_a_machine_at_work_is_read_each_time(counted: tuple[Store, list[str]]) -> None:
    store, read = counted
    now = max(int(each.at) for each in FactReader(store).node("vm1").facts)
    for _ in range(2):
        read.clear()
        check_same(store, BOOK, PricingRules(now=now), None)
        assert "vm1" in read


@pytest.mark.parametrize("name", ["sums-", "units-"])
def test_kept_files_that_are_damaged_or_gone_are_made_anew(counted: tuple[Store, list[str]], name: str) -> None:
    store, _ = counted
    check_same(store, BOOK, LATER, None)
    folder = store.home / "state" / "ledger"
    for path in folder.glob(f"{name}*"):
        path.write_bytes(path.read_bytes()[:-100])
    check_same(store, BOOK, LATER, None)
    shutil.rmtree(folder)
    check_same(store, BOOK, LATER, None)
    assert folder.exists()


def test_sums_of_another_segue_are_not_taken(counted: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    store, read = counted
    check_same(store, BOOK, LATER, None)
    read.clear()
    monkeypatch.setattr("accounting.kept.kept_sums.code_digest", lambda: "other")
    check_same(store, BOOK, LATER, None)
    assert len(read) == 3


def test_a_months_screen_folds_no_lines_of_machines_that_are_over(
    counted: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Idle that is shared, people by a plan, and another currency come from sums as well."""
    store, read = counted
    screens = []
    for _ in range(2):
        read.clear()
        ledger, _ = with_people(
            read_period(store, BOOK, euros(*RATES), OLD), PeopleRules("6", "90 EUR", "400 audio hours"), "EUR"
        )
        ledger = with_shared_idle(ledger, IdleRule.SHARED)
        print_fleet(ledger, table_of(ledger, ["job"]), ["job"])
        screens.append(capsys.readouterr().out)
        monkeypatch.setattr("accounting.kept.period_totals.FactReader", None)
    assert read == []
    assert screens[0] == screens[1]
    assert "people" in screens[0]


def test_another_days_exchange_rate_folds_no_machine_that_was_over_before(counted: tuple[Store, list[str]]) -> None:
    store, read = counted
    first, later, other = euros(*RATES), euros(*RATES, "USD EUR 0.5 2026-12-09 ECB"), euros(*RATES[:2], *RATES[3:])
    check_same(store, BOOK, first, None)
    read.clear()
    check_same(store, BOOK, later, None)
    assert read == []
    check_same(store, BOOK, other, None)
    assert read


def test_a_purge_takes_what_is_kept_of_a_job_and_no_sum_names_its_owner(bench: Bench) -> None:
    done = bench.run_one(SPEECH, owner="zoe.of.somewhere", node_price="0.30 USD", fake_delay_ms=1)
    store = Store.open(bench.folder / "home")
    rules = replace(LATER, now=4_000_000_000_000)
    check_same(store, BOOK, rules, None)
    assert store.home.joinpath(*demand_state(str(done.job_id))).exists()
    purge(store, [str(done.job_id)], outputs=True)
    kept = [path for path in (store.home / "state" / "ledger").iterdir() if b"zoe" in path.read_bytes()]
    assert kept == []
    assert check_same(store, BOOK, rules, None).totals.whole()


def test_journals_that_speak_of_each_others_attempts_are_folded_together(tmp_path: Path) -> None:
    history = History(Store.open(tmp_path), simulate(5, minutes=25), random.Random(5))
    history.grow(10**15)
    attempt = next(fact for fact in history.fleet.facts if isinstance(fact, AttemptStarted))
    elsewhere = next(f for f in history.fleet.facts if isinstance(f, ProcessStarted) and f.process != attempt.process)
    line = {"fact": "attempt_ended", "attempt": attempt.attempt, "at": instant(attempt.at + 5)}
    line |= {"engine_seconds": "0.005", "yielded": 0, "usage": {}}
    history.store.append(("attempts", f"{elsewhere.process}.jsonl"), [line])
    check_same(history.store, BOOK, LATER, None)
    assert not list((tmp_path / "state" / "ledger").glob("sums-*"))
