"""Before spending: what media would take here and at each API, as ranges. Decodes and finds the speech; runs no model.

Engine time comes from what this store has measured, and from nowhere else: what was never measured is not guessed.
Tokens and characters of text that does not exist yet are measured on earlier text, or assumed, and said to be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

from accounting.estimates.estimate_report import ApiEstimate, Estimate, FileEstimate, StageEstimate, TextEstimate
from accounting.estimates.measured_speeds import ELSEWHERE, MeasuredSpeeds, hardware_here, measure_speeds
from accounting.spending import Prices, now_ms
from accounting.verdicts.workload import stage_counterfactuals
from cache.store import Store
from core.errors import SegueError, StoreError, UsageError
from core.money import Money, quote
from core.specs import EngineSpec
from journals.facts import AttemptStarted
from ledger.api import Counterfactual, Workload
from ledger.billing import machine_cost
from ledger.exchange import Exchange, Exchanged, UsedRate, day_of
from ledger.price_book.prices import PriceBook
from ledger.speed import Measure, Spread
from pipeline.inputs.requests import Request, plan_request
from pipeline.job import Plan
from pipeline.jobs import JobFolder
from pipeline.planning import draft_plan
from pipeline.runtime import Runtime
from pipeline.stages import charged_stages, engine_stages
from pipeline.stages.stage import ChargedBy, Stage
from pipeline.work import JobWork

NEVER_MEASURED = "was never measured here"
#: Assumed for a second of speech where nothing was measured: people say 2 to 3 words of about 5 letters a second, and
#: tokenizers make 1 to 2 tokens of a word in Latin letters, more in others.
ASSUMED_CHARACTERS = (10, 14, 20)
ASSUMED_OUTPUT_TOKENS = (3, 5, 10)
#: The text, the lines around it, and what a request says beside its lines.
ASSUMED_INPUT_TOKENS = (4, 8, 16)
ASSUMED_PROMPT_TOKENS = (150, 300, 500)
#: Of a range.
_ENDS = ("low", "point", "high")


def estimate(requests: Sequence[Request], runtime: Runtime, prices: Prices, hardware: str = "") -> Estimate:
    """Estimates all inputs together, for ``hardware`` that the store knows (empty: this machine).

    Raises SettingsError, EngineError, StoreError, UsageError for hardware that nothing was measured on; a bad file is
    its own problem.
    """
    rates = measure_speeds(runtime.store)
    runs_on = chosen_hardware(hardware, rates)
    files = tuple(_estimate_file(request, runtime) for request in requests)
    usable = [file for file in files if not file.problem]
    wanted = [stage for stage in engine_stages() if any(stage.name in (file.units or {}) for file in usable)]
    specs = {stage.name: runtime.engine_spec(stage.role) for stage in wanted}
    stages = tuple(_estimate_stage(stage, specs[stage.name], usable, rates, runs_on) for stage in wanted)
    texts = tuple(
        _text(stage, usable, specs[stage.name], rates) for stage in wanted if stage.charged_by is ChargedBy.TEXT
    )
    rate = runtime.settings.node_price
    remote = [(stage, specs[stage.name]) for stage in wanted if runtime.is_remote(stage.role)]
    currency = prices.exchange.currency or (quote(rate)[1] if rate else "")
    here, unpriced = _here(stages, rate, _fees(remote, usable, texts, prices, currency), prices, currency)
    apis = _apis(usable, texts, prices.book, prices.exchange.into(currency))
    exchanged = _exchanged(prices.exchange.into(currency), rate, apis)
    found = Estimate(files, stages, apis, texts, rate, here, currency, unpriced, runs_on, exchanged)
    if not found.done:
        return found if here is not None else replace(found, currency="")
    # What is done costs nothing more, whatever anything costs.
    return replace(found, here=Spread(0, 0, 0), currency=currency or runtime.settings.currency, unpriced=())


def chosen_hardware(wanted: str, rates: MeasuredSpeeds) -> str:
    """The hardware that was asked for, by its name or a part of it that no other has; this machine's without one.

    Raises UsageError.
    """
    if not wanted:
        return hardware_here()
    found = [name for name in rates.hardware if wanted.lower() in name.lower()]
    exact = [name for name in found if name.lower() == wanted.lower()]
    if len(exact or found) != 1:
        known = ", ".join(rates.hardware) or "nothing yet: run a short file there first"
        raise UsageError(f"'{wanted}' is not what engines were measured on here", f"measured on {known}")
    return (exact or found)[0]


def _estimate_file(request: Request, runtime: Runtime) -> FileEstimate:
    media = request.file.path
    try:
        wanted = plan_request(request, runtime)
        plan = JobFolder(runtime.store, wanted.job_id).read_plan() or draft_plan(wanted, runtime.store)
    except StoreError:
        raise
    except SegueError as error:
        return FileEstimate(media, str(error))
    return _measure_plan(media, plan, runtime.store)


def _measure_plan(media: Path, plan: Plan, store: Store) -> FileEstimate:
    work = JobWork.open(plan, store, {})
    units = {
        stage: (count.total, count.total - count.done, count.total_ms - count.done_ms)
        for stage, count in work.counts.items()
        if count.total
    }
    found = plan.segmentation
    return FileEstimate(
        media,
        duration_ms=found.duration_ms,
        speech_ms=found.speech_ms,
        segments=tuple(segment.duration_ms for segment in found.segments),
        windows=tuple(planned.window.audio_ms for planned in plan.windows),
        units=units,
        captions=bool(plan.settings.captions),
    )


def _estimate_stage(
    stage: Stage, spec: EngineSpec, files: Sequence[FileEstimate], rates: MeasuredSpeeds, hardware: str
) -> StageEstimate:
    engine = spec.describe()
    left = [file.of(stage.name) for file in files]
    audio_ms, fake = sum(each[2] for each in left), spec.fake
    if not any(each[1] for each in left):
        return StageEstimate(stage.name, engine, audio_ms, Spread(0, 0, 0), Spread(0, 0, 0), 0, fake)
    measured = rates.time_on(hardware, stage.name, engine)
    load = rates.load_on(hardware, stage.name, engine)
    # A part of a stage runs on the engine that this one loads, and what others run is loaded already.
    loads = not stage.part_of and not (load is None and measured is not None and measured.hardware == ELSEWHERE)
    return StageEstimate(
        stage.name,
        engine,
        audio_ms,
        None if measured is None else measured.times(audio_ms),
        Spread(0, 0, 0) if not loads else None if load is None else load.times(1),
        0 if measured is None else measured.batches,
        fake,
        "" if measured is None else measured.hardware,
        measured is not None and measured.hardware not in (hardware, ELSEWHERE),
    )


# -- text that does not exist yet ----------------------------------------------------------------------------


def _text(stage: Stage, files: Sequence[FileEstimate], spec: EngineSpec, rates: MeasuredSpeeds) -> TextEstimate:
    """Tokens and characters of all of a stage's work, and where they are from."""
    audio_ms = sum(_written_ms(file, stage.name) for file in files)
    requests = sum(file.of(stage.name)[0] for file in files)
    return estimate_text(stage.name, spec.describe(), audio_ms, requests, rates)


def estimate_text(stage: str, engine: str, audio_ms: int, requests: int, rates: MeasuredSpeeds) -> TextEstimate:
    """Tokens and characters of so much speech, once for each language: as measured here, else assumed."""
    assumed = {
        "input_tokens": tuple(
            text * audio_ms // 1000 + prompt * requests
            for text, prompt in zip(ASSUMED_INPUT_TOKENS, ASSUMED_PROMPT_TOKENS, strict=True)
        ),
        "output_tokens": tuple(each * audio_ms // 1000 for each in ASSUMED_OUTPUT_TOKENS),
        "characters": tuple(each * audio_ms // 1000 for each in ASSUMED_CHARACTERS),
    }
    usage: dict[str, Spread] = {}
    notes: dict[str, list[str]] = {}
    for meter, (low, point, high) in assumed.items():
        found = rates.usage_of(stage, engine, meter)
        if found is None:
            usage[meter] = Spread(low, point, high)
            said = "assumed, never measured here"
        else:
            measure, whose = found
            usage[meter] = measure.times(audio_ms)
            said = f"measured on {_batches(measure)} of {whose}"
        notes.setdefault(said, []).append(meter.replace("_", " "))
    rests_on = "; ".join(f"{', '.join(meters)}: {said}" for said, meters in notes.items())
    return TextEstimate(stage, usage, rests_on)


def _batches(measure: Measure) -> str:
    return "1 batch" if measure.batches == 1 else f"{measure.batches:,} batches"


def _written_ms(file: FileEstimate, stage: str) -> int:
    """Speech whose text a stage is given, once for each language; found units are counted as well."""
    return sum(file.windows) * file.of(stage)[0] // len(file.windows) if file.windows else 0


# -- money ---------------------------------------------------------------------------------------------------


def _exchanged(exchange: Exchange, rate: str, apis: Sequence[ApiEstimate]) -> Exchanged:
    """Today's exchange rates that the figures rest on."""
    now, currencies = now_ms(), {quote(rate)[1]} if rate else set()
    noted = [each for each in exchange.valid(now) if any(each.words in api.like.note for api in apis)]
    currencies |= {each.from_currency for each in noted}
    found = [each for each in exchange.valid(now) if each.from_currency in currencies]
    return exchange.told((), now, [UsedRate(each, day_of(now), day_of(now)) for each in found])


def _here(
    stages: Sequence[StageEstimate], rate: str, fees: Spread | str, prices: Prices, currency: str
) -> tuple[Spread | None, tuple[str, ...]]:
    why = [f"{stage.stage} by {stage.engine} {NEVER_MEASURED}" for stage in stages if stage.engine_ms is None]
    if not rate:
        why.append("what this machine costs an hour is not known: --node-rate '0.526 USD', or SEGUE_NODE_PRICE")
    price = prices.hourly(rate, currency) if rate else None
    if rate and price is None:
        said = quote(rate)[1]
        why.append(prices.why_none(f"the machine is priced in {said}", said, currency, "this estimate"))
    if isinstance(fees, str):
        why.append(fees)
    if why or isinstance(fees, str) or price is None:
        return None, tuple(why)
    total = fees
    for stage in stages:
        for part in (stage.engine_ms, stage.load_ms):
            if part is not None:
                total = total + Spread(*(machine_cost(ms, price) for ms in (part.low, part.point, part.high)))
    return total, ()


def _fees(
    remote: Sequence[tuple[Stage, EngineSpec]],
    files: Sequence[FileEstimate],
    texts: Sequence[TextEstimate],
    prices: Prices,
    currency: str,
) -> Spread | str:
    """What the job's own engines elsewhere charge for what is left, in ``currency``; empty: whatever they charge in.

    Why that cannot be told, in words.
    """
    total = Spread(0, 0, 0)
    for stage, spec in remote:
        fee = _fee(
            stage, spec, files, next((text for text in texts if text.stage == stage.name), None), prices, currency
        )
        if isinstance(fee, str):
            return fee
        total = total + fee
    return total


def _fee(
    stage: Stage,
    spec: EngineSpec,
    files: Sequence[FileEstimate],
    text: TextEstimate | None,
    prices: Prices,
    currency: str,
) -> Spread | str:
    whole, left, left_ms = (sum(file.of(stage.name)[place] for file in files) for place in range(3))
    if not left:
        return Spread(0, 0, 0)
    meter, amounts = prices.meter(currency, "this estimate"), []
    for end in _ENDS:
        counts = {"audio_ms": left_ms}
        if text is not None:
            counts = {name: getattr(spread, end) * left // max(whole, 1) for name, spread in text.usage.items()}
        usage = {"requests": left, **counts}
        started = AttemptStarted(
            "", "", stage.name, now_ms(), spec.describe(), spec.provider, spec.fake, True, (), usage
        )
        fees, unpriced = meter.charge(started)
        if unpriced:
            return unpriced[0]
        amounts.append(sum(fee.nano for fee in fees))
    return Spread(*amounts)


def _apis(
    files: Sequence[FileEstimate], texts: Sequence[TextEstimate], book: PriceBook, exchange: Exchange
) -> tuple[ApiEstimate, ...]:
    """Each API's charge for all files: the sum over the files, at the low, likely and high end of the text."""
    sums: dict[tuple[str, ...], dict[str, Money | None]] = {}
    like: dict[tuple[str, ...], Counterfactual] = {}
    at = now_ms()
    rates = exchange.valid(at)
    for file, end, stage in product(files, _ENDS, charged_stages()):
        if file.captions and stage.charged_by is ChargedBy.AUDIO:
            continue
        for one in stage_counterfactuals(stage, _workload(file, stage, files, texts, end), book, at, rates):
            key: tuple[str, ...] = (one.stage, one.basis.value, one.provider, one.model, one.price_row)
            ends = sums.setdefault(key, {})
            before = ends.get(end, one.amount and Money(0, one.amount.currency))
            ends[end] = None if before is None or one.amount is None else before + one.amount
            if end == "point":
                like.setdefault(key, one)
    found = []
    for key, ends in sums.items():
        amounts = [ends.get(end) for end in _ENDS]
        known = [amount.nano for amount in amounts if amount is not None]
        found.append(ApiEstimate(like[key], Spread(*known) if len(known) == len(amounts) else None))
    return tuple(found)


def _workload(
    file: FileEstimate, stage: Stage, files: Sequence[FileEstimate], texts: Sequence[TextEstimate], end: str
) -> Workload:
    """What an API would count of a stage's work on one file, which has its part of the text of all."""
    if stage.charged_by is ChargedBy.AUDIO:
        return Workload(file.duration_ms, file.speech_ms, file.segments, file.windows)
    mine, all_ms = (sum(_written_ms(each, stage.name) for each in of) for of in ((file,), files))
    usage = next((text.usage for text in texts if text.stage == stage.name), {})
    counts = {meter: getattr(spread, end) * mine // max(all_ms, 1) for meter, spread in usage.items()}
    return Workload(
        input_tokens=counts.get("input_tokens"),
        output_tokens=counts.get("output_tokens"),
        characters=counts.get("characters"),
        requests=file.of(stage.name)[0],
    )
