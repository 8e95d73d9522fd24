"""Whether a price was read where it can be trusted: on its provider's own pages, or in a copy that says its day.

Only then is a row verified, whatever confidence it claims.
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from functools import cache
from importlib import resources
from urllib.parse import urlsplit

from ledger.price_book.prices import Confidence, PriceRow

_DAY = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
#: Second-level names below which a country's domains are given out: ``acme.co.uk``.
_SECOND_LEVEL = ("ac", "co", "com", "net", "org")


def verified(row: PriceRow) -> bool:
    """Whether the price was read at a source that counts, and not just seen somewhere."""
    return row.confidence is not Confidence.SEEN and not unsourced(row)


def unsourced(row: PriceRow) -> str:
    """What is wrong with the source of a row that claims to be read there; empty where nothing is."""
    if row.confidence is Confidence.SEEN or _is_own(row.provider, row.source_url) or _has_dated_copy(row):
        return ""
    return (
        f"says {row.confidence}, but {row.source_url} is no https address of {row.provider}, and read_in names no copy "
        f'with a day up to {row.observed_at}; give one of them, or say confidence = "{Confidence.SEEN}"'
    )


def _has_dated_copy(row: PriceRow) -> bool:
    """Such as ``our bill of 2026-11-10``: a copy is not older than itself, so its day is not after it was read."""
    days = _DAY.findall(row.read_in)
    try:
        return bool(days) and all(date.fromisoformat(day) <= row.observed_at for day in days)
    except ValueError:
        return False


def _is_own(provider: str, address: str) -> bool:
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if parts.scheme != "https" or parts.username is not None:
        return False
    known = _domains().get(provider)
    if known is None:
        return _name_of(host) == re.sub(r"[^a-z0-9]", "", provider.lower()) != ""
    return any(host == domain or host.endswith(f".{domain}") for domain in known)


def _name_of(host: str) -> str:
    """The name that somebody registered: ``acme`` of ``www.acme.co.uk``."""
    labels = host.split(".")[:-1]
    if len(labels) > 1 and labels[-1] in _SECOND_LEVEL:
        labels.pop()
    return re.sub(r"[^a-z0-9]", "", labels[-1]) if labels else ""


@cache
def _domains() -> dict[str, list[str]]:
    text = resources.files("ledger").joinpath("book", "providers.toml").read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)["domains"]
    return found
