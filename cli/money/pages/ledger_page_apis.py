"""The part of a ledger page that sets what was paid against what APIs would charge."""

from __future__ import annotations

from fractions import Fraction

from markupsafe import Markup

from accounting.report import JobReport
from cli.money.pages.break_even_chart import break_even_svg
from cli.money.pages.ledger_page_charts import Bar, amount_with_currency, bars_svg
from core.money import NANO, Money
from ledger.api import Basis, Counterfactual
from ledger.decision.breakeven import SweepInputs, sweep
from ledger.decision.compare import WorkUnit
from ledger.entries import Bucket
from pipeline.stages import with_parts


def api_bars(report: JobReport) -> dict[str, Markup]:
    """Bars by stage: paid here, and each API in both ways of sending. Empty where nothing can be compared."""
    drawn = {}
    for stage in dict.fromkeys(one.stage for one in report.counterfactuals):
        found = [one for one in report.counterfactuals if one.stage == stage]
        ways: dict[tuple[str, str], dict[Basis, Counterfactual]] = {}
        for one in found:
            ways.setdefault((one.provider, one.model), {})[one.basis] = one
        groups = [_own_bar(report, stage)]
        ordered = sorted(ways.items(), key=lambda way: _order(way[1], report.currency))
        groups += [_api_bars(f"{provider} {model}", way, report.currency) for (provider, model), way in ordered]
        drawn[stage] = bars_svg(groups, f"{stage}: paid here, and what APIs would charge")
    return drawn


def _own(stage: str) -> tuple[str, ...]:
    """Our stages that do the work of an API's: its own, and what prepares it."""
    return tuple(each.name for each in with_parts(stage)) or (stage,)


def _own_bar(report: JobReport, stage: str) -> list[Bar]:
    """What the stage cost here, people left out."""
    stages, people = _own(stage), Bucket.PEOPLE.value
    known = [
        amount.nano
        for bucket, parts in report.spent.by_bucket_and_stage.items()
        for name, amount in parts.items()
        if bucket != people and name in stages
    ]
    missing = any(one.stage in stages for one in report.unpriced) or any(
        one.stage in stages and one.currency != report.currency for one in report.entries
    )
    if missing and not known:
        return [Bar("paid here", "bar-paid", None, "unpriced", ours=True)]
    nano = sum(known)
    text = f"{amount_with_currency(Money(nano, report.currency))}{', and unpriced usage' if missing else ''}"
    return [Bar("paid here", "bar-paid", nano, text, ours=True)]


def _api_bars(name: str, ways: dict[Basis, Counterfactual], currency: str) -> list[Bar]:
    bars = []
    for basis, kind in ((Basis.SPEECH_ONLY, "bar-speech"), (Basis.WHOLE_FILE, "bar-whole")):
        one = ways.get(basis)
        if one is None:
            continue
        if one.amount is None:
            bars.append(Bar(name, kind, None, one.note or "unpriced"))
            continue
        drawn = one.amount.nano if one.amount.currency == currency else 0
        bars.append(Bar(name, kind, drawn, f"{amount_with_currency(one.amount)} ({one.remark})"))
    if len(bars) == 2 and bars[0].text == bars[1].text:
        # Silence has no text: translation costs the same either way.
        return bars[:1]
    return bars


def _order(ways: dict[Basis, Counterfactual], currency: str) -> tuple[bool, bool, int]:
    amounts = [one.amount for one in ways.values() if one.amount is not None]
    foreign = bool(amounts) and amounts[0].currency != currency
    return not amounts, foreign, min((amount.nano for amount in amounts), default=0)


def break_even_charts(report: JobReport) -> list[Markup]:
    """A chart for each stage that was compared; none for fake engines, whose speed means nothing."""
    charts = [] if report.fake else [_chart(report, stage, one) for stage, one in report.verdict.against.items()]
    return [chart for chart in charts if chart]


def _chart(report: JobReport, stage: str, api: Counterfactual) -> Markup:
    """The machines of this job against the API it was compared with, at the speed that was measured on it."""
    price = _hourly(report)
    busy_ms = sum(one.unit_ms for one in report.entries if one.stage in _own(stage) and one.bucket is Bucket.BUSY)
    used = api.usage.get("audio_ms", 0)
    unit, count = WorkUnit.AUDIO_HOUR, Fraction(used, 1000)
    if not used:
        used = api.usage.get("input_tokens", 0) + api.usage.get("output_tokens", 0)
        unit, count = WorkUnit.MILLION_TOKENS, Fraction(used)
    if not used and (used := api.usage.get("characters", 0)):
        unit, count = WorkUnit.MILLION_CHARACTERS, Fraction(used)
    if not price or not count or not busy_ms or api.amount is None or api.amount.currency != report.currency:
        return Markup()
    inputs = SweepInputs(
        stage=stage,
        unit=unit,
        currency=report.currency,
        api_price=Fraction(api.amount.nano, NANO) / count * unit.meter_units,
        gpu_prices=(price / 2, price, price * 2),
        speed=count * 1000 / busy_ms,
    )
    title = f"{stage}: speed at which this machine costs as much as {api.provider} {api.model}"
    return break_even_svg(sweep(inputs), title, "GPU" if all(node.gpus for node in report.nodes) else "machine")


def _hourly(report: JobReport) -> Fraction:
    """What the job's machines cost an hour, on the mean, by the latest exchange rate used; 0 where it is not known."""
    rates = {use.conversion.from_currency: use.conversion.multiplier for use in report.exchanged.rates}
    rates[report.currency] = Fraction(1)
    priced = [node for node in report.nodes if node.billed and node.billed.keys() <= rates.keys()]
    nano = sum((rates[name] * each for node in priced for name, each in node.billed.items()), Fraction(0))
    ms = sum(node.end - node.start for node in priced)
    return nano / NANO * 3_600_000 / ms if ms else Fraction(0)
