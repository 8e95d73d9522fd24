"""One API bill for a whole job, as a person would buy it: the sum over its stages of the APIs compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.money import Money
from ledger.api import Basis, Counterfactual


@dataclass(frozen=True)
class ApiBill:
    """What a job would cost at one API a stage."""

    #: How it is sent.
    basis: Basis
    #: Stage -> its invoice; a stage without any price is not there.
    parts: Mapping[str, Counterfactual]
    #: Stages without a price in the report's currency: the sum is then unknown.
    missing: tuple[str, ...]
    #: ISO 4217 code.
    currency: str

    @property
    def amount(self) -> Money | None:
        """The sum; None while a stage has no price, and without any stage."""
        if self.missing or not self.parts:
            return None
        return Money(sum(one.amount.nano for one in self.parts.values() if one.amount is not None), self.currency)

    @property
    def names(self) -> str:
        """``transcribe: openai whisper-1, translate: deepl v2``."""
        return ", ".join(f"{stage}: {one.provider} {one.model}" for stage, one in self.parts.items())

    def as_json(self) -> dict[str, Any]:
        """The amount in nano-units; null where it is unknown."""
        return {
            "amount": None if self.amount is None else self.amount.nano,
            "currency": self.currency,
            "by_stage": {
                stage: {"api": f"{one.provider}/{one.model}", "amount": one.amount.nano if one.amount else None}
                for stage, one in self.parts.items()
            },
            "without_price": list(self.missing),
        }


def api_bill(
    invoices: Iterable[Counterfactual], against: Mapping[str, Counterfactual], basis: Basis, currency: str
) -> ApiBill:
    """The bill of the APIs compared with; a stage with none (all of it was cached) takes the cheapest that is sold."""
    found: dict[str, list[Counterfactual]] = {}
    for one in invoices:
        if one.basis is basis:
            priced = found.setdefault(one.stage, [])
            if one.amount is not None and one.amount.currency == currency:
                priced.append(one)
    chosen = {stage: _chosen(priced, against.get(stage)) for stage, priced in found.items()}
    parts = {stage: one for stage, one in chosen.items() if one is not None}
    return ApiBill(basis, parts, tuple(stage for stage in found if stage not in parts), currency)


def _chosen(priced: Iterable[Counterfactual], like: Counterfactual | None) -> Counterfactual | None:
    """The same API's, else the cheapest whose price was read at its source."""
    if like is not None:
        return next((one for one in priced if (one.provider, one.model) == (like.provider, like.model)), None)
    sold = [one for one in priced if not one.retired]
    return min([one for one in sold if one.verified] or sold, key=_nano, default=None)


def _nano(one: Counterfactual) -> tuple[int, str, str]:
    return one.amount.nano if one.amount else 0, one.provider, one.model
