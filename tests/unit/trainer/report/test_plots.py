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
ACTUAL, PREDICTED = "#222222", "#5aa2e8"


def ticks(svg: str) -> list[str]:
    """Every text of a plot, from the comment that matplotlib writes before each group of glyphs."""
    return re.findall(r"<!-- (.*?) -->", svg)


def prediction(rows: list[int]) -> str:
    indices = np.array(rows)
    values = SCORES[: len(rows)]
    return plots.prediction(axis_without_gaps(indices), START + indices * MINUTE, values, values + 0.1, values - 0.1)


def line(svg: str, colour: str) -> str:
    """The path data of the first line of a colour."""
    found = re.search(rf'<path d="([^"]*)"[^>]*style="[^"]*stroke: {colour}[^"]*stroke-linecap', svg)
    assert found
    return found[1]


def drawn() -> dict[str, str]:
    times = START + np.arange(200) * MINUTE
    edges, share = covered_share(times, np.zeros(200, np.int32), 60.0, 120)
    return {
        "history": plots.history({"training": SCORES, "validation": SCORES}),
        "prediction": prediction([0, 1, 2, 3]),
        "residuals": plots.residuals(SCORES, -SCORES, 1.0),
        "coverage": plots.coverage(edges, share, times[150]),
    }


@pytest.mark.parametrize("name", ["history", "prediction", "residuals", "coverage"])
def test_no_legend_covers_the_data(name: str) -> None:
    groups = {group.get("id"): group for group in ElementTree.fromstring(drawn()[name]).iter()}
    assert "legend_1" in groups
    assert "legend_1" not in {inner.get("id") for inner in groups["axes_1"].iter()}


def test_lines_are_interrupted_at_a_gap() -> None:
    for colour in (ACTUAL, PREDICTED):
        assert line(prediction([60, 61, 62, 63, 64, 65]), colour).count("M") == 1
        assert line(prediction([60, 61, 62, 200, 201, 202]), colour).count("M") == 2


def test_a_window_between_two_gaps_is_drawn_as_a_point() -> None:
    markers = re.findall(rf"<use [^>]*fill: {ACTUAL}", prediction([60, 61, 300, 400, 401]))
    assert len(markers) == 1 + len(["in the legend"])


def test_the_actual_score_is_drawn_above_the_predicted_score() -> None:
    svg = prediction([0, 1, 2, 3])
    assert svg.index(line(svg, PREDICTED)) < svg.index(line(svg, ACTUAL))


def test_time_labels_are_formatted_for_readers() -> None:
    shown = prediction([0, 1, 30, 31, 32])
    assert [text for text in ticks(shown) if ":" in text] == ["19 Mar 19:03", "19 Mar 19:33", "19 Mar 19:35"]


@pytest.mark.parametrize("epochs", [1, 3, 100])
@pytest.mark.parametrize("fall", [1.2, 1e4])
def test_epoch_labels_are_integers_and_no_tick_has_an_exponent(epochs: int, fall: float) -> None:
    curve = np.geomspace(0.9, 0.9 / fall, epochs)
    shown = ticks(plots.history({"training": curve, "validation": curve}))
    before = shown[: shown.index("epoch")]
    assert before
    assert all(re.fullmatch(r"\d+", text) for text in before)
    assert not [text for text in shown if re.search(r"\de|10\^|mathdefault", text)]


@pytest.mark.parametrize("windows", [3, 30, 20_000])
def test_window_counts_are_integers(windows: int) -> None:
    errors = np.random.default_rng(0).normal(size=windows)
    shown = ticks(plots.residuals(errors, errors * 2, 4.0))
    counts = shown[shown.index("error of the score") + 1 : shown.index("windows")]
    assert counts
    assert all(re.fullmatch(r"[\d,]+", text) for text in counts)
    assert len(set(counts)) == len(counts)


def test_a_threshold_that_no_row_reaches_has_no_point() -> None:
    label, probability = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.3, 0.2])
    reached, unreached = (plots.precision_recall(label, probability, threshold) for threshold in (0.2, 0.9))
    assert reached.count("#d9822b") > unreached.count("#d9822b") == 0
