"""Options of pytest that select seed and length of the tests under faults."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options."""
    parser.addoption("--chaos", choices=("short", "long"), default="short", help="length of the tests under faults")
    parser.addoption("--chaos-seed", type=int, default=1, help="seed of the faults; the output names it")
