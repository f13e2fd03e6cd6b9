"""The plots of the report: plain arrays in, SVG text out; small figures with large letters, readable on a phone."""

import io
from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

from trainingjob_trainer.data.arrays import Floats, Instants
from trainingjob_trainer.report.facts import Axis, in_words

_ACTUAL, _MODEL, _BASELINE, _GAP = "#222222", "#5aa2e8", "#d9822b", "#b6bec8"
_TIME_TICKS = 3
_LOGARITHMIC_FROM_RATIO = 10
_LOGARITHMIC_FROM_WINDOWS = 1000


def history(curves: Mapping[str, Floats]) -> str:
    """Values by epoch, one line for each curve; on a logarithmic axis where they fall more than tenfold."""
    figure, axes = _figure()
    for (name, values), colour in zip(curves.items(), (_BASELINE, _MODEL), strict=True):
        axes.plot(range(1, len(values) + 1), values, ".-", label=name, color=colour)
    drawn = np.concatenate(list(curves.values()))
    if drawn.max() > _LOGARITHMIC_FROM_RATIO * drawn.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel="epoch", ylabel="error of the score")
    return _svg(figure, legend=True)


def prediction(axis: Axis, times: Instants, actual: Floats, predicted: Floats, persistence: Floats) -> str:
    """Actual score, prediction and persistence of test windows; the actual score lies on top, a grey line is a gap."""
    figure, axes = _figure()
    positions = axis.broken(axis.positions)
    points = np.flatnonzero(axis.broken(axis.alone) == 1)
    for name, values, colour, width in (
        ("persistence", persistence, _BASELINE, 0.7),
        ("predicted", predicted, _MODEL, 3.0),
        ("actual", actual, _ACTUAL, 0.9),
    ):
        axes.plot(
            positions, axis.broken(values), ".-", label=name, color=colour, linewidth=width, markevery=points, ms=3
        )
    for cut in axis.cuts:
        axes.axvline(cut, color=_GAP, linewidth=0.8)
    shown = np.linspace(0, len(times) - 1, min(_TIME_TICKS, len(times))).astype(np.intp)
    _name_moments(axes, axis.positions[shown], times[shown])
    axes.set_ylabel("health score")
    return _svg(figure, legend=True)


def residuals(model: Floats, persistence: Floats, reach: float) -> str:
    """Histogram of the errors of model and persistence from ``-reach`` to ``reach``; larger ones are not drawn."""
    figure, axes = _figure()
    bins = np.linspace(-reach, reach, int(np.clip(2 * np.sqrt(len(model)), 10, 60)) + 1).tolist()
    axes.hist(model, bins=bins, label="this model", color=_MODEL)
    axes.hist(persistence, bins=bins, label="persistence", color=_BASELINE, histtype="step", linewidth=1.2)
    if len(model) > _LOGARITHMIC_FROM_WINDOWS:
        axes.set_yscale("log")
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlabel="error of the score", ylabel="windows")
    return _svg(figure, legend=True)


def precision_recall(label: NDArray[np.integer], probability: Floats, threshold: float) -> str:
    """Precision over recall, and the point of the proposed threshold, which is absent where nothing reaches it."""
    figure, axes = _figure()
    precision, recall, _ = precision_recall_curve(label, probability)
    axes.step(recall, precision, where="post", color=_MODEL)
    alarms = label[probability >= threshold]
    if len(alarms):
        axes.plot(alarms.sum() / label.sum(), alarms.mean(), "o", color=_BASELINE)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    return _svg(figure)


def calibration(label: NDArray[np.integer], probability: Floats) -> str:
    """Share of positives by predicted probability, in ten bins of equal count, beside the diagonal."""
    figure, axes = _figure()
    share, mean = calibration_curve(label, probability, n_bins=10, strategy="quantile")
    axes.plot((0, 1), (0, 1), color=_BASELINE, linewidth=0.8)
    axes.plot(mean, share, "o-", color=_MODEL)
    axes.set(xlabel="predicted probability", ylabel="share of positives", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return _svg(figure)


def coverage(edges: Instants, share: Floats, test_start: np.datetime64) -> str:
    """Share of the time that has data, in the training part and in the test part.

    Args:
        edges: Edges of the bins, shape (bins + 1,).
        share: Covered share of each bin, 0 to 1, shape (bins,).
        test_start: First instant of the test part.
    """
    figure, axes = _figure(height=1.7)
    seconds = (edges - edges[0]) / np.timedelta64(1, "s")
    testing = edges[1:] > test_start
    axes.stairs(np.where(testing, 0, share), seconds, fill=True, color=_MODEL, label="training part")
    axes.stairs(np.where(testing, share, 0), seconds, fill=True, color=_BASELINE, label="test part")
    shown = np.linspace(0, len(edges) - 1, _TIME_TICKS).astype(np.intp)
    _name_moments(axes, seconds[shown], edges[shown])
    axes.set(xlim=(0, seconds[-1]), ylim=(0, 1.02), yticks=(0, 0.5, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return _svg(figure, legend=True)


def _figure(height: float = 2.7) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _name_moments(axes: Axes, positions: Floats, moments: Instants) -> None:
    span = moments[-1] - moments[0]
    axes.set_xticks(positions.tolist(), [in_words(moment, span) for moment in moments])


def _svg(figure: Figure, *, legend: bool = False) -> str:
    if legend:
        figure.legend(loc="outside upper left", ncols=3, frameon=False, handlelength=1.2, columnspacing=1.2)
    with io.StringIO() as text, mpl.rc_context({"svg.hashsalt": "report", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
