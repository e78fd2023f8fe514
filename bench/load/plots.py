"""Plots as SVG, in the style of `docs/flow.svg`: their colours follow the reader's light or dark mode."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 68, 28, 64, 52
STYLE = """
  text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .tick { font-size: 12px; fill: #59636e }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .axis { stroke: #818b98; stroke-width: 1 }
  .note { stroke: #59636e; stroke-width: 1.2; stroke-dasharray: 5 4; fill: none }
  circle.dot { stroke: none; fill-opacity: 0.5 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  .blue { stroke: #0969da; fill: #0969da } .orange { stroke: #bc4c00; fill: #bc4c00 }
  .green { stroke: #1a7f37; fill: #1a7f37 } .grey { stroke: #818b98; fill: #818b98 }
  .line.blue, .line.orange, .line.green, .line.grey { fill: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .tick { fill: #9198a1 }
    .grid { stroke: #2f353d }
    .axis { stroke: #656c76 }
    .note { stroke: #9198a1 }
    .blue { stroke: #4493f8; fill: #4493f8 } .orange { stroke: #f0883e; fill: #f0883e }
    .green { stroke: #3fb950; fill: #3fb950 } .grey { stroke: #656c76; fill: #656c76 }
  }
"""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its title, its range, and its scale. `percent` shows fractions as percentages."""

    title: str
    low: float
    high: float
    is_log: bool = False
    percent: bool = False

    def position(self, value: float) -> float:
        """Return the position of a value between 0 and 1. Values outside of the range are drawn on its border."""
        value = min(max(value, self.low), self.high)
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> Iterator[float]:
        """Yield the values of the grid lines: 1, 2 and 5 of each power of ten, or about five round steps."""
        if self.is_log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            values: Iterable[float] = (digit * 10.0**power for power in powers for digit in (1, 2, 5))
        else:
            step = _round_step((self.high - self.low) / 5)
            values = (number * step for number in range(math.ceil(self.low / step), int(self.high / step + 1.001)))
        return (value for value in values if self.low * 0.999 <= value <= self.high * 1.001)

    def label(self, value: float) -> str:
        """Return the text of a grid line."""
        return f"{100 * value:g} %" if self.percent else f"{value:g}"


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one colour, as dots or as a line, with their text in the legend."""

    name: str
    points: Sequence[Point]
    color: str
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with two axes. `notes` are dashed lines; `marks` are dashed vertical lines with a text."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    notes: Sequence[Sequence[Point]] = ()
    marks: Sequence[tuple[float, str]] = field(default=())

    def svg(self) -> str:
        """Return the plot as SVG."""
        return "\n".join([_head(self.title), *self._grid(), *self._content(), *_legend(self.series), "</svg>"]) + "\n"

    def _place(self, point: Point) -> Point:
        """Return the position of a point in pixels."""
        x = LEFT + self.x.position(point[0]) * (WIDTH - LEFT - RIGHT)
        return x, HEIGHT - BOTTOM - self.y.position(point[1]) * (HEIGHT - TOP - BOTTOM)

    def _grid(self) -> Iterator[str]:
        """Yield the grid, the axes and their texts."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for value in self.x.ticks():
            x, _ = self._place((value, self.y.low))
            yield f'<path class="grid" d="M{x:.1f} {TOP} V{bottom}"/>'
            yield _text(x, bottom + 17, self.x.label(value), "tick", "middle")
        for value in self.y.ticks():
            _, y = self._place((self.x.low, value))
            yield f'<path class="grid" d="M{LEFT} {y:.1f} H{right}"/>'
            yield _text(LEFT - 8, y + 4, self.y.label(value), "tick", "end")
        yield f'<path class="axis" d="M{LEFT} {bottom} H{right}"/>'
        yield _text((LEFT + right) / 2, HEIGHT - 12, self.x.title, "", "middle")
        yield _text(0, 0, self.y.title, "", "middle", f"translate(18 {(TOP + bottom) / 2}) rotate(-90)")

    def _content(self) -> Iterator[str]:
        """Yield the series, and the notes above them."""
        for series in self.series:
            places = [self._place(point) for point in series.points]
            if series.is_line:
                yield f'<path class="line {series.color}" d="{_path(places)}"/>'
            else:
                yield from (
                    f'<circle class="dot {series.color}" cx="{x:.1f}" cy="{y:.1f}" r="2.4"/>' for x, y in places
                )
        for note in self.notes:
            yield f'<path class="note" d="{_path([self._place(point) for point in note])}"/>'
        for value, label in self.marks:
            x, _ = self._place((value, self.y.low))
            yield f'<path class="note" d="M{x:.1f} {TOP} V{HEIGHT - BOTTOM}"/>'
            yield _text(x + 6, TOP + 14, label, "tick", "start")


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars with a value from 0 to 1 each, and a text behind each bar."""

    title: str
    rows: Sequence[tuple[str, float, str]]
    target: float | None = None

    def svg(self) -> str:
        """Return the bars as SVG."""
        height = TOP + 26 * len(self.rows) + 6
        return "\n".join([_head(self.title, height), *self._rows(height), "</svg>"]) + "\n"

    def _rows(self, height: int) -> Iterator[str]:
        """Yield the bars and the line of the target."""
        start, length = 170, WIDTH - 170 - 130
        for number, (name, value, text) in enumerate(self.rows):
            y = TOP - 8 + 26 * number
            met = self.target is None or value >= self.target
            yield _text(start - 10, y + 14, name, "", "end")
            yield f'<rect class="grid" x="{start}" y="{y}" width="{length}" height="18" fill="none"/>'
            color = "blue" if met else "orange"
            yield f'<rect class="{color}" x="{start}" y="{y}" width="{value * length:.1f}" height="18"/>'
            yield _text(start + length + 10, y + 14, text, "tick", "start")
        if self.target is not None:
            x = start + self.target * length
            yield f'<path class="note" d="M{x:.1f} {TOP - 14} V{height - 12}"/>'
            yield _text(x, TOP - 18, f"target {100 * self.target:g} %", "tick", "middle")


def _head(title: str, height: int = HEIGHT) -> str:
    """Return the beginning of a picture, with its title."""
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
        _text(16, 24, title, "title", "start"),
    )
    return "\n".join(lines)


def _legend(series: Sequence[Series]) -> Iterator[str]:
    """Yield the names of the series in one line below the title."""
    x = 16.0
    for row in series:
        if row.name:
            yield f'<rect class="{row.color}" x="{x:.0f}" y="37" width="12" height="{3 if row.is_line else 10}"/>'
            yield _text(x + 18, 46, row.name, "tick", "start")
            x += 40 + 6.4 * len(row.name)


def _text(x: float, y: float, text: str, kind: str, anchor: str, transform: str = "") -> str:
    """Return a text element."""
    moved = f' transform="{transform}"' if transform else ""
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{moved}>{escape(text)}</text>'


def _path(places: Sequence[Point]) -> str:
    """Return the data of a path through places."""
    first, *others = (f"{x:.1f} {y:.1f}" for x, y in places)
    return f"M{first}" + "".join(f" L{other}" for other in others)


def _round_step(step: float) -> float:
    """Return the smallest of 1, 2, 2.5 and 5 times a power of ten that is at least `step`."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(digit * power for digit in (1, 2, 2.5, 5, 10) if digit * power >= step * 0.999)


def rolling(values: Sequence[float], width: int) -> list[Point]:
    """Return the median of the last `width` values at each position, thinned to what a plot can show."""
    every = max(1, len(values) // 300)
    ends = range(width, len(values) + 1, every)
    return [(end, sorted(values[end - width : end])[width // 2]) for end in ends]


def padded_range(values: Iterable[float], steps: Sequence[float] = (1, 2, 5)) -> tuple[float, float]:
    """Return a range for a logarithmic axis that contains all values and ends at round numbers."""
    known = [value for value in values if value > 0]
    marks = [digit * 10.0**power for power in range(-4, 7) for digit in steps]
    low, high = min(known), max(known)
    below = max((left for left, _ in pairwise(marks) if left <= low), default=low)
    return below, min((mark for mark in marks if mark >= high), default=high)
