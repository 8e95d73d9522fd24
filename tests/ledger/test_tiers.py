"""Quality tiers: of shipped rows, and of models by their names."""

from __future__ import annotations

import pytest
from price_rows import EARS, ears

from ledger.price_book.model_tiers import tier_of
from ledger.price_book.price_files import shipped_book
from ledger.price_book.prices import PriceBook
from ledger.price_book.tiers import PRICED_AHEAD, Tier
from pipeline.stages import priced_names

BOOK = shipped_book()


def test_every_shipped_row_of_a_stage_has_a_tier_and_no_machine_has() -> None:
    assert [row.id for row in BOOK.rows if (row.tier is None) != (row.stage == "")] == []
    assert {tier.stage for tier in Tier} == {*priced_names(), *PRICED_AHEAD}


@pytest.mark.parametrize(
    ("stage", "provider", "model", "tier"),
    [
        ("transcribe", "faster-whisper", "large-v3", Tier.LARGE_V3),
        ("transcribe", "faster-whisper", "large", Tier.LARGE_V3),
        ("transcribe", "faster-whisper", "Systran/faster-whisper-large-v3", Tier.LARGE_V3),
        ("transcribe", "faster-whisper", "large-v2", Tier.LARGE_V2),
        ("transcribe", "faster-whisper", "turbo", Tier.LARGE_V2),
        ("transcribe", "faster-whisper", "someone/faster-whisper-large-v3-turbo-ct2", Tier.LARGE_V2),
        ("transcribe", "faster-whisper", "distil-large-v3", Tier.LARGE_V2),
        ("transcribe", "faster-whisper", "medium.en", Tier.MEDIUM),
        ("transcribe", "faster-whisper", "small", Tier.SMALL),
        ("transcribe", "faster-whisper", "base", Tier.TINY),
        ("transcribe", "faster-whisper", "tiny.en", Tier.TINY),
        ("translate", "llama", "gemma3-270m", Tier.TINY_CHAT),
        ("translate", "llama", "qwen3-1.7b", Tier.TINY_CHAT),
        ("translate", "llama", "qwen3-4b", Tier.SMALL_CHAT),
        ("translate", "llama", "Qwen/Qwen3-8B-GGUF:*Q5_K_M.gguf", Tier.SMALL_CHAT),
        ("translate", "llama", "gemma-3-4b-it-Q4_K_M.gguf", Tier.SMALL_CHAT),
        # A server of one's own and an API are both asked by the provider `openai`.
        ("translate", "openai", "qwen3:8b", Tier.SMALL_CHAT),
        ("translate", "openai", "gpt-4.1", Tier.MID_CHAT),
        ("translate", "openai", "llama-3.3-70b-versatile", Tier.MID_CHAT),
        ("translate", "deepl", "api-pro", Tier.CLASSIC_MT),
        # Unknown: a fine-tune, another first large model, another role's model, a made-up size, a fake.
        ("transcribe", "faster-whisper", "large-v3-our-dialect", None),
        ("transcribe", "faster-whisper", "openai/whisper-large", None),
        ("transcribe", "faster-whisper", "", None),
        ("translate", "llama", "large-v3", None),
        ("translate", "llama", "qwen3-9000b", None),
        ("transcribe", "fake", "large-v3", None),
        ("dub", "elevenlabs", "no-such-thing", None),
    ],
)
def test_a_model_has_a_class_by_its_name_or_none(stage: str, provider: str, model: str, tier: Tier | None) -> None:
    assert tier_of(stage, provider, model, BOOK) is tier


def test_a_row_of_the_provider_goes_before_the_name_and_two_opinions_are_none() -> None:
    acme = ears("a", "2026-01-01", sku="small", tier=Tier.LARGE_V3)
    other = ears("b", "2026-01-01", sku="ears", provider="other", tier=Tier.MEDIUM)
    book = PriceBook(((acme, other, ears("c", "2026-01-01", tier=Tier.SMALL)),))
    assert tier_of("transcribe", "acme", "small", book) is Tier.LARGE_V3
    assert tier_of("transcribe", "faster-whisper", "small", book) is Tier.SMALL
    assert tier_of("transcribe", "other", "ears", book) is Tier.MEDIUM
    # Two providers sell it under one name, and their rows disagree.
    assert tier_of("transcribe", "third", "ears", book) is None
    assert tier_of("transcribe", "acme", "ears", PriceBook(((EARS,),))) is None
