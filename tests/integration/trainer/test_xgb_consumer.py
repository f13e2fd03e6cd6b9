"""Programs that know only the contract with readers get the same probabilities, with old and new libraries."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster import cache
from support.failure_rows import SPEC, prepared_rows
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.model import train_xgboost

PROGRAM = Path(__file__).with_name("xgb_consumer_program.py")
OLDEST_READER = ("xgboost-cpu==2.1.1", "numpy==1.26.4", "scikit-learn==1.3.2", "pandas==2.1.4")
"""The oldest XGBoost build without GPU; its file format had another form of the base score."""


@dataclass(frozen=True)
class Published:
    """A model on disk, rows of telemetry, and the expected probabilities."""

    model: Path
    rows: Path
    probabilities: list[float]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    folder = tmp_path_factory.mktemp("models")
    dataset = prepared_rows()
    trained = train_xgboost(dataset, SPEC, SilentReporter(), Device("CPU", 1))
    (content,) = (file.content for file in trained.files if file.role == "model")
    (folder / "model.pkl").write_bytes(content)
    test = dataset.frame.iloc[dataset.test_start :][list(reversed(dataset.features))]
    columns = {name: [None if math.isnan(value) else float(value) for value in test[name]] for name in test}
    (folder / "rows.json").write_text(json.dumps(columns))
    return Published(folder / "model.pkl", folder / "rows.json", trained.report["probability"].tolist())


def read(python: Path, published: Published) -> list[float]:
    command = [python, PROGRAM, published.model, published.rows]
    done = subprocess.run(command, env={}, cwd=published.model.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("probabilities:")[2])


def test_the_newest_reader_predicts_the_same_probabilities(published: Published) -> None:
    assert read(Path(sys.executable), published) == pytest.approx(published.probabilities, abs=1e-6)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the oldest reader needs Python 3.11 or older")
def test_the_oldest_reader_predicts_the_same_probabilities(published: Published) -> None:
    folder = cache.folder("reader", cache.digest(OLDEST_READER), install_oldest_reader, lambda: None)
    assert read(folder / "bin" / "python", published) == pytest.approx(published.probabilities, abs=1e-6)


def install_oldest_reader(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-cache-dir", *OLDEST_READER], check=True)
