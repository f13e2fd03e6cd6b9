"""Goals: measured values beside their bounds, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One measured value and its goal.

    Attributes:
        quantity: What was measured.
        goal: The goal in words, without the quantity.
        value: The measured value; None when it was not reached, which misses every goal.
        met: Whether the value meets the goal.
    """

    quantity: str
    goal: str
    value: float | bool | None
    met: bool


def at_most(quantity: str, value: float | None, bound: float, unit: str = "") -> Check:
    """A value that must not exceed a bound; both are in ``unit``."""
    return Check(quantity, f"at most {bound:.5g}{unit}", value, value is not None and value <= bound)


def at_least(quantity: str, value: float | None, bound: float, unit: str = "") -> Check:
    """A value that must reach a bound; both are in ``unit``."""
    return Check(quantity, f"at least {bound:.5g}{unit}", value, value is not None and value >= bound)


def holds(quantity: str, fact: bool) -> Check:
    """A statement that must be true."""
    return Check(quantity, "yes", fact, fact)


def goals(checks: Sequence[Check]) -> str:
    """The goals of one row in words; "none" without a goal."""
    return ", ".join(f"{check.quantity} {check.goal}" for check in checks) or "none"


def verdict(checks: Sequence[Check]) -> str:
    """``met``, or ``missed`` with the quantities that miss their goals; empty without a goal."""
    missed = [check.quantity for check in checks if not check.met]
    if missed:
        return f"missed: {', '.join(missed)}"
    return "met" if checks else ""
