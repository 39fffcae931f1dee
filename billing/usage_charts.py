"""Bars of a chart, in the units of its own drawing: the page draws them as SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.usage_reports import Line

HEIGHT = 100
_STEP = 10
_GAP = 2


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: int
    width: int
    height: int
    line: Line


@dataclass(frozen=True, slots=True)
class BarChart:
    """`view_box` is what the bars are measured in; `highest` is the line with the largest bar, if any."""

    view_box: str
    bars: list[Bar]
    highest: Line | None


def bar_chart(lines: Sequence[Line]) -> BarChart:
    """One bar for each line, as high as its credits; where something was spent, it can be seen."""
    largest = max((line.figures.credits for line in lines), default=0)
    bars = [_bar(number, line, largest) for number, line in enumerate(lines)]
    highest = max(lines, key=lambda line: line.figures.credits) if largest else None
    return BarChart(f"0 0 {_STEP * max(len(lines), 1)} {HEIGHT}", bars, highest)


def _bar(number: int, line: Line, largest: int) -> Bar:
    spent = line.figures.credits
    height = max(HEIGHT * spent // largest, 1) if spent else 0
    return Bar(number * _STEP + _GAP // 2, HEIGHT - height, _STEP - _GAP, height, line)
