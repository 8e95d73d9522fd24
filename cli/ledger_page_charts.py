"""Pictures of a ledger page, as SVG without scripts: what became of the media, and bars of what it cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from accounting.report import MediaSpan, SpanStatus
from cli.ledger_tables import amount_text
from cli.wording import clock, printable
from core.money import Money


def shown(text: str) -> str:
    """Text from anywhere, as text: nothing in it is markup, nothing moves a line."""
    return escape(printable(text))


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


def timeline_svg(spans: Sequence[MediaSpan]) -> str:
    """The media in rows, each span in its status's colour, with a time axis. Empty for no spans."""
    end = spans[-1].end_ms if spans else 0
    if not end:
        return ""
    row_ms = next((each for each in _ROW_MS if -(-end // each) <= _MOST_ROWS), _ROW_MS[-1])
    row_ms = end if end <= _ONE_ROW_MS else row_ms
    rows = -(-end // row_ms)
    height = rows * (_ROW + _GAP) + 4
    parts = [
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" role="img" '
        f'aria-label="what became of each part of the media">',
        f"<defs>{_hatch()}</defs>",
    ]
    for row in range(rows):
        first, top = row * row_ms, row * (_ROW + _GAP) + 2
        last = min(first + row_ms, end)
        parts.append(f'<text class="tick" x="0" y="{top + 17}">{clock(first)}</text>')
        parts += [_span(span, first, last, row_ms, top) for span in spans if span.start_ms < last > first < span.end_ms]
        parts += _ticks(first, last, row_ms, top)
    return "".join([*parts, "</svg>"])


def _span(span: MediaSpan, first: int, last: int, row_ms: int, top: int) -> str:
    start, end = max(span.start_ms, first), min(span.end_ms, last)
    if start >= end:
        return ""
    # In hundredths of a unit: integers all the way, and no gaps from rounding.
    left = 100 * _LABEL + (start - first) * 100 * (_WIDTH - _LABEL) // row_ms
    right = 100 * _LABEL + (end - first) * 100 * (_WIDTH - _LABEL) // row_ms
    width = max(right - left, _NARROWEST)
    place = f'x="{_hundredths(left)}" y="{top}" width="{_hundredths(width)}" height="{_ROW}"'
    tip = f"{_exact(span.start_ms)} - {_exact(span.end_ms)}: {MEANINGS[span.status]}"
    drawn = f'<rect class="{span.status.value}" {place}><title>{escape(tip)}</title></rect>'
    return drawn + (f'<rect fill="url(#hatch)" {place} pointer-events="none"/>' if span.status in _HATCHED else "")


def _ticks(first: int, last: int, row_ms: int, top: int) -> list[str]:
    """A mark and a time at round steps below a row."""
    steps = (1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000)
    step = next((each for each in steps if row_ms / each <= 12), 7_200_000)
    parts = []
    for at in range(first + step - first % step if first % step else first, last + 1, step):
        x = _LABEL + (at - first) * (_WIDTH - _LABEL) // row_ms
        if x > _WIDTH - 18:
            continue
        parts.append(f'<line class="axis" x1="{x}" y1="{top + _ROW}" x2="{x}" y2="{top + _ROW + 4}"/>')
        if at != first:
            parts.append(f'<text class="tick" x="{x}" y="{top + _ROW + 15}" text-anchor="middle">{clock(at)}</text>')
    return parts


def _hatch() -> str:
    return (
        '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern>'
    )


def _hundredths(value: int) -> str:
    return f"{value // 100}.{value % 100:02}"


def _exact(ms: int) -> str:
    """``1:02.345``."""
    return f"{clock(ms // 1000 * 1000)}.{ms % 1000:03}"


def legend(spans: Iterable[MediaSpan]) -> str:
    """Each colour with its meaning, how much of the media it is, and its share."""
    sums = dict.fromkeys(SpanStatus, 0)
    for span in spans:
        sums[span.status] += span.end_ms - span.start_ms
    whole = sum(sums.values())
    parts = []
    for status, ms in sums.items():
        hatch = '<rect fill="url(#hatch)" x="1" y="1" width="14" height="12"/>' if status in _HATCHED else ""
        share = f" {clock(ms)} ({_percent(ms, whole)})" if ms else " none"
        parts.append(
            f'<span><svg width="16" height="14" aria-hidden="true">'
            f'<rect class="{status.value}" x="1" y="1" width="14" height="12" rx="2"/>{hatch}</svg>'
            f"{escape(MEANINGS[status])}<b>{share}</b></span>"
        )
    return f'<div class="legend">{"".join(parts)}</div>'


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


def bars_svg(groups: Sequence[Sequence[Bar]], name: str) -> str:
    """Bars in groups (an API's two ways of sending stand together), longest as long as there is room."""
    longest = max((bar.nano or 0 for group in groups for bar in group), default=0)
    room, y, parts = _WIDTH - _NAME - _AMOUNT, 4, []
    for group in groups:
        for place, bar in enumerate(group):
            bold = " ours" if bar.ours else ""
            if place == 0:
                middle = y + 10 + (len(group) - 1) * _STEP // 2
                label = bar.label if len(bar.label) <= 42 else f"{bar.label[:41]}\N{HORIZONTAL ELLIPSIS}"
                parts.append(
                    f'<text class="name{bold}" x="{_NAME - 10}" y="{middle}" text-anchor="end">{shown(label)}</text>'
                )
            width = 0 if not longest or not bar.nano or bar.nano < 0 else max(bar.nano * room * 10 // longest, 10)
            parts.append(
                f'<rect class="{bar.kind}" x="{_NAME}" y="{y}" width="{width // 10}.{width % 10}" height="{_BAR}">'
                f"<title>{shown(f'{bar.label}: {bar.text}')}</title></rect>"
            )
            missing = " unpriced" if bar.nano is None else ""
            parts.append(
                f'<text class="amount{bold}{missing}" x="{_NAME + width // 10 + 8}" y="{y + 10}">'
                f"{shown(bar.text)}</text>"
            )
            y += _STEP
        y += 7
    head = f'<svg class="bars" viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{escape(name)}">'
    return "".join([head, *parts, "</svg>"])
