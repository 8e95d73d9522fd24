"""Times of day-like clocks, as every subtitle format writes them."""

from __future__ import annotations


def clock(ms: int, separator: str) -> str:
    """``HH:MM:SS<separator>mmm``; hours grow beyond two digits when they must."""
    seconds, rest = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{rest:03d}"
