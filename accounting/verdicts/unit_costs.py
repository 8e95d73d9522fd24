"""What a finished minute of media cost: in all, and in each target language. Never divided by nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from core.money import NANO, Money, settle

_MINUTE_MS = 60_000


@dataclass(frozen=True)
class MinuteCosts:
    """Of one finished minute of media."""

    #: Machines and fees, shared idle included; None where nothing is finished, or some of it has no price.
    without_people: Money | None
    #: The same with the people that it carries; None as well where what they cost is unknown.
    with_people: Money | None
    #: Of `without_people`, what each target language took; the rest is of no language.
    by_language: Mapping[str, Money]

    def as_json(self) -> dict[str, Any]:
        """Amounts in nano-units."""
        return {
            "without_people": None if self.without_people is None else self.without_people.nano,
            "with_people": None if self.with_people is None else self.with_people.nano,
            "by_language": {name: cost.nano for name, cost in self.by_language.items()},
        }


def minute_costs(
    finished_ms: int | None, alone: Money, people: Money | None, by_language: Mapping[str, int]
) -> MinuteCosts:
    """``finished_ms``: length of the media; None where it is not finished, or not all that was used has a price.

    ``alone``: what was paid, people left out; ``by_language``: what of it has a target language, in nano-units.
    """
    if not finished_ms:
        return MinuteCosts(None, None, {})

    def each(nano: int) -> Money:
        return Money(settle(Fraction(nano * _MINUTE_MS, NANO * finished_ms), 1), alone.currency)

    return MinuteCosts(
        each(alone.nano),
        None if people is None else each(alone.nano + people.nano),
        {name: each(nano) for name, nano in sorted(by_language.items()) if name},
    )
