"""Price rows to test with."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import strategies as st

from ledger.price_book.price_files import (
    instant,
    parse_toml,
)
from ledger.price_book.prices import Confidence, Meter, PriceRow
from ledger.price_book.tiers import Tier

TODAY = date(2026, 11, 22)


NOW = instant("2026-11-21T12:00:00Z")


ROW = """
[[price]]
id = "acme/ears/2026"
provider = "acme"
meter = "audio_second"
sku = "ears"
stage = "transcribe"
unit_price = "0.36"
per = "3600"
currency = "EUR"
minimum_quantity = "10"
effective_from = "2026-05-01"
observed_at = "2026-11-20"
source_url = "https://acme.example/prices"
confidence = "list"
"""


EARS = parse_toml(ROW, "acme.toml")[0]


def ears(name: str, since: str, until: str = "", **changes: object) -> PriceRow:
    return replace(
        EARS,
        id=name,
        effective_from=instant(since),
        effective_to=instant(until) if until else None,
        **changes,  # type: ignore[arg-type]
    )


rows = st.builds(
    PriceRow,
    id=st.from_regex(r"[a-z0-9]{1,8}/[a-z0-9._-]{1,8}", fullmatch=True),
    provider=st.sampled_from(["acme", "other cloud"]),
    meter=st.sampled_from(Meter),
    sku=st.sampled_from(["ears", 'the "big" one', "back\\slash"]),
    unit_price=st.decimals(0, 10_000, places=9),
    per=st.sampled_from([1, 60, 1_000_000]),
    currency=st.sampled_from(["USD", "EUR"]),
    effective_from=st.integers(0, 2 * 10**12),
    effective_to=st.one_of(st.none(), st.integers(2 * 10**12 + 1, 3 * 10**12)),
    observed_at=st.dates(date(2020, 1, 1), date(2026, 11, 21)),
    source_url=st.just("https://acme.example/prices?a=b"),
    confidence=st.sampled_from(Confidence),
    stage=st.sampled_from(["", "transcribe"]),
    tier=st.one_of(st.none(), st.sampled_from(Tier)),
    retired_from=st.one_of(st.none(), st.integers(2 * 10**12, 3 * 10**12)),
    read_in=st.sampled_from(["", "a copy of 2026-11-01"]),
    region=st.sampled_from(["", "eastus"]),
    spot=st.booleans(),
    billing_increment=st.decimals(0, 100, places=2),
    minimum_quantity=st.decimals(0, 100, places=1),
    note=st.sampled_from(["", "déjà vu; 価格", 'say "when"']),
    waiver=st.sampled_from(["", "a volume discount"]),
)
