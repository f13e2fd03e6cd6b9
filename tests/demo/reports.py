"""The reports of the models, saved where a person can open them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from cluster.object_store import ObjectStore
from demo.telemetry import BUCKET

FOLDER = Path(__file__).parents[2] / "build" / "demo"
_REPORT = "/report.html"


def stored_reports(store: ObjectStore) -> set[str]:
    """The keys of the reports in the bucket."""
    entries = store.client().list_objects(BUCKET, recursive=True)
    return {entry.object_name for entry in entries if entry.object_name and entry.object_name.endswith(_REPORT)}


def save_reports(store: ObjectStore, keys: Mapping[str, str], folder: Path = FOLDER) -> list[Path]:
    """Saves reports in place of those of an earlier demonstration.

    Args:
        store: Where they are.
        keys: Name of the TrainingJob or TrainingFleet to the key of its report.
        folder: Where to save them; emptied first.

    Returns:
        The files, named after the objects.
    """
    shutil.rmtree(folder, ignore_errors=True)
    files = {folder / f"{name}.html": key for name, key in sorted(keys.items())}
    for file, key in files.items():
        store.client().fget_object(BUCKET, key, str(file))
    return list(files)
