"""Quality tiers: the class of a model, so that a price is compared with the price of work of the same class.

A tier is a class, not a measurement: two models of one class differ, by language and by material. docs/prices.md says
what each class means and what a model's class rests on.
"""

from __future__ import annotations

from enum import StrEnum

#: Work that no stage does yet and whose prices the book keeps all the same.
PRICED_AHEAD = ("synthesize", "dub", "lip_sync")


class Tier(StrEnum):
    """The class of a model; the value is how a price file writes it and how people read it."""

    #: Whisper large-v3, and what its vendor and public comparisons put beside or above it.
    LARGE_V3 = "large-v3 class"
    #: Whisper large, large-v2 and turbo, and distilled large models.
    LARGE_V2 = "large-v2 class"
    #: Whisper medium.
    MEDIUM = "medium class"
    #: Whisper small.
    SMALL = "small class"
    #: Whisper tiny and base: for drafts.
    TINY = "tiny class"
    #: Among the largest that its vendor sells for everybody's use.
    FRONTIER_CHAT = "frontier chat model"
    #: The middle of a vendor's models, or open weights from 30 billion parameters.
    MID_CHAT = "mid chat model"
    #: The smallest that a vendor sells, or open weights of 3 to 30 billion parameters.
    SMALL_CHAT = "small chat model"
    #: Open weights below 3 billion parameters: for drafts.
    TINY_CHAT = "tiny chat model"
    #: Made for translation alone, priced by the character.
    CLASSIC_MT = "classic MT"
    #: Speech with expression, in many languages: a vendor's best voices.
    EXPRESSIVE_VOICE = "expressive voice"
    #: Plain neural speech: a vendor's fast or ordinary voices.
    STANDARD_VOICE = "standard voice"
    #: A whole dub made by machines: heard, translated, spoken and mixed.
    MACHINE_DUB = "machine dub"
    #: Lips in a picture moved to other speech by machines.
    MACHINE_LIP_SYNC = "machine lip-sync"

    @property
    def stage(self) -> str:
        """The work that models of this class do."""
        return _STAGES[self]


_STAGES = {
    **dict.fromkeys((Tier.LARGE_V3, Tier.LARGE_V2, Tier.MEDIUM, Tier.SMALL, Tier.TINY), "transcribe"),
    **dict.fromkeys((Tier.FRONTIER_CHAT, Tier.MID_CHAT, Tier.SMALL_CHAT, Tier.TINY_CHAT, Tier.CLASSIC_MT), "translate"),
    **dict.fromkeys((Tier.EXPRESSIVE_VOICE, Tier.STANDARD_VOICE), "synthesize"),
    Tier.MACHINE_DUB: "dub",
    Tier.MACHINE_LIP_SYNC: "lip_sync",
}
