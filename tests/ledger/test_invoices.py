"""What the APIs would charge, against invoices worked out by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.money import Conversion, CurrencyError, Money
from ledger.api import Basis, Counterfactual, Workload, counterfactuals
from ledger.api_terms import bill_audio, bill_count, chunks
from ledger.price_book.price_files import instant, shipped_book
from ledger.price_book.prices import Confidence, Meter, PriceBook, PriceRow, Rounding

BOOK = shipped_book()
#: The invoices of the stages that ship.
charges = partial(counterfactuals, by_sound=["transcribe"], by_text=["translate"])
#: The day of the invoices. Rows that come later begin later, so these stay as they are.
AT = instant("2026-11-21T12:00:00Z")

#: An hour and two minutes of media, over half of it speech; four of its stretches of speech, two of its windows.
JOB = Workload(
    file_ms=3_723_456,
    speech_ms=2_000_400,
    segments=(3_000, 12_345, 28_000, 900),
    windows=(29_000, 20_500),
    input_tokens=123_456,
    output_tokens=45_678,
    characters=98_765,
    requests=72,
)

#: (whole file, speech only, per segment) in nano-dollars.
AUDIO = {
    # 0.0001 USD a second, to the nearest second; one request takes 3276 s:
    # 3276 + 447.456 -> 3276 + 447 = 3723 s; 2000.4 -> 2000 s; 3 + 12 (12.345) + 28 + 1 (0.9) = 44 s.
    ("openai", "whisper-1"): (372_300_000, 200_000_000, 4_400_000),
    # 0.00005 USD a second, no steps: 3723.456 x 0.00005 = 0.1861728; 2000.4 x 0.00005 = 0.10002;
    # 3 + 12.345 + 28 + 0.9 = 44.245 s x 0.00005 = 0.00221225.
    ("openai", "gpt-4o-mini-transcribe"): (186_172_800, 100_020_000, 2_212_250),
    # 0.000075 USD a second: 0.2792592; 0.15003; 0.003318375.
    ("openai", "gpt-transcribe"): (279_259_200, 150_030_000, 3_318_375),
    # 0.0043 USD for 60 s: 3723.456 x 0.0043 / 60 = 16.0108608 / 60 = 0.26684768; 8.60172 / 60 = 0.143362;
    # 44.245 x 0.0043 / 60 = 0.1902535 / 60 = 0.00317089166...
    ("deepgram", "nova-3"): (266_847_680, 143_362_000, 3_170_892),
    # 0.0052 USD for 60 s: 19.3619712 / 60 = 0.32269952; 10.40208 / 60 = 0.173368; 0.230074 / 60 = 0.00383456666...
    ("deepgram", "nova-3-multilingual"): (322_699_520, 173_368_000, 3_834_567),
    # 0.111 USD for 3600 s, at least 10 s a request: 413.303616 / 3600 = 0.11480656; 222.0444 / 3600 = 0.061679;
    # 10 + 12.345 + 28 + 10 = 60.345 s; 6.698295 / 3600 = 0.0018606375, half a nano-unit, to the even 638.
    ("groq", "whisper-large-v3"): (114_806_560, 61_679_000, 1_860_638),
    # 0.04 USD for 3600 s: 148.93824 / 3600 = 0.04137173333...; 80.016 / 3600 = 0.02222666666...;
    # 60.345 s as above: 2.4138 / 3600 = 0.0006705.
    ("groq", "whisper-large-v3-turbo"): (41_371_733, 22_226_667, 670_500),
    # 0.0001 USD a second, started seconds; no minimum since the row of 2026-09-22: 3724 s; 2001 s;
    # 3 + 13 + 28 + 1 = 45 s.
    ("aws", "transcribe-batch"): (372_400_000, 200_100_000, 4_500_000),
    # 0.016 USD for 60 s, started seconds: 3724 x 0.016 / 60 = 59.584 / 60 = 0.99306666...; 32.016 / 60 = 0.5336;
    # 3 + 13 + 28 + 1 = 45 s: 0.72 / 60 = 0.012.
    ("google", "speech-v2-standard"): (993_066_667, 533_600_000, 12_000_000),
    # 0.15 USD for 3600 s, started seconds: 558.6 / 3600 = 0.15516666...; 300.15 / 3600 = 0.083375; 6.75 / 3600.
    ("assemblyai", "universal-2"): (155_166_667, 83_375_000, 1_875_000),
    # 0.21 USD for 3600 s: 782.04 / 3600 = 0.21723333...; 420.21 / 3600 = 0.116725; 9.45 / 3600 = 0.002625.
    ("assemblyai", "universal-3.5-pro"): (217_233_333, 116_725_000, 2_625_000),
}

#: In nano-dollars, for 123,456 tokens read and 45,678 written.
TOKENS = {
    ("openai", "gpt-4o-mini"): 45_925_200,  # 0.123456 x 0.15 + 0.045678 x 0.60 = 0.0185184 + 0.0274068
    ("openai", "gpt-4.1-mini"): 122_467_200,  # x 0.40 + x 1.60 = 0.0493824 + 0.0730848
    ("openai", "gpt-4.1"): 612_336_000,  # x 2 + x 8 = 0.246912 + 0.365424
    ("openai", "gpt-5-mini"): 122_220_000,  # x 0.25 + x 2 = 0.030864 + 0.091356
    ("openai", "gpt-5.6-luna"): 79_504_800,  # x 0.20 + x 1.20 = 0.0246912 + 0.0548136
    ("anthropic", "claude-haiku-4-5"): 351_846_000,  # x 1 + x 5 = 0.123456 + 0.22839
    ("anthropic", "claude-haiku-5-5"): 35_184_600,  # x 0.10 + x 0.50 = 0.0123456 + 0.022839
    ("google", "gemini-2.5-flash"): 151_231_800,  # x 0.30 + x 2.50 = 0.0370368 + 0.114195
    ("google", "gemini-2.5-flash-lite"): 30_616_800,  # x 0.10 + x 0.40 = 0.0123456 + 0.0182712
    ("google", "gemini-3.8-flash"): 263_884_500,  # x 0.75 + x 3.75 = 0.092592 + 0.1712925
    ("deepseek", "deepseek-flash"): 45_925_200,  # as gpt-4o-mini
    ("mistral", "mistral-small-2603"): 45_925_200,  # as gpt-4o-mini
    ("groq", "llama-3.3-70b-versatile"): 108_924_660,  # x 0.59 + x 0.79 = 0.07283904 + 0.03608562
}

#: For 98,765 characters.
CHARACTERS = {
    ("google", "translation-nmt"): Money(1_975_300_000, "USD"),  # 0.098765 x 20
    ("deepl", "api-pro"): Money(1_975_300_000, "EUR"),  # 0.098765 x 20
    ("deepl", "api-growth"): Money(2_716_037_500, "USD"),  # 0.098765 x 27.50
    ("aws", "translate-standard"): Money(1_481_475_000, "USD"),  # 0.098765 x 15
    ("azure", "translator-s1"): Money(987_650_000, "USD"),  # 0.098765 x 10
}


#: The rows that were added on this day: what they add to the invoices, or change in them.
LATER = instant("2026-11-28T12:00:00Z")
AUDIO_LATER = {
    # 0.00051 USD for 60 s: 3723.456 x 0.00051 / 60 = 1.89896256 / 60 = 0.031649376; 1.020204 / 60 = 0.0170034;
    # 44.245 x 0.00051 / 60 = 0.02256495 / 60 = 0.0003760825, half a nano-unit, to the even 082.
    ("cloudflare", "whisper-large-v3-turbo"): (31_649_376, 17_003_400, 376_082),
    # 0.0001 USD a second, no steps: 0.3723456; 0.20004; 0.0044245.
    ("openai", "gpt-4o-transcribe"): (372_345_600, 200_040_000, 4_424_500),
    # 0.22 USD for 3600 s: 819.16032 / 3600 = 0.22754453333...; 440.088 / 3600 = 0.12224666666...;
    # 9.7339 / 3600 = 0.00270386111...
    ("elevenlabs", "scribe_v2"): (227_544_533, 122_246_667, 2_703_861),
    # 0.10 USD for 3600 s: 372.3456 / 3600 = 0.10342933333...; 200.04 / 3600 = 0.05556666666...;
    # 4.4245 / 3600 = 0.00122902777...
    ("soniox", "stt-async-v5"): (103_429_333, 55_566_667, 1_229_028),
    ("xai", "grok-voice-transcribe-2.0"): (103_429_333, 55_566_667, 1_229_028),
    # 0.21 USD for 3600 s: 781.92576 / 3600 = 0.2172016; 420.084 / 3600 = 0.11669; 9.29145 / 3600 = 0.00258095833...
    ("mistral", "voxtral-mini-transcribe-3-0"): (217_201_600, 116_690_000, 2_580_958),
    # 0.24 USD for 3600 s: 893.62944 / 3600 = 0.2482304; 480.096 / 3600 = 0.13336; 10.6188 / 3600 = 0.00294966666...
    ("mistral", "voxtral-small-transcribe-3-0"): (248_230_400, 133_360_000, 2_949_667),
    # 0.003 USD for 60 s, as gpt-4o-mini-transcribe.
    ("google", "gemini-3.5-transcribe"): (186_172_800, 100_020_000, 2_212_250),
    # 1 USD for 3600 s: 1.03429333333...; 0.55566666666...; 0.01229027777...
    ("azure", "speech-to-text-realtime"): (1_034_293_333, 555_666_667, 12_290_278),
}
TOKENS_LATER = {
    ("openai", "gpt-5-nano"): 24_444_000,  # 0.123456 x 0.05 + 0.045678 x 0.40 = 0.0061728 + 0.0182712
    ("openai", "gpt-6-luna"): 35_184_600,  # x 0.10 + x 0.50, as claude-haiku-5-5
    ("openai", "gpt-6.1-terra"): 351_846_000,  # x 1 + x 5, as claude-haiku-4-5
    ("openai", "gpt-6.1-sol"): 703_692_000,  # x 2 + x 10 = 0.246912 + 0.45678
    ("anthropic", "claude-sonnet-5-5"): 703_692_000,
    ("anthropic", "claude-opus-5-5"): 1_407_384_000,  # x 4 + x 20 = 0.493824 + 0.91356
    ("google", "gemini-3.5-flash-lite"): 151_231_800,  # x 0.30 + x 2.50, as gemini-2.5-flash
    ("google", "gemini-4-argon"): 703_692_000,
}
CHARACTERS_LATER = {("deepl", "api-pro"): Money(2_469_125_000, "USD")}  # 0.098765 x 25


def invoices(
    workload: Workload = JOB, book: PriceBook = BOOK, at: int = AT
) -> dict[tuple[str, str, Basis], Counterfactual]:
    return {(one.provider, one.model, one.basis): one for one in charges(workload, book, at)}


def of_both_days(before: Iterable[tuple[str, str]], later: Collection[tuple[str, str]]) -> list[Any]:
    """Each API with the days on which it has the amount written here."""
    days = [(api, AT) for api in before] + [(api, LATER) for api in dict.fromkeys([*before, *later])]
    return [pytest.param(api, at, id=f"{'-'.join(api)}-{'later' if at == LATER else 'first'}") for api, at in days]


@pytest.mark.parametrize(("api", "at"), of_both_days(AUDIO, AUDIO_LATER))
def test_transcription_invoices_are_as_by_hand(api: tuple[str, str], at: int) -> None:
    made = invoices(at=at)
    bases = (Basis.WHOLE_FILE, Basis.SPEECH_ONLY, Basis.PER_SEGMENT)
    expected = ((AUDIO | AUDIO_LATER) if at == LATER else AUDIO)[api]
    assert tuple(made[(*api, basis)].amount for basis in bases) == tuple(Money(nano, "USD") for nano in expected)


@pytest.mark.parametrize(("api", "at"), of_both_days(TOKENS, TOKENS_LATER))
def test_token_invoices_are_as_by_hand(api: tuple[str, str], at: int) -> None:
    one = invoices(at=at)[(*api, Basis.WHOLE_FILE)]
    assert one.amount == Money(((TOKENS | TOKENS_LATER) if at == LATER else TOKENS)[api], "USD")
    assert one.usage == {"requests": 72, "input_tokens": 123_456, "output_tokens": 45_678}
    assert len(one.price_rows) == 2


@pytest.mark.parametrize(("api", "at"), of_both_days(CHARACTERS, CHARACTERS_LATER))
def test_character_invoices_are_as_by_hand(api: tuple[str, str], at: int) -> None:
    one = invoices(at=at)[(*api, Basis.WHOLE_FILE)]
    expected = ((CHARACTERS | CHARACTERS_LATER) if at == LATER else CHARACTERS)[api]
    assert (one.amount, one.usage["characters"]) == (expected, 98_765)


def test_an_announced_price_holds_from_its_day() -> None:
    ends = instant("2026-12-01")
    argon = ("google", "gemini-4-argon", Basis.WHOLE_FILE)
    assert invoices(at=ends - 1)[argon].amount == Money(703_692_000, "USD")  # x 2 + x 10
    assert invoices(at=ends)[argon].amount == Money(1_407_384_000, "USD")  # x 4 + x 20


def test_every_api_of_the_shipped_book_has_its_invoice_by_hand() -> None:
    first = AUDIO.keys() | TOKENS.keys() | CHARACTERS.keys()
    assert {(provider, model) for provider, model, _ in invoices()} == first
    later = AUDIO_LATER.keys() | TOKENS_LATER.keys() | CHARACTERS_LATER.keys()
    assert {(provider, model) for provider, model, _ in invoices(at=LATER)} == first | later
    assert len(AUDIO) >= 5
    assert len(TOKENS) >= 5
    assert len(CHARACTERS) >= 3


def test_each_invoice_names_the_rows_that_priced_it() -> None:
    for one in charges(JOB, BOOK, AT):
        rows = [BOOK.row(name) for name in one.price_rows]
        assert rows
        assert all(row is not None and row.provider == one.provider and row.sku == one.model for row in rows)
        assert one.as_json()["price_row"] == " + ".join(one.price_rows)


def test_a_file_too_long_for_one_request_says_so() -> None:
    made = invoices()
    cut = made[("openai", "gpt-4o-mini-transcribe", Basis.WHOLE_FILE)]
    assert cut.usage["requests"] == 3  # 1400 + 1400 + 923.456 s
    assert "3 requests" in cut.note
    assert made[("deepgram", "nova-3", Basis.WHOLE_FILE)].usage["requests"] == 1


def test_short_segments_are_dear_where_there_is_a_minimum() -> None:
    words = Workload(file_ms=600_000, speech_ms=60_000, segments=(1_000,) * 60)
    made = invoices(words)
    together = made[("groq", "whisper-large-v3", Basis.SPEECH_ONLY)].amount
    apart = made[("groq", "whisper-large-v3", Basis.PER_SEGMENT)].amount
    # 60 s together: 0.111 x 60 / 3600 = 0.00185 USD; 60 requests of 1 s are billed as 10 s each, ten times as much.
    assert (together, apart) == (Money(1_850_000, "USD"), Money(18_500_000, "USD"))
    assert made[("groq", "whisper-large-v3", Basis.PER_SEGMENT)].usage["billed_ms"] == 600_000


def test_a_clip_shorter_than_the_minimum_is_billed_as_the_minimum() -> None:
    clip = Workload(file_ms=4_000, speech_ms=2_500)
    aws = ("aws", "transcribe-batch", Basis.SPEECH_ONLY)
    # 10 s x 0.04 / 3600 = 0.000111111...
    assert invoices(clip)[("groq", "whisper-large-v3-turbo", Basis.WHOLE_FILE)].amount == Money(111_111, "USD")
    # Until 2026-09-22 15 s x 0.0001 = 0.0015, from then on 3 started seconds x 0.0001 = 0.0003.
    change = instant("2026-09-22")
    assert invoices(clip, at=change - 1)[aws].amount == Money(1_500_000, "USD")
    assert invoices(clip, at=change)[aws].amount == Money(300_000, "USD")


def test_nothing_sent_is_nothing_billed() -> None:
    for one in charges(Workload(file_ms=60_000), BOOK, AT):
        if one.basis is Basis.SPEECH_ONLY:
            assert (one.amount, one.usage["requests"]) == (Money(0, "USD"), 0)


def test_a_job_that_translated_nothing_gets_no_translation_invoice() -> None:
    assert {one.stage for one in charges(Workload(file_ms=60_000), BOOK, AT)} == {"transcribe"}


def test_unmeasured_tokens_are_unpriced_and_never_0() -> None:
    made = invoices(replace(JOB, input_tokens=None))
    one = made[("openai", "gpt-4o-mini", Basis.WHOLE_FILE)]
    assert one.amount is None
    assert "input tokens were not measured" in one.note
    assert one.as_json()["amount"] is None
    assert made[("google", "translation-nmt", Basis.WHOLE_FILE)].amount == CHARACTERS[("google", "translation-nmt")]


def test_a_model_with_half_its_prices_is_unpriced() -> None:
    rows = tuple(row for row in BOOK.rows if not row.id.startswith("openai/gpt-4o-mini/out"))
    one = invoices(book=PriceBook((rows,)))[("openai", "gpt-4o-mini", Basis.WHOLE_FILE)]
    assert one.amount is None
    assert "no price of output tokens is known" in one.note


def test_prices_are_those_of_the_day() -> None:
    later = {
        (one.provider, one.model): one.amount
        for one in charges(JOB, BOOK, instant("2027-02-01"))
        if one.basis is Basis.WHOLE_FILE
    }
    # The announced price from 2027 on: 0.123456 x 1.50 + 0.045678 x 7.50 = 0.185184 + 0.342585.
    assert later[("google", "gemini-3.8-flash")] == Money(527_769_000, "USD")
    assert charges(JOB, BOOK, instant("2020-01-01")) == []


def test_an_own_price_takes_the_place_of_the_shipped_one() -> None:
    shipped = next(row for row in BOOK.rows if row.id == "deepgram/nova-3/2025-02")
    ours = replace(shipped, id="ours/nova-3", unit_price=Decimal("0.0036"), effective_from=instant("2026-11-01"))
    made = invoices(book=BOOK.with_rows([ours]))
    one = made[("deepgram", "nova-3", Basis.SPEECH_ONLY)]
    # 2000.4 x 0.0036 / 60 = 0.120024.
    assert (one.amount, one.price_rows) == (Money(120_024_000, "USD"), ("ours/nova-3",))


def test_amounts_change_currency_only_by_a_dated_rate() -> None:
    rate = Conversion("EUR", "USD", Decimal("1.1575"), date(2026, 11, 20), "https://www.ecb.europa.eu")
    made = {one.model: one for one in charges(JOB, BOOK, AT, conversions=[rate])}
    # 1.9753 EUR x 1.1575 = 2.28640975 USD.
    assert made["api-pro"].amount == Money(2_286_409_750, "USD")
    assert "1.9753 EUR at 1.1575 USD per EUR of 2026-11-20" in made["api-pro"].note
    assert made["translation-nmt"].amount == CHARACTERS[("google", "translation-nmt")]
    with pytest.raises(CurrencyError):
        made["translation-nmt"].converted(rate)


@pytest.mark.parametrize(
    "wrong", [{"file_ms": -1}, {"file_ms": 5, "speech_ms": 6}, {"segments": (3, -1)}, {"input_tokens": -1}]
)
def test_a_workload_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Workload(**wrong)  # type: ignore[arg-type]


def test_a_bill_of_audio_needs_a_price_of_audio() -> None:
    tokens = next(row for row in BOOK.rows if row.meter is Meter.INPUT_TOKEN)
    with pytest.raises(UsageError):
        bill_audio(tokens, [1000])
    with pytest.raises(UsageError):
        bill_count(tokens, -1)


AUDIO_ROWS = [row for row in BOOK.current(AT) if row.meter is Meter.AUDIO_SECOND]
lengths = st.integers(0, 40_000_000)


@given(st.sampled_from(AUDIO_ROWS), lengths, lengths)
def test_more_audio_is_never_cheaper(row: PriceRow, one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    assert 0 <= bill_audio(row, [shorter]).nano <= bill_audio(row, [longer]).nano


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.lists(st.integers(0, 60_000), max_size=20))
def test_the_whole_file_costs_at_least_its_speech(speech: int, silence: int, segments: list[int]) -> None:
    made = charges(Workload(speech + silence, speech, tuple(segments), tuple(segments)), BOOK, AT)
    amounts = {(one.provider, one.model, one.basis): one.amount for one in made}
    for (provider, model, basis), amount in amounts.items():
        assert amount is not None
        assert amount.nano >= 0
        if basis is Basis.SPEECH_ONLY:
            assert amounts[(provider, model, Basis.WHOLE_FILE)] >= amount


priced_rows = st.builds(
    PriceRow,
    id=st.just("made"),
    provider=st.just("somebody"),
    meter=st.just(Meter.AUDIO_SECOND),
    sku=st.just("ears"),
    unit_price=st.decimals("0.0001", 10, places=4),
    per=st.sampled_from([1, 60, 3600]),
    currency=st.just("USD"),
    effective_from=st.just(0),
    effective_to=st.none(),
    observed_at=st.just(date(2026, 11, 21)),
    source_url=st.just("https://example.com"),
    confidence=st.just(Confidence.LIST),
    billing_increment=st.sampled_from(
        [Decimal(0), Decimal("0.0005"), Decimal("0.1"), Decimal(1), Decimal(6), Decimal(15), Decimal(60)]
    ),
    minimum_quantity=st.sampled_from([Decimal(0), Decimal("0.5"), Decimal(10), Decimal(15), Decimal(60)]),
)


@given(priced_rows, st.lists(st.integers(1, 200_000), min_size=1, max_size=30))
def test_splitting_never_lowers_a_bill(row: PriceRow, pieces: list[int]) -> None:
    together, apart = bill_audio(row, [sum(pieces)]), bill_audio(row, pieces)
    assert apart.nano >= together.nano
    assert apart.used == together.used
    assert apart.billed >= len(pieces) * Fraction(row.minimum_quantity)


@given(priced_rows, st.lists(st.integers(0, 200_000), max_size=30))
def test_without_steps_and_minimums_it_does_not_matter_how_audio_is_sent(row: PriceRow, pieces: list[int]) -> None:
    linear = replace(row, billing_increment=Decimal(0), minimum_quantity=Decimal(0))
    assert bill_audio(linear, pieces).nano == bill_audio(linear, [sum(pieces)]).nano


@given(priced_rows, st.lists(st.integers(1, 200_000), max_size=10), st.sampled_from(Rounding))
def test_each_request_is_billed_by_itself(row: PriceRow, pieces: list[int], rounding: Rounding) -> None:
    row = replace(row, rounding=rounding)
    assert bill_audio(row, pieces).billed == sum(row.billed(Fraction(piece, 1000)) for piece in pieces)


@given(priced_rows, st.integers(1, 10**7))
def test_billed_time_is_whole_steps_or_the_minimum(row: PriceRow, length: int) -> None:
    billed = bill_audio(row, [length]).billed
    step = Fraction(row.billing_increment)
    assert billed >= Fraction(length, 1000)
    assert billed == row.minimum_quantity or not step or billed % step == 0
    nearest = replace(row, rounding=Rounding.NEAREST, minimum_quantity=Decimal(0))
    assert abs(bill_audio(nearest, [length]).billed - Fraction(length, 1000)) <= step / 2


@given(st.sampled_from(AUDIO_ROWS), lengths)
def test_requests_cover_the_audio_within_the_limit(row: PriceRow, length: int) -> None:
    requests = chunks(row, length)
    assert sum(requests) == length
    assert all(0 < request <= (row.request_limit * 1000 or length) for request in requests)


@pytest.mark.parametrize(
    ("stage", "meter"), [("translate", "audio_second"), ("", "audio_second"), ("transcribe", "input_token")]
)
def test_a_price_counts_only_for_the_stage_that_it_is_for(stage: str, meter: str) -> None:
    before = charges(JOB, BOOK, AT)
    odd = replace(next(row for row in BOOK.current(AT) if row.meter.value == meter), id="odd", sku="odd", stage=stage)
    assert charges(JOB, PriceBook((*BOOK.layers, (odd,))), AT) == before


def test_an_invoice_says_the_class_of_the_model_and_whether_it_could_still_be_bought() -> None:
    ends = instant("2026-08-16")

    def llama(at: int) -> Counterfactual:
        return next(one for one in charges(JOB, BOOK, at) if one.model == "llama-3.3-70b-versatile")

    before, after = llama(ends - 1), llama(ends)
    assert (before.retired, after.retired) == (False, True)
    assert before.remark == "mid chat model, ends on 2026-08-16"
    assert after.remark == "mid chat model, ended on 2026-08-16"
    # The price itself has not ended: 123456 x 0.59 / 10^6 + 45678 x 0.79 / 10^6 = 0.07283904 + 0.03608562.
    assert before.amount == after.amount == Money(108_924_660, "USD")
    said = after.as_json()
    assert (said["tier"], said["retired_from"], said["retired"]) == ("mid chat model", "2026-08-16", True)
    nmt = next(row for row in BOOK.rows if row.sku == "translation-nmt")
    unrated = PriceBook(((replace(nmt, tier=None, confidence=Confidence.SEEN),),))
    assert [one.remark for one in charges(JOB, unrated, AT)] == ["class unknown, price not verified"] * 2
