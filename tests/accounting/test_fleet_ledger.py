"""The books of a store: what runs and fleets cost, who pays, and what is never made up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from job_bench import Bench
from ledger_journals import Journals, job
from segue_process import FAKES, Place, run_segue
from spoken import SAMPLE, SPEECH, many_windows
from whole_ledger import read_fleet_ledger

from accounting.checks.verify import verify_store
from accounting.fleet_ledger import FleetLedger, PricingRules
from accounting.job import ReportRules, job_report
from accounting.media_spans import SpanStatus
from accounting.report import Finality, JobReport
from accounting.sharing.idle import IdleRule
from accounting.sharing.people import PeopleRules
from cache.store import Store
from core.money import Conversion, Money, total
from jobs.purging import purge
from ledger.entries import Bucket, LedgerEntry, Period
from ledger.exchange import Exchange
from ledger.price_book.price_files import shipped_book
from ledger.price_book.prices import PriceBook
from ledger.totals import Dimension
from pipeline.jobs import JobFolder
from pipeline.stages.silence import ENCODER_PART

NO_PRICES = PriceBook(())
ANNA, BERT = job("anna"), job("bert")
#: The fleet keeps its idle.
LEFT = ReportRules(idle=IdleRule.FLEET)
#: Long after everything that the tests write: whoever is silent is dead.
LATER = PricingRules(now=4_000_000_000_000)


def store_of(bench: Bench) -> Store:
    return Store.open(bench.folder / "home")


def report_of(bench: Bench, job_id: str | None, rules: ReportRules | None = None) -> JobReport:
    assert job_id is not None
    return job_report(store_of(bench), job_id, shipped_book(), rules)


def spent(entries: tuple[LedgerEntry, ...], *, whose: str = "", bucket: Bucket | None = None) -> int:
    return sum(
        entry.nano
        for entry in entries
        if (not whose or entry.job == whose) and (bucket is None or entry.bucket is bucket)
    )


def billed(books: FleetLedger) -> int:
    return sum(nano for bill in books.folded.bills for nano in bill.totals().values())


# -- embedded runs -------------------------------------------------------------------------------------------


def test_the_job_of_an_embedded_run_pays_for_its_whole_session(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, to=("es", "ja"), node_price="0.30 USD", fake_delay_ms=20)
    report = report_of(bench, result.job_id)
    (node,) = report.nodes
    assert node.billed == {"USD": report.spent.total.nano} == {"USD": spent(report.entries)}
    assert node.embedded
    assert node.price.startswith("0.30 USD/h")
    for parts in (report.spent.by_bucket, report.spent.by_stage):
        assert sum(part.nano for part in parts.values()) == report.spent.total.nano
    assert set(report.spent.by_bucket) >= {"busy", "idle"}
    assert set(report.spent.by_stage) == {"transcribe", "translate"}
    assert {entry.language for entry in report.entries if entry.stage == "translate" and entry.attempt} == {"es", "ja"}
    assert report.standing is Finality.PROVISIONAL


def test_fake_engines_are_marked_and_enter_no_verdict(bench: Bench) -> None:
    result = bench.run_one(node_price="0.30 USD", fake_delay_ms=20)
    rules = ReportRules(people=PeopleRules("6", "90"))
    report = report_of(bench, result.job_id, rules)
    assert report.fake
    assert all(entry.fake for entry in report.entries)
    assert report.verdict.job is not None
    assert report.verdict.job.outcome == "undecided"
    assert report.verdict.job.difference is None
    assert "fake engines" in report.verdict.line
    assert "people" not in report.spent.by_bucket


def test_a_machine_without_a_price_is_unpriced_and_not_free(bench: Bench) -> None:
    result = bench.run_one(fake_delay_ms=20)
    report = report_of(bench, result.job_id)
    (node,) = report.nodes
    assert (report.entries, node.billed, node.price) == ((), {}, "unpriced")
    assert sum(one.quantity for one in report.unpriced) == node.end - node.start > 0
    assert any("node time" in line for line in report.unpriced_lines)
    assert report.as_json()["avoided"]["silence"]["amount"] is None
    rated = report_of(bench, result.job_id, ReportRules(PricingRules("0.30 USD")))
    assert rated.spent.total > Money(0, "USD")
    assert not rated.unpriced


def test_the_ledger_says_cpu_where_there_is_no_gpu(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("journals.node_session.read_gpus", list)
    result = bench.run_one()
    assert [node.hardware for node in report_of(bench, result.job_id).nodes] == ["cpu"]


def test_each_reference_api_has_its_invoice_with_the_row_that_priced_it(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, node_price="0.30 USD")
    report = report_of(bench, result.job_id)
    found = {(one.stage, one.provider, one.model) for one in report.counterfactuals}
    transcription = {one for one in found if one[0] == "transcribe"}
    characters = {one.model for one in report.counterfactuals if "characters" in one.usage}
    tokens = {one.model for one in report.counterfactuals if "input_tokens" in one.usage}
    assert len(transcription) >= 5
    assert len(tokens) >= 5
    assert len(characters) >= 3
    assert {one.basis.value for one in report.counterfactuals} >= {"whole_file", "speech_only"}
    spoken = [one for one in report.counterfactuals if one.stage == "transcribe" and one.basis == "whole_file"]
    assert {one.usage["audio_ms"] for one in spoken} == {report.duration_ms}
    assert all(one.price_row for one in report.counterfactuals)


def test_the_timeline_covers_the_media_without_gaps(bench: Bench) -> None:
    result = bench.run_one(SAMPLE)
    report = report_of(bench, result.job_id)
    ends = [0, *(span.end_ms for span in report.timeline)]
    assert [span.start_ms for span in report.timeline] == ends[:-1]
    assert ends[-1] == report.duration_ms
    assert {span.status for span in report.timeline} == {SpanStatus.SKIPPED, SpanStatus.COMPUTED}


def test_avoided_silence_is_the_windows_spared_and_never_subtracted(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, node_price="0.30 USD", fake_delay_ms=50)
    report = report_of(bench, result.job_id)
    (silence,) = (one for one in report.avoided if one.kind == "silence")
    heard = sum(span.end_ms - span.start_ms for span in report.timeline if span.status is SpanStatus.COMPUTED)
    assert silence.media_ms == report.duration_ms - heard
    assert "2 windows instead of 3" in silence.basis
    assert not silence.measured
    busy = sum(entry.unit_ms for entry in report.entries if entry.stage == "transcribe" and entry.bucket is Bucket.BUSY)
    assert silence.engine_ms is not None
    assert abs(silence.engine_ms - busy / 2 * ENCODER_PART) <= 1
    assert report.spent.total.nano == sum(report.nodes[0].billed.values())


def test_another_target_finds_the_transcription_in_the_cache(bench: Bench) -> None:
    bench.run_one(SAMPLE, to=("es",), node_price="0.30 USD", fake_delay_ms=20)
    result = bench.run_one(SAMPLE, to=("ja",), node_price="0.30 USD", fake_delay_ms=20)
    report = report_of(bench, result.job_id)
    avoided = {one.kind: one for one in report.avoided}
    assert avoided["cache"].units == result.tally.units["transcribe"][0]
    assert avoided["cache"].measured
    assert avoided["cache"].amount is not None
    assert avoided["cache"].amount > Money(0, "USD")
    assert {entry.stage for entry in report.entries} == {"translate"}
    assert report.verdict.found is not None
    assert set(report.verdict.found.by_stage) == {"translate"}
    assert "cache" in report.verdict_whole_file.why_none


def test_a_run_that_died_has_lost_work_and_its_resume_is_avoided_work(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    for session, began, ended in (("run-1", 0.0, None), ("run-2", 60.0, 100.0)):
        journals.node(session, began, ended, "3.60 USD")
        journals.process(session, began)
    done = journals.attempt("run-1", 1, 3, [("a", 4000, ANNA), ("b", 6000, ANNA)])
    journals.attempt("run-1", 5, None, [("c", 5000, ANNA)])
    again = journals.attempt("run-2", 61, 5, [("c", 5000, ANNA)])
    for unit, made in (("a", done), ("b", done), ("c", again)):
        journals.record(unit, made)
    journals.wanted(ANNA, 0, None, [], writer="run-1")
    journals.wanted(ANNA, 60, 100, ["a", "b", "c"], writer="run-2")
    report = job_report(journals.store, ANNA, NO_PRICES, ReportRules(LATER))
    # Begun at 5 s; at the speed of the batch before, its result was due at 6.5 s and never came: dead at 5.75 s.
    assert report.spent.ms_by_bucket == {"busy": 8000, "idle": 37_000, "lost": 750}
    assert report.resumability.deaths == 1
    assert report.resumability.saved_ms == 3000
    assert spent(report.entries) == sum(sum(node.billed.values()) for node in report.nodes)
    assert [node.estimated_end for node in report.nodes] == [True, False]


def test_a_real_run_that_was_killed_is_resumed_and_pays_for_both(bench: Bench, tmp_path: Path) -> None:
    place = Place(tmp_path)
    settings = {**FAKES, "SEGUE_NODE_PRICE": "0.30 USD", "SEGUE_FAKE_DELAY_MS": "50", "SEGUE_BATCH_SIZE": "1"}
    arguments = ["run", "--to", "es", "--from", "en", "--out", str(place.out), "--json", str(SAMPLE)]
    assert run_segue(arguments, place, {**settings, "SEGUE_FAKE_FAULTS": "die:2"}).code != 0
    (told,) = run_segue(arguments, place, settings).jobs
    report = job_report(Store.open(place.home), told["id"], shipped_book(), ReportRules(LATER))
    kinds = {one.kind: one for one in report.avoided}
    assert kinds["resume"].units >= 1
    assert kinds["resume"].amount is not None
    assert len(report.nodes) == 2
    assert spent(report.entries) == sum(sum(node.billed.values()) for node in report.nodes)
    assert spent(report.entries, bucket=Bucket.LOST) > 0
    assert SpanStatus.LOST in {span.status for span in report.timeline}
    assert verify_store(Store.open(place.home)).problems == ()


def test_of_a_batch_that_a_death_took_only_the_unit_under_way_is_lost_once_and_computed_again(tmp_path: Path) -> None:
    """Windows whose transcripts are there, in one batch of a translator that does one after the other: it is killed at
    the third, whose predecessors may not have reached the disk, and the others only wait behind."""
    place, media = Place(tmp_path), many_windows(tmp_path / "media" / "long.wav")
    settings = {**FAKES, "SEGUE_FAKE_DELAY_MS": "20"}

    def arguments(to: str) -> list[str]:
        return ["run", "--to", to, "--from", "en", "--out", str(place.out), "--json", str(media)]

    assert run_segue(arguments("es"), place, settings).code == 0
    assert run_segue(arguments("de"), place, {**settings, "SEGUE_FAKE_FAULTS": "die:3"}).code != 0
    (told,) = run_segue(arguments("de"), place, settings).jobs
    store = Store.open(place.home)
    report, plan = job_report(store, told["id"], shipped_book(), ReportRules(LATER)), JobFolder(store, told["id"])
    windows = [planned.window for planned in getattr(plan.read_plan(), "windows", ())]
    assert len(windows) > 4
    assert {span.status for span in report.timeline} == {SpanStatus.SKIPPED, SpanStatus.LOST, SpanStatus.COMPUTED}
    lost = [(span.start_ms, span.end_ms) for span in report.timeline if span.status is SpanStatus.LOST]
    spans = [[(each.start_ms, each.end_ms) for each in window.spans or window.segments] for window in windows]
    assert lost in spans[:3]


def test_a_killed_run_shows_what_the_death_took(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journals.node("run-1", 0, None, "3.60 USD")
    journals.process("run-1", 0)
    journals.attempt("run-1", 2, None, [("a", 5000, ANNA)])
    journals.wanted(ANNA, 0, None, [], writer="run-1")
    report = job_report(journals.store, ANNA, NO_PRICES, ReportRules(LATER))
    # Alive at 2 s, and not at 10 s when a beat was due: the middle is 6 s.
    assert report.spent.ms_by_bucket == {"idle": 2000, "lost": 4000}
    assert report.spent.by_bucket["lost"] == Money(4_000_000, "USD")
    assert report.resumability.deaths == 1
    assert {entry.job for entry in report.entries} == {ANNA}


# -- fleets --------------------------------------------------------------------------------------------------


def fleet(folder: Path) -> Journals:
    """One worker for 100 s at 0.001 USD a second: 10 s of loading, then work for two jobs that share unit ``s``."""
    journals = Journals(folder)
    journals.node("node", 0, 100, "3.60 USD", cloud="azure", size="Standard_X", name="vm-1", gpu_names=["Tesla T4"])
    journals.process("p", 0, "node")
    journals.loaded("p", 10, "10.000")
    made = journals.attempt("p", 20, 30, [("a", 10_000, ANNA), ("s", 10_000, ANNA), ("b", 10_000, BERT)])
    for unit in ("a", "s", "b"):
        journals.record(unit, made)
    journals.wanted(ANNA, 5, 60, ["a", "s"])
    journals.wanted(BERT, 6, 60, ["b", "s"])
    return journals


def test_jobs_that_wanted_a_unit_at_once_pay_for_it_equally(tmp_path: Path) -> None:
    books = read_fleet_ledger(fleet(tmp_path).store, NO_PRICES)
    for whose in (ANNA, BERT):
        assert spent(books.entries, whose=whose, bucket=Bucket.BUSY) == 15_000_000


def test_loading_is_charged_to_jobs_and_idle_stays_with_the_fleet(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    books = read_fleet_ledger(journals.store, NO_PRICES)
    assert spent(books.entries) == billed(books) == 100_000_000
    assert spent(books.entries, whose=ANNA, bucket=Bucket.LOAD) == 5_000_000
    assert {entry.job for entry in books.entries if entry.bucket is Bucket.IDLE} == {""}
    assert books.by(Dimension.JOB)[""]["USD"].nano == 60_000_000
    report = job_report(journals.store, ANNA, NO_PRICES, LEFT)
    assert report.spent.total == Money(20_000_000, "USD")
    assert report.fleet_idle == {"USD": 60_000_000}
    assert [(node.hardware, node.embedded) for node in report.nodes] == [("1 x Tesla T4", False)]


def test_an_engine_that_a_worker_loaded_and_a_job_did_not_need_is_not_charged_to_it(tmp_path: Path) -> None:
    """A job whose transcripts were cached: a worker that serves both stages loads Whisper for 10 s, the translator for
    5 s, and translates for 30 s, at 0.001 USD a second."""
    journals = Journals(tmp_path)
    journals.node("node", 0, 100, "3.60 USD")
    journals.process("p", 0, "node")
    journals.loaded("p", 10, "10.000")
    journals.loaded("p", 15, "5.000", stage="translate")
    made = journals.attempt("p", 20, 30, [("a", 10_000, ANNA)], stage="translate")
    journals.record("a", made)
    journals.wanted(ANNA, 5, 60, ["a"])
    books = read_fleet_ledger(journals.store, NO_PRICES)
    assert spent(books.entries) == billed(books) == 100_000_000
    assert spent(books.entries, whose=ANNA, bucket=Bucket.LOAD) == 5_000_000
    # The fleet's: 10 s of loading, and 100 - 10 - 5 - 30 = 55 s idle.
    assert books.by(Dimension.JOB)[""]["USD"].nano == 65_000_000
    report = job_report(journals.store, ANNA, NO_PRICES, LEFT)
    assert report.spent.total == Money(35_000_000, "USD")
    assert report.spent.by_stage == {"translate": Money(35_000_000, "USD")}
    # Whoever had a language detected by it needed it.
    heard = journals.attempt("p", 60, 1, [("l", 5_000, BERT)], stage="detect")
    journals.record("l", heard)
    journals.wanted(BERT, 55, 70, ["l"])
    books = read_fleet_ledger(journals.store, NO_PRICES)
    assert spent(books.entries, whose=BERT, bucket=Bucket.LOAD) == 10_000_000
    assert spent(books.entries, whose=ANNA, bucket=Bucket.LOAD) == 5_000_000
    assert spent(books.entries) == billed(books) == 100_000_000


def test_jobs_and_the_fleet_sum_to_the_machines(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    books = read_fleet_ledger(journals.store, NO_PRICES)
    jobs = sum(job_report(journals.store, whose, NO_PRICES, LEFT).spent.total.nano for whose in (ANNA, BERT))
    assert jobs + books.by(Dimension.JOB)[""]["USD"].nano == billed(books)


def test_a_job_that_comes_later_has_a_cache_hit_and_pays_nothing(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    carl = job("carl")
    journals.wanted(carl, 70, 80, ["a", "s"])
    books = read_fleet_ledger(journals.store, NO_PRICES)
    assert spent(books.entries, whose=carl) == 0
    assert spent(books.entries, whose=ANNA, bucket=Bucket.BUSY) == 15_000_000


def test_months_sum_to_the_whole_for_every_job(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    # From 23:00 of October's last day into November; loading in October, work of one job on either side.
    journals.node("node", 0, 7200, "0.361 USD")
    journals.process("p", 0, "node")
    journals.loaded("p", 100, "99.999")
    first = journals.attempt("p", 200, 3500.5, [("a", 7000, ANNA), ("b", 3001, BERT)])
    second = journals.attempt("p", 3800, 1000.7, [("c", 5000, BERT)])
    journals.record("a", first)
    journals.record("c", second)
    whole = read_fleet_ledger(journals.store, NO_PRICES)
    months = [
        read_fleet_ledger(journals.store, NO_PRICES, period=Period.month(name)) for name in ("2026-10", "2026-11")
    ]
    assert all(books.entries for books in months)
    for whose in (ANNA, BERT, ""):
        parts = [sum(e.nano for e in books.entries if e.job == whose) for books in months]
        assert sum(parts) == sum(e.nano for e in whole.entries if e.job == whose)
    assert sum(spent(books.entries) for books in months) == billed(whole)


def test_a_spot_row_of_the_price_book_prices_a_machine_that_says_no_price(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    facts = {"cloud": "azure", "size": "Standard_NC4as_T4_v3", "region": "eastus", "spot": True}
    journals.node("node", 0, 3600, "", gpu_names=["Tesla T4"], **facts)
    journals.process("p", 0, "node")
    books = read_fleet_ledger(journals.store, shipped_book())
    assert {entry.price_row for entry in books.entries} == {"azure/Standard_NC4as_T4_v3/eastus/spot/2026-09"}
    assert spent(books.entries) == 149_000_000


def test_an_api_is_a_fee_and_a_server_of_ones_own_is_none(tmp_path: Path) -> None:
    journals = Journals(tmp_path)
    journals.node("run", 0, 60, "0.36 USD")
    journals.process("run", 0)
    facts = {"engine": "openai gpt-4o-mini", "provider": "openai", "remote": True}
    usage = {"requests": 1, "input_tokens": 1_000_000, "output_tokens": 1_000_000}
    made = journals.attempt("run", 1, 10, [("a", 5000, ANNA)], stage="translate", usage=usage, **facts)
    journals.record("a", made)
    journals.wanted(ANNA, 0, 30, ["a"], writer="run")
    report = job_report(journals.store, ANNA, shipped_book())
    assert report.spent.by_bucket["api_fee"] == Money.parse("0.75 USD")
    assert report.spent.total == Money.parse("0.756 USD")
    own = ReportRules(PricingRules(own_engines=frozenset({"openai gpt-4o-mini"})))
    assert "api_fee" not in job_report(journals.store, ANNA, shipped_book(), own).spent.by_bucket
    unknown = job_report(journals.store, ANNA, NO_PRICES)
    assert {one.meter for one in unknown.unpriced} == {"requests", "input_tokens", "output_tokens"}


# -- currencies and people -----------------------------------------------------------------------------------


def test_euro_books_are_in_euro(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, node_price="0.30 EUR", fake_delay_ms=20)
    report = report_of(bench, result.job_id)
    assert report.currency == "EUR"
    assert report.spent.total.currency == "EUR"
    assert not report.spent.elsewhere
    dollars = report_of(bench, result.job_id, ReportRules(PricingRules(exchange=Exchange("USD"))))
    assert dollars.spent.total == Money(0, "USD")
    assert dollars.spent.elsewhere == (report.spent.total,)


def test_a_dated_rate_converts_what_was_paid_and_what_apis_charge(bench: Bench) -> None:
    result = bench.run_one(SAMPLE, node_price="0.30 EUR", fake_delay_ms=20)
    to_usd = Conversion("EUR", "USD", Decimal("1.25"), date(2020, 1, 1), "ECB")
    before = report_of(bench, result.job_id).entries
    report = report_of(bench, result.job_id, ReportRules(PricingRules(exchange=Exchange("USD", (to_usd,)))))
    # Each entry is converted by itself, so that every cut of them agrees.
    each = [to_usd.convert(Money(entry.nano, "EUR")) for entry in before]
    assert report.spent.total == total(each, "USD")
    assert spent(report.entries) == report.spent.total.nano
    assert not report.spent.elsewhere
    deepl = [one for one in report.counterfactuals if one.provider == "deepl"]
    assert {one.amount.currency for one in deepl if one.amount} == {"USD"}


def test_people_are_shared_by_busy_time_and_unset_is_not_zero(tmp_path: Path) -> None:
    journals = fleet(tmp_path)
    unset = job_report(journals.store, ANNA, NO_PRICES)
    assert unset.people.amount is None
    assert Bucket.PEOPLE.value not in unset.spent.by_bucket
    rules = ReportRules(people=PeopleRules("4-8", "100 USD"))
    anna, bert = (job_report(journals.store, whose, NO_PRICES, rules) for whose in (ANNA, BERT))
    # Both jobs were busy for as long: each carries half of 400 to 800 USD.
    for report in (anna, bert):
        assert report.people.amount is not None
        assert (report.people.amount.low, report.people.amount.high) == (
            Money.parse("200 USD"),
            Money.parse("400 USD"),
        )
        assert report.spent.by_bucket["people"] == Money.parse("300 USD")
    assert anna.spent.total == replace(unset.spent.total, nano=unset.spent.total.nano + 300 * 10**9)


# -- what a purge leaves -------------------------------------------------------------------------------------


def test_a_purged_job_keeps_its_costs_under_an_opaque_id(bench: Bench) -> None:
    result = bench.run_one(SPEECH, node_price="0.30 USD", fake_delay_ms=20)
    before = report_of(bench, result.job_id)
    purge(store_of(bench), [str(result.job_id)], outputs=True)
    after = report_of(bench, result.job_id)
    assert (after.state, after.owner, after.media) == ("purged", "", ())
    assert after.spent.total == before.spent.total
    assert after.spent.by_bucket == before.spent.by_bucket
    assert after.counterfactuals == after.timeline == ()
    assert after.verdict.line.startswith("undecided")


def test_reading_the_books_changes_nothing(bench: Bench) -> None:
    result = bench.run_one(node_price="0.30 USD")
    files = {path: path.read_bytes() for path in (bench.folder / "home").rglob("*") if path.is_file()}
    first = report_of(bench, result.job_id)
    assert report_of(bench, result.job_id).entries == first.entries
    assert {path: path.read_bytes() for path in (bench.folder / "home").rglob("*") if path.is_file()} == files
