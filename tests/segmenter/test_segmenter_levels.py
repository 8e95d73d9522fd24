from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmenter.levels import STEPS_PER_OCTAVE, millisecond_levels, quietest_moments, smoothed


def noise(count: int, seed: int = 0, scale: float = 500) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, count).astype(np.int16)


def test_digital_silence_has_level_zero() -> None:
    assert not millisecond_levels(np.zeros(1600, np.int16), 0).any()


def test_a_constant_offset_changes_no_level() -> None:
    samples = noise(16_000)
    assert np.array_equal(millisecond_levels(samples, 0)[1:], millisecond_levels(samples + np.int16(900), 0)[1:])


def test_twice_the_amplitude_is_two_octaves_of_energy_more() -> None:
    samples = noise(16_000)
    raised = millisecond_levels(samples * np.int16(2), 0).astype(int) - millisecond_levels(samples, 0)
    assert set(raised) == {2 * STEPS_PER_OCTAVE}


def test_levels_do_not_depend_on_where_the_audio_stands() -> None:
    samples = noise(16_000)
    shifted = np.concatenate([noise(37 * 16, seed=9), samples])
    assert np.array_equal(millisecond_levels(shifted, 0)[37:][1:], millisecond_levels(samples, 0)[1:])


def test_loudest_possible_samples_stay_in_range() -> None:
    square = np.tile(np.array([-32768, 32767], np.int16), 800)
    assert millisecond_levels(square, 0).max() <= 255


def test_a_part_of_a_millisecond_is_left_out() -> None:
    assert len(millisecond_levels(noise(33), 0)) == 2
    assert len(millisecond_levels(noise(15), 0)) == 0


def test_smoothing_keeps_the_length_and_a_constant() -> None:
    flat = smoothed(np.full(50, 3, np.uint8))
    assert len(flat) == 50
    assert len(set(flat.tolist())) == 1
    assert len(smoothed(np.zeros(0, np.uint8))) == 0


@given(st.lists(st.integers(0, 6), max_size=60), st.integers(1, 9))
def test_quietest_moments_are_first_minima_within_reach(values: list[int], reach: int) -> None:
    expected = [
        at
        for at, value in enumerate(values)
        if all(value < other for other in values[max(0, at - reach) : at])
        and all(value <= other for other in values[at + 1 : at + 1 + reach])
    ]
    assert quietest_moments(np.array(values, np.int32), reach).tolist() == expected


@pytest.mark.parametrize("reach", [1, 100])
def test_no_moments_in_nothing(reach: int) -> None:
    assert quietest_moments(np.zeros(0, np.int32), reach).tolist() == []
