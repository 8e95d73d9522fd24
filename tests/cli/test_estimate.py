"""What a run would take and cost, before anything is spent."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from msgspec import structs
from spoken import SPEECH

from accounting.estimates.estimate import estimate
from accounting.estimates.estimate_report import Estimate
from accounting.estimates.measured_speeds import MeasuredSpeeds, hardware_here, measure_speeds
from accounting.exchange_rates import parse_rates
from accounting.spending import Prices
from cache.store import Store
from cli.money.estimate import _amount, _print_here, _time
from core.errors import UsageError
from core.keys import Key
from core.specs import EngineSpec
from journals.attempts import AttemptJournal, ProcessOrigin
from journals.node_session import NodeFacts, Opening, local_facts
from ledger.api import Basis
from ledger.exchange import NATIVE, Exchange
from ledger.price_book.price_files import shipped_book
from ledger.speed import Spread
from pipeline.inputs.requests import RunOptions, gather
from pipeline.runtime import Runtime, Settings
from pipeline.stages import stage_named
from pipeline.stages.cues import cues_slot
from pipeline.stages.stage import Slot, Unit
from subtitles.cues import CueDraft

WHISPER = EngineSpec("faster-whisper", "tiny", "r1", "int8")
LLAMA = EngineSpec("llama", "small", "r1")


HERE = hardware_here()


def made(
    folder: Path,
    media: Path = SPEECH,
    *,
    to: tuple[str, ...] = ("es", "ja"),
    rate: str = "",
    on: str = "",
    exchange: Exchange = NATIVE,
) -> Estimate:
    """An estimate with engines that are known by name only: none of them is ever loaded."""
    runtime = Runtime(Settings(home=folder / "home", owner="tester", node_price=rate), lambda _line: None)
    runtime._specs.update(transcriber=WHISPER, translator=LLAMA)
    requests = gather([media], RunOptions(targets=to, source_language="en")).requests
    return estimate(requests, runtime, Prices(shipped_book(), exchange=exchange), on)


def measured(
    folder: Path,
    spec: EngineSpec,
    stage: str,
    *batches: tuple[int, int],
    tokens: int = 0,
    machine: NodeFacts | None = None,
) -> MeasuredSpeeds:
    """Notes finished batches, each (speech in ms, engine time in ms), of this machine or of another."""
    store = Store.open(folder / "home")
    session = f"machine-{spec.provider}-{len(store.children(('nodes',)))}"
    facts = structs.asdict(machine or local_facts())
    opened = Opening(session=session, at="2026-11-01T00:00:00.000+00:00", **facts)
    store.write_once(("nodes", session, "opened.json"), opened.encode())
    journal = AttemptJournal(store, ProcessOrigin(session, "worker"))
    inputs = {cues_slot(0): (CueDraft(0, 900, "x" * 20, ()),)}
    for number, (audio_ms, engine_ms) in enumerate(batches):
        unit = Unit(Slot(stage), "job", Key(f"{number:064x}"), spec, audio_ms, inputs)
        begun = journal.start(stage, [unit], spec, stage_named(stage).expected_usage([unit]) if tokens else None)
        usage = {"input_tokens": 4 * tokens, "output_tokens": tokens} if tokens else {}
        journal.end(begun.attempt, engine_ms / 1000, 1, usage)
    return measure_speeds(store)


def test_an_estimate_is_in_the_currency_of_reports_or_says_which_rate_is_missing(tmp_path: Path) -> None:
    measured(tmp_path, WHISPER, "transcribe", (1000, 250))
    measured(tmp_path, LLAMA, "translate", (1000, 500))
    dollars = made(tmp_path, rate="3.60 USD")
    euros = Exchange("EUR", tuple(parse_rates("USD EUR 0.5 2020-01-01 ECB")))
    found = made(tmp_path, rate="3.60 USD", exchange=euros)
    assert dollars.here is not None
    assert found.here is not None
    assert (found.currency, found.here.point * 2) == ("EUR", dollars.here.point)
    dear = {api.like.price_row: api for api in dollars.apis if api.like.basis is Basis.WHOLE_FILE}
    halved = 0
    for api in found.apis:
        was = dear[api.like.price_row]
        if api.like.basis is Basis.WHOLE_FILE and api.amount and was.amount and was.like.amount:
            assert api.like.amount is not None
            assert api.like.amount.currency == "EUR"
            if was.like.amount.currency == "USD":
                assert abs(2 * api.amount.point - was.amount.point) <= 1
                halved += 1
    assert halved > 3
    (used,) = found.exchanged.rates
    assert (used.conversion, len(found.exchanged.old)) == (euros.conversions[0], 1)
    refused = made(tmp_path, rate="3.60 USD", exchange=Exchange("EUR"))
    assert refused.here is None
    assert (
        "the machine is priced in USD, this estimate in EUR; no exchange rate from USD to EUR" in refused.unpriced[-1]
    )


def test_without_any_measure_it_says_so_and_gives_only_what_can_be_said(tmp_path: Path) -> None:
    found = made(tmp_path, rate="0.5 USD").as_json()
    assert found["duration_ms"] > found["speech_ms"] > 0
    assert found["skipped_ms"] == found["duration_ms"] - found["speech_ms"]
    assert [stage["engine_ms"] for stage in found["stages"]] == [None, None]
    assert found["here"]["amount"] is None
    assert "transcribe by faster-whisper tiny int8 was never measured here" in found["here"]["unpriced"]
    assert "assumed, never measured here" in found["usage_rests_on"]
    priced = [api for api in found["apis"] if api["amount"]]
    assert len({(api["provider"], api["model"]) for api in priced if api["stage"] == "transcribe"}) >= 5
    assert all(api["amount"]["low"] == api["amount"]["high"] for api in priced if api["stage"] == "transcribe")
    translated = [api for api in priced if api["stage"] == "translate"]
    assert all(api["amount"]["low"] < api["amount"]["point"] < api["amount"]["high"] for api in translated)


def test_engine_time_and_cost_come_from_what_was_measured(tmp_path: Path) -> None:
    measured(tmp_path, WHISPER, "transcribe", *((10_000, 1_000 * each) for each in (1, 2, 2, 3)))
    measured(tmp_path, LLAMA, "translate", (10_000, 5_000))
    found = made(tmp_path, rate="3.6 EUR")
    transcribe, translate = found.stages
    # From a tenth to three tenths, with four batches by half as much again either way.
    assert transcribe.engine_ms == Spread(
        transcribe.audio_ms // 15, round(transcribe.audio_ms / 5), -(-transcribe.audio_ms * 9 // 20)
    )
    # Two languages: each second of speech is translated twice.
    assert translate.audio_ms == 2 * transcribe.audio_ms
    # Half as fast as speech; one batch is a range from half to twice, and no point.
    assert translate.engine_ms == Spread(transcribe.audio_ms // 2, transcribe.audio_ms, 2 * transcribe.audio_ms)
    assert found.here is not None
    assert found.currency == "EUR"
    # 3.60 an hour is a thousandth a second: a thousand nano-units a millisecond.
    assert found.here.point == 1000 * (transcribe.engine_ms.point + translate.engine_ms.point)
    assert found.here.low < found.here.point < found.here.high


def test_rates_of_other_hardware_are_kept_apart_and_said_to_be(tmp_path: Path) -> None:
    tesla = NodeFacts(gpu_names=("Tesla T4",), size="Standard_NC4as_T4_v3")
    large = NodeFacts(size="Standard_D4s_v5", host="d4")
    measured(tmp_path, WHISPER, "transcribe", (10_000, 100), (10_000, 100), machine=tesla)
    measured(tmp_path, WHISPER, "transcribe", (10_000, 4_000), machine=large)
    (guess,) = made(tmp_path, to=()).stages
    # Nothing was measured here: of what was, the most, as wide as of one batch.
    assert (guess.measured_on, guess.other_hardware, guess.batches) == ("Tesla T4", True, 2)
    assert guess.engine_ms is not None
    assert guess.engine_ms.high == -(-guess.audio_ms // 50)
    measured(tmp_path, WHISPER, "transcribe", (10_000, 8_000))
    (own,) = made(tmp_path, to=()).stages
    assert (own.measured_on, own.other_hardware) == (HERE, False)
    assert own.engine_ms is not None
    assert own.engine_ms.point == round(own.audio_ms * Fraction(8, 10))
    (chosen,) = made(tmp_path, to=(), on="d4s").stages
    assert (chosen.measured_on, chosen.other_hardware) == ("cpu of Standard_D4s_v5", False)
    with pytest.raises(UsageError, match="A100"):
        made(tmp_path, on="A100")


def test_loading_that_was_never_measured_is_said_not_to_be_in_the_cost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(tmp_path, WHISPER, "transcribe", (10_000, 1_000))
    measured(tmp_path, LLAMA, "translate", (10_000, 5_000))
    loads = AttemptJournal(Store.open(tmp_path / "home"))
    loads.engine_loaded("transcribe", WHISPER, 4)
    found = made(tmp_path, rate="3.6 EUR")
    assert found.as_json()["here"]["without"] == ["loading", "idle", "boot", "people"]
    _print_here(found)
    shown = capsys.readouterr().out
    assert shown.count("loading never measured") == 1
    assert f"; loading {LLAMA.describe()}, idle time, boot and people are not in it" in shown
    loads.engine_loaded("translate", LLAMA, 4)
    found = made(tmp_path, rate="3.6 EUR")
    assert found.as_json()["here"]["without"] == ["idle", "boot", "people"]
    _print_here(found)
    assert "never measured" not in capsys.readouterr().out


def test_an_api_is_as_fast_from_any_machine(tmp_path: Path) -> None:
    measured(tmp_path, LLAMA, "translate", (10_000, 100), tokens=1, machine=NodeFacts(gpu_names=("Tesla T4",)))
    translate = made(tmp_path, to=("es",)).stages[1]
    assert (translate.measured_on, translate.other_hardware) == ("the network", False)
    # And nobody loads it.
    assert translate.load_ms == Spread(0, 0, 0)


def test_all_stages_are_added_up_to_one_api_bill(tmp_path: Path) -> None:
    found = made(tmp_path, to=("es",))
    bill = found.api_bill(Basis.SPEECH_ONLY)
    assert set(bill.parts) == {"transcribe", "translate"}
    ends = [each.amount for each in bill.parts.values() if each.amount is not None]
    assert bill.amount == Spread(sum(e.low for e in ends), sum(e.point for e in ends), sum(e.high for e in ends))
    for stage, part in bill.parts.items():
        others = [
            api.amount.point
            for api in found.apis
            if api.amount and api.like.amount and (api.like.stage, api.like.basis) == (stage, Basis.SPEECH_ONLY)
            if api.like.verified and not api.like.retired and api.like.amount.currency == "USD"
        ]
        assert part.amount is not None
        assert part.amount.point == min(others)
    # Nobody charges in this currency: unknown, and not nothing.
    assert found.api_bill(Basis.SPEECH_ONLY, "CHF").amount is None


def test_without_a_node_rate_the_cost_is_unpriced_and_not_nothing(tmp_path: Path) -> None:
    measured(tmp_path, WHISPER, "transcribe", (10_000, 1_000))
    found = made(tmp_path, to=())
    assert found.stages[0].engine_ms is not None
    assert found.here is None
    assert "--node-rate" in found.unpriced[0]


@pytest.mark.parametrize(("rate", "said"), [("0.50 EUR", ["EUR", "USD"]), ("0.50 USD", [])])
def test_a_fee_in_another_currency_than_the_machine_is_never_added_to_it(
    tmp_path: Path, rate: str, said: list[str]
) -> None:
    spec = EngineSpec("openai", "gpt-4o-mini", "r1")
    measured(tmp_path, spec, "translate", (60_000, 20_000), tokens=900)
    measured(tmp_path, WHISPER, "transcribe", (60_000, 6_000))
    measured(tmp_path, WHISPER, "detect", (60_000, 6_000))
    settings = Settings(home=tmp_path / "home", owner="tester", node_price=rate, translator="openai")
    runtime = Runtime(settings, lambda _line: None)
    runtime._specs.update(transcriber=WHISPER, translator=spec)
    requests = gather([SPEECH], RunOptions(targets=("es",), source_language="en")).requests
    found = estimate(requests, runtime, Prices(shipped_book()))
    assert (found.here is None) == bool(said)
    assert all(currency in found.unpriced[0] for currency in said)


def test_tokens_are_predicted_from_measured_ones_where_there_are_any(tmp_path: Path) -> None:
    measured(tmp_path, LLAMA, "translate", (10_000, 100), tokens=50)
    found = made(tmp_path, to=("es",))
    audio_ms = found.stages[0].audio_ms
    assert found.usage["output_tokens"].point == round(audio_ms * 50 / 10_000)
    assert found.usage["input_tokens"].point == round(audio_ms * 200 / 10_000)
    assert "measured on 1 batch of llama small" in found.usage_rests_on
    assert "assumed" not in found.usage_rests_on


def test_the_range_leaves_out_the_odd_batch_at_either_end(tmp_path: Path) -> None:
    batches = [(10_000, 10), *((10_000, 1_000 + step) for step in range(23)), (10_000, 90_000)]
    rates = measured(tmp_path, WHISPER, "transcribe", *batches)
    found = rates.time[HERE, "transcribe", WHISPER.describe()]
    # 25 batches: a fifth more either way.
    assert found.batches == 25
    assert found.low * 12_000 == 1_001
    assert found.high * 10_000 == found.point * 12_000


def test_a_batch_that_was_broken_off_measures_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    journal = AttemptJournal(store)
    units = [Unit(Slot("transcribe", place), "job", Key(f"{place:064x}"), WHISPER, 1000) for place in range(2)]
    journal.end(journal.start("transcribe", units, WHISPER, None).attempt, 0.5, 1, {})
    assert measure_speeds(store).time == {}


def test_what_is_in_the_store_already_is_not_estimated_again(tmp_path: Path) -> None:
    settings = {"transcriber": "fake", "translator": "fake", "owner": "tester", "home": tmp_path / "home"}
    runtime = Runtime(Settings(**settings), lambda _line: None)
    from pipeline.executor import Executor
    from pipeline.inputs.requests import make_entries
    from pipeline.progress import Silence

    requests = gather([SPEECH], RunOptions(targets=("es",), out=tmp_path / "out")).requests
    before = estimate(requests, runtime, Prices(shipped_book())).files[0].units
    Executor(runtime, make_entries(requests, runtime), Silence()).run()
    after = estimate(requests, runtime, Prices(shipped_book()))
    assert before is not None
    assert all(left == total for total, left, _ in before.values())
    assert after.files[0].units is not None
    assert all(left == 0 for _, left, _ in after.files[0].units.values())
    assert all(stage.engine_ms == Spread(0, 0, 0) for stage in after.stages)
    # The API would still have to do all of it.
    assert any(api.amount is not None and api.amount.point > 0 for api in after.apis)


def test_a_file_that_is_no_media_is_its_own_problem(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"nothing")
    found = made(tmp_path, bad)
    assert found.usable == ()
    assert found.files[0].problem
    assert found.as_json()["duration_ms"] == 0


@pytest.mark.parametrize(
    ("spread", "said"),
    [
        (Spread(0, 0, 0), "0.0 s"),
        (Spread(1_000, 2_000, 3_500), "2.0 s (1.0 to 3.5 s)"),
        (Spread(60_000, 90_000, 3_600_000), "1:30 (1:00 to 1:00:00)"),
    ],
)
def test_times_are_said_with_their_range(spread: Spread, said: str) -> None:
    assert _time(spread) == said


def test_amounts_are_said_with_their_range_and_currency() -> None:
    assert _amount(Spread(10**8, 2 * 10**8, 3 * 10**8), "EUR") == "0.2000 EUR (0.1000 to 0.3000)"
    assert _amount(Spread(10**9, 10**9, 10**9), "USD") == "1.0000 USD"
