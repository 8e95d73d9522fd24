"""The audio format that every stage after decoding sees: 16 kHz, mono, signed 16-bit."""

from __future__ import annotations

SAMPLE_RATE = 16_000
SAMPLES_PER_MS = SAMPLE_RATE // 1000
BYTES_PER_SAMPLE = 2


def ms_to_samples(ms: int) -> int:
    """Samples in ``ms`` milliseconds (exact: 16 samples a millisecond)."""
    return ms * SAMPLES_PER_MS


def samples_to_ms(samples: int) -> int:
    """Whole milliseconds in ``samples``, rounded down."""
    return samples // SAMPLES_PER_MS
