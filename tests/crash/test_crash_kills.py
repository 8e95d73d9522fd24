"""Kill anywhere: SIGKILL at random moments, then the same command again, until it is through."""

from __future__ import annotations

import os
import random

import pytest
from killing import Storm, Toll
from moments import Moment, Phase, Spread
from segue_process import Job, Place

SEED = int(os.environ.get("CRASH_SEED", "20261"))
#: Kills of a storm; `make storm` goes on for as long as it is told to.
KILLS = (4, pytest.param(40, marks=pytest.mark.long))
SPREAD = Spread(start_up_s=0.8, planning_s=0.9, batch_s=0.1)


def assert_nothing_lost(toll: Toll) -> None:
    assert toll.breaches == []
    assert toll.differing == []
    assert toll.recomputed_ms <= toll.in_flight_ms <= toll.kills * toll.largest_batch_ms


@pytest.mark.timeout(280)
@pytest.mark.parametrize("kills", KILLS)
def test_outputs_and_books_survive_kills_at_random_moments(
    long_job: Job, long_reference: dict[str, bytes], place: Place, kills: int
) -> None:
    chance, toll = random.Random(SEED), Toll()
    while toll.kills < kills:
        (place.base / str(toll.jobs)).mkdir()
        storm = Storm(long_job, Place(place.base / str(toll.jobs)), long_reference)
        storm.kill_until_done(chance, SPREAD, most=kills - toll.kills)
        toll.add(storm.settle())
    assert toll.kills >= kills
    assert_nothing_lost(toll)


@pytest.mark.parametrize("kills", [3, pytest.param(6, marks=pytest.mark.long)])
def test_a_kill_after_each_of_the_first_commits_costs_at_most_one_batch(
    long_job: Job, long_reference: dict[str, bytes], place: Place, kills: int
) -> None:
    storm = Storm(long_job, place, long_reference)
    for _ in range(kills):
        assert storm.kill_at(Moment(Phase.COMMITTED, 1, 0.0)) is None
    assert storm.finish().code == 0
    toll = storm.settle()
    assert_nothing_lost(toll)
    assert toll.phases == {Phase.COMMITTED: kills}


def test_a_kill_while_outputs_are_written_leaves_them_to_the_next_run(
    undelayed_job: Job, long_reference: dict[str, bytes], place: Place
) -> None:
    storm = Storm(undelayed_job, place, long_reference)
    storm.finish()
    storm.kill_delivery(random.Random(SEED), times=4)
    assert_nothing_lost(storm.settle())
