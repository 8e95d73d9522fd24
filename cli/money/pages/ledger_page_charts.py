"""Where things stand in the pictures of a ledger page: what became of the media, and bars of what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from accounting.media_spans import MediaSpan, SpanStatus
from cli.money.ledger_tables import amount_text
from cli.rendering import render
from cli.wording import clock
from core.money import Money


def amount_with_currency(money: Money) -> str:
    """``0.008506 USD``."""
    return f"{amount_text(money)} {money.currency}"


#: What each colour means.
MEANINGS = {
    SpanStatus.SKIPPED: "skipped (given to no engine)",
    SpanStatus.CACHED: "cached (found, not computed again)",
    SpanStatus.COMPUTED: "computed",
    SpanStatus.LOST: "lost once, computed again",
    SpanStatus.FAILED: "failed",
    SpanStatus.MISSING: "not computed yet",
}
#: Told apart without colours as well.
_HATCHED = frozenset({SpanStatus.LOST, SpanStatus.FAILED})
_WIDTH = 1000
_ROW, _GAP, _LABEL = 26, 20, 62
#: Up to this length the media are one row; beyond it, lengths that a row may stand for, and rows at most.
_ONE_ROW_MS = 600_000
_ROW_MS = tuple(minutes * 60_000 for minutes in (5, 10, 15, 30, 60, 120, 240))
_MOST_ROWS = 12
#: Narrower than this nothing can be seen, in hundredths of a unit.
_NARROWEST = 60


@dataclass(frozen=True)
class _TimelineSpan:
    """A span, or the part of it that falls into one row."""

    #: What became of it: its colour.
    status: SpanStatus
    #: Left edge, with two decimals.
    x: str
    #: With two decimals.
    width: str
    #: What a pointer on it is told.
    tip: str


@dataclass(frozen=True)
class _TimelineRow:
    """A stretch of the media, drawn from the left edge to the right."""

    #: Upper edge.
    top: int
    #: When it begins.
    label: str
    spans: tuple[_TimelineSpan, ...]
    #: Places and times below it; the first time stands before the row already.
    ticks: tuple[tuple[int, str], ...]


def timeline_svg(spans: Sequence[MediaSpan]) -> Markup:
    """The media in rows, each span in its status's colour, with a time axis. Empty for no spans."""
    end = spans[-1].end_ms if spans else 0
    if not end:
        return Markup()
    row_ms = next((each for each in _ROW_MS if -(-end // each) <= _MOST_ROWS), _ROW_MS[-1])
    row_ms = end if end <= _ONE_ROW_MS else row_ms
    rows = []
    for row in range(-(-end // row_ms)):
        first = row * row_ms
        last = min(first + row_ms, end)
        drawn = (_span(span, first, last, row_ms) for span in spans if span.start_ms < last > first < span.end_ms)
        rows.append(
            _TimelineRow(
                row * (_ROW + _GAP) + 2,
                clock(first),
                tuple(span for span in drawn if span is not None),
                tuple(_ticks(first, last, row_ms)),
            )
        )
    height = len(rows) * (_ROW + _GAP) + 4
    return render("timeline.svg", rows=rows, width=_WIDTH, height=height, bar_height=_ROW, hatched=_HATCHED)


def _span(span: MediaSpan, first: int, last: int, row_ms: int) -> _TimelineSpan | None:
    start, end = max(span.start_ms, first), min(span.end_ms, last)
    if start >= end:
        return None
    # In hundredths of a unit: integers all the way, and no gaps from rounding.
    left = 100 * _LABEL + (start - first) * 100 * (_WIDTH - _LABEL) // row_ms
    right = 100 * _LABEL + (end - first) * 100 * (_WIDTH - _LABEL) // row_ms
    tip = f"{_exact(span.start_ms)} - {_exact(span.end_ms)}: {MEANINGS[span.status]}"
    return _TimelineSpan(span.status, _hundredths(left), _hundredths(max(right - left, _NARROWEST)), tip)


def _ticks(first: int, last: int, row_ms: int) -> Iterator[tuple[int, str]]:
    """Places and times at round steps below a row."""
    steps = (1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000)
    step = next((each for each in steps if row_ms / each <= 12), 7_200_000)
    for at in range(first + step - first % step if first % step else first, last + 1, step):
        x = _LABEL + (at - first) * (_WIDTH - _LABEL) // row_ms
        if x <= _WIDTH - 18:
            yield x, clock(at) if at != first else ""


def _hundredths(value: int) -> str:
    return f"{value // 100}.{value % 100:02}"


def _exact(ms: int) -> str:
    """``1:02.345``."""
    return f"{clock(ms // 1000 * 1000)}.{ms % 1000:03}"


def legend(spans: Iterable[MediaSpan]) -> Markup:
    """Each colour with its meaning, how much of the media it is, and its share."""
    sums = dict.fromkeys(SpanStatus, 0)
    for span in spans:
        sums[span.status] += span.end_ms - span.start_ms
    whole = sum(sums.values())
    statuses = [
        (status, MEANINGS[status], f"{clock(ms)} ({_percent(ms, whole)})" if ms else "none")
        for status, ms in sums.items()
    ]
    return render("timeline_legend.html", statuses=statuses, hatched=_HATCHED)


def _percent(part: int, whole: int) -> str:
    tenths = 1000 * part // whole if whole else 0
    return f"{tenths // 10}.{tenths % 10} %"


@dataclass(frozen=True)
class Bar:
    """One amount as a bar; what has no amount is said in words."""

    #: What it is.
    label: str
    #: CSS class: ``bar-paid``, ``bar-whole``, ``bar-speech``.
    kind: str
    #: Nano-units of the one currency of the chart; None where there is none.
    nano: int | None
    #: Written behind the bar.
    text: str
    #: Printed in bold: our own.
    ours: bool = False


_NAME, _AMOUNT, _BAR, _STEP = 268, 200, 11, 19


@dataclass(frozen=True)
class _BarGroup:
    """Bars with one name before them."""

    name: str
    #: Where the name stands.
    middle: int
    #: Printed in bold.
    ours: bool
    #: Each bar with its upper edge and its length in tenths of a unit.
    bars: tuple[tuple[Bar, int, int], ...]


def bars_svg(groups: Sequence[Sequence[Bar]], title: str) -> Markup:
    """Bars in groups (an API's two ways of sending stand together), longest as long as there is room."""
    longest = max((bar.nano or 0 for group in groups for bar in group), default=0)
    room, y, placed = _WIDTH - _NAME - _AMOUNT, 4, []
    for group in filter(None, groups):
        label = group[0].label
        name = label if len(label) <= 42 else f"{label[:41]}\N{HORIZONTAL ELLIPSIS}"
        bars = []
        for place, bar in enumerate(group):
            length = 0 if not longest or not bar.nano or bar.nano < 0 else max(bar.nano * room * 10 // longest, 10)
            bars.append((bar, y + place * _STEP, length))
        placed.append(_BarGroup(name, y + 10 + (len(group) - 1) * _STEP // 2, group[0].ours, tuple(bars)))
        y += len(group) * _STEP + 7
    return render("bars.svg", groups=placed, title=title, width=_WIDTH, height=y, left=_NAME, thickness=_BAR)
