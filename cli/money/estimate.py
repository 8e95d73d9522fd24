"""``segue estimate``: what media would take and cost, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.context import HomeFlag, JsonFlag, open_runtime, print_json
from cli.exits import Exit
from cli.money.exchange_lines import exchange_lines
from cli.options import (
    MediaArgument,
    gather_media,
)
from cli.wording import clock, one_line, percent, printable
from core.errors import summed_up
from ledger.api import Basis
from pipeline.stages import charged_stages, stage_named
from pipeline.stages.stage import ChargedBy

if TYPE_CHECKING:
    from accounting.estimates.estimate_report import ApiEstimate, Estimate, StageEstimate
    from ledger.speed import Spread

OnFlag = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="HARDWARE",
        help="What will run it: the name of a GPU or machine that this store has measured; default: this machine.",
        show_default=False,
    ),
]
#: Files with a line of their own.
_FILES = 8
#: APIs with a line, in each table.
_APIS = 5
_SHOWN = ("whole_file", "speech_only")
#: For what APIs count: headings for the stage's work, and the meter by which they charge.
_TABLES = {
    ChargedBy.AUDIO: (("{} by API: the whole file / silence skipped", ""),),
    ChargedBy.TEXT: (("{} by API, by token", "input_tokens"), ("{} by API, by character", "characters")),
}


def estimate_command(
    media: MediaArgument,
    said: dict[str, Any],
    on: OnFlag = "",
    home: HomeFlag = None,
    json: JsonFlag = False,
) -> int:
    """Say what a run would take and cost, here and at each API, as ranges. Finds the speech; no model runs.

    Engine time is predicted from what this store has measured on the same hardware, and said to be of other hardware
    where it is; what was never measured is not guessed. The fewer batches were measured, the wider is the range.

    Example: [bold]segue estimate season1/ --to es,ja --node-rate '0.149 USD'[/bold]
    """
    from accounting.estimates.estimate import estimate
    from accounting.spending import Prices

    runtime = open_runtime({**said, "home": home})
    if runtime.settings.node_price:
        from core.money import quote

        quote(runtime.settings.node_price)
    requests = gather_media(media, runtime)
    found = estimate(requests.requests, runtime, Prices.of(runtime.settings), on)
    problems = [
        {"media": str(problem.media), "problem": problem.reason.removeprefix(f"{problem.media}: ")}
        for problem in requests.problems
    ]
    if json:
        print_json({**found.as_json(), "problems": problems})
    else:
        _print(found)
        for line in summed_up([f"{one_line(each['media'])}: {printable(each['problem'])}" for each in problems]):
            print(line)
    return Exit.DONE if found.usable and not problems and len(found.usable) == len(found.files) else Exit.INCOMPLETE


def _print(found: Estimate) -> None:
    files = found.usable
    duration, speech = sum(file.duration_ms for file in files), sum(file.speech_ms for file in files)
    for file in found.files[:_FILES]:
        name = one_line(file.media.name)
        if file.problem:
            print(f"{name}: {printable(file.problem)}")
            continue
        units = "; ".join(f"{stage} {left} of {total} units" for stage, (total, left, _) in (file.units or {}).items())
        print(f"{name}: {clock(file.duration_ms)}, speech {clock(file.speech_ms)}; to compute: {units}")
    if len(found.files) > _FILES:
        print(f"and {len(found.files) - _FILES} more files")
    print(f"media {clock(duration)}, speech {clock(speech)} ({percent(speech, duration)}), the rest is skipped")
    if not files:
        return
    print()
    _print_here(found)
    print()
    _print_apis(found)


def _print_here(found: Estimate) -> None:
    from accounting.estimates.estimate import NEVER_MEASURED

    print(f"here, on {printable(found.hardware)}")
    for stage in found.stages:
        print(f"  {stage.stage:<11} {printable(_stage_text(stage))}")
    if found.here is None:
        # What was never measured has been said above.
        unmeasured = any(stage.engine_ms is None for stage in found.stages)
        whys = [why for why in found.unpriced if not why.endswith(NEVER_MEASURED)]
        print(f"  cost: unpriced{', since not all of it was measured' if unmeasured else ''}")
        for why in whys:
            print(f"    {printable(why)}")
    elif found.done:
        print(f"  cost: {_amount(found.here, found.currency)}, all of it is there already")
    else:
        amount = _amount(found.here, found.currency)
        loads = "".join(f"loading {printable(engine)}, " for engine in found.unmeasured_loads)
        print(f"  cost at {found.node_rate} an hour: {amount}; {loads}idle time, boot and people are not in it")


def _stage_text(stage: StageEstimate) -> str:
    """``whisper base int8: 12 s (6 to 24 s), loading 1 s; measured on 1 batch``."""
    if stage.engine_ms is None:
        return f"{stage.engine}: not measured on this store yet; run a short file first"
    if not stage.batches:
        return f"{stage.engine}: nothing to compute"
    load = ", loading never measured"
    if stage.load_ms is not None:
        load = f", loading {_time(stage.load_ms)}" if stage.load_ms.high else ""
    batches = "1 batch" if stage.batches == 1 else f"{stage.batches:,} batches"
    other = f" of OTHER hardware, {stage.measured_on}" if stage.other_hardware else ""
    fake = " (fake: says nothing of real engines)" if stage.fake else ""
    return f"{stage.engine}: {_time(stage.engine_ms)}{load}; measured on {batches}{other}{fake}"


def _print_apis(found: Estimate) -> None:
    if any(left < total for file in found.usable for total, left, _ in (file.units or {}).values()):
        print("some units are there already: the cost here is for what is left, APIs are priced for all of it")
    for stage, heading, meter in ((each, *table) for each in charged_stages() for table in _TABLES[each.charged_by]):
        pairs: dict[tuple[str, str], dict[str, ApiEstimate]] = {}
        for api in found.apis:
            fits = api.like.stage == stage.name and (not meter or meter in api.like.usage)
            if fits and api.like.basis in _SHOWN:
                pairs.setdefault((api.like.provider, api.like.model), {})[api.like.basis] = api
        if pairs:
            print(heading.format(stage.noun))
        ordered = sorted(pairs.items(), key=lambda pair: _order(pair[1]))
        for (provider, model), ways in ordered[:_APIS]:
            shown = " / ".join(dict.fromkeys(_api_amount(ways[basis]) for basis in _SHOWN if basis in ways))
            print(f"  {printable(f'{provider} {model}'):<36} {shown}  ({next(iter(ways.values())).like.remark})")
        if len(ordered) > _APIS:
            print(f"  and {len(ordered) - _APIS} dearer ones (--json has all)")
    for line, _ in exchange_lines(found.exchanged):
        print(printable(line))
    for basis, words in ((Basis.SPEECH_ONLY, "silence skipped"), (Basis.WHOLE_FILE, "the whole file")):
        bill = found.api_bill(basis)
        if bill.amount is not None:
            amount = _amount(bill.amount, bill.currency)
            print(f"all of it by API, {words}: {amount} ({printable(bill.names)})")
    for text in found.texts:
        counts = ", ".join(f"{_count(spread)} {meter.replace('_', ' ')}" for meter, spread in text.usage.items())
        print(f"{stage_named(text.stage).noun} is taken to need {counts} ({printable(text.rests_on)})")


def _order(ways: dict[str, ApiEstimate]) -> tuple[bool, bool, int]:
    """Cheapest first; then what is no longer sold, and what has no price."""
    amounts = [api.amount.point for api in ways.values() if api.amount is not None]
    return not amounts, any(api.like.retired for api in ways.values()), min(amounts, default=0)


def _api_amount(api: ApiEstimate) -> str:
    if api.amount is None or api.like.amount is None:
        return f"unpriced ({printable(api.like.note)})"
    return _amount(api.amount, api.like.amount.currency)


def _amount(spread: Spread, currency: str) -> str:
    """``0.0312 USD (0.0250 to 0.0381)``; where the ends are the figure, without them."""
    from core.money import Money

    low, point, high = (Money(nano, currency).amount(4) for nano in (spread.low, spread.point, spread.high))
    return f"{point} {currency}" + ("" if low == high else f" ({low} to {high})")


def _time(spread: Spread) -> str:
    """``12:30 (10:00 to 15:10)``; seconds with a decimal below a minute."""
    if spread.high < 60_000:
        low, point, high = (f"{ms / 1000:.1f}" for ms in (spread.low, spread.point, spread.high))
        return f"{point} s" + ("" if low == high else f" ({low} to {high} s)")
    low, point, high = (clock(ms) for ms in (spread.low, spread.point, spread.high))
    return point + ("" if low == high else f" ({low} to {high})")


def _count(spread: Spread) -> str:
    return f"{spread.low:,} to {spread.high:,}" if spread.low != spread.high else f"{spread.point:,}"
