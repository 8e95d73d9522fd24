"""A workload that is decided upon in tests: transcription worth doing oneself, and translation that is not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ledger.decision.compare import WorkUnit
from ledger.decision.decide import Recommendation, recommend_deployment
from ledger.decision.redflags import ApiExtra
from ledger.decision.tax import EngineeringTax, Hours, TaxCategory
from ledger.decision.workload import StageWorkload, WorkloadProfile

#: 730 hours.
MONTH = 2_628_000
#: 20,000 hours of audio: 7,200 USD by API. Two always-on T4 for the peak (40,000 h; one does 30 x 730 = 21,900 h):
#: 2 x 730 x 0.526 = 767.96 USD. Machines save 6,432.04 USD.
TRANSCRIBE = StageWorkload(
    "transcribe",
    WorkUnit.AUDIO_HOUR,
    usage=20_000,
    usage_is_certain=True,
    peak_to_average=2,
    predictable=True,
    api_price=Decimal("0.36"),
    api_counts=frozenset({ApiExtra.RETRIES}),
    gpu_price_per_hour=Decimal("0.526"),
    speed=30,
    always_on=True,
)
#: 60 million tokens in at 0.15 and 40 out at 0.60: 33 USD by API; one GPU of 0.80 costs 584 USD.
TRANSLATE = StageWorkload(
    "translate",
    WorkUnit.MILLION_TOKENS,
    usage=60,
    usage_is_certain=True,
    peak_to_average=2,
    predictable=True,
    api_price=Decimal("0.15"),
    output_usage=40,
    output_price=Decimal("0.60"),
    api_counts=frozenset(ApiExtra),
    gpu_price_per_hour=Decimal("0.80"),
    speed=1500,
    always_on=True,
)
HOURS = {category: Hours.parse("5") for category in TaxCategory}
#: 30 hours at 90: 2,700 USD.
PEOPLE = EngineeringTax("USD", Decimal(90), HOURS)
UNSET = EngineeringTax("USD")


def profile(*stages: StageWorkload, **changes: object) -> WorkloadProfile:
    given: dict[str, Any] = {
        "currency": "USD",
        "stages": stages or (TRANSCRIBE,),
        "seconds_per_month": MONTH,
        "extreme_ratio": 5,
        "engineering": PEOPLE,
        "operations_owner": "Ada",
    }
    return WorkloadProfile(**{**given, **changes})


def decide(stage: StageWorkload = TRANSCRIBE, **changes: object) -> Recommendation:
    return recommend_deployment(profile(stage, **changes))
