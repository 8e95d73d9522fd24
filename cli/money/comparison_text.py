"""What the screens of ``segue compare`` and ``decide`` say alike: spans of money, people, requests, red flags."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from cli.money.pages.break_even_chart import number
from cli.wording import printable

if TYPE_CHECKING:
    from core.money import Exact, Money
    from ledger.decision.compare import MonthlyUsage, WholeGpuBreakEven
    from ledger.decision.inference_cost import Bounds
    from ledger.decision.redflags import RedFlag
    from ledger.decision.tax import EngineeringTax

WAYS = {"self_hosted": "self-hosted", "api": "API"}


def amount(money: Money | None) -> str:
    """To the hundredth; ``unknown`` for none."""
    return "unknown" if money is None else money.amount(2)


def span(bounds: Bounds | None, places: int = 2) -> str:
    """``2.00 to 3.00``, ``2.00``, ``at least 2.00``, or ``unknown`` where not even that is known."""
    if bounds is None:
        return "unknown"
    least, most = bounds
    if most is None:
        return f"at least {least.amount(places)}" if least.nano else "unknown"
    return least.amount(places) if least == most else f"{least.amount(places)} to {most.amount(places)}"


def usage_text(value: Exact) -> str:
    """All digits of the whole units, and six in all where these are fewer."""
    return number(Fraction(value), max(6, len(str(int(value)))))


def exact_text(value: Exact | None) -> str | None:
    """A number for programs, as decimal text."""
    return None if value is None else number(Fraction(value), 12).replace(",", "")


def gpus_text(gpus: int) -> str:
    """``1 GPU``; ``2 GPUs``."""
    return f"{gpus} GPU{'s' if gpus != 1 else ''}"


def break_even_text(even: WholeGpuBreakEven | None, units: str, cost: Callable[[int], Money]) -> str:
    """From which usage on own GPUs cost no more, how many that takes, and what so many ``cost`` in all."""
    if even is None:
        return "never, with any number of GPUs"

    def shown(volume: MonthlyUsage) -> str:
        whole = cost(volume.gpus)
        taken = f"{gpus_text(volume.gpus)}, {amount(whole)} {whole.currency} in all"
        return f"{usage_text(volume.usage)} {units} a month ({taken})"

    if even.lasting == even.first:
        return f"from {shown(even.first)}"
    again = "but not at every higher usage" if even.lasting is None else f"for good from {shown(even.lasting)}"
    return f"first at {shown(even.first)}, {again}: the next GPU is paid before it is full"


def break_even_json(even: WholeGpuBreakEven | None, cost: Callable[[int], Money]) -> dict[str, Any] | None:
    """As `break_even_text`, for programs."""

    def volume(one: MonthlyUsage | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {"usage": exact_text(one.usage), "gpus": one.gpus, "monthly_cost_nano": cost(one.gpus).nano}

    return None if even is None else {"first": volume(even.first), "lasting": volume(even.lasting)}


def unset_text(engineering: EngineeringTax) -> str:
    """What is missing of the people; without any hours one sum is what is asked for, not six of them."""
    if engineering.hours or engineering.lump is not None:
        return ", ".join(engineering.unset)
    return "hours" if engineering.rate_per_hour is not None else "hours, hourly rate"


def people_lines(engineering: EngineeringTax) -> Iterator[str]:
    """What people take a month and how it was found, by category where the hours are given so."""
    if engineering.unset:
        yield f"people: {span(engineering.bounds())}, not given: {unset_text(engineering)}"
    else:
        yield f"people: {span(engineering.bounds())} a month, at {engineering.rate_per_hour} an hour"
    for category, cost in engineering.by_category().items():
        hours = engineering.hours[category]
        yield f"  {category.words:<36}{str(hours) + ' h':>10}{span(cost):>22}"


def per_request(bounds: Bounds | None, requests: int) -> str:
    """What one request that succeeded costs; a word where there is no such cost."""
    from ledger.decision.compare import effective_inference_cost

    if bounds is None:
        return "unknown"
    least, most = (None if end is None else effective_inference_cost(end, requests) for end in bounds)
    if least is None:
        return "none succeeded"
    return span((least, most), 6)


def per_request_nano(bounds: Bounds | None, requests: int | None) -> list[int | None] | None:
    """As `per_request`, for programs; None where nobody counted or none succeeded."""
    from ledger.decision.compare import effective_inference_cost

    if bounds is None or not requests:
        return None
    return nano_ends(tuple(None if end is None else effective_inference_cost(end, requests) for end in bounds))


def nano_ends(bounds: Sequence[Money | None] | None) -> list[int | None] | None:
    """Both ends in nano-units; None where it is not known."""
    return None if bounds is None else [None if end is None else end.nano for end in bounds]


def red_flag_lines(flags: Sequence[RedFlag]) -> Iterator[str]:
    """How many, and each of them."""
    yield f"red flags: {len(flags) or 'none'}"
    for flag in flags:
        yield printable(f"  {flag.stage + ': ' if flag.stage else ''}{flag.message}")
