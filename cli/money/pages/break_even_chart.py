"""The break-even chart, as text for a terminal and as SVG for a page. Pure; drawn without floats, and without scripts.

Both show the speed that a GPU needs (log scale) over utilization, a curve for each GPU price. Where a curve runs below
the measured speed, the own GPU is cheaper than the API, people not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from cli.rendering import render
from ledger.decision.breakeven import Sweep, SweepInputs, break_even_speed
from ledger.decision.compare import WorkUnit

#: Utilizations that the curves run over: 5 % to 100 %.
_FIRST, _LAST = 5, 100
#: SVG: whole size, and the plot's edges within it.
_WIDTH, _HEIGHT = 800, 396
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 590, 44, 326
#: Curves differ in more than their colours.
_DASHES = ("", "8 3", "2 3", "10 3 2 3")
#: Text: what curves are drawn with.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Least distance of two labels at the curves' ends.
_LABEL_STEP = 15


def number(value: Fraction | Decimal | int, digits: int = 3) -> str:
    """``value`` with about ``digits`` significant digits, never in exponents: ``1,234``, ``12.3``, ``0.00497``."""
    ratio = Fraction(value)
    with localcontext() as context:
        context.prec = 150
        found = Decimal(ratio.numerator) / Decimal(ratio.denominator)
        places = max(0, digits - 1 - found.adjusted()) if found else 0
        text = f"{round(found, places):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent_of(share: Fraction) -> str:
    """``40 %``; ``2.5 %``."""
    return f"{number(share * 100)} %"


def speed_text(speed: Fraction, unit: WorkUnit) -> str:
    """``12.3 x real time``; ``410 tokens/s``."""
    return f"{number(speed)} {unit.speed_name}"


class _Scale:
    """A log scale from values to whole positions, 0 at the smallest value."""

    def __init__(self, values: list[Fraction], steps: int) -> None:
        above = [value for value in values if value > 0]
        self.low, self.high = _log(min(above)), _log(max(above))
        if self.low == self.high:
            # A single value is drawn in the middle.
            self.low, self.high = self.low - 1, self.high + 1
        self.steps = steps

    def at(self, value: Fraction) -> int:
        """The position of a value above 0, clamped to the scale."""
        if value <= 0:
            return 0
        place = (_log(value) - self.low) / (self.high - self.low) * self.steps
        return min(max(int(place.to_integral_value()), 0), self.steps)

    def ticks(self) -> Iterator[Fraction]:
        """1, 2 and 5 times the powers of ten within the scale."""
        for power in range(int(self.low) - 1, int(self.high) + 2):
            for digit in (1, 2, 5):
                value = digit * Fraction(10) ** power
                if self.low <= _log(value) <= self.high:
                    yield value


def _log(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 28
        return Decimal(value.numerator).log10() - Decimal(value.denominator).log10()


def _curve(inputs: SweepInputs, price: Fraction) -> list[tuple[int, Fraction]]:
    """Utilization in percent and the speed needed; nothing where there is no break-even."""
    points = []
    for percent in range(_FIRST, _LAST + 1):
        needed = break_even_speed(price, inputs.api_price, Fraction(percent, 100), inputs.unit)
        if needed is not None:
            points.append((percent, needed))
    return points


def _curves(inputs: SweepInputs) -> list[tuple[str, list[tuple[int, Fraction]]]]:
    """A label and its curve for each GPU price; free GPUs need no speed at all and have no curve."""
    found = []
    for price in inputs.gpu_prices:
        points = [point for point in _curve(inputs, Fraction(price)) if point[1] > 0]
        if points:
            found.append((f"{number(Fraction(price))} {inputs.currency}/h", points))
    return found


def _values(inputs: SweepInputs, curves: list[tuple[str, list[tuple[int, Fraction]]]]) -> list[Fraction]:
    values = [value for _, points in curves for _, value in points]
    return [*values, inputs.speed] if inputs.speed else values


def break_even_text(sweep: Sweep, width: int = 60, height: int = 12) -> str:
    """The chart in plain ASCII: a letter for each GPU price, dashes for the measured speed; lines end in no newline."""
    inputs = sweep.inputs
    curves = _curves(inputs)
    if not curves:
        return _no_curves(inputs)
    scale = _Scale(_values(inputs, curves), height - 1)
    canvas = [[" "] * width for _ in range(height)]
    if inputs.speed:
        canvas[scale.at(inputs.speed)] = ["-"] * width
    for letter, (_, points) in zip(_LETTERS, curves, strict=False):
        needed = dict(points)
        for column in range(width):
            percent = _FIRST + round(Fraction(column * (_LAST - _FIRST), width - 1))
            canvas[scale.at(needed[percent])][column] = letter
    labels = _row_labels(scale, height)
    lines = [f"{labels.get(row, ''):>8} |{''.join(canvas[row]).rstrip()}" for row in reversed(range(height))]
    lines.append(f"{'':>8} +{'-' * width}")
    lines.append(f"{'':>8}  {f'{_FIRST} %':<{width - 5}}{_LAST} %")
    names = "   ".join(f"{letter} {label}" for letter, (label, _) in zip(_LETTERS, curves, strict=False))
    names += f"   {len(curves) - len(_LETTERS)} more are not drawn" if len(curves) > len(_LETTERS) else ""
    measured = f"   --- measured {speed_text(inputs.speed, inputs.unit)}" if inputs.speed else ""
    return "\n".join([f"{inputs.unit.speed_name} needed, over utilization", *lines, f"{'':>10}{names}{measured}"])


def _row_labels(scale: _Scale, height: int) -> dict[int, str]:
    """Labels by row: ticks that have a row of their own."""
    labels: dict[int, str] = {}
    for tick in scale.ticks():
        row = scale.at(tick)
        if row not in labels and 0 <= row < height:
            labels[row] = number(tick)
    return labels


def _no_curves(inputs: SweepInputs) -> str:
    if not inputs.api_price:
        return "no chart: the API is free, no speed is enough"
    return "no chart: the GPU is free, any speed is enough"


@dataclass(frozen=True)
class _Polyline:
    """A curve as SVG draws it."""

    #: Which colour and dashes.
    style: int
    #: ``x,y x,y ...``.
    points: str
    #: What a pointer on it is told.
    tip: str


def break_even_svg(sweep: Sweep, title: str = "", machine: str = "GPU") -> Markup:
    """One self-contained ``<svg>`` element, readable on light and dark pages, to write to a file or into HTML.

    ``machine``: what the curves are called, where it is no GPU. No script, no font, no link, no id; its styles are
    scoped to its own class.
    """
    inputs = sweep.inputs
    curves = _curves(inputs)
    frame = {"width": _WIDTH, "height": _HEIGHT, "left": _LEFT, "right": _RIGHT, "bottom": _BOTTOM, "dashes": _DASHES}
    return render(
        "break_even.svg",
        **frame,
        title=title or f"{inputs.stage}: speed at which an own {machine} costs as much as the API",
        machine=machine,
        no_curves="" if curves else _no_curves(inputs),
        **(_plot(inputs, curves, machine) if curves else {}),
    )


def _plot(inputs: SweepInputs, curves: list[tuple[str, list[tuple[int, Fraction]]]], machine: str) -> dict[str, Any]:
    """Where everything stands that is inside the frame."""
    # In tenths of a pixel, so that curves are smooth.
    scale = _Scale(_values(inputs, curves), 10 * (_BOTTOM - _TOP))
    lines, ends = [], []
    for place, (label, points) in enumerate(curves):
        style = place % len(_DASHES)
        path = " ".join(f"{_x(percent)},{_tenths(10 * _BOTTOM - scale.at(needed))}" for percent, needed in points)
        lines.append(_Polyline(style, path, f"{label}: {speed_text(points[-1][1], inputs.unit)} at {_LAST} %"))
        ends.append((_BOTTOM - scale.at(points[-1][1]) // 10, f"t{style}", f"{machine} {label}"))
    measured = _BOTTOM - scale.at(inputs.speed) // 10 if inputs.speed else None
    if inputs.speed and measured is not None:
        ends.append((measured, "", f"measured {speed_text(inputs.speed, inputs.unit)}"))
    return {
        "speeds": [(_BOTTOM - scale.at(tick) // 10, number(tick)) for tick in scale.ticks()],
        "shares": [(_x(percent), percent) for percent in (5, 20, 40, 60, 80, 100)],
        "speed_name": inputs.unit.speed_name,
        "curves": lines,
        "measured": measured,
        "names": _moved_apart(ends),
    }


def _tenths(value: int) -> str:
    return f"{value // 10}.{value % 10}"


def _x(percent: int) -> int:
    return _LEFT + round(Fraction((percent - _FIRST) * (_RIGHT - _LEFT), _LAST - _FIRST))


def _moved_apart(ends: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
    """The names at the right edge, moved down where they would overlap."""
    placed, free = [], _TOP - _LABEL_STEP
    for y, style, text in sorted(ends):
        free = max(y, free + _LABEL_STEP)
        placed.append((free + 4, style, text))
    return placed
