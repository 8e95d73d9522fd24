from __future__ import annotations

import pickle
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import NANO, Conversion, CurrencyError, Money, MoneyError, quote, rate, settle, split, total

nanos = st.integers(-(10**18), 10**18)
weights = st.lists(st.one_of(st.integers(0, 10**9), st.fractions(0, 1000)), max_size=30)


@pytest.mark.parametrize("text", ["0", "0.526", "21.957642", "000.10", "999999999999999.999999999999999999"])
def test_a_rate_is_exactly_what_is_written(text: str) -> None:
    assert rate(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "-1", "+1", "1e3", "1_000", "1,5", ".5", "5.", "nan", "inf", "0x1", "١", "1" * 16, 0.1, 1, None],
)
def test_anything_else_is_not_a_rate(text: object) -> None:
    with pytest.raises(MoneyError) as refused:
        rate(text)  # type: ignore[arg-type]
    assert refused.value.hint


def test_a_quote_names_its_currency() -> None:
    assert quote("0.149 USD") == (Decimal("0.149"), "USD")
    for text in ("0.149", "USD 0.149", "0.149 usd", "0.149 USD an hour"):
        with pytest.raises(MoneyError):
            quote(text)


@pytest.mark.parametrize(
    ("quantity", "price", "nano"),
    [
        (1, Decimal("0.0000000005"), 0),  # half a nano-unit goes to the even neighbour, 0
        (3, Decimal("0.0000000005"), 2),  # one and a half as well: 2
        (5, Decimal("0.0000000005"), 2),  # two and a half: 2
        (-3, Decimal("0.0000000005"), -2),
        (Fraction(1, 3), Decimal("0.111"), 37_000_000),
        (Decimal("0.1"), Decimal("0.2"), 20_000_000),
        (0, Decimal("98.32"), 0),
    ],
)
def test_settlement_rounds_once_and_half_to_even(quantity: int | Fraction | Decimal, price: Decimal, nano: int) -> None:
    assert settle(quantity, price) == nano


@given(st.fractions(-(10**9), 10**9), st.decimals(0, 1000, places=9))
def test_settlement_is_the_exact_product_rounded(quantity: Fraction, price: Decimal) -> None:
    assert settle(quantity, price) == round(quantity * Fraction(price) * NANO)


def test_no_float_is_ever_settled() -> None:
    for quantity, price in ((1.0, Decimal(1)), (1, 0.1), (True, Decimal(1)), (Decimal("nan"), Decimal(1))):
        with pytest.raises(MoneyError):
            settle(quantity, price)  # type: ignore[arg-type]


@given(nanos, weights)
def test_parts_sum_to_the_whole(amount: int, shares: list[int | Fraction]) -> None:
    if not any(shares):
        if amount:
            with pytest.raises(MoneyError):
                split(amount, shares)
        else:
            assert split(amount, shares) == [0] * len(shares)
        return
    parts = split(amount, shares)
    assert sum(parts) == amount
    everything = sum(map(Fraction, shares))
    for part, share in zip(parts, shares, strict=True):
        assert abs(part - amount * Fraction(share) / everything) < 1
        assert share or part == 0
        assert part * amount >= 0


@given(nanos, st.lists(st.integers(1, 10**6), min_size=1, max_size=20), st.integers(1, 1000))
def test_only_proportions_of_weights_count(amount: int, shares: list[int], factor: int) -> None:
    assert split(amount, shares) == split(amount, [Fraction(share * factor, 7) for share in shares])


@given(nanos, st.lists(st.integers(1, 10**6), min_size=1, max_size=12, unique=True), st.randoms())
def test_the_order_of_unlike_weights_changes_no_part(amount: int, shares: list[int], random: object) -> None:
    mixed = list(shares)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    # Equal remainders are served by position, so only callers that sort are promised more than one nano-unit.
    before = dict(zip(shares, split(amount, shares), strict=True))
    after = dict(zip(mixed, split(amount, mixed), strict=True))
    assert all(abs(before[share] - after[share]) <= 1 for share in shares)


def test_equal_remainders_are_served_by_position() -> None:
    assert split(5, [1, 1, 1]) == [2, 2, 1]
    assert split(-5, [1, 1, 1]) == [-2, -2, -1]
    assert split(1, [0, 1, 0, 1]) == [0, 1, 0, 0]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(MoneyError):
        split(10, [3, -1])


@given(nanos, nanos, nanos)
def test_money_adds_subtracts_and_compares_as_its_nano_units_do(a: int, b: int, c: int) -> None:
    one, two, three = Money(a, "USD"), Money(b, "USD"), Money(c, "USD")
    assert (one + two) + three == one + (two + three) == total([one, two, three], "USD")
    assert one - two == -(two - one)
    assert (one < two, one <= two, one > two, one >= two) == (a < b, a <= b, a > b, a >= b)
    assert bool(one) is bool(a)


def test_two_currencies_never_meet() -> None:
    dollars, euros = Money(1, "USD"), Money(1, "EUR")
    for meet in (
        lambda: dollars + euros,
        lambda: dollars - euros,
        lambda: dollars < euros,
        lambda: dollars >= euros,
        lambda: total([dollars], "EUR"),
    ):
        with pytest.raises(CurrencyError):
            meet()
    assert dollars != euros


@given(st.integers(0, 10**20), st.sampled_from(["USD", "EUR", "JPY"]))
def test_money_reads_back_what_it_writes(nano: int, currency: str) -> None:
    assert Money.parse(str(Money(nano, currency))) == Money(nano, currency)


@given(nanos, st.integers(0, 9))
def test_shown_amounts_round_half_to_even(nano: int, places: int) -> None:
    with localcontext() as context:
        context.prec = 60
        shown = (Decimal(nano) / NANO).quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)
    assert Decimal(Money(nano, "USD").amount(places)) == shown
    assert not Money(nano, "USD").amount(places).startswith("-0.000000000") or nano == 0


def test_an_amount_is_shown_without_noise() -> None:
    assert str(Money(149_000_000, "USD")) == "0.149 USD"
    assert str(Money(-2_500_000_000, "EUR")) == "-2.5 EUR"
    assert Money(3_000_000_000, "USD").amount() == "3"
    assert Money(3_000_000_000, "USD").amount(2) == "3.00"
    assert Money(-1, "USD").amount(2) == "0.00"
    with pytest.raises(MoneyError):
        Money.parse("0.0000000001 USD")


@pytest.mark.parametrize(("nano", "currency"), [(1.0, "USD"), (True, "USD"), (1, "usd"), (1, "DOLLAR"), (1, "")])
def test_money_is_integers_of_a_currency(nano: object, currency: str) -> None:
    with pytest.raises(MoneyError):
        Money(nano, currency)  # type: ignore[arg-type]


def test_conversion_needs_a_dated_rate_from_somebody() -> None:
    day = date(2026, 11, 20)
    to_dollars = Conversion("EUR", "USD", Decimal("1.1575"), day, "https://www.ecb.europa.eu")
    assert to_dollars.convert(Money(2 * NANO, "EUR")) == Money(2_315_000_000, "USD")
    assert to_dollars.convert(Money(-1, "EUR")) == Money(-1, "USD")
    with pytest.raises(CurrencyError):
        to_dollars.convert(Money(1, "USD"))
    for made in (
        lambda: Conversion("EUR", "USD", Decimal(0), day, "x"),
        lambda: Conversion("EUR", "USD", 1.1, day, "x"),  # type: ignore[arg-type]
        lambda: Conversion("EUR", "USD", Decimal(1), "today", "x"),  # type: ignore[arg-type]
        lambda: Conversion("EUR", "USD", Decimal(1), day, ""),
    ):
        with pytest.raises(MoneyError):
            made()


def test_errors_survive_a_pickle() -> None:
    with pytest.raises(CurrencyError) as met:
        _ = Money(1, "USD") + Money(1, "EUR")
    again = pickle.loads(pickle.dumps(met.value))
    assert (type(again), again.message, again.hint) == (CurrencyError, met.value.message, met.value.hint)
