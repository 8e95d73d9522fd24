"""What the fold makes of facts: small stories with the books that must come of them."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping
from fractions import Fraction
from itertools import pairwise

import pytest
from fleet_simulation import HOUR, MINUTE, price_book

from core.money import NANO
from journals.facts import (
    AttemptEnded,
    AttemptStarted,
    Beat,
    DemandInterval,
    EngineLoaded,
    EngineTried,
    Fact,
    PriceChanged,
    ProcessEnded,
    ProcessStarted,
    SessionClosed,
    SessionOpened,
    UnitUse,
)
from ledger.demand import Demand
from ledger.entries import Bucket, LedgerEntry, Period, Quality
from ledger.fold import FoldRules, Ledger, fold
from ledger.totals import Dimension

BOOK = price_book()
SECOND = 1000
#: A price at which a millisecond is one nano-unit.
PRICE = "0.0036 USD"


def machine(end: int | None = 100 * SECOND, price: str = PRICE, session: str = "vm", **more: object) -> list[Fact]:
    opened = SessionOpened(session, 0, price=price, **more)  # type: ignore[arg-type]
    close = [] if end is None else [SessionClosed(session, end, "told", "w")]
    return [opened, Beat(session, 0, "w"), *close]


def process(name: str = "p", at: int = 0, worker: str = "w", session: str = "vm") -> ProcessStarted:
    return ProcessStarted(name, session, worker, at)


def attempt(
    name: str, start: int, end: int | None, units: str = "", job: str = "j", process: str = "p", **more: object
) -> list[Fact]:
    """An attempt over units of one letter each, with a second of speech each."""
    uses = tuple(UnitUse(key, SECOND, job) for key in units)
    begun = AttemptStarted(name, process, "transcribe", start, "w", "w", units=uses, **more)  # type: ignore[arg-type]
    return [begun] if end is None else [begun, AttemptEnded(name, end, end - start, len(units), {})]


def made(**names: str) -> dict[str, str]:
    """Attempt by key: ``made(a="xy")`` says that attempt a made x and y."""
    return {key: name for name, keys in names.items() for key in keys}


def by_bucket(books: Ledger, *, job: str | None = None) -> dict[str, int]:
    found: defaultdict[str, int] = defaultdict(int)
    for entry in books.entries:
        if job is None or entry.job == job:
            found[entry.bucket.value] += entry.nano
    return dict(found)


def run(
    facts: list[Fact], by: Mapping[str, str] | None = None, wants: list[DemandInterval] | None = None, **more: object
) -> Ledger:
    return fold(facts, by or {}, wants or [], BOOK, **more)  # type: ignore[arg-type]


def test_a_machines_time_is_boot_load_busy_and_idle() -> None:
    facts = [*machine(), process(at=10 * SECOND), EngineLoaded("p", "transcribe", "w", 30 * SECOND, 15 * SECOND)]
    books = run([*facts, *attempt("a", 40 * SECOND, 60 * SECOND, "xy")], made(a="xy"))
    assert by_bucket(books) == {"boot": 10_000, "load": 15_000, "idle": 55_000, "busy": 20_000}
    assert books.totals.whole() == {"USD": 100_000}
    assert {entry.quality for entry in books.entries} == {Quality.MEASURED}


def test_what_no_record_names_is_double_and_what_never_ended_is_lost() -> None:
    facts = [*machine(), process(), *attempt("a", 0, 30 * SECOND, "xyz"), *attempt("b", 30 * SECOND, None, "uv")]
    books = run(facts, made(a="xy", zombie="z"))
    assert by_bucket(books) == {"busy": 20_000, "duplicate": 10_000, "lost": 70_000}
    lost = [entry for entry in books.entries if entry.bucket is Bucket.LOST]
    assert [(entry.start, entry.end, entry.quality) for entry in lost] == [(30_000, 100_000, Quality.ESTIMATED)]


def test_a_unit_that_the_engine_was_stopped_before_has_none_of_the_time() -> None:
    begun, ended = attempt("a", 0, 10 * SECOND, "xy")
    stopped = AttemptEnded("a", 10 * SECOND, 10 * SECOND, 1, {}, frozenset("y"))
    facts = [*machine(10 * SECOND), process()]
    books = fold([*facts, begun, stopped], {"x": "a"}, (), BOOK)
    assert {entry.bucket: entry.nano for entry in books.entries} == {Bucket.BUSY: 10 * SECOND}
    # One that was begun and gave nothing has its part of it.
    books = fold([*facts, begun, ended], {"x": "a"}, (), BOOK)
    assert {entry.bucket for entry in books.entries} == {Bucket.BUSY, Bucket.DUPLICATE}


def test_a_unit_that_another_attempt_made_is_lost_by_the_one_that_died() -> None:
    facts = [*machine(), process(), *attempt("a", 0, None, "x", "j"), *attempt("b", 0, 50 * SECOND, "x", "j", "q")]
    books = run([*facts, process("q", worker="v")], made(b="x"))
    assert by_bucket(books) == {"busy": 25_000, "lost": 75_000}


def test_what_a_dying_attempt_had_committed_is_kept_up_to_its_last_record() -> None:
    facts = [*machine(), process(), *attempt("a", 0, None, "wxyz")]
    timed = run(facts, made(a="wx"), made_at={"w": 20 * SECOND, "x": 40 * SECOND})
    assert by_bucket(timed) == {"busy": 40_000, "lost": 60_000}
    # Without the records' times the units share the time by their speech.
    assert by_bucket(run(facts, made(a="wx"))) == {"busy": 50_000, "lost": 50_000}
    # Nothing was lost when everything had been committed.
    whole = run(facts, made(a="wxyz"), made_at=dict.fromkeys("wxyz", 90 * SECOND))
    assert by_bucket(whole) == {"busy": 90_000, "idle": 10_000}


@pytest.mark.parametrize(
    ("extra", "lost"),
    [
        ([], 100_000),
        ([process("q", 30 * SECOND)], 30_000),
        ([ProcessEnded("p", 12 * SECOND)], 12_000),
        ([process("q", 30 * SECOND, worker="other")], 100_000),
        # Its worker beat last at 40 s, so that it died at about 45 s, while another kept the machine alive.
        ([Beat("vm", 40 * SECOND, "w"), Beat("vm", 99 * SECOND, "other")], 45_000),
    ],
)
def test_a_death_is_dated_by_the_first_who_knows_of_it(extra: list[Fact], lost: int) -> None:
    facts: list[Fact] = [SessionOpened("vm", 0, price=PRICE), Beat("vm", 95 * SECOND, "w"), process()]
    if any(isinstance(fact, Beat) for fact in extra):
        facts = [facts[0], process()]
    books = run([*facts, SessionClosed("vm", 100 * SECOND, "told", "other"), *attempt("a", 0, None, "x"), *extra])
    assert by_bucket(books)["lost"] == lost


def test_a_machine_that_falls_silent_ended_half_a_beat_after_its_last_sign() -> None:
    silent = [*machine(None), Beat("vm", 50 * SECOND, "w"), process()]
    assert run(silent).totals.whole() == {"USD": 55_000}
    # Something happened at 54 s, so it lived until then, and the next beat was due at 60 s.
    books = run([*silent, *attempt("a", 54 * SECOND, None, "x")])
    assert books.totals.whole() == {"USD": 57_000}
    assert by_bucket(books)["lost"] == 3_000
    assert books.bills[0].end.estimated


def test_what_still_runs_is_no_loss_and_is_an_estimate() -> None:
    facts = [*machine(None), Beat("vm", 50 * SECOND, "w"), process(), *attempt("a", 40 * SECOND, None, "xy")]
    books = run(facts, made(a="x"), rules=FoldRules(now=70 * SECOND))
    assert by_bucket(books) == {"idle": 40_000, "busy": 30_000}
    assert {entry.quality for entry in books.entries if entry.job} == {Quality.ESTIMATED}
    # Three beats later it is dead, and so is one that was replaced while its machine lives.
    assert by_bucket(run(facts, rules=FoldRules(now=80 * SECOND))) == {"idle": 40_000, "lost": 15_000}
    replaced = run([*facts, process("q", 60 * SECOND)], rules=FoldRules(now=70 * SECOND))
    assert by_bucket(replaced) == {"idle": 50_000, "lost": 20_000}


def test_every_instant_is_shared_equally_by_those_who_are_active() -> None:
    facts = [*machine(), process(), *attempt("a", 0, 60 * SECOND, "x", "j"), *attempt("b", 0, 30 * SECOND, "y", "k")]
    books = run([*facts, EngineLoaded("p", "translate", "v", 30 * SECOND, 15 * SECOND)], made(a="x", b="y"))
    # 15 s for two, 15 s for three, 30 s alone, 40 s idle.
    assert by_bucket(books, job="j") == {"busy": 7_500 + 5_000 + 30_000}
    assert by_bucket(books, job="k") == {"busy": 7_500 + 5_000}
    assert by_bucket(books) == {"busy": 55_000, "load": 5_000, "idle": 40_000}


def test_shares_agree_with_exact_fractions_reckoned_instant_by_instant() -> None:
    rng = random.Random(3)
    for _ in range(30):
        spans = {}
        for number in range(12):
            start = rng.randrange(99_000)
            spans[f"a{number}"] = (start, start + rng.randint(1, 100_000 - start))
        facts = [*machine(price="0.526 USD"), process()]
        for number, (name, (start, end)) in enumerate(spans.items()):
            facts += attempt(name, start, end, chr(97 + number))
        books = run(facts, {chr(97 + number): name for number, name in enumerate(spans)})
        exact: defaultdict[str, Fraction] = defaultdict(Fraction)
        borders = sorted({edge for span in spans.values() for edge in span})
        for start, end in pairwise(borders):
            active = [name for name, (first, last) in spans.items() if first <= start and end <= last]
            for name in active:
                exact[name] += Fraction(end - start, len(active)) * Fraction(526 * NANO, 1000 * HOUR)
        for entry in books.entries:
            if entry.attempt:
                assert abs(entry.nano - exact[entry.attempt]) < 1


def want(
    job: str, keys: str, at: int = 0, until: int | None = None, owner: str = "ann", **more: object
) -> DemandInterval:
    return DemandInterval(job, owner, {"team": job}, at, until, frozenset(keys), **more)  # type: ignore[arg-type]


def test_a_unit_is_paid_by_all_who_wanted_it_when_it_was_computed() -> None:
    facts = [*machine(), process(), *attempt("a", 50 * SECOND, 90 * SECOND, "xy", "j")]
    wants = [
        want("j", "xy"),
        want("k", "x", 49 * SECOND),
        want("late", "xy", 51 * SECOND),
        want("over", "xy", 0, 50 * SECOND),
    ]
    books = run(facts, made(a="xy"), wants)
    assert {job: by_bucket(books, job=job).get("busy") for job in ("j", "k", "late", "over")} == {
        "j": 30_000,
        "k": 10_000,
        "late": None,
        "over": None,
    }
    assert by_bucket(run(facts, made(a="xy")), job="j") == {"busy": 40_000}


def test_a_job_that_shares_moves_no_amount_of_those_who_do_not() -> None:
    facts = [*machine(), process(), *attempt("a", 0, 33_333, "xyz", "j"), *attempt("b", 7, 44_444, "uvw", "k")]
    by = made(a="xyz", b="uvw")
    alone = run(facts, by, [want("j", "xyz")])
    shared = run(facts, by, [want("j", "xyz"), want("other", "x"), want("third", "xy")])
    assert [entry for entry in alone.entries if entry.job == "k"] == [e for e in shared.entries if e.job == "k"]
    assert sum(e.nano for e in shared.entries if e.attempt == "a") == by_bucket(alone, job="j")["busy"]


def test_units_cost_by_their_speech_and_in_their_language() -> None:
    units = (UnitUse("x", 3000, "j"), UnitUse("y", 1000, "j"), UnitUse("z", 0, "j"))
    facts = [*machine(), process(), AttemptStarted("a", "p", "translate", 0, units=units)]
    facts.append(AttemptEnded("a", 80 * SECOND, 80 * SECOND))
    wants = [want("j", "xyz", languages={"x": "de", "y": "pl", "z": "de"})]
    books = run(facts, made(a="xyz"), wants)
    sums = books.totals.by(Dimension.LANGUAGE)
    assert {language: line["USD"].nano for language, line in sums.items()} == {"": 20_000, "de": 60_000, "pl": 20_000}
    assert books.totals.by(Dimension.OWNER)["ann"]["USD"].nano == 80_000
    assert books.totals.by_label("team", Demand(wants).labels)["j"]["USD"].ms == 80_000


def test_a_trial_is_double_work_and_nobodys() -> None:
    books = run([*machine(), process(), EngineTried("p", "transcribe", 30 * SECOND, 20 * SECOND)])
    assert by_bucket(books) == {"duplicate": 20_000, "idle": 80_000}


def test_what_is_billed_beyond_the_life_is_a_residual_and_is_never_spread() -> None:
    gpus = {"cloud": "gcp", "size": "g2-standard-8", "region": "europe-west4", "spot": False, "gpu": ("L4", "L4")}
    books = run([*machine(30 * MINUTE, "", **gpus), process(), *attempt("a", 0, 30 * MINUTE, "x")], made(a="x"))
    assert by_bucket(books) == {"busy": 700_000_000, "unattributed": 700_000_000}
    (residual,) = books.residuals
    assert (residual.ms, residual.nano, residual.currency) == (30 * MINUTE, 700_000_000, "USD")


def test_the_first_hours_rule_is_named_in_every_entry() -> None:
    opened = SessionOpened("vm", 0, "aws", "g4dn.xlarge", "us-east-1", "", True, ("T4",), "0.2 USD")
    facts = [opened, process(), *attempt("a", 0, None, "x"), SessionClosed("vm", 30 * MINUTE, "aws: terminate", "w")]
    books = run(facts)
    assert [(e.bucket.value, e.nano, e.unit_ms, e.price_row) for e in books.entries] == [
        ("lost", 0, 30 * MINUTE, "session#aws-first-hour")
    ]
    assert books.unpriced == ()


def test_an_unpriced_machine_has_usage_and_no_amount() -> None:
    books = run([*machine(price=""), process(), *attempt("a", 0, 60 * SECOND, "xy")], made(a="x"))
    assert books.entries == ()
    assert {usage.bucket.value: usage.quantity for usage in books.unpriced} == {
        "busy": 30_000,
        "duplicate": 30_000,
        "idle": 40_000,
    }
    assert {usage.meter for usage in books.unpriced} == {"node_ms"}
    rules = FoldRules(node_price=PRICE)
    assert run([*machine(price=""), process()], rules=rules).totals.whole() == {"USD": 100_000}


def test_an_embedded_run_is_a_machine_of_its_own_without_a_price() -> None:
    facts = [ProcessStarted("p", "", "", 0), *attempt("a", 10, 5010, "x")]
    books = run(facts, made(a="x"))
    assert [(usage.session, usage.bucket.value, usage.quantity) for usage in books.unpriced][-1] == ("p", "busy", 5000)
    assert books.errors == ()
    priced = run(facts, made(a="x"), rules=FoldRules(node_price=PRICE))
    assert by_bucket(priced)["busy"] == 5000


def test_the_same_fact_again_is_nothing_and_another_payload_is_an_error_by_name() -> None:
    facts = [*machine(), process(), *attempt("a", 0, 60 * SECOND, "x")]
    books = run(facts, made(a="x"))
    assert run(facts * 3, made(a="x")) == books
    other: list[Fact] = [
        AttemptEnded("a", 70 * SECOND, 70 * SECOND),
        SessionOpened("vm", 5, price=PRICE),
        PriceChanged("vm", 9, "1 USD"),
        PriceChanged("vm", 9, "2 USD"),
    ]
    found = set()
    for seed in range(6):
        told = facts + other
        random.Random(seed).shuffle(told)
        wrong = run(told, made(a="x"))
        assert [line.split(" is there")[0] for line in wrong.errors] == [
            "attempt_ended a",
            "price_changed vm 9",
            "session_opened vm",
        ]
        found.add(wrong.entries)
    assert len(found) == 1


def test_facts_whose_beginning_is_lost_stay_in_the_books() -> None:
    books = run(
        [*attempt("a", 0, 5000, "x", process="gone"), AttemptEnded("b", 1, 1), Beat("vm9", 5, "w")], made(a="x")
    )
    assert books.errors == (
        "attempt b ended and never started",
        "process gone does not say whose it is",
        "session vm9 was never opened",
    )
    assert [usage.quantity for usage in books.unpriced if usage.attempt == "a"] == [5000]


def test_a_price_that_cannot_be_read_leaves_that_machine_unpriced_and_says_so() -> None:
    books = run([*machine(price="cheap"), *machine(session="vm2"), process(), process("q", session="vm2")])
    assert books.totals.whole() == {"USD": 100_000}
    assert [line.split(":")[0] for line in books.errors] == ["session vm"]
    assert {usage.session for usage in books.unpriced} == {"vm"}


def remote(name: str, engine: str, usage: Mapping[str, int], *, ended: bool = True, units: str = "xy") -> list[Fact]:
    uses = tuple(UnitUse(key, 4000, "jk"["xy".index(key)]) for key in units)
    begun = AttemptStarted(
        name, "p", "translate", 0, engine, engine.split()[0], remote=True, units=uses, estimated=usage
    )
    return [begun, AttemptEnded(name, 10 * SECOND, 10 * SECOND, 2, usage)] if ended else [begun]


def fees(books: Ledger) -> list[LedgerEntry]:
    return [entry for entry in books.entries if entry.bucket is Bucket.API_FEE]


def test_fees_are_usage_times_the_row_and_are_no_part_of_the_machines_bill() -> None:
    usage = {"input_tokens": 1_000_000, "output_tokens": 500_000, "requests": 2, "audio_ms": 8000}
    books = run([*machine(), process(), *remote("a", "openai gpt-4o-mini", usage)], made(a="xy"))
    assert sorted((fee.price_row, fee.job, fee.nano) for fee in fees(books)) == [
        ("openai/mini/in", "j", 75_000_000),
        ("openai/mini/in", "k", 75_000_000),
        ("openai/mini/out", "j", 150_000_000),
        ("openai/mini/out", "k", 150_000_000),
    ]
    assert sum(entry.nano for entry in books.entries if entry.bucket is not Bucket.API_FEE) == 100_000
    assert books.unpriced == ()


def test_a_minimum_a_request_counts_for_each_unit() -> None:
    # Two calls of 4 s are billed as 10 s each: 20 s at 0.006 a minute.
    books = run(
        [*machine(), process(), *remote("a", "openai whisper-1", {"audio_ms": 8000, "requests": 2})], made(a="xy")
    )
    assert sum(fee.nano for fee in fees(books)) == 2_000_000
    books = run(
        [*machine(), process(), *remote("a", "openai whisper-1", {"audio_ms": 8000, "requests": 1})], made(a="xy")
    )
    assert sum(fee.nano for fee in fees(books)) == 1_000_000


def test_a_call_that_never_came_back_costs_what_was_estimated_until_a_bill_says_not() -> None:
    usage = {"input_tokens": 10, "output_tokens": 4}
    books = run([*machine(), process(), *remote("a", "openai gpt-4o-mini", usage, ended=False)])
    assert {fee.quality for fee in fees(books)} == {Quality.ESTIMATED}
    assert sum(fee.nano for fee in fees(books)) == 1500 + 2400
    silent = run([*machine(), process(), *remote("a", "openai gpt-4o-mini", {}, ended=False)])
    assert fees(silent) == []
    assert sum(usage.quantity for usage in silent.unpriced) == 2


def test_usage_that_no_row_prices_is_listed_and_half_a_price_is_not_a_price() -> None:
    usage = {"input_tokens": 7, "output_tokens": 0, "cached_input_tokens": 4}
    books = run([*machine(), process(), *remote("a", "openai gpt-4o-mini", usage)], made(a="xy"))
    assert {(unknown.meter, unknown.quantity) for unknown in books.unpriced} == {("cached_input_tokens", 2)}
    unknown = run([*machine(), process(), *remote("a", "openai new", {"audio_ms": 8000, "requests": 2})], made(a="xy"))
    assert sum(each.quantity for each in unknown.unpriced if each.meter == "audio_ms") == 8000
    own = FoldRules(own_engines=frozenset({"openai new"}))
    assert run([*machine(), process(), *remote("a", "openai new", usage)], made(a="xy"), rules=own).unpriced == ()


# What an old fact does not say, the engine's line says.
@pytest.mark.parametrize(("line", "fake"), [("fake", None), ("tones of a new make", True), ("fake", True)])
def test_fake_work_is_marked_and_can_be_left_out(line: str, fake: bool | None) -> None:
    facts = [*machine(), process(), *attempt("a", 0, 60 * SECOND, "x", fake=True)]
    books = run([*facts, EngineLoaded("p", "transcribe", line, 70 * SECOND, 10 * SECOND, fake)], made(a="x"))
    assert {entry.bucket.value for entry in books.entries if entry.fake} == {"busy", "load"}
    assert books.totals.whole(fake=False) == {"USD": 30_000}
    assert books.totals.whole(fake=True) == {"USD": 70_000}


@pytest.mark.parametrize(("line", "fake"), [("fakir v2", None), ("faster-whisper fake", None), ("fake", False)])
def test_a_real_engine_whose_line_looks_like_a_fakes_is_charged(line: str, fake: bool | None) -> None:
    loaded = EngineLoaded("p", "transcribe", line, 70 * SECOND, 10 * SECOND, fake)
    books = run([*machine(), process(), loaded], {})
    assert books.totals.whole(fake=True) == {}


def test_a_period_cuts_what_crosses_its_edges() -> None:
    facts = [*machine(), process(), *attempt("a", 20 * SECOND, 60 * SECOND, "x")]
    first = run(facts, made(a="x"), period=Period(0, 30 * SECOND))
    second = run(facts, made(a="x"), period=Period(30 * SECOND, 10**9))
    assert by_bucket(first) == {"idle": 20_000, "busy": 10_000}
    assert by_bucket(second) == {"busy": 30_000, "idle": 40_000}
    assert run(facts, made(a="x"), period=Period(10**9, 10**10)).entries == ()


def test_a_month_is_half_open_and_of_its_own_length() -> None:
    assert Period.month("2026-11").end == Period.month("2026-12").start == 1_796_083_200_000
    assert Period.month("2028-02").end - Period.month("2028-02").start == 29 * 24 * HOUR
    assert Period.month("2026-12").end == Period.month("2027-01").start
