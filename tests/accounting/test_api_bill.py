"""One API bill for a job: the sum over the stages of the APIs compared with, by hand."""

from __future__ import annotations

from accounting.verdicts.api_bill import api_bill
from core.money import Money
from ledger.api import Basis, Counterfactual

CENT = 10_000_000


def invoice(
    stage: str, model: str, cents: int | None, basis: Basis = Basis.SPEECH_ONLY, **more: bool
) -> Counterfactual:
    amount = None if cents is None else Money(cents * CENT, "USD")
    return Counterfactual(stage, "api", model, basis, {"requests": 1}, amount, ("row",), "", **more)


OFFERED = [
    invoice("transcribe", "ears", 60),
    invoice("transcribe", "ears", 90, Basis.WHOLE_FILE),
    invoice("transcribe", "cheap", 10),
    invoice("translate", "words", 7),
    invoice("translate", "words", 7, Basis.WHOLE_FILE),
    invoice("translate", "guess", 1, verified=False),
    invoice("translate", "gone", 2, retired=True),
]


def test_the_stages_of_the_apis_compared_with_are_added_up() -> None:
    against = {"transcribe": OFFERED[0], "translate": OFFERED[3]}
    # 0.60 + 0.07, and 0.90 + 0.07 for the whole file.
    skipped, whole = (api_bill(OFFERED, against, basis, "USD") for basis in (Basis.SPEECH_ONLY, Basis.WHOLE_FILE))
    assert skipped.amount == Money(67 * CENT, "USD")
    assert whole.amount == Money(97 * CENT, "USD")
    assert skipped.names == "transcribe: api ears, translate: api words"
    assert sum(one["amount"] for one in skipped.as_json()["by_stage"].values()) == 67 * CENT


def test_a_stage_that_was_not_compared_takes_the_cheapest_verified_that_is_sold() -> None:
    # 0.10 + 0.07: neither the unverified 0.01 nor the model that is gone.
    assert api_bill(OFFERED, {}, Basis.SPEECH_ONLY, "USD").amount == Money(17 * CENT, "USD")


def test_a_stage_without_a_price_leaves_the_sum_unknown_and_not_smaller() -> None:
    lacking = [OFFERED[0], invoice("translate", "words", None)]
    found = api_bill(lacking, {}, Basis.SPEECH_ONLY, "USD")
    assert (found.amount, found.missing) == (None, ("translate",))
    assert api_bill(OFFERED, {}, Basis.SPEECH_ONLY, "EUR").amount is None
    assert api_bill([], {}, Basis.SPEECH_ONLY, "USD").amount is None
