"""The plots of the report as SVG text: small figures with large letters, readable on a phone."""

import io
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

_SHOWN_POINTS = 600
_COLOURS = {"actual": "#222222", "model": "#0b6bcb", "baseline": "#d9822b"}

Floats = NDArray[np.floating]


def history(curves: Mapping[str, Sequence[float]]) -> str:
    """Loss by epoch, one line for each curve, on a logarithmic axis."""
    figure, axes = _figure()
    for (name, values), colour in zip(curves.items(), (_COLOURS["baseline"], _COLOURS["model"]), strict=False):
        axes.plot(range(1, len(values) + 1), values, label=name.replace("_", " "), color=colour)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.legend()
    return _svg(figure)


def prediction(times: NDArray[np.datetime64], actual: Floats, predicted: Floats, persistence: Floats) -> str:
    """The last test windows: actual score, prediction and the persistence line."""
    figure, axes = _figure()
    shown = slice(-_SHOWN_POINTS, None)
    moments = times[shown].astype("datetime64[ms]").astype(object)
    axes.plot(moments, actual[shown], label="actual", color=_COLOURS["actual"], linewidth=1.4)
    axes.plot(moments, persistence[shown], label="persistence", color=_COLOURS["baseline"], linewidth=0.8)
    axes.plot(moments, predicted[shown], label="predicted", color=_COLOURS["model"], linewidth=1.1)
    _date_axis(axes)
    axes.set_ylabel("health score")
    axes.legend()
    return _svg(figure)


def residuals(model: Floats, persistence: Floats) -> str:
    """Histogram of the errors of model and persistence, cut at the 99.5th percentile of both."""
    figure, axes = _figure()
    reach = max(float(np.quantile(np.abs(np.concatenate([model, persistence])), 0.995)), 1e-9)
    bins = np.linspace(-reach, reach, 61).tolist()
    axes.hist(persistence, bins=bins, label="persistence", color=_COLOURS["baseline"], alpha=0.5)
    axes.hist(model, bins=bins, label="this model", color=_COLOURS["model"], alpha=0.6)
    axes.set_yscale("log")
    axes.set_xlabel("error of the score")
    axes.set_ylabel("windows")
    axes.legend()
    return _svg(figure)


def precision_recall(label: NDArray[np.integer], probability: Floats, threshold: float) -> str:
    """Precision over recall, and the point of the proposed threshold."""
    figure, axes = _figure()
    precision, recall, thresholds = precision_recall_curve(label, probability)
    axes.step(recall, precision, where="post", color=_COLOURS["model"])
    at = min(int(np.searchsorted(thresholds, threshold)), len(thresholds) - 1)
    axes.plot(recall[at], precision[at], "o", color=_COLOURS["baseline"])
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    return _svg(figure)


def calibration(label: NDArray[np.integer], probability: Floats) -> str:
    """Share of positives by predicted probability, in ten bins of equal count, beside the diagonal."""
    figure, axes = _figure()
    share, mean = calibration_curve(label, probability, n_bins=10, strategy="quantile")
    axes.plot((0, 1), (0, 1), color=_COLOURS["baseline"], linewidth=0.8)
    axes.plot(mean, share, "o-", color=_COLOURS["model"])
    axes.set(xlabel="predicted probability", ylabel="share of positives", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return _svg(figure)


def importance(values: Mapping[str, float]) -> str:
    """Horizontal bars, the twelve most important features, the greatest on top."""
    shown = sorted(values.items(), key=lambda item: item[1])[-12:]
    figure, axes = _figure(height=0.8 + 0.24 * len(shown))
    axes.barh([name.replace("$", r"\$") for name, _ in shown], [value for _, value in shown], color=_COLOURS["model"])
    return _svg(figure)


def coverage(times: NDArray[np.datetime64], border: int) -> str:
    """Rows by time, in 120 bins, and the border of the test part."""
    figure, axes = _figure(height=1.5)
    counts, edges = np.histogram(times.astype("datetime64[us]").astype(np.int64), bins=120)
    moments = edges.astype(np.int64).astype("datetime64[us]").astype(object)
    axes.stairs(counts, moments, fill=True, color=_COLOURS["model"])
    axes.axvline(times[border].astype("datetime64[us]").astype(object), color=_COLOURS["actual"], linestyle="--")
    _date_axis(axes)
    axes.set_ylabel("rows")
    return _svg(figure)


def _figure(height: float = 2.7) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.2, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _date_axis(axes: Axes) -> None:
    axes.xaxis_date()
    axes.tick_params(axis="x", labelrotation=30, labelsize=8)


def _svg(figure: Figure) -> str:
    with io.StringIO() as text, mpl.rc_context({"svg.hashsalt": "report", "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
        drawn = text.getvalue()
    return drawn[drawn.index("<svg") :]
