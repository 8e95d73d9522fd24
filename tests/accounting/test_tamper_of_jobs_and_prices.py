"""Owners, labels and price rows that were changed after they were used are seen; what Segue's own commands do is not
called tampering; and whoever verifies changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from job_bench import Bench
from ledger_journals import Journals
from machine_rows import machine_row
from msgspec.structs import replace as changed_struct

from accounting.checks.verify import PricesNow, Verification, verify_store
from accounting.closing import read_closed
from accounting.fleet_ledger import PricingRules
from accounting.kept.kept_sums import KeptSums
from accounting.kept.period_totals import read_totals
from accounting.months import close_month
from cache.envelope import encode_document
from cache.journal import encode_line
from cache.names import JOBS
from cache.store import Store
from core.keys import canonical_json
from jobs.submissions import OrderKind, Submission, file_order, give_order
from journals import demand
from journals.chain import Flaw
from journals.demand import DemandLog
from journals.facts import parse_instant
from journals.log_ends import EndOfLogRecorder, keep_price_rows, process_name
from ledger.entries import Period
from ledger.price_book.price_history import terms_digest
from ledger.price_book.prices import PriceBook, PriceRow
from pipeline.jobs import JobFolder, demand_state

Change = Callable[[dict[str, Any]], None]


def flaws(found: Verification) -> set[tuple[str, Flaw]]:
    """What is wrong: the file's own name, and the flaw."""
    return {(one.file.rpartition("/")[2], one.flaw) for one in found.problems}


class Ran:
    """A job of 'anna' that was ordered with labels and worked on by an embedded run."""

    def __init__(self, bench: Bench) -> None:
        bench.run_one(owner="anna", node_price="0.30 USD")
        self.store = Store.open(bench.folder / "home")
        (path,) = (bench.folder / "home" / JOBS).iterdir()
        self.folder = JobFolder(self.store, path.name)
        self.path = path
        self.order(team="news", code="A1")
        self.asked()

    def order(self, **labels: str) -> None:
        """What `segue submit` and a coordinator do."""
        plan = self.folder.read_plan()
        assert plan is not None
        ((delivery, _),) = self.folder.results()
        asked = Submission(plan.owner, plan.media.digest, plan.settings, delivery, labels=labels)
        file_order(self.store, give_order(self.store, OrderKind.SUBMIT, self.folder.job_id, asked))

    def asked(self) -> None:
        """What a coordinator notes of a job that needs nothing."""
        recorder = EndOfLogRecorder(self.store, f"{process_name()}-coordinator")
        DemandLog(recorder).asked(self.folder)
        recorder.close()

    def verify(self) -> Verification:
        return verify_store(self.store)

    def rewrite(self, name: str, change: Change, *, to: str = "") -> None:
        """Changes a document and seals it anew, as whoever knows the format can."""
        value = json.loads(self.store.read_document((JOBS, self.folder.job_id, name)) or b"")
        change(value)
        target = to or name
        parts = (JOBS, self.folder.job_id, target)
        (self.path / target).write_bytes(encode_document(parts, canonical_json(value)))

    def rewrite_orders(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        parts = (JOBS, self.folder.job_id, "orders.jsonl")
        orders = change([dict(entry) for entry in self.store.read_journal(parts).entries])
        (self.path / "orders.jsonl").write_bytes(b"".join(map(encode_line, orders)))


@pytest.fixture
def ran(bench: Bench) -> Ran:
    return Ran(bench)


# -- owners and labels ---------------------------------------------------------------------------------------


def test_a_job_whose_plan_and_orders_are_as_they_were_is_bound_and_sound(ran: Ran) -> None:
    found = ran.verify()
    assert (found.problems, found.unseen, found.unbound) == ((), (), ())


def set_owner(value: dict[str, Any]) -> None:
    value["owner"] = "bert"


def set_length(value: dict[str, Any]) -> None:
    value["media"]["duration_ms"] += 60_000


@pytest.mark.parametrize("change", [set_owner, set_length])
def test_a_plan_that_was_changed_and_sealed_anew_is_seen(ran: Ran, change: Change) -> None:
    ran.rewrite("plan-1.json", change)
    assert ("plan-1.json", Flaw.CHANGED) in flaws(ran.verify())


def test_a_newer_plan_of_another_owner_beside_the_old_one_is_seen(ran: Ran) -> None:
    ran.rewrite("plan-1.json", set_owner, to="plan-2.json")
    assert flaws(ran.verify()) == {("plan-2.json", Flaw.CHANGED)}


def test_a_plan_that_is_gone_or_damaged_is_seen_and_stays_where_it_is(ran: Ran) -> None:
    plan = ran.path / "plan-1.json"
    whole = plan.read_bytes()
    plan.write_bytes(whole.replace(b"anna", b"bert"))
    assert flaws(ran.verify()) == {("plan-1.json", Flaw.DAMAGED)}
    assert plan.exists()
    plan.unlink()
    assert flaws(ran.verify()) == {("plan-1.json", Flaw.MISSING)}


def relabelled(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    orders[0]["submission"]["labels"] = {"team": "sport"}
    return orders


def reowned(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    orders[0]["submission"]["owner"] = "bert"
    return orders


def preceded(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**orders[0], "id": "earlier"}, *orders]


@pytest.mark.parametrize("change", [relabelled, reowned, preceded])
def test_an_order_that_was_changed_after_the_job_was_asked_for_is_seen(ran: Ran, change: Any) -> None:
    ran.rewrite_orders(change)
    assert flaws(ran.verify()) == {("orders.jsonl", Flaw.CHANGED)}


def test_an_order_that_was_taken_away_is_seen(ran: Ran) -> None:
    ran.rewrite_orders(lambda orders: orders[:-1])
    assert flaws(ran.verify()) == {("orders.jsonl", Flaw.TRUNCATED)}
    (ran.path / "orders.jsonl").unlink()
    assert flaws(ran.verify()) == {("orders.jsonl", Flaw.TRUNCATED)}


def test_what_people_order_later_is_no_tampering_and_is_bound_once_a_coordinator_has_seen_it(ran: Ran) -> None:
    ran.order(team="music")
    file_order(ran.store, give_order(ran.store, OrderKind.RETRY, ran.folder.job_id))
    found = ran.verify()
    assert (found.problems, [name.rpartition("/")[2] for name in found.unbound]) == ((), ["orders.jsonl"])
    ran.asked()
    assert (ran.verify().problems, ran.verify().unbound) == ((), ())
    ran.rewrite_orders(lambda orders: [*orders[:1], relabelled(orders[1:2])[0], *orders[2:]])
    assert flaws(ran.verify()) == {("orders.jsonl", Flaw.CHANGED)}


def test_the_same_media_for_another_owner_is_a_job_of_its_own(ran: Ran, bench: Bench) -> None:
    bench.run_one(owner="bert", node_price="0.30 USD")
    found = ran.verify()
    assert (found.problems, found.unbound) == ((), ())


def test_jobs_from_before_lines_knew_of_plans_are_unbound_and_not_wrong(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "_files_of", lambda _folder: {})
    old = Ran(bench)
    found = old.verify()
    assert found.problems == ()
    assert {name.rpartition("/")[2] for name in found.unbound} == {"plan-1.json", "orders.jsonl"}
    # Whose it is says its id all the same.
    old.rewrite("plan-1.json", set_owner)
    assert flaws(old.verify()) == {("plan-1.json", Flaw.CHANGED)}


def test_what_is_kept_of_a_jobs_owner_and_labels_to_spare_reading_them_is_compared_with_them(ran: Ran) -> None:
    read_totals(ran.store, BOOK, PricingRules(), None)
    parts = demand_state(ran.folder.job_id)
    kept = ran.store.home.joinpath(*parts)
    assert kept.exists()
    assert ran.verify().problems == ()
    for before, after in ((b'"anna"', b'"bert"'), (b'"news"', b'"film"')):
        whole = kept.read_bytes()
        value = ran.store.read_state(parts) or b""
        assert before in value
        ran.store.replace_state(parts, value.replace(before, after))
        assert flaws(ran.verify()) == {(parts[-1], Flaw.CHANGED)}
        kept.write_bytes(whole)
    kept.unlink()
    assert ran.verify().problems == ()


# -- price rows ----------------------------------------------------------------------------------------------

OCTOBER = datetime(2026, 10, 10, tzinfo=UTC)
ROW = machine_row("azure/x/2026-05", "3.60", "2026-05-01")
BOOK = PriceBook(((ROW,),))


def closed_store(folder: Path) -> Store:
    """A machine of October that the row priced, in a month that is closed: 100 s at 3.60 USD an hour."""
    journals = Journals(folder, OCTOBER)
    journals.node("node", 0, 100, "", cloud="azure", size="Standard_X", spot=False)
    closed = close_month(journals.store, "2026-10", BOOK, PricingRules())
    assert {entry.price_row for entry in closed.closing.entries.values()} == {ROW.id}
    return journals.store


def with_book(store: Store, *rows: PriceRow) -> set[tuple[str, Flaw]]:
    found = verify_store(store, PricesNow(PriceBook((rows,)), "prices.toml"))
    return {place for place in flaws(found) if place[0] == "prices.toml"}


@pytest.mark.parametrize(
    "terms",
    [
        {"unit_price": Decimal("3.61")},
        {"per": 2},
        {"currency": "EUR"},
        {"billing_increment": Decimal(60)},
        {"minimum_quantity": Decimal(60)},
        {"effective_from": ROW.effective_from + 1},
        {"sku": "Standard_Y"},
        # It ends before it was last used.
        {"effective_to": parse_instant("2026-10-01T00:00:00Z")},
    ],
)
def test_a_row_that_was_used_and_has_other_terms_now_is_seen(tmp_path: Path, terms: Mapping[str, Any]) -> None:
    assert with_book(closed_store(tmp_path), replace(ROW, **terms)) == {("prices.toml", Flaw.CHANGED)}


def test_a_new_price_under_an_id_of_its_own_is_no_tampering(tmp_path: Path) -> None:
    store = closed_store(tmp_path)
    november = parse_instant("2026-11-01T00:00:00Z")
    dearer = replace(ROW, id="azure/x/2026-11", unit_price=Decimal(4), effective_from=november)
    assert with_book(store, ROW, dearer) == set()
    # Its end, and that somebody looked again, are learned later.
    seen = replace(ROW, effective_to=november, observed_at=date(2026, 11, 2), note="ended", waiver="told")
    assert with_book(store, seen, dearer) == set()
    assert with_book(store) == set()


def test_a_kept_book_that_was_rewritten_and_sealed_anew_is_seen(tmp_path: Path) -> None:
    store = closed_store(tmp_path)
    closed = read_closed(store, "2026-10")
    assert closed is not None
    name = f"book-{closed.closing.book}.json"
    data = store.read_document(("ledger", name)) or b""
    for changed in (data.replace(b"3.60", b"3.50"), b"[]"):
        (tmp_path / "ledger" / name).write_bytes(encode_document(("ledger", name), changed))
        # Its own digest, and the log that noted it when it was written.
        assert flaws(verify_store(store)) >= {(name, Flaw.CHANGED)}
        details = {one.detail for one in verify_store(store).problems if one.file.endswith(name)}
        assert "its rows have another digest" in details


def test_an_imported_row_that_was_rewritten_or_taken_away_is_seen(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    keep_price_rows(store, {ROW.id: terms_digest(ROW)})
    assert with_book(store, ROW) == set()
    assert with_book(store, replace(ROW, unit_price=Decimal("3.5"))) == {("prices.toml", Flaw.CHANGED)}
    assert with_book(store) == {("prices.toml", Flaw.MISSING)}


def test_sums_that_are_kept_to_spare_folding_are_compared_with_the_facts(tmp_path: Path) -> None:
    journals = Journals(tmp_path, OCTOBER)
    journals.node("node", 0, 100, "3.60 USD")
    # It lives on both sides of a month's edge: what it came to in each month is kept beside the whole.
    journals.node("long", 0, 40 * 86_400, "3.60 USD")
    rules, months = PricingRules(now=journals.ms(50 * 86_400)), Period.month("2026-10")
    months = Period(months.start, Period.month("2026-11").end)
    prices = PricesNow(BOOK, "prices.toml", rules)
    kept = KeptSums(journals.store, BOOK, rules)
    read_totals(journals.store, BOOK, rules, months)
    index = kept.read()
    assert set(index.machines) == {"node", "long"}
    assert verify_store(journals.store, prices).problems == ()
    node, long = index.machines["node"], index.machines["long"]
    (first, last, sums), *others = long.pieces
    for name, changed in (
        ("node", changed_struct(node, sums=long.sums)),
        ("long", changed_struct(long, pieces=((first, last, node.sums), *others))),
        ("long", changed_struct(long, audio=((0, "", "", "", 5),))),
    ):
        assert sums != node.sums
        kept.write(kept.index(index.jobs, index.shards, {**index.machines, name: changed}), {})
        found = verify_store(journals.store, prices).problems
        assert [(one.file, one.flaw) for one in found] == [("state/ledger", Flaw.CHANGED)]
        assert name in found[0].detail
    for path in (tmp_path / "state" / "ledger").iterdir():
        path.unlink()
    assert verify_store(journals.store, prices).problems == ()


# -- nothing is changed --------------------------------------------------------------------------------------


def every_byte(home: Path) -> dict[str, tuple[str, int, int]]:
    """Digest, time and mode of every file and folder."""
    return {
        str(path.relative_to(home)): (
            sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
        )
        for path in [home, *home.rglob("*")]
    }


def test_verify_leaves_every_byte_and_time_of_a_store_as_it_was_whatever_is_damaged(ran: Ran) -> None:
    home, store = ran.store.home, ran.store
    close_month(store, "2026-10", BOOK, PricingRules())
    kinds = [
        next((home / "objects").glob("*/*")),
        next((home / "blobs").iterdir()),
        next((home / "attempts").iterdir()),
        next((home / "nodes").glob("*/opened.json")),
        next((home / "nodes").glob("*/beats-*")),
        next((home / "ledger").glob("closed-*")),
        next((home / "ledger").glob("book-*")),
        next((home / "ledger" / "anchors").iterdir()),
        next((home / "ledger" / "log-ends").iterdir()),
        ran.path / "plan-1.json",
        ran.path / "orders.jsonl",
        next(ran.path.glob("wants-*")),
        next(ran.path.glob("delivery-*")),
        home / "store.json.copy",
    ]
    seen = []
    for path in kinds:
        data = path.read_bytes()
        path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        before = every_byte(home)
        if verify_store(store).problems:
            seen.append(path)
        assert every_byte(home) == before
    # The blob, the delivery's state and the copy of the identity are no evidence of the ledger's.
    assert len(seen) >= len(kinds) - 3
    (home / "quarantine").rmdir()
    before = every_byte(home)
    verify_store(store)
    assert every_byte(home) == before
