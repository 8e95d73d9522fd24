"""What a transcriber's parts took, apart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from engines.transcribe.metering import EffortMeter, Part


class Ticking:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Ticking:
    return Ticking()


def test_parts_are_added_up_and_forgotten_once_they_were_taken(clock: Ticking) -> None:
    meter = EffortMeter(clock)
    for took, part in ((1.5, Part.ENCODER), (0.25, Part.DECODER), (0.5, Part.ENCODER)):
        with meter.busy(part):
            clock.now += took
    meter.count(encoder_passes=2, decoder_steps=7)
    meter.count(encoder_passes=1)
    assert meter.take() == {"encoder_ms": 2000, "decoder_ms": 250, "encoder_passes": 3, "decoder_steps": 7}
    assert meter.take() == {}


def test_time_of_a_call_that_fails_is_time_all_the_same(clock: Ticking) -> None:
    meter = EffortMeter(clock)

    def fail() -> None:
        with meter.busy(Part.DECODER):
            clock.now += 2
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert meter.take() == {"decoder_ms": 2000}


def test_a_second_look_is_one_time_and_nothing_of_the_parts(clock: Ticking) -> None:
    meter = EffortMeter(clock)
    with meter.second_look():
        with meter.busy(Part.ENCODER):
            clock.now += 1
        meter.count(encoder_passes=1)
        clock.now += 1
    with meter.busy(Part.ALIGNER):
        clock.now += 3
    assert meter.take() == {"look_ms": 2000, "aligner_ms": 3000}


def test_a_second_look_in_one_thread_hides_nothing_of_another() -> None:
    meter, together = EffortMeter(), Barrier(2, timeout=30)

    def look() -> None:
        with meter.second_look():
            together.wait()
            meter.count(encoder_passes=5)
            together.wait()

    def encode() -> None:
        together.wait()
        meter.count(encoder_passes=1)
        together.wait()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(look), pool.submit(encode)]:
            done.result()
    assert meter.take()["encoder_passes"] == 1
