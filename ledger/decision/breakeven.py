"""How fast, how busy or how much: where an own GPU costs as much as the API, swept over utilization and spot price.

Speeds are meter units a second: audio seconds a second are "times real time" (RTFx), tokens a second are tokens a
second. Utilization is the share of the paid GPU time that does such work; the rest is paid all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from core.errors import UsageError
from core.money import NANO, Exact, Money, currency_code
from ledger.decision.compare import (
    Cheaper,
    Counted,
    WholeGpuBreakEven,
    WorkUnit,
    exact,
    monthly_capacity,
    share,
    whole_gpu_break_even,
)
from ledger.price_book.prices import Meter, PriceBook, PriceRow

#: What the price book calls what is counted.
_METERS = {
    Counted.AUDIO: (Meter.AUDIO_SECOND,),
    Counted.TOKENS: (Meter.INPUT_TOKEN, Meter.OUTPUT_TOKEN),
    Counted.CHARACTERS: (Meter.CHARACTER,),
}
#: Utilizations in a sweep unless others are given: 5 % to 100 %.
USUAL_UTILIZATIONS = tuple(Fraction(percent, 100) for percent in (5, 10, 20, 30, 40, 60, 80, 100))


def break_even_speed(
    gpu_price_per_hour: Exact, api_price: Exact, utilization: Exact, unit: WorkUnit
) -> Fraction | None:
    """``gpu / api / utilization``: the meter units a second at which both cost the same; faster is cheaper.

    ``api_price`` is for one ``unit``. None when no speed is enough: the API is free, or the GPU never works
    (utilization 0).
    """
    return _quotient(gpu_price_per_hour, api_price, share(utilization), unit)


def utilization_needed(gpu_price_per_hour: Exact, api_price: Exact, speed: Exact, unit: WorkUnit) -> Fraction | None:
    """``gpu / api / speed``: the share of its paid time that the GPU must work. Above 1 means never.

    None when no share is enough: the API is free, or the speed is 0.
    """
    return _quotient(gpu_price_per_hour, api_price, exact(speed, "speed"), unit)


def _quotient(gpu_price_per_hour: Exact, api_price: Exact, divisor: Fraction, unit: WorkUnit) -> Fraction | None:
    per_second = exact(gpu_price_per_hour, "gpu_price_per_hour") / 3600
    each = exact(api_price, "api_price") / unit.meter_units
    return per_second / each / divisor if each and divisor else None


def machine_cost(gpu_price_per_hour: Exact, speed: Exact, utilization: Exact, unit: WorkUnit) -> Fraction | None:
    """What one ``unit`` costs on the GPU, its idle time included, people not; None when the GPU does nothing."""
    done_in_an_hour = exact(speed, "speed") * share(utilization) * 3600 / unit.meter_units
    return exact(gpu_price_per_hour, "gpu_price_per_hour") / done_in_an_hour if done_in_an_hour else None


@dataclass(frozen=True)
class WholeGpus:
    """GPUs of one price that stay on all month."""

    #: What one takes a month.
    monthly_cost: Fraction
    #: Units in an average month that one can be planned for, at this utilization.
    capacity: Fraction

    def paying(self, people: Money, api_price: Exact) -> WholeGpuBreakEven | None:
        """From which usage on they pay for ``people`` too, who are paid once; None when no number of GPUs does."""
        return whole_gpu_break_even(api_price, self.monthly_cost, self.capacity, Fraction(people.nano, NANO))

    def cost(self, gpus: int, people: Money) -> Money:
        """So many GPUs and the people."""
        return Money.of(gpus, self.monthly_cost, people.currency) + people


@dataclass(frozen=True)
class SweepInputs:
    """One stage's prices and what to sweep over."""

    #: Name of the stage, such as ``transcribe``.
    stage: str
    #: What prices are quoted for.
    unit: WorkUnit
    #: ISO 4217 code of all prices.
    currency: str
    #: The API's price for one ``unit``.
    api_price: Exact
    #: GPU prices an hour, in the order to show.
    gpu_prices: tuple[Exact, ...]
    #: Shares of paid time, 0 to 1, in the order to show.
    utilizations: tuple[Fraction, ...] = USUAL_UTILIZATIONS
    #: Measured speed in meter units a second; None when not known yet.
    speed: Fraction | None = None
    #: What people, and what else is paid once, cost in a month, at least and at most; None when unset, which is not 0.
    people: tuple[Money, Money] | None = None
    #: How many times the average the busiest hour is: whole GPUs are bought for it.
    peak_to_average: Exact = 1
    #: The month's length in seconds; None where no month's usage is asked for.
    seconds_per_month: int | None = None

    def __post_init__(self) -> None:
        currency_code(self.currency)
        exact(self.api_price, "api_price")
        if not self.gpu_prices or not self.utilizations:
            raise UsageError("a sweep needs something to sweep over", "give at least one GPU price and one utilization")
        for price in self.gpu_prices:
            exact(price, "gpu_price")
        for utilization in self.utilizations:
            share(utilization)
        if self.speed is not None:
            exact(self.speed, "speed")
        if exact(self.peak_to_average, "peak_to_average") < 1:
            raise UsageError("the peak is below the average", "peak_to_average is 1 or more")
        if self.people is not None and not self.seconds_per_month:
            raise UsageError("people are paid by the month", "give the month's length in seconds, as 2592000")


@dataclass(frozen=True)
class SweepCell:
    """One GPU price at one utilization."""

    #: The GPU's price an hour.
    gpu_price: Fraction
    #: Share of the paid time that works.
    utilization: Fraction
    #: Speed at which both sides cost the same; None when no speed is enough.
    break_even: Fraction | None
    #: What one unit costs on the GPU at the measured speed, people not included; None without a speed.
    machine_cost: Fraction | None
    #: Who is cheaper at the measured speed, people not included; None without a speed.
    cheaper: Cheaper | None
    #: GPUs that stay on all month; None without a speed or a month.
    whole: WholeGpus | None
    #: Where they pay for the people too, at least and at most; None where they never do, or people or speed are unset.
    pays_people: tuple[WholeGpuBreakEven | None, WholeGpuBreakEven | None]


@dataclass(frozen=True)
class Sweep:
    """The table: a row for each utilization, a cell for each GPU price."""

    #: What was asked.
    inputs: SweepInputs
    #: ``rows[i][j]`` is utilization i at GPU price j.
    rows: tuple[tuple[SweepCell, ...], ...]
    #: For each GPU price the utilization needed at the measured speed (above 1: never); None without a speed.
    needed: tuple[Fraction | None, ...]


def sweep(inputs: SweepInputs) -> Sweep:
    """Break-even for every utilization and GPU price. Pure."""
    rows = tuple(
        tuple(_cell(inputs, exact(price, "gpu_price"), utilization) for price in inputs.gpu_prices)
        for utilization in inputs.utilizations
    )
    needed = tuple(
        None if inputs.speed is None else utilization_needed(price, inputs.api_price, inputs.speed, inputs.unit)
        for price in inputs.gpu_prices
    )
    return Sweep(inputs, rows, needed)


def _cell(inputs: SweepInputs, price: Fraction, utilization: Fraction) -> SweepCell:
    cost, cheaper, whole = None, None, None
    if inputs.speed is not None:
        cost = machine_cost(price, inputs.speed, utilization, inputs.unit)
        own = cost is not None and cost < exact(inputs.api_price, "api_price")
        cheaper = Cheaper.SELF_HOSTED if own else Cheaper.API
        if inputs.seconds_per_month is not None:
            done = monthly_capacity(inputs.speed * utilization, inputs.seconds_per_month) / inputs.unit.meter_units
            whole = WholeGpus(price * inputs.seconds_per_month / 3600, done / Fraction(inputs.peak_to_average))
    least, most = inputs.people or (None, None)
    return SweepCell(
        gpu_price=price,
        utilization=utilization,
        break_even=break_even_speed(price, inputs.api_price, utilization, inputs.unit),
        machine_cost=cost,
        cheaper=cheaper,
        whole=whole,
        pays_people=(_paying(inputs, whole, least), _paying(inputs, whole, most)),
    )


def _paying(inputs: SweepInputs, whole: WholeGpus | None, people: Money | None) -> WholeGpuBreakEven | None:
    return None if whole is None or people is None else whole.paying(people, inputs.api_price)


@dataclass(frozen=True)
class Quote:
    """An API's price for one unit, and the price book's rows that say so."""

    #: Price of one unit.
    price: Fraction
    #: ISO 4217 code.
    currency: str
    #: The rows it comes from.
    rows: tuple[PriceRow, ...]


def api_quote(book: PriceBook, api: str, unit: WorkUnit, at: int, output_share: Exact | None = None) -> Quote:
    """The price of ``PROVIDER/MODEL`` or ``PROVIDER/MODEL@REGION`` at ``at`` (ms since the epoch), for one ``unit``.

    Tokens of input and output have two prices; ``output_share`` mixes them: the share of all tokens that is output.
    Raises UsageError where the book has no such price: a missing price is never 0.
    """
    name, _, region = api.partition("@")
    provider, slash, sku = name.partition("/")
    if not slash or not sku:
        raise UsageError(f"{api!r} names no API", "write PROVIDER/MODEL, such as openai/whisper-1")

    def row(meter: Meter) -> PriceRow | None:
        return book.find(provider, sku, meter, at, region=region)

    def each(found: PriceRow) -> Fraction:
        return Fraction(found.unit_price) / found.per * unit.meter_units

    if unit.counted is not Counted.TOKENS:
        found = row(_METERS[unit.counted][0])
        if found is None:
            raise _unpriced(book, api, unit)
        return Quote(each(found), found.currency, (found,))
    given, made = row(Meter.INPUT_TOKEN), row(Meter.OUTPUT_TOKEN)
    if given is None or made is None or given.currency != made.currency:
        raise _unpriced(book, api, unit)
    if output_share is None:
        raise UsageError(
            f"{api} has a price for input and one for output", "give --output-share, the share of tokens that is output"
        )
    out = share(output_share)
    return Quote(each(given) * (1 - out) + each(made) * out, given.currency, (given, made))


def _unpriced(book: PriceBook, api: str, unit: WorkUnit) -> UsageError:
    meters = _METERS[unit.counted]
    known = sorted(
        {
            f"{row.provider}/{row.sku}{'@' + row.region if row.region else ''}"
            for row in book.rows
            if row.meter in meters
        }
    )
    return UsageError(f"the price book has no price of {api} by the {unit.value}", f"it knows {', '.join(known)}")


def node_prices(book: PriceBook, node: str, currency: str) -> tuple[PriceRow, ...]:
    """All rows of the machine ``PROVIDER/SIZE``, spot and on demand, past ones too, a price once, cheapest first.

    Raises UsageError where the book has none in ``currency``.
    """
    provider, _, sku = node.partition("/")
    hourly = (Meter.NODE_HOUR, Meter.GPU_HOUR)
    machines = [row for row in book.rows if row.meter in hourly]
    found = {
        row.unit_price / row.per: row
        for row in sorted(machines, key=lambda row: row.effective_from)
        if (row.provider, row.sku, row.currency) == (provider, sku, currency)
    }
    if not found:
        known = sorted({f"{row.provider}/{row.sku}" for row in machines if row.currency == currency})
        raise UsageError(
            f"the price book has no machine {node} in {currency}",
            f"give --gpu-price, or one of {', '.join(known) or 'none'}",
        )
    return tuple(found[price] for price in sorted(found))
