"""The plots of the report: plain arrays in, SVG text out."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from trainingjob_trainer.data.arrays import Floats, Instants
from trainingjob_trainer.report.chart import Curve, draw
from trainingjob_trainer.report.facts import Axis, in_words
from trainingjob_trainer.report.scale import Scale, around, linear, logarithmic

_ACTUAL, _MODEL, _BASELINE = "#222222", "#5aa2e8", "#d9822b"
_TIME_TICKS = 3
_COVERAGE_HEIGHT = 170
_LOGARITHMIC_FROM_RATIO = 10
_LOGARITHMIC_FROM_WINDOWS = 1000
_BELOW_ONE_WINDOW = 0.7


def history(curves: Mapping[str, Floats]) -> str:
    """Values by epoch, one line for each curve; on a logarithmic axis where they fall more than tenfold."""
    drawn = np.concatenate(list(curves.values()))
    low, high = float(drawn.min()), float(drawn.max())
    what = "error of the score"
    falls = high > _LOGARITHMIC_FROM_RATIO * low > 0
    vertical = logarithmic(low / 1.1, high * 1.1, what) if falls else linear(*around(drawn), what)
    return draw(
        [
            Curve(np.arange(1.0, len(values) + 1), values, colour, name, dots=True)
            for (name, values), colour in zip(curves.items(), (_BASELINE, _MODEL), strict=True)
        ],
        linear(0.5, max(map(len, curves.values())) + 0.5, "epoch", whole=True),
        vertical,
    )


def prediction(axis: Axis, times: Instants, actual: Floats, predicted: Floats, persistence: Floats) -> str:
    """Actual score, prediction and persistence of test windows; the actual score lies on top, a grey line is a gap."""
    positions, alone = axis.broken(axis.positions), axis.broken(axis.alone) == 1
    curves = [
        Curve(positions, axis.broken(values), colour, name, width, dots=alone)
        for name, values, colour, width in (
            ("persistence", persistence, _BASELINE, 1.0),
            ("predicted", predicted, _MODEL, 4.0),
            ("actual", actual, _ACTUAL, 1.3),
        )
    ]
    shown = np.linspace(0, len(times) - 1, min(_TIME_TICKS, len(times))).astype(np.intp)
    return draw(
        curves,
        _time_scale(*around(axis.positions), axis.positions[shown], times[shown]),
        linear(*around(np.concatenate([curve.y for curve in curves])), "health score"),
        cuts=axis.cuts,
    )


def residuals(model: Floats, persistence: Floats, reach: float) -> str:
    """Histogram of the errors of model and persistence from ``-reach`` to ``reach``; larger ones are not drawn."""
    edges = np.linspace(-reach, reach, int(np.clip(2 * np.sqrt(len(model)), 10, 60)) + 1)
    counts = [np.histogram(errors, edges)[0].astype(np.float64) for errors in (model, persistence)]
    highest = float(np.max(counts))
    if len(model) > _LOGARITHMIC_FROM_WINDOWS:
        vertical = logarithmic(_BELOW_ONE_WINDOW, 1.3 * highest, "windows")
    else:
        vertical = linear(0.0, 1.05 * highest, "windows", whole=True)
    return draw(
        [
            Curve(*_stairs(edges, counts[0]), _MODEL, "this model", filled=True),
            Curve(*_stairs(edges, counts[1]), _BASELINE, "persistence"),
        ],
        linear(-reach, reach, "error of the score"),
        vertical,
    )


def distribution(values: Floats, rejected: Floats, label: str) -> str:
    """Histogram of one number of each machine.

    Args:
        values: Those of the models in use, shape (machines,).
        rejected: Those of rejected models, shape (machines,); none of them gives no curve.
        label: What the number is.
    """
    low, high = around(np.concatenate((values, rejected)))
    edges = np.linspace(low, high, int(np.clip(2 * np.sqrt(len(values) + len(rejected)), 8, 40)) + 1)
    counts = np.histogram(values, edges)[0].astype(np.float64)
    curves = [Curve(*_stairs(edges, counts), _MODEL, "in use" if len(rejected) else "", filled=True)]
    highest = counts.max()
    if len(rejected):
        refused = np.histogram(rejected, edges)[0].astype(np.float64)
        curves.append(Curve(*_stairs(edges, refused), _BASELINE, "rejected"))
        highest = max(highest, refused.max())
    return draw(curves, linear(low, high, label), linear(0.0, 1.05 * float(highest), "machines", whole=True))


def precision_recall(label: NDArray[np.integer], probability: Floats, threshold: float) -> str:
    """Precision over recall, and the point of the proposed threshold, which is absent where nothing reaches it."""
    precision, recall, _ = precision_recall_curve(label, probability)
    # Recall falls; between two points the precision is that of the lower threshold.
    curves = [Curve(np.repeat(recall, 2)[1:], np.repeat(precision, 2)[:-1], _MODEL)]
    alarms = label[probability >= threshold]
    if len(alarms):
        point = np.array([alarms.sum() / label.sum()]), np.array([alarms.mean()])
        curves.append(Curve(*point, _BASELINE, width=4.0, dots=True))
    return draw(curves, linear(0, 1.02, "recall"), linear(0, 1.02, "precision"))


def calibration(label: NDArray[np.integer], probability: Floats) -> str:
    """Share of positives by predicted probability, in ten bins of equal count, beside the diagonal."""
    # Imported here, because the other plots do not need it and it imports much of scikit-learn.
    from sklearn.calibration import calibration_curve

    share, mean = calibration_curve(label, probability, n_bins=10, strategy="quantile")
    ends = np.array([0.0, 1.0])
    return draw(
        [Curve(ends, ends, _BASELINE, width=1.0), Curve(mean, share, _MODEL, width=2.5, dots=True)],
        linear(-0.02, 1.02, "predicted probability"),
        linear(-0.02, 1.02, "share of positives"),
    )


def coverage(edges: Instants, share: Floats, test_start: np.datetime64) -> str:
    """Share of the time that has data, in the training part and in the test part.

    Args:
        edges: Edges of the bins, shape (bins + 1,).
        share: Covered share of each bin, 0 to 1, shape (bins,).
        test_start: First instant of the test part.
    """
    seconds = (edges - edges[0]) / np.timedelta64(1, "s")
    testing = edges[1:] > test_start
    shown = np.linspace(0, len(edges) - 1, _TIME_TICKS).astype(np.intp)
    return draw(
        [
            Curve(*_stairs(seconds, np.where(testing, 0, share)), _MODEL, "training part", filled=True),
            Curve(*_stairs(seconds, np.where(testing, share, 0)), _BASELINE, "test part", filled=True),
        ],
        _time_scale(0, seconds[-1], seconds[shown], edges[shown]),
        Scale(0, 1.02, {0.0: "0%", 0.5: "50%", 1.0: "100%"}),
        height=_COVERAGE_HEIGHT,
    )


def _stairs(edges: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The outline of bars that stand side by side on 0."""
    return np.repeat(edges, 2), np.concatenate(([0.0], np.repeat(values, 2), [0.0]))


def _time_scale(low: float, high: float, positions: Floats, moments: Instants) -> Scale:
    span = moments[-1] - moments[0]
    return Scale(low, high, dict(zip(positions.tolist(), (in_words(moment, span) for moment in moments), strict=True)))
