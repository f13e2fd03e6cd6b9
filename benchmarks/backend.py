"""What the choice of the backend alone gives: the reference on TensorFlow, and on JAX as the product uses it."""

from collections.abc import Sequence

from benchmarks.environments import REFERENCE, REFERENCE_ON_JAX
from benchmarks.goals import at_most
from benchmarks.measure import Case, interleaved, median
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds
from benchmarks.telemetry import simulated

SHARE_OF_THE_REFERENCE = 1 / 3


def tables(scope: Scope) -> Sequence[Table]:
    """One epoch of the reference's own training on each backend; no code of the product is measured."""
    size = max(scope.sizes)
    arguments = {"machine": simulated(size), "seed": 1, "epochs": 1}
    found = interleaved(
        scope.repeats,
        [
            Case("reached.reference", arguments, REFERENCE),
            Case("reached.reference", {**arguments, "autotune": False}, REFERENCE),
            Case("reached.reference", arguments, REFERENCE_ON_JAX),
        ],
    )
    times = [median(each, "fit_seconds") for each in found]
    shares = [each / min(times[:2]) for each in times]
    checks = ((), (), (at_most("share", shares[2], SHARE_OF_THE_REFERENCE),))
    rows = [
        Row((name, seconds(elapsed), f"{share:.2f}"), check)
        for name, elapsed, share, check in zip(
            ("TensorFlow", "TensorFlow, autotune off", "JAX"), times, shares, checks, strict=True
        )
    ]
    headings = ("backend", "fit", "share of the faster TensorFlow")
    return [Table(f"One epoch of the reference, {size:,} rows, compilation included", headings, rows, found)]
