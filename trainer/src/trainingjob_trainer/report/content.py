"""The contents that a model type provides for the report and the terminal, as plain data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Drawing = tuple[str, str]
"""What a figure shows in words, and the figure as SVG."""


@dataclass(frozen=True)
class MetricsTable:
    """Metrics of the test part beside those of baselines.

    Attributes:
        title: Its heading.
        columns: Headings of the numbers.
        rows: Name and numbers of each row; None is a metric without a value.
        caption: Name and value of what sums it up.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[float | None]]]
    caption: tuple[str, float | None]


@dataclass(frozen=True)
class ReportContent:
    """The parts of the report that differ between model types.

    Attributes:
        headlines: Metrics shown at the top: name of the metric to its label.
        comparison: The model against its baselines; None shows no table.
        figures: Title to the function that draws; a function that returns None has nothing to show.
    """

    headlines: Mapping[str, str] = field(default_factory=dict)
    comparison: MetricsTable | None = None
    figures: Mapping[str, Callable[[], Drawing | None]] = field(default_factory=dict)
