"""The engineering tax: what the people cost who keep self-hosted models running. Unset hours are unset, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from core.errors import UsageError
from core.money import Money, currency_code, rate, total


class TaxCategory(StrEnum):
    """What the hours go to."""

    GPU_OPERATIONS = "gpu_operations_and_scaling"
    MODEL_UPDATES = "model_selection_and_updates"
    FAILURE_RESPONSE = "failure_response_and_observability"
    SECURITY = "security"
    ON_CALL = "on_call"
    FAILED_DEPLOYMENTS = "failed_deployments"

    @property
    def words(self) -> str:
        """As a person reads it."""
        return {"gpu_operations_and_scaling": "GPU operations and scaling", "on_call": "on-call"}.get(
            self.value, self.value.replace("_", " ")
        )


@dataclass(frozen=True)
class Hours:
    """Hours of people in a month, from at least to at most."""

    #: At least.
    low: Decimal
    #: At most; equal to ``low`` when it is known exactly.
    high: Decimal

    def __post_init__(self) -> None:
        for value in (self.low, self.high):
            if not isinstance(value, Decimal) or not value.is_finite() or value < 0:
                raise UsageError(f"{value!r} is not a number of hours", "give Decimals of 0 or more")
        if self.low > self.high:
            raise UsageError(f"hours from {self.low} to {self.high} run backwards", "write the smaller number first")

    @classmethod
    def parse(cls, text: str) -> Hours:
        """``"6"`` or ``"4-8"``. Raises MoneyError or UsageError."""
        low, dash, high = text.partition("-") if isinstance(text, str) else (text, "", "")
        first = rate(low.strip() if isinstance(low, str) else low)
        return cls(first, rate(high.strip()) if dash else first)

    def __str__(self) -> str:
        return f"{self.low}" if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True)
class EngineeringTax:
    """Hours by category and what an hour costs.

    Complete when every category is set, or when one ``lump`` stands for all of them; otherwise it has no amount.
    """

    #: ISO 4217 code of the rate.
    currency: str
    #: What an hour of these people costs; None when unset.
    rate_per_hour: Decimal | None = None
    #: Hours a month by category; a category that is absent is unset.
    hours: Mapping[TaxCategory, Hours] = field(default_factory=lambda: MappingProxyType({}))
    #: One number for all categories together, for those who keep no finer books; excludes ``hours``.
    lump: Hours | None = None
    #: Categories that the lump includes by name: of the others nobody said that they were thought of.
    lump_includes: frozenset[TaxCategory] = frozenset()

    def __post_init__(self) -> None:
        currency_code(self.currency)
        if self.rate_per_hour is not None:
            # The same checks as for hours: exact, finite, not negative.
            Hours(self.rate_per_hour, self.rate_per_hour)
        if self.lump is not None and self.hours:
            raise UsageError("engineering hours are given twice", "give one total, or hours by category, not both")
        if self.lump is None and self.lump_includes:
            raise UsageError(
                "what one sum of hours includes is said, but there is no such sum",
                "give the sum, or hours by category, which need no list of what they include",
            )

    @property
    def unset(self) -> tuple[str, ...]:
        """What is missing before there is an amount, in words; empty when complete."""
        missing = ["hourly rate"] if self.rate_per_hour is None else []
        if self.lump is None:
            missing += [f"hours of {category.words}" for category in TaxCategory if category not in self.hours]
        return tuple(missing)

    def counted_hours(self, category: TaxCategory) -> Hours | None:
        """The hours that stand for a category: its own, or the sum that includes it by name; None when none do."""
        if self.lump is not None:
            return self.lump if category in self.lump_includes else None
        return self.hours.get(category)

    def by_category(self) -> dict[TaxCategory, tuple[Money, Money]]:
        """At least and at most for each category that is set; empty without a rate or with one lump."""
        if self.rate_per_hour is None:
            return {}
        return {
            category: self._amounts(self.hours[category], self.rate_per_hour)
            for category in TaxCategory
            if category in self.hours
        }

    def monthly(self) -> tuple[Money, Money] | None:
        """At least and at most for the month; None while anything is unset."""
        if self.unset or self.rate_per_hour is None:
            return None
        if self.lump is not None:
            return self._amounts(self.lump, self.rate_per_hour)
        amounts = self.by_category().values()
        lows, highs = (total((pair[side] for pair in amounts), self.currency) for side in (0, 1))
        return lows, highs

    def bounds(self) -> tuple[Money, Money | None]:
        """What is known of the month: at least (0 when nothing is set) and at most (None while anything is unset)."""
        known = self.monthly()
        if known is not None:
            return known
        return total((least for least, _ in self.by_category().values()), self.currency), None

    def _amounts(self, hours: Hours, hourly: Decimal) -> tuple[Money, Money]:
        return Money.of(hours.low, hourly, self.currency), Money.of(hours.high, hourly, self.currency)
