"""The versions of the libraries that trained a model, for readers of pickles and .h5 files."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from platform import python_version


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of python, this program and the named distributions, or of their builds without a GPU.

    Args:
        names: Distributions, such as ``xgboost``; one that is not installed is left out.
    """
    found = {"python": python_version()}
    for name in ("trainingjob-trainer", "numpy", "scikit-learn", *names):
        for distribution in (name, f"{name}-cpu"):
            try:
                found[name] = version(distribution)
                break
            except PackageNotFoundError:
                continue
    return found
