"""Sets of instants as half-open spans: sorted, apart from each other, none empty. Times are integer milliseconds."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]
Spans = tuple[Span, ...]


def union(spans: Iterable[Span]) -> Spans:
    """Every instant that is in any of these, which may overlap and be in any order."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def overlap(first: Spans, second: Spans) -> Spans:
    """Every instant that is in both."""
    found: list[Span] = []
    one = other = 0
    while one < len(first) and other < len(second):
        start, end = max(first[one][0], second[other][0]), min(first[one][1], second[other][1])
        if start < end:
            found.append((start, end))
        if first[one][1] < second[other][1]:
            one += 1
        else:
            other += 1
    return tuple(found)


def without(spans: Spans, taken: Spans) -> Spans:
    """Every instant of ``spans`` that is not in ``taken``."""
    found: list[Span] = []
    place = 0
    for start, end in spans:
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        at, next_one = start, place
        while next_one < len(taken) and taken[next_one][0] < end:
            if at < taken[next_one][0]:
                found.append((at, taken[next_one][0]))
            at = max(at, taken[next_one][1])
            next_one += 1
        if at < end:
            found.append((at, end))
    return tuple(found)


def length(spans: Spans) -> int:
    """Milliseconds in all."""
    return sum(end - start for start, end in spans)
