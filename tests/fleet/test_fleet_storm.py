"""A short storm over a whole fleet. `make storm` has the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleet_storm import FleetStorm, StormPlan


@pytest.mark.long
def test_a_fleet_under_fire_loses_batches_in_flight_and_nothing_else(tmp_path: Path) -> None:
    plan = StormPlan(
        seed=20,
        jobs=8,
        workers=3,
        kill_every_s=2.5,
        strikes=5,
        restarts=1,
        flushes=1,
        unit_ms=250,
        coordinator_kills=1,
        patience_s=200,
    )
    toll = FleetStorm(plan, tmp_path).run()
    told = "\n".join(toll.lines())
    assert toll.sound, told
    assert (toll.restarts, toll.flushes, toll.coordinator_kills) == (1, 1, 1), told
    assert toll.kills > 0, told
    assert toll.notices > 0, told
    assert (toll.ledger.attempts, toll.ledger.breaches) == (toll.attempts, ()), told
    # A machine that is gone before its first worker is up has left no papers.
    assert 3 <= toll.ledger.sessions <= toll.machines, told
    assert set(toll.ledger.clouds) == {"aws", "azure", "gcp"}, told
    assert toll.ledger.stepped > 0, told
    assert toll.ledger.remote > 0, told
    assert toll.ledger.billed == sum(toll.ledger.by_bucket.values()) > 0, told
