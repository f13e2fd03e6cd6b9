"""Draws curves in a pair of axes as SVG; small charts with large letters, readable on a phone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.report.scale import Scale
from trainingjob_trainer.report.templates import TEMPLATES

WIDTH, HEIGHT, FONT_SIZE = 420, 270, 14
_CHARACTER_WIDTH = 0.65 * FONT_SIZE
_LINE_HEIGHT = 1.4 * FONT_SIZE
_GAP, _SWATCH = 6.0, 18.0


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Attributes:
        x: Values on the horizontal axis, shape (points,).
        y: Values on the vertical axis, shape (points,); a NaN interrupts the curve.
        colour: In the notation of CSS.
        name: In the legend; empty for a curve without an entry.
        width: Width of the line; dots are wider.
        filled: Whether the area within the curve is filled, instead of a line.
        dots: Which points have a dot, shape (points,), or one value for all.
    """

    x: Floats
    y: Floats
    colour: str
    name: str = ""
    width: float = 1.8
    filled: bool = False
    dots: NDArray[np.bool_] | bool = False


def draw(
    curves: Sequence[Curve], horizontal: Scale, vertical: Scale, *, height: int = HEIGHT, cuts: Iterable[float] = ()
) -> str:
    """Draw curves, the first one at the bottom, with the legend above the axes.

    Args:
        curves: The curves.
        horizontal: The horizontal axis.
        vertical: The vertical axis.
        height: Of the chart, in the units in which it is ``WIDTH`` wide.
        cuts: Values on the horizontal axis at which time is left out; each is a grey line.

    Returns:
        One ``svg`` element.

    Raises:
        ValueError: The arrays of a curve differ in length.
    """
    names = [(curve.name, curve.colour) for curve in curves if curve.name]
    top = _LINE_HEIGHT + _GAP if names else FONT_SIZE / 2
    bottom = height - _LINE_HEIGHT * (2 if horizontal.label else 1) - _GAP
    left = _text_width(max(vertical.ticks.values(), key=len, default="")) + _GAP
    left += _LINE_HEIGHT if vertical.label else 0
    right = WIDTH - _GAP

    def across(x: Iterable[float]) -> Floats:
        return (left + horizontal.position(x) * (right - left)).round(1)

    def up(y: Iterable[float]) -> Floats:
        return (bottom - vertical.position(y) * (bottom - top)).round(1)

    drawn = []
    for curve in curves:
        points = np.stack((across(curve.x), up(curve.y)), axis=1)
        drawn.append((curve, _path(points), points[curve.dots & np.isfinite(curve.y)].tolist()))
    return TEMPLATES.get_template("chart.svg.jinja").render(
        width=WIDTH,
        height=height,
        font_size=FONT_SIZE,
        line_height=_LINE_HEIGHT,
        gap=_GAP,
        swatch=_SWATCH,
        left=round(left, 1),
        right=right,
        top=top,
        bottom=round(bottom, 1),
        legend=list(_legend(names)),
        horizontal=[
            (x, _inside(x, text), text)
            for x, text in zip(across(horizontal.ticks).tolist(), horizontal.ticks.values(), strict=True)
        ],
        vertical=list(zip(up(vertical.ticks).tolist(), vertical.ticks.values(), strict=True)),
        horizontal_label=horizontal.label,
        vertical_label=vertical.label,
        cuts=across(cuts).tolist(),
        curves=drawn,
    )


def _path(points: Floats) -> str:
    """The curve as path data, without the points on a straight line between their neighbours."""
    parts = []
    for part in np.split(points, np.flatnonzero(np.isnan(points[:, 1]))):
        # Tenths as integers, so that the comparison is exact.
        line = np.rint(part[~np.isnan(part[:, 1])] * 10).astype(np.int64)
        line = line[np.diff(line, axis=0, prepend=-1).any(axis=1)]
        before, after = np.diff(line, axis=0)[:-1], np.diff(line, axis=0)[1:]
        turns = (before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]) | ((before * after).sum(axis=1) < 0)
        kept = line[np.concatenate(([True], turns, [True]))[: len(line)]] / 10
        if len(kept):
            parts.append("M" + "L".join(f"{x:g} {y:g}" for x, y in kept.tolist()))
    return "".join(parts)


def _legend(names: Sequence[tuple[str, str]]) -> Iterator[tuple[float, str, str]]:
    """Where each entry begins, its name and its colour."""
    x = _GAP
    for name, colour in names:
        yield round(x, 1), name, colour
        x += _SWATCH + _GAP + _text_width(name) + 2 * _GAP


def _inside(x: float, text: str) -> float:
    """The middle of a text that stands at ``x``, or as near to it as the chart has room."""
    half = _text_width(text) / 2
    return round(min(max(x, half), WIDTH - half), 1)


def _text_width(text: str) -> float:
    """Width of a text in a wide font; only the browser knows the exact one."""
    return len(text) * _CHARACTER_WIDTH
