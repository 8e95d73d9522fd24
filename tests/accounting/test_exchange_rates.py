"""Where exchange rates come from: settings, a file of one's own, and the ECB's."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from accounting.exchange_rates import exchange_of, parse_rates, read_rates
from core.errors import UsageError
from core.money import Conversion
from ledger.exchange import Exchange
from pipeline.runtime import Settings

ECB_DOLLAR = Conversion("USD", "EUR", Decimal("1.0823"), date(2026, 11, 20), "ECB", inverse=True)
OWN = """date,from,to,rate,source
2026-11-02,USD,EUR,0.90,treasury
2026-11-16,USD,EUR,1/1.25,treasury

"""
#: As the ECB publishes its rates: the history, a day, and XML.
HISTORY = "\ufeffDate,USD,JPY,RON,\n2026-11-20,1.0823,167.5,N/A,\n2026-11-19,1.0810,,4.97,\n"
OF_A_DAY = "Date, USD, JPY, \n20 November 2026, 1.0823, 167.5, \n"
XML = """<?xml version="1.0"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01"
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube><Cube time='2026-11-20'>
<Cube currency='USD' rate='1.0823'/><Cube currency='JPY' rate='167.5'/></Cube></Cube></gesmes:Envelope>"""


def written(folder: Path, text: str) -> Path:
    file = folder / "rates"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_of_ones_own_has_a_source_on_each_line(tmp_path: Path) -> None:
    assert read_rates(written(tmp_path, OWN), "EUR") == (
        Conversion("USD", "EUR", Decimal("0.90"), date(2026, 11, 2), "treasury"),
        Conversion("USD", "EUR", Decimal("1.25"), date(2026, 11, 16), "treasury", inverse=True),
    )


@pytest.mark.parametrize("text", [HISTORY, OF_A_DAY, XML], ids=["history", "day", "xml"])
def test_the_ecb_says_what_a_euro_buys(tmp_path: Path, text: str) -> None:
    found = read_rates(written(tmp_path, text), "EUR")
    assert ECB_DOLLAR in found
    assert {each.from_currency for each in found} <= {"USD", "JPY", "RON"}
    dollars = read_rates(tmp_path / "rates", "USD")
    assert Conversion("EUR", "USD", Decimal("1.0823"), date(2026, 11, 20), "ECB") in dollars
    # Nobody says what a yen is in dollars.
    assert {each.from_currency for each in dollars} == {"EUR"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "names no columns"),
        ("day,rate\n2026-11-20,1\n", "names no columns"),
        ("date,from,to,rate,source\n2026-11-31,USD,EUR,0.9,x\n", "'2026-11-31' is not a day"),
        ("date,from,to,rate,source\n2026-11-20,USD,EUR,0,x\n", "is not an exchange rate"),
        ("date,from,to,rate,source\n2026-11-20,USD,EUR,1/0,x\n", "is not an exchange rate"),
        ("date,from,to,rate,source\n2026-11-20,USD,EUR,1e3,x\n", "is not a rate"),
        ("date,from,to,rate,source\n2026-11-20,USD,EUR,0.9,\n", "has no source"),
        ("date,from,to,rate,source\n2026-11-20,dollar,EUR,0.9,x\n", "is not a currency"),
        ("date,from,to,rate,source\n2026-11-20,EUR,EUR,1,x\n", "to itself"),
        ("Date,USD\n2026-11-20,many\n", "is not a rate"),
        ("<Envelope><Cube", "is no XML"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        read_rates(written(tmp_path, text), "EUR")
    assert str(tmp_path / "rates") in refused.value.message
    assert "\n" not in str(refused.value)


def test_two_rates_of_one_day_are_refused() -> None:
    twice = "USD EUR 0.9 2026-11-20 ECB; USD EUR 0.91 2026-11-20 bank"
    with pytest.raises(UsageError, match=r"two rates from USD to EUR of 2026-11-20: 0.9 \(ECB\) and 0.91 \(bank\)"):
        Exchange("EUR", tuple(parse_rates(twice)))
    # The same rate twice is one.
    assert Exchange("EUR", tuple(parse_rates("USD EUR 0.9 2026-11-20 ECB; USD EUR 0.90 2026-11-20 bank")))


def test_settings_and_file_go_together(tmp_path: Path) -> None:
    said = "GBP EUR 1.2 2026-11-01 bank"
    settings = Settings(home=tmp_path, currency="EUR", exchange_rate=said, exchange_rates_file=written(tmp_path, OWN))
    found = exchange_of(settings)
    assert (found.currency, {each.from_currency for each in found.conversions}) == ("EUR", {"USD", "GBP"})
    # Rates alone say no currency that is not the usual one.
    assert not exchange_of(Settings(home=tmp_path, exchange_rate=said))
    assert exchange_of(Settings(home=tmp_path, exchange_rate=said)).currency == ""
    assert exchange_of(Settings(home=tmp_path, exchange_rate="EUR USD 1.1 2026-11-01 bank")).currency == "USD"
