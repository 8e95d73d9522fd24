"""A second of fuzzing for each target, always from the same seed; `make fuzz` goes on from there."""

from __future__ import annotations

import pytest
from fuzzing import Target, fuzz
from hypothesis import strategies as st
from targets import TARGETS

from core.errors import MediaError


@pytest.mark.parametrize("name", TARGETS)
def test_a_reader_keeps_its_promises(name: str) -> None:
    outcome = fuzz(TARGETS[name], seconds=0.5, seed=1)
    assert not outcome.failure, f"make fuzz FUZZ={name} SECONDS=1 SEED={outcome.seed}\n{outcome.failure}"


def test_a_failure_comes_with_its_smallest_case_and_the_seed_that_repeats_it() -> None:
    def refuse(case: bytes) -> None:
        if b"x" in case:
            raise MediaError("x")

    target = Target("x", st.binary(), refuse)
    outcome = fuzz(target, seconds=60, seed=3)
    assert "case=b'x'" in outcome.failure
    assert fuzz(target, seconds=0, seed=outcome.seed).failure
