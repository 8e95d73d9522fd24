"""Bills worked out by hand: increments, minimums, price steps, rows that change, and what a provider gives for free."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from fleet_simulation import HOUR, MINUTE, MONTH_EDGE, price_book, row

from core.money import NANO, MoneyError
from journals.facts import PriceChanged, SessionOpened
from ledger.billing import BilledSession, NodeTerms, SessionEnd, bill_session, find_rates, find_terms
from ledger.price_book.prices import Meter, PriceBook

START = MONTH_EDGE + 1000 * HOUR
BOOK = price_book()


def bill(
    lived_ms: int,
    price: str = "0.36 USD",
    changes: list[tuple[int, str]] | None = None,
    terms: NodeTerms | None = None,
    reason: str | None = "",
    book: PriceBook = BOOK,
    **machine: object,
) -> BilledSession:
    opened = SessionOpened("vm", START, price=price, **machine)  # type: ignore[arg-type]
    end = SessionEnd(START + lived_ms, reason is None, reason or "")
    steps = [PriceChanged("vm", START + at, text) for at, text in changes or []]
    used = terms or (find_terms(opened, book) if machine else NodeTerms())
    rates = find_rates(opened, steps, START + used.billed_ms(lived_ms) + 1, book)
    return bill_session(opened, end, rates, used)


def lines(billed: BilledSession) -> list[tuple[int, int, int | None]]:
    return [(segment.start - START, segment.end - START, segment.nano) for segment in billed.segments]


def test_a_machine_is_billed_by_the_second_begun() -> None:
    # 0.36 an hour is 0.0001 a second.
    assert lines(bill(10_001)) == [(0, 11_000, 11 * 100_000)]
    assert lines(bill(10_000)) == [(0, 10_000, 10 * 100_000)]
    assert lines(bill(1)) == [(0, 1_000, 100_000)]
    assert lines(bill(0)) == []


def test_a_minimum_is_billed_whole_and_only_once_begun() -> None:
    terms = NodeTerms(1_000, MINUTE)
    assert lines(bill(1, terms=terms)) == [(0, MINUTE, 6_000_000)]
    assert lines(bill(59_001, terms=terms)) == [(0, MINUTE, 6_000_000)]
    assert lines(bill(60_001, terms=terms)) == [(0, 61_000, 6_100_000)]
    assert lines(bill(0, terms=terms)) == []


def test_an_hour_begun_is_an_hour_billed_where_the_row_says_so() -> None:
    gpus = {"cloud": "gcp", "size": "g2-standard-8", "region": "europe-west4", "spot": False, "gpu": ("L4", "L4")}
    billed = bill(HOUR + 1, price="", **gpus)
    # Two GPUs at 0.7 an hour each.
    assert lines(billed) == [(0, 2 * HOUR, 2_800_000_000)]
    assert billed.segments[0].price_row == "gcp/l4"
    # The increment is the provider's, whoever named the price.
    assert lines(bill(1, price="1 USD", **gpus)) == [(0, HOUR, NANO)]


def test_a_spot_price_step_splits_the_bill_where_it_happens() -> None:
    billed = bill(HOUR, "0.149 USD", [(HOUR // 2, "0.204 USD"), (2 * HOUR, "9 USD"), (-5, "0.147 USD")])
    assert lines(billed) == [(0, HOUR // 2, 73_500_000), (HOUR // 2, HOUR, 102_000_000)]
    assert billed.totals() == {"USD": 175_500_000}


def test_a_step_into_another_currency_is_two_bills_and_never_one_sum() -> None:
    assert bill(2 * HOUR, "1 USD", [(HOUR, "0.9 EUR")]).totals() == {"USD": NANO, "EUR": 900_000_000}


def test_a_row_that_changes_at_the_months_edge_splits_the_bill_there() -> None:
    opened = SessionOpened("vm", MONTH_EDGE - HOUR, "azure", "NC4as", "westeurope", "", True)
    rates = find_rates(opened, [], MONTH_EDGE + HOUR + 1, BOOK)
    billed = bill_session(opened, SessionEnd(MONTH_EDGE + HOUR, False), rates, find_terms(opened, BOOK))
    assert [(s.start, s.end, s.nano, s.price_row) for s in billed.segments] == [
        (MONTH_EDGE - HOUR, MONTH_EDGE, 149_000_000, "azure/t4/11"),
        (MONTH_EDGE, MONTH_EDGE + HOUR, 204_000_000, "azure/t4/12"),
    ]


def test_time_before_the_first_row_is_unpriced_and_not_free() -> None:
    opened = SessionOpened("vm", MONTH_EDGE - HOUR, "hetzner", "GEX44", "fsn1", "", False)
    rates = find_rates(opened, [], MONTH_EDGE + HOUR + 1, BOOK)
    billed = bill_session(opened, SessionEnd(MONTH_EDGE + HOUR, False), rates, find_terms(opened, BOOK))
    assert [segment.nano for segment in billed.segments] == [None, 294_900_000]
    assert billed.totals() == {"EUR": 294_900_000}


def test_a_machine_that_nobody_knows_has_no_amount_at_all() -> None:
    assert lines(bill(HOUR, price="")) == [(0, HOUR, None)]
    assert lines(bill(HOUR, price="", cloud="aws", size="p9.huge", spot=True)) == [(0, HOUR, None)]
    assert bill(HOUR, price="").totals() == {}


def test_a_spot_machine_is_never_priced_on_demand() -> None:
    book = PriceBook(((row("x", "azure", Meter.NODE_HOUR, "NC4as", "0.526"),),))
    machine = {"price": "", "book": book, "cloud": "azure", "size": "NC4as"}
    assert lines(bill(HOUR, spot=True, **machine)) == [(0, HOUR, None)]  # type: ignore[arg-type]
    guess = bill(HOUR, spot=None, **machine)  # type: ignore[arg-type]
    assert [(segment.nano, segment.guessed) for segment in guess.segments] == [(526_000_000, True)]


AWS = {"cloud": "aws", "size": "g4dn.xlarge", "region": "us-east-1", "spot": True}


@pytest.mark.parametrize(
    ("lived_ms", "reason", "machine", "free"),
    [
        (30 * MINUTE, "aws: terminate at 12:00", AWS, True),
        (58 * MINUTE - 1, "aws: terminate", AWS, True),
        # The machine goes up to two minutes after its worker: this one may have had its hour.
        (58 * MINUTE, "aws: terminate", AWS, False),
        (2 * HOUR, "aws: terminate", AWS, False),
        (30 * MINUTE, "nothing to do for 60 s", AWS, False),
        (30 * MINUTE, "signal: SIGTERM", AWS, False),
        # A death without a word may have been anybody's.
        (30 * MINUTE, None, AWS, False),
        (30 * MINUTE, "aws: terminate", {**AWS, "spot": False}, False),
        (30 * MINUTE, "aws: terminate", {**AWS, "spot": None}, False),
        (30 * MINUTE, "azure: Preempt", {"cloud": "azure", "size": "NC4as", "spot": True}, False),
    ],
)
def test_aws_gives_the_first_hour_only_when_it_took_the_machine_itself(
    lived_ms: int, reason: str | None, machine: dict[str, object], free: bool
) -> None:
    billed = bill(lived_ms, "0.2 USD", reason=reason, **machine)  # type: ignore[arg-type]
    assert [segment.rule for segment in billed.segments] == (["aws-first-hour"] if free else [""])
    assert (billed.totals() == {"USD": 0}) == free


def test_the_first_hours_rule_prices_nothing_that_has_no_price() -> None:
    billed = bill(30 * MINUTE, "", reason="aws: terminate", cloud="aws", size="p9.huge", spot=True)
    assert lines(billed) == [(0, 30 * MINUTE, None)]


def test_each_line_is_rounded_once_half_to_even() -> None:
    # A millisecond at 0.0018 an hour is half a nano-unit; three of them are one and a half.
    terms = NodeTerms(1, 0)
    assert lines(bill(1, "0.0018 USD", terms=terms)) == [(0, 1, 0)]
    assert lines(bill(3, "0.0018 USD", terms=terms)) == [(0, 3, 2)]


def test_a_machine_of_no_provider_is_billed_as_long_as_it_lived() -> None:
    assert find_terms(SessionOpened("vm", START, price="1 USD"), BOOK) == NodeTerms(1, 0)


def test_terms_come_from_the_row_and_are_rounded_up_to_milliseconds() -> None:
    book = PriceBook(((row("x", "c", Meter.NODE_HOUR, "s", "1", billing_increment=Decimal("0.0001")),),))
    assert find_terms(SessionOpened("vm", START, "c", "s"), book) == NodeTerms(1, 0)
    assert find_terms(SessionOpened("vm", START, "c", "other"), book) == NodeTerms(1000, 0)


@pytest.mark.parametrize("price", ["0.149", "free", "-1 USD", "1e3 USD", "0,5 EUR", "NaN USD"])
def test_a_price_that_cannot_be_read_is_refused(price: str) -> None:
    with pytest.raises(MoneyError):
        find_rates(SessionOpened("vm", START, price=price), [], START + 1, BOOK)


def test_a_price_for_what_has_none_goes_after_the_book_where_that_is_asked_for() -> None:
    known = SessionOpened(
        "vm", START, cloud="gcp", size="g2-standard-8", region="europe-west4", spot=False, gpu=("L4",)
    )
    strange = SessionOpened("own", START)
    priced = find_rates(known, [], START + HOUR, BOOK)

    def rates(opened: SessionOpened, *, book_first: bool) -> list[tuple[Fraction | None, str]]:
        found = find_rates(opened, [], START + HOUR, BOOK, "9 USD", book_first=book_first)
        return [(rate.price, rate.price_row) for rate in found]

    assert rates(known, book_first=False) == [(Fraction(9), "node-price")]
    assert rates(known, book_first=True) == [(rate.price, rate.price_row) for rate in priced]
    assert rates(strange, book_first=True) == [(Fraction(9), "node-price")]
    # What the machine says itself goes before both.
    own = SessionOpened("own", START, price="1 USD")
    assert rates(own, book_first=True) == [(Fraction(1), "session")]
