"""Which sources make a price a verified one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from price_rows import EARS

from ledger.price_book.price_files import shipped_book
from ledger.price_book.prices import Confidence
from ledger.price_book.sources import unsourced, verified


@pytest.mark.parametrize(
    ("provider", "address", "accepted"),
    [
        ("openai", "https://developers.openai.com/api/docs/pricing", True),
        ("openai", "https://openai.com", True),
        ("azure", "https://prices.azure.com/api/retail/prices?$filter=a%20eq%20'b'", True),
        ("gcp", "https://cloud.google.com/compute/gpus-pricing", True),
        ("xai", "https://docs.x.ai/developers/pricing", True),
        # Not encrypted, another's page, another's domain that has the name in it, a name before an @.
        ("openai", "http://developers.openai.com/api/docs/pricing", False),
        ("openai", "https://www.azure.com/openai", False),
        ("openai", "https://openai.com.example.org/pricing", False),
        ("openai", "https://notopenai.com/pricing", False),
        ("openai", "https://openai.example.org/pricing", False),
        ("openai", "https://openai.com@example.org/pricing", False),
        ("openai", "https://example.org/?from=https://openai.com", False),
        ("gcp", "https://sites.google.com/view/prices", False),
        # Providers that no list names publish under their own name.
        ("acme", "https://www.acme.io/prices", True),
        ("acme", "https://acme.co.uk/prices", True),
        ("Acme Cloud", "https://acme-cloud.com/", True),
        ("acme", "https://acme.example.com/prices", False),
        ("co", "https://acme.co.uk/prices", False),
        ("acme", "https://acme", False),
        ("acme", "https://[::1", False),
        ("---", "https://---.com", False),
    ],
)
def test_a_verified_price_is_read_on_the_providers_own_pages(provider: str, address: str, accepted: bool) -> None:
    row = replace(EARS, provider=provider, source_url=address)
    assert verified(row) is accepted
    assert (unsourced(row) == "") is accepted
    seen = replace(row, confidence=Confidence.SEEN)
    assert (verified(seen), unsourced(seen)) == (False, "")


@pytest.mark.parametrize(
    ("read_in", "accepted"),
    [
        ("our bill of 2026-11-10", True),
        ("a stored page of 2026-11-20", True),
        ("a stored page of 2026-11-21", False),
        ("a catalogue of 2026-13-01", False),
        ("our bill", False),
        ("version 1.110.2", False),
        ("", False),
    ],
)
def test_or_in_a_copy_that_says_a_day_before_it_was_read(read_in: str, accepted: bool) -> None:
    bill = replace(EARS, source_url="https://wiki.example.org/bill", read_in=read_in, confidence=Confidence.MEASURED)
    assert bill.observed_at == date(2026, 11, 20)
    assert verified(bill) is accepted


def test_every_shipped_row_that_claims_it_is_verified() -> None:
    assert [unsourced(row) for row in shipped_book().rows if unsourced(row)] == []
