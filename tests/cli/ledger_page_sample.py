"""A job's report with something of everything, for its page."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from accounting.media_spans import MediaSpan, SpanStatus
from accounting.report import Avoided, Finality, JobReport, JobSpending, JobVerdict, NodeUse, People, SharedIdle
from core.money import Money
from ledger.api import Basis, Counterfactual, Workload, counterfactuals
from ledger.entries import Bucket, LedgerEntry, Quality, Unpriced
from ledger.loss import value_of_resumability
from ledger.price_book.price_files import instant, shipped_book
from ledger.verdict import Grounds, Range, StageFigures, Uncertainty, paid_range, verdicts

AT = instant("2026-11-20T08:00:00Z")
JOB = "0123456789abcdef01234567"
_WORK = (
    (Bucket.BOOT, "", "", 41_000, 1_700_000),
    (Bucket.LOAD, "transcribe", "", 18_000, 750_000),
    (Bucket.LOAD, "translate", "", 22_000, 910_000),
    (Bucket.BUSY, "detect", "", 4_000, 165_000),
    (Bucket.BUSY, "transcribe", "", 171_000, 7_077_500),
    (Bucket.BUSY, "translate", "es", 96_000, 3_973_333),
    (Bucket.BUSY, "translate", "ja", 103_000, 4_263_055),
    (Bucket.LOST, "transcribe", "", 12_400, 513_222),
    (Bucket.DUPLICATE, "translate", "ja", 3_000, 124_166),
    (Bucket.IDLE, "", "", 35_000, 1_448_611),
    (Bucket.PEOPLE, "", "", 0, 250_000_000),
)


def entries(*, fake: bool = False) -> tuple[LedgerEntry, ...]:
    """One of each bucket."""
    made, at = [], AT
    for number, (bucket, stage, language, ms, nano) in enumerate(_WORK):
        quality = Quality.ESTIMATED if bucket is Bucket.LOST else Quality.MEASURED
        engine = {
            "transcribe": "faster-whisper large-v3 int8_float16",
            "detect": "faster-whisper large-v3 int8_float16",
        }
        name = engine.get(stage, "llama qwen3-4b q4_k_m" if stage else "")
        made.append(
            LedgerEntry(
                f"{number:032x}", "a1b2c3d4e5f60718293a4b5c", f"p1/{stage}/{number}" if stage else "", bucket, stage,
                name, JOB, "ann", language, ms, at, at + ms, nano, "USD", "session", quality, fake,
            )
        )  # fmt: skip
        at += ms
    return tuple(made)


def spent(made: tuple[LedgerEntry, ...]) -> JobSpending:
    """Their sums."""
    buckets: dict[str, Money] = {}
    stages: dict[str, Money] = {}
    both: dict[str, dict[str, Money]] = {}
    times: dict[str, int] = {}
    for one in made:
        money, bucket = Money(one.nano, one.currency), one.bucket.value
        buckets[bucket] = buckets.get(bucket, Money(0, "USD")) + money
        stages[one.stage] = stages.get(one.stage, Money(0, "USD")) + money
        row = both.setdefault(bucket, {})
        row[one.stage] = row.get(one.stage, Money(0, "USD")) + money
        times[bucket] = times.get(bucket, 0) + one.unit_ms
    whole = Money(sum(one.nano for one in made), "USD")
    return JobSpending(whole, buckets, stages, both, times)


def timeline(minutes: int) -> tuple[MediaSpan, ...]:
    """Speech and silence in turn, with some of every status."""
    spans, at = [], 0
    for number in range(minutes * 6):
        speech = 4_200 + 700 * (number * 7 % 9)
        status = SpanStatus.COMPUTED
        if 40 <= number < 56:
            status = SpanStatus.CACHED
        elif number in (70, 71):
            status = SpanStatus.LOST
        elif number == 90:
            status = SpanStatus.FAILED
        elif number > minutes * 6 - 8:
            status = SpanStatus.MISSING
        spans.append(MediaSpan(at, at + speech, status))
        spans.append(MediaSpan(at + speech, at + 10_000, SpanStatus.SKIPPED))
        at += 10_000
    return tuple(spans)


def report(
    *, minutes: int = 42, media: tuple[str, ...] = ("週刊ニュース 第12回.mp4",), fake: bool = False
) -> JobReport:
    """The report; nothing in it is asked of a store."""
    spans = timeline(minutes)
    speech_ms = sum(span.end_ms - span.start_ms for span in spans if span.status is not SpanStatus.SKIPPED)
    load = Workload(minutes * 60_000, speech_ms, (7_000,) * 200, (24_000,) * 60, 310_000, 74_000, 128_000, 240)
    invoices = counterfactuals(load, shipped_book(), AT, by_sound=["transcribe"], by_text=["translate"])
    made = entries(fake=fake)
    chosen = {stage: cheapest(invoices, stage) for stage in ("transcribe", "translate")}
    figures = [figure(stage, made, chosen[stage], fake=fake) for stage in chosen]
    people = Range.exactly(Money(250_000_000, "USD"))
    judged = JobVerdict(
        verdicts(figures, {"transcribe": people}), "", chosen, {each.stage: each.paid for each in figures}
    )
    whole = replace(judged, found=verdicts(figures, None))
    return JobReport(
        job_id=JOB,
        owner="ann",
        labels={"show": "週刊ニュース", "season": "2"},
        media=media,
        state="partial",
        engines="faster-whisper large-v3 int8_float16, llama qwen3-4b q4_k_m",
        currency="USD",
        duration_ms=minutes * 60_000,
        speech_ms=speech_ms,
        spent=spent(made),
        avoided=(
            Avoided(
                "silence", minutes * 60_000 - speech_ms, 0, 61_000, Money(2_524_722, "USD"), False, "this job's rate"
            ),
            Avoided("cache", 96_000, 16, 9_100, Money(376_638, "USD"), True, "measured where they were computed"),
            Avoided("resume", 240_000, 40, None, None, True, "the engine time of these units was not measured"),
        ),
        counterfactuals=tuple(invoices),
        verdict=judged,
        verdict_whole_file=whole,
        verdict_same_class=whole,
        people=People(people, "2 to 4 hours a month, this job's share"),
        unpriced=(
            Unpriced("u", "s", "p1/translate/9", Bucket.API_FEE, "translate", "openai mine", JOB, "ann",
                     "output_tokens", 1200, AT, AT, "no row prices output_tokens of openai mine", False),
        ),
        entries=made,
        timeline=spans,
        nodes=(
            NodeUse("a1b2c3d4e5f60718293a4b5c", False, ("Tesla T4",), "azure Standard_NC4as_T4_v3 westeurope spot, 1 x "
                    "Tesla T4", "0.149 USD/h, as the machine said", AT, AT + 540_000, True, {"USD": 22_350_000}),
        ),
        standing=Finality.PROVISIONAL,
        fake=fake,
        resumability=value_of_resumability(made),
        shared_idle=SharedIdle({"USD": 300_000}, "12 of 48 s of node time in 2026-11"),
        fleet_idle={"USD": 1_200_000},
        book=shipped_book().digest,
    )  # fmt: skip


def cheapest(invoices: list[Counterfactual], stage: str) -> Counterfactual:
    """The API to compare with."""
    fitting = [
        one
        for one in invoices
        if one.stage == stage and one.basis is Basis.SPEECH_ONLY and one.amount is not None and one.verified
    ]
    return min(fitting, key=lambda one: one.amount.nano if one.amount else 0)


def figure(stage: str, made: tuple[LedgerEntry, ...], api: Counterfactual, *, fake: bool) -> StageFigures:
    """One stage of the verdict."""
    amounts = {(one.bucket, one.quality): one.nano for one in made if one.stage == stage}
    paid = paid_range(amounts, Uncertainty(Fraction(1, 2), Fraction(1, 2)), "USD")
    assert api.amount is not None
    against = f"{api.provider} {api.model}, silence skipped"
    grounds = Grounds(True, Quality.ESTIMATED, fake=fake, rests_on=(against,))
    return StageFigures(stage, paid, Range.exactly(api.amount), grounds)
