"""Dated exchange rates, as settings and files say them.

A file is CSV with the columns ``date,from,to,rate,source``, or the ECB's reference rates as the ECB publishes them (CSV
of a day or of its history, XML of either). The ECB says how much of a currency a euro buys: amounts in other currencies
are divided by that.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from core.errors import UsageError
from core.money import Conversion, MoneyError, rate
from ledger.exchange import Exchange

if TYPE_CHECKING:
    from pipeline.runtime import Settings

_COLUMNS = ("date", "from", "to", "rate", "source")
_EURO, _ECB = "EUR", "ECB"
#: How the ECB writes that a currency had no rate on a day.
_NO_RATE = ("", "N/A")


def exchange_of(settings: Settings, currency: str = "") -> Exchange:
    """The currency of reports and the rates into it; ``currency`` goes before the settings'. Raises UsageError.

    Where nobody said a currency, rates into the usual one are used, and without such rates nothing is converted.
    """
    said = currency or (settings.currency if "currency" in settings.model_fields_set else "")
    into = said or settings.currency
    found = [*parse_rates(settings.exchange_rate)]
    if settings.exchange_rates_file is not None:
        found += read_rates(settings.exchange_rates_file, into)
    leads = any(each.to_currency == into for each in found)
    return Exchange(said or (into if leads else ""), tuple(found), settings.exchange_rate_days)


def parse_rates(text: str) -> Iterator[Conversion]:
    """``USD EUR 0.92 2026-11-20 ECB; GBP EUR ...``. Raises UsageError."""
    for part in (part.strip() for part in text.split(";")):
        if not part:
            continue
        words = part.split(maxsplit=4)
        if len(words) != len(_COLUMNS):
            raise UsageError(f"'{part}' is not an exchange rate", "write it as USD EUR 0.92 2026-11-20 ECB")
        pair, amount, day, source = (words[0], words[1]), words[2], words[3], words[4]
        yield _conversion(pair, amount, day, source)


@lru_cache(4)
def read_rates(path: Path, into: str) -> tuple[Conversion, ...]:
    """The rates of a file; of the ECB's only those into one currency. Raises UsageError."""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"exchange rates {path} cannot be read: {error}", "see SEGUE_EXCHANGE_RATES_FILE") from error
    try:
        return tuple(_xml_rates(text, into) if text.lstrip().startswith("<") else _csv_rates(text, into))
    except UsageError as error:
        raise UsageError(f"exchange rates {path}: {error.message}", error.hint) from error


def _csv_rates(text: str, into: str) -> Iterator[Conversion]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = {name.strip().lower() for name in rows.fieldnames or () if name}
    own = names.issuperset(_COLUMNS)
    if not own and "date" not in names:
        raise UsageError("its first line names no columns", f"write {','.join(_COLUMNS)}, or give the ECB's own CSV")
    for row in rows:
        cells = {(name or "").strip(): (text or "").strip() for name, text in row.items() if isinstance(text, str)}
        if own:
            said = {name.lower(): text for name, text in cells.items()}
            if any(said.values()):
                pair = said.get("from", ""), said.get("to", "")
                yield _conversion(pair, said.get("rate", ""), said.get("date", ""), said.get("source", ""))
            continue
        day = cells.pop("Date", "")
        yield from _of_euro(day, cells, into)


def _xml_rates(text: str, into: str) -> Iterator[Conversion]:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UsageError(f"it is no XML: {error}", "give the ECB's own file") from error
    for day in root.iter():
        if when := day.get("time"):
            yield from _of_euro(when, {cube.get("currency", ""): cube.get("rate", "") for cube in day}, into)


def _of_euro(day: str, rates: Mapping[str, str], into: str) -> Iterator[Conversion]:
    """One day of the ECB's: how much of each currency a euro buys."""
    for name, amount in rates.items():
        if not name or amount in _NO_RATE:
            continue
        if into == _EURO:
            yield _conversion((name, _EURO), f"1/{amount}", day, _ECB)
        elif name == into:
            yield _conversion((_EURO, name), amount, day, _ECB)


def _conversion(pair: tuple[str, str], amount: str, day: str, source: str) -> Conversion:
    turned = amount.startswith("1/")
    try:
        return Conversion(*pair, rate(amount.removeprefix("1/")), _day(day), source, turned)
    except MoneyError as error:
        raise UsageError(f"rate from {pair[0]} to {pair[1]} of {day}: {error.message}", error.hint) from error


@lru_cache(1024)
def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        # The ECB's file of a day.
        return datetime.strptime(text, "%d %B %Y").date()
    except ValueError as error:
        raise UsageError(f"'{text}' is not a day", "write it as 2026-11-20") from error
