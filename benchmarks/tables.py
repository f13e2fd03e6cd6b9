"""The tables that are printed: the cases that each compares, and its goal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import Measurement, interleaved, median
from benchmarks.telemetry import simulated

SERIES_SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        sizes: Rows of the simulated machines.
        repeats: Runs of each case whose result is a time.
        reference_seeds: Seeds of the reference's trainings.
        reference_epochs: Epochs of the reference.
        product_seeds: Seeds of the product's trainings.
        long_rows: Rows of the history on which only speed and memory are compared; None leaves it out.
        memory_rows: Rows of the case that is measured for the product's memory; None leaves it out.
        load_sizes: Rows of the machines that are loaded.
        outputs: Forms of the gru whose accuracy is measured.
        product_settings: Of the product's gru, beside its defaults.
    """

    sizes: Sequence[int]
    repeats: int
    reference_seeds: Sequence[int]
    reference_epochs: int
    product_seeds: Sequence[int]
    long_rows: int | None
    memory_rows: int | None
    load_sizes: Sequence[int]
    outputs: Sequence[str] = ("Residual", "Direct")
    product_settings: Mapping[str, Any] = field(default_factory=dict)


FULL = Scope((20_000, 100_000), 3, (1, 2, 3), 10, SERIES_SEEDS, 1_000_000, 6_300_000, (20_000, 100_000, 1_000_000))
QUICK = Scope((10_000,), 1, (1,), 3, (1,), None, None, (10_000, 100_000), ("Residual",), {"epochs": 15})


@dataclass(frozen=True)
class Result:
    """One table: its title, headings and rows, the goal in words, and the measurements behind it."""

    title: str
    goal: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    measurements: Sequence[Measurement]


def load(scope: Scope, real: Sequence[str]) -> Result:
    """Loading one machine."""
    rows, measured = [], []
    for size in scope.load_sizes:
        arguments = {"machine": simulated(size)}
        found = interleaved(scope.repeats, [("load-reference", arguments), ("load-product", arguments)])
        reference, product = found[0], found[1]
        measured += reference + product
        seconds = median(reference, "load_seconds"), median(product, "load_seconds")
        rows.append(
            (
                f"{size:,}",
                f"{seconds[0]:.2f} s",
                f"{seconds[1]:.2f} s",
                f"{seconds[0] / seconds[1]:.1f} x",
                f"{median(reference, 'extra_over_arrays'):.1f}",
                f"{median(product, 'extra_over_arrays'):.1f}",
            )
        )
    headings = ("rows", "read_sql", "product", "faster", "read_sql extra / arrays", "product extra / arrays")
    return Result("Loading", "at least 5 x, extra memory at most 2 x the arrays", headings, rows, measured)


def same_arithmetic(scope: Scope, real: Sequence[str]) -> Result:
    """The reference's arithmetic in the product's loop, for one epoch."""
    size = max(scope.sizes)
    arguments = {"machine": simulated(size), "seed": 1, "epochs": 1}
    found = interleaved(
        scope.repeats,
        [
            ("gru-reference", arguments),
            ("gru-reference", {**arguments, "autotune": False}),
            ("gru-same-arithmetic", arguments),
        ],
    )
    best = min(median(found[0], "fit_seconds"), median(found[1], "fit_seconds"))
    rows = [
        (name, f"{median(found[place], 'fit_seconds'):.1f} s", f"{median(found[place], 'fit_seconds') / best:.2f}")
        for place, name in enumerate(("reference", "reference, autotune off", "product"))
    ]
    return Result(
        f"One epoch of the same arithmetic, {size:,} rows, compilation included",
        "at most 1/3 of the reference",
        ("", "fit", "to the faster reference"),
        rows,
        [each for group in found.values() for each in group],
    )


def reached(scope: Scope, real: Sequence[str]) -> Result:
    """How long the product's default takes to the reference's error."""
    rows, measured = [], []
    for size in scope.sizes:
        machine = simulated(size)
        reference = [
            interleaved(1, [("gru-reference", {"machine": machine, "seed": seed, "epochs": scope.reference_epochs})])[
                0
            ][0]
            for seed in scope.reference_seeds
        ]
        product = [
            interleaved(1, [("gru-product", {"machine": machine, "seed": seed, **scope.product_settings})])[0][0]
            for seed in scope.product_seeds
        ]
        measured += reference + product
        wanted = median(reference, "best_validation_rmse") * 1.01
        itself = [_first(each, wanted) or each.values["fit_seconds"] for each in reference]
        times = [_first(each, wanted) for each in product]
        never = sum(time is None for time in times)
        middle = sorted(time if time is not None else float("inf") for time in times)[len(times) // 2]
        whole = median(reference, "fit_seconds")
        own = sorted(itself)[len(itself) // 2]
        rows.append(
            (
                f"{size:,}",
                f"{whole:.0f} s",
                f"{own:.0f} s",
                f"{middle:.1f} s",
                f"1/{whole / middle:.0f}",
                f"1/{own / middle:.0f}",
                f"{never} of {len(times)}",
            )
        )
    headings = (
        "rows",
        f"reference, {scope.reference_epochs} epochs",
        "until its best + 1 %",
        "product until then",
        "of the whole",
        "of until then",
        "never",
    )
    return Result(
        "Until the reference's validation error", "at most 1/10 (20,000) and 1/25 (100,000)", headings, rows, measured
    )


def accuracy(scope: Scope, real: Sequence[str]) -> Result:
    """Test RMSE of every seed against persistence and ridge."""
    rows, measured = [], []
    for machine in (simulated(scope.sizes[0]), *real):
        for output in scope.outputs:
            found = [
                interleaved(
                    1, [("gru-product", {"machine": machine, "seed": seed, "output": output, **scope.product_settings})]
                )[0][0]
                for seed in scope.product_seeds
            ]
            measured += found
            errors = [each.values["test_rmse"] for each in found]
            ridge, persistence = found[0].values["rmse_ridge"], found[0].values["rmse_persistence"]
            rows.append(
                (
                    machine,
                    output,
                    f"{persistence * 1000:.2f}",
                    f"{ridge * 1000:.2f}",
                    f"{min(errors) * 1000:.2f} .. {max(errors) * 1000:.2f}",
                    f"{max(errors) / ridge:.3f}",
                    "yes" if max(errors) < persistence else "NO",
                    f"{median(found, 'fit_seconds'):.0f} s",
                )
            )
    headings = ("series", "output", "persistence", "ridge", "product", "worst / ridge", "all beat persistence", "fit")
    return Result(
        "Test RMSE x 1000 over the seeds", "every seed below persistence, at most ridge + 1 %", headings, rows, measured
    )


def search(scope: Scope, real: Sequence[str]) -> Result:
    """The xgb search."""
    rows, measured = [], []
    for size in scope.sizes:
        machine = simulated(size)
        found = interleaved(
            scope.repeats,
            [
                ("search-reference", {"machine": machine, "jobs": -1, "threads": 1}),
                ("search-reference", {"machine": machine, "jobs": 1, "threads": -1}),
                ("search-product", {"machine": machine}),
            ],
        )
        measured += [each for group in found.values() for each in group]
        times = [median(found[place], "search_seconds") for place in range(3)]
        answers = [found[place][0].values for place in (0, 2)]
        rows.append(
            (
                f"{size:,}",
                *(f"{time:.1f} s" for time in times),
                f"{times[2] / min(times[:2]):.0%}",
                "yes" if answers[0] == {**answers[1], "search_seconds": answers[0]["search_seconds"]} else "NO",
            )
        )
    headings = ("rows", "grid, jobs", "grid, threads", "product", "of the faster", "same winner and scores")
    return Result("XGBoost search", "at most 45 % of the faster setting, same winner", headings, rows, measured)


def long(scope: Scope, real: Sequence[str]) -> Result:
    """Speed and memory on a history that is too long to train the reference on to its end."""
    if scope.long_rows is None:
        return Result("Long history", "", (), (), ())
    arguments = {"machine": simulated(scope.long_rows)}
    variants: dict[str, tuple[str, Mapping[str, Any]]] = {
        "reference": ("gru-long-reference", arguments),
        "reference, autotune off": ("gru-long-reference", {**arguments, "autotune": False}),
        "product": ("gru-long-product", arguments),
    }
    found = interleaved(1, list(variants.values()))
    measured = [found[place][0] for place in range(len(variants))]
    best = max(each.values["targets_per_second"] for each in measured[:2])
    rows = [
        (
            name,
            f"{each.values['windows_seconds']:.2f} s",
            f"{each.values['targets_per_second']:,.0f}",
            f"{each.values['targets_per_second'] / best:.1f} x",
            f"{each.peak_megabytes / 1000:.1f} GB",
        )
        for name, each in zip(variants, measured, strict=True)
    ]
    headings = ("", "making windows", "targets a second", "to the faster reference", "peak memory")
    return Result(f"Training on {scope.long_rows:,} rows", "no goal of its own", headings, rows, measured)


def memory(scope: Scope, real: Sequence[str]) -> Result:
    """Peak memory of preparing and training on a long history."""
    if scope.memory_rows is None:
        return Result("Memory", "", (), (), ())
    arguments = {"machine": simulated(scope.memory_rows), "seed": 1, "epochs": 2}
    found = interleaved(1, [("gru-product", arguments)])[0]
    rows = [(f"{scope.memory_rows:,}", f"{found[0].peak_megabytes / 1000:.2f} GB", f"{found[0].seconds:.0f} s")]
    return Result("Memory of a gru", "at most 2.5 GB", ("rows", "peak", "whole process"), rows, found)


def whole(scope: Scope, real: Sequence[str]) -> Result:
    """From process start to registered model."""
    machine = simulated(max(scope.sizes))
    found = interleaved(
        1,
        [
            ("whole-reference", {"machine": machine, "seed": 1, "epochs": scope.reference_epochs}),
            ("whole-product", {"machine": machine, "seed": 1, **scope.product_settings}),
        ],
    )
    reference, product = found[0][0], found[1][0]
    rows = [
        (
            f"{max(scope.sizes):,}",
            f"{reference.seconds:.0f} s",
            f"{product.seconds:.0f} s",
            f"1/{reference.seconds / product.seconds:.1f}",
            f"{reference.values['rmse'] * 1000:.2f}",
            f"{product.values['rmse'] * 1000:.2f}",
        )
    ]
    headings = ("rows", "reference", "product", "ratio", "reference RMSE x 1000", "product RMSE x 1000")
    return Result("A whole gru run", "at most 1/8", headings, rows, [reference, product])


TABLES: Mapping[str, Callable[[Scope, Sequence[str]], Result]] = {
    "load": load,
    "same-arithmetic": same_arithmetic,
    "reached": reached,
    "accuracy": accuracy,
    "search": search,
    "long": long,
    "memory": memory,
    "whole": whole,
}


def _first(measurement: Measurement, wanted: float) -> float | None:
    """Seconds until a validation error was reached; None if it never was."""
    curve: Sequence[Any] = measurement.values["curve"]
    return next((seconds for seconds, rmse in curve if rmse <= wanted), None)
