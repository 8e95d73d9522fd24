"""The screen of ``segue compare``: what was given, both months side by side, who is cheaper, and from when on."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from rich import box
from rich.table import Table

from cli.money.compare import ComparedMonth
from cli.money.comparison_text import (
    WAYS,
    amount,
    break_even_text,
    people_lines,
    per_request,
    red_flag_lines,
    span,
    usage_text,
)
from cli.money.ledger_tables import number_column, print_table, wide_console
from cli.money.pages.break_even_chart import number, percent_of, speed_text
from cli.wording import printable
from core.money import Money
from ledger.decision.compare import Cheaper
from ledger.decision.inference_cost import Bounds


def print_compared(answer: ComparedMonth) -> None:
    """For people."""
    console = wide_console()
    console.print(f"{printable(answer.stage.stage)}: a month by API and on own GPUs, {answer.profile.currency}")
    for line in (*_given_lines(answer), *people_lines(answer.profile.engineering)):
        console.print(line)
    print_table(console, _table(answer))
    for line in (*_verdict_lines(answer), *_break_even_lines(answer), *red_flag_lines(answer.red_flags)):
        console.print(line)


def _given_lines(answer: ComparedMonth) -> Iterator[str]:
    found, stage, units = answer.found, answer.stage, answer.stage.unit.plural
    inputs = found.inputs
    peak = f", the busiest hour {number(Fraction(inputs.peak_to_average))} times the average"
    yield f"usage: {usage_text(inputs.api.usage)} {units} a month{peak if inputs.peak_to_average != 1 else ''}"
    yield f"API: {number(inputs.api.unit_price, 6)} for one {stage.unit.value} ({answer.api_source})"
    hourly = "" if stage.gpu_price_per_hour is None else f"{stage.gpu_price_per_hour} an hour, "
    yield (
        f"GPU: {number(Fraction(inputs.gpu_monthly_cost), 6)} a month: {hourly}"
        f"{number(answer.gpu_hours, 6)} hours, paid whether it works or waits"
    )
    busy = "" if stage.utilization is None else f" at most {percent_of(Fraction(stage.utilization))} of the time"
    planned = "" if inputs.peak_to_average == 1 else f", {usage_text(found.planned_capacity)} so that the peak fits"
    yield (
        f"speed: {speed_text(Fraction(stage.speed or 0), stage.unit)}{busy}; "
        f"one GPU can do {usage_text(found.monthly_capacity)} {units} a month{planned}"
    )


def _table(answer: ComparedMonth) -> Table:
    ways, people = answer.found.ways, answer.profile.engineering.bounds()
    table = Table(box=box.SIMPLE)
    table.add_column("a month")
    for way in ways:
        share = f", {percent_of(Fraction(answer.found.inputs.api_share))} by API" if way is Cheaper.HYBRID else ""
        number_column(table, f"{WAYS.get(way, way.value)}{share}")
    own = [way is not Cheaper.API for way in ways]
    served = list(ways.values())
    table.add_row("API", *(amount(one.api) for one in served))
    table.add_row("GPUs", *(str(one.gpus) for one in served))
    table.add_row("machines", *(amount(one.machines) for one in served))
    table.add_row("infrastructure", *(amount(answer.profile.infrastructure) if mine else "0.00" for mine in own))
    table.add_row("without people", *(amount(one.without_people) for one in served), style="bold")
    table.add_row("people", *(span(people) if mine else "0.00" for mine in own))
    table.add_row("with people", *(span(one.with_people) for one in served), style="bold")
    requests = answer.profile.successful_requests
    if requests is not None:
        each = f"each of {requests:,} successful requests"
        table.add_row(each, *(per_request(one.with_people, requests) for one in served))
    return table


def _verdict_lines(answer: ComparedMonth) -> Iterator[str]:
    """Who is cheaper, without people and with them."""
    found, currency, people = answer.found, answer.profile.currency, answer.profile.engineering.bounds()
    saved = found.saved
    if saved is None:
        yield "The API is cheaper: no number of GPUs can do it at this speed."
        return
    yield f"Without people: {_outcome(found.cheaper, saved, (Money(0, currency),) * 2)}."
    if found.cheaper_with_people is not None:
        yield f"With people: {_outcome(found.cheaper_with_people, saved, people)}."
        return
    taken = span(people)
    yield (
        f"With people: undecided. They may take up to {amount(saved)} {currency} a month before the API is no dearer; "
        f"{'what they cost is unknown' if taken == 'unknown' else f'they take {taken}'}."
    )


def _outcome(cheaper: Cheaper, saved: Money, people: Bounds) -> str:
    """Who is cheaper and by how much, if machines save so much and people take so much."""
    least, most = people
    if cheaper is Cheaper.API:
        if most is None:
            by = f", by {span((least - saved, None))} {saved.currency} a month" if least > saved else ""
            return f"the API is cheaper{by}, whatever people cost"
        if most == saved:
            return "both cost the same, which goes to the API"
        return f"the API is cheaper, by {span((least - saved, most - saved))} {saved.currency} a month"
    who = "self-hosting" if cheaper is Cheaper.SELF_HOSTED else "the hybrid"
    return f"{who} is cheaper, by {span((saved - (most or least), saved - least))} {saved.currency} a month"


def _break_even_lines(answer: ComparedMonth) -> Iterator[str]:
    """From how much usage on, and how many GPUs that is."""
    found, units = answer.found, answer.stage.unit.plural
    if found.break_even_usage is None:
        yield "Break-even: none, the API is free."
        return
    within = "is within" if not found.break_even_exceeds_single_gpu_capacity else "exceeds"
    yield (
        f"Break-even: {usage_text(found.break_even_usage)} {units} a month cost what one GPU costs. "
        f"That {within} one GPU's capacity of {usage_text(found.planned_capacity)}."
    )
    nobody = Money(0, answer.profile.currency)
    if found.break_even_exceeds_single_gpu_capacity:
        yield f"  {_beyond_one(answer)}"
    if found.break_even_with(nobody) != found.break_even_of_machines:
        yield f"Break-even with infrastructure and the API's fees: {_volumes(answer, nobody)}."
    least, most = answer.profile.engineering.bounds()
    if most is None:
        yield "Break-even with people: unknown, as what they cost is."
    elif most == least:
        yield f"Break-even with people: {_volumes(answer, most)}."
    else:
        yield f"Break-even with people: {_volumes(answer, least)}."
        yield f"  With the most that they may take: {_volumes(answer, most)}."


def _beyond_one(answer: ComparedMonth) -> str:
    """What so much usage means when one GPU cannot do it."""
    found, inputs = answer.found, answer.found.inputs
    if found.break_even_gpus is None or found.break_even_usage is None:
        return "No number of GPUs can do it."
    cost = Money.of(found.break_even_gpus, inputs.gpu_monthly_cost, inputs.currency)
    api = Money.of(found.break_even_usage, inputs.api.unit_price, inputs.currency)
    return (
        f"So much takes {found.break_even_gpus} GPUs, which cost {amount(cost)} against {amount(api)} by API: each GPU "
        "costs more than the API asks for all that it can do, and more of them change nothing."
    )


def _volumes(answer: ComparedMonth, people: Money) -> str:
    return break_even_text(
        answer.found.break_even_with(people), answer.stage.unit.plural, lambda gpus: answer.found.cost_of(gpus, people)
    )
