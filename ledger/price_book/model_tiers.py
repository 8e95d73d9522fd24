"""The tier of a model by its name: of an API's from the price book, of one's own from the table below."""

from __future__ import annotations

import re

from core.specs import has_fake
from ledger.price_book.prices import PriceBook
from ledger.price_book.tiers import Tier

_WHISPER, _DISTILLED = r"(?:faster-)?(?:whisper-)?", r"(?:faster-)?distil-(?:whisper-)?"
#: Names of models that are run here, as patterns of the whole name. Open weights are classed by their size.
_MODELS: tuple[tuple[str, Tier], ...] = (
    # Where it is loaded, "large" by itself means large-v3; "whisper-large" on a hub is the first large model.
    (rf"large|{_WHISPER}large-v3", Tier.LARGE_V3),
    (rf"{_WHISPER}(?:large-v1|large-v2|turbo|large-v3-turbo)|{_DISTILLED}large-v(?:2|3|3\.5)", Tier.LARGE_V2),
    (rf"{_WHISPER}medium(?:\.en)?|{_DISTILLED}medium\.en", Tier.MEDIUM),
    (rf"{_WHISPER}small(?:\.en)?|{_DISTILLED}small\.en", Tier.SMALL),
    (rf"{_WHISPER}(?:tiny|base)(?:\.en)?", Tier.TINY),
    (r"gemma-?3-(?:270m|1b)|qwen-?3-(?:0\.6b|1\.7b)|llama-3\.2-1b", Tier.TINY_CHAT),
    (r"gemma-?3-(?:4b|12b|27b)|qwen-?3-(?:4b|8b|14b)|llama-3\.1-8b|llama-3\.2-3b|gpt-oss-20b", Tier.SMALL_CHAT),
    (r"qwen-?3-32b|llama-3\.[13]-70b|gpt-oss-120b", Tier.MID_CHAT),
    (r"nllb-200(?:-distilled)?-[\d.]+[mb]|madlad400-\d+b-mt|opus-mt-\w{2,3}-\w{2,3}", Tier.CLASSIC_MT),
)
#: What a file's name adds to a model's: how it was tuned, when, and its arithmetic. None of it is another size.
_ADDED = r"(?:[-_.](?:it|instruct|chat|qat|\d{4}|i?q\d\w*|bf16|f16|fp16|fp8|int8|int4|awq|gptq|gguf|ct2))*"
_PATTERNS = tuple((re.compile(f"(?:{pattern}){_ADDED}"), tier) for pattern, tier in _MODELS)


def tier_of(stage: str, provider: str, model: str, book: PriceBook) -> Tier | None:
    """The class of a stage's engine; None is unknown, which a comparison has to say: it is never guessed.

    ``stage``: ``transcribe``, ``translate``. ``provider`` and ``model``: those of an engine's spec or of a price row.
    Rows of that provider and model in ``book`` come first, then the models that are known to be run here, then rows of
    the same model at another provider, where they agree. A fake engine has no class.
    """
    if has_fake(provider):
        return None
    rows = [row for row in book.rows if (row.stage, row.sku) == (stage, model) and row.tier is not None]
    own = {row.tier for row in rows if row.provider == provider}
    known = own or {tier for tier in (_named(stage, model),) if tier} or {row.tier for row in rows}
    return known.pop() if len(known) == 1 else None


def _named(stage: str, model: str) -> Tier | None:
    """Of a name, a name with a tag, a hub id with or without a file, or a folder's or file's own name."""
    owner, _, name = model.lower().rpartition("/")
    name = name.partition(":")[0] if owner else name.replace(":", "-")
    return next((tier for pattern, tier in _PATTERNS if tier.stage == stage and pattern.fullmatch(name)), None)
