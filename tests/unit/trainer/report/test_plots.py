"""The plots of the report as SVG: positions and labels."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from trainingjob_trainer.report import plots
from trainingjob_trainer.report.facts import axis_without_gaps, covered_share

SCORES = np.linspace(0.2, 0.8, 9)
START = np.datetime64("2025-03-19T19:03", "us")
MINUTE = np.timedelta64(1, "m")
ACTUAL, PREDICTED, BASELINE = "#222222", "#5aa2e8", "#d9822b"
SVG = "{http://www.w3.org/2000/svg}"


def group(svg: str, name: str) -> ElementTree.Element:
    return next(part for part in ElementTree.fromstring(svg) if part.get("class") == name)


def texts(svg: str, name: str) -> list[str]:
    """The texts of a group: names in the legend, or ticks of an axis and then its label."""
    return [text.text or "" for text in group(svg, name).iter(f"{SVG}text")]


def prediction(rows: list[int]) -> str:
    indices = np.array(rows)
    values = SCORES[: len(rows)]
    return plots.prediction(axis_without_gaps(indices), START + indices * MINUTE, values, values + 0.1, values - 0.1)


def line(svg: str, colour: str) -> str:
    """The path data of the line of a colour."""
    return next(path.get("d", "") for path in group(svg, "curves") if path.get("stroke") == colour)


def points(path: str) -> np.ndarray:
    return np.array([tuple(map(float, point.split())) for point in re.findall(r"[\d.]+ [\d.]+", path)]).reshape(-1, 2)


def drawn() -> dict[str, str]:
    times = START + np.arange(200) * MINUTE
    edges, share = covered_share(times, np.zeros(200, np.int32), 60.0, 120)
    return {
        "history": plots.history({"training": SCORES, "validation": SCORES}),
        "prediction": prediction([0, 1, 2, 3]),
        "residuals": plots.residuals(SCORES, -SCORES, 1.0),
        "coverage": plots.coverage(edges, share, times[150]),
        "precision_recall": plots.precision_recall(np.arange(80) % 2, np.arange(80) / 80, 0.5),
        "calibration": plots.calibration(np.arange(80) % 2, np.arange(80) / 80),
    }


@pytest.mark.parametrize("name", ["history", "prediction", "residuals", "coverage"])
def test_no_legend_covers_the_data(name: str) -> None:
    svg = drawn()[name]
    legend = [float(text.get("y", "")) for text in group(svg, "legend").iter(f"{SVG}text")]
    curves = np.concatenate([points(path.get("d", "")) for path in group(svg, "curves")])
    assert len(legend) > 1
    assert max(legend) + 7 < curves[:, 1].min()


@pytest.mark.parametrize("name", drawn())
def test_everything_lies_within_the_drawing(name: str) -> None:
    svg = ElementTree.fromstring(drawn()[name])
    _, _, width, height = map(float, svg.get("viewBox", "").split())
    for path in svg.iter(f"{SVG}path"):
        places = points(path.get("d", ""))
        assert np.all((places >= 0) & (places <= (width, height)))
    for text in svg.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", "0")) <= width
        assert 0 <= float(text.get("y", "0")) <= height


def test_lines_are_interrupted_at_a_gap() -> None:
    for colour in (ACTUAL, PREDICTED):
        assert line(prediction([60, 61, 62, 63, 64, 65]), colour).count("M") == 1
        assert line(prediction([60, 61, 62, 200, 201, 202]), colour).count("M") == 2


def test_each_gap_is_a_grey_line_between_the_windows() -> None:
    svg = prediction([60, 61, 62, 200, 201, 202])
    (cut,) = [
        points(path.get("d", "").replace("V", " ")) for path in group(svg, "curves") if path.get("class") == "cut"
    ]
    before, after = (points(part)[:, 0] for part in line(svg, ACTUAL).split("M")[1:])
    assert before.max() < cut[0, 0] < after.min()


def test_a_window_between_two_gaps_is_drawn_as_a_point() -> None:
    svg = prediction([60, 61, 300, 400, 401])
    assert [dot.get("fill") for dot in group(svg, "curves").iter(f"{SVG}circle")].count(ACTUAL) == 1


def test_the_actual_score_is_drawn_above_the_predicted_score() -> None:
    svg = prediction([0, 1, 2, 3])
    assert svg.index(line(svg, PREDICTED)) < svg.index(line(svg, ACTUAL))


def test_time_labels_are_formatted_for_readers() -> None:
    assert texts(prediction([0, 1, 30, 31, 32]), "horizontal") == ["19 Mar 19:03", "19 Mar 19:33", "19 Mar 19:35"]


@pytest.mark.parametrize("epochs", [1, 3, 100])
@pytest.mark.parametrize("fall", [1.2, 1e4])
def test_epoch_labels_are_integers_and_no_tick_has_an_exponent(epochs: int, fall: float) -> None:
    curve = np.geomspace(0.9, 0.9 / fall, epochs)
    svg = plots.history({"training": curve, "validation": curve})
    *ticks, label = texts(svg, "horizontal")
    assert label == "epoch"
    assert ticks
    assert all(re.fullmatch(r"[1-9]\d*", text) for text in ticks)
    *ticks, _ = texts(svg, "vertical")
    assert all(re.fullmatch(r"[\d.]+", text) for text in ticks)


@pytest.mark.parametrize("windows", [3, 30, 20_000])
def test_window_counts_are_integers(windows: int) -> None:
    errors = np.random.default_rng(0).normal(size=windows)
    *counts, label = texts(plots.residuals(errors, errors * 2, 4.0), "vertical")
    assert label == "windows"
    assert counts
    assert all(re.fullmatch(r"[\d,]+", text) for text in counts)
    assert len(set(counts)) == len(counts)


def test_a_histogram_has_one_bar_for_each_count() -> None:
    svg = plots.residuals(np.array([-0.5, 0.1, 0.1, 0.9]), np.zeros(4), 1.0)
    bars = next(path for path in group(svg, "curves") if path.get("fill") == PREDICTED)
    heights = np.unique(points(bars.get("d", ""))[:, 1])
    floor, one, two = heights[::-1]
    assert floor - two == pytest.approx(2 * (floor - one), abs=0.2)


def test_precision_steps_down_where_recall_changes() -> None:
    svg = plots.precision_recall(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.3, 0.2]), 0.2)
    for start, end in zip(places := points(line(svg, PREDICTED)), places[1:], strict=False):
        assert (start == end).any()


def test_a_threshold_that_no_row_reaches_has_no_point() -> None:
    label, probability = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.3, 0.2])
    reached, unreached = (plots.precision_recall(label, probability, threshold) for threshold in (0.2, 0.9))
    assert (reached.count("<circle"), unreached.count("<circle")) == (1, 0)
