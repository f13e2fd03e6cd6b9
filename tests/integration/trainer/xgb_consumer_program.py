"""A reader of xgb models that knows the contract and nothing of the trainer: rows of telemetry in, probabilities out.

Called with the pickled classifier and a JSON file of rows by column; prints a JSON list of probabilities. Runs in
environments older and newer than the trainer's.
"""

import json
import pickle
import sys
from pathlib import Path

import pandas as pd


def main(model, rows):
    """Prints the probability of a failure for each row."""
    classifier = pickle.loads(model.read_bytes())
    telemetry = pd.DataFrame(json.loads(rows.read_text()), dtype="float32")[list(classifier.feature_names_in_)]
    probabilities = [float(value) for value in classifier.predict_proba(telemetry)[:, 1]]
    sys.stdout.write("probabilities:" + json.dumps(probabilities))


main(Path(sys.argv[1]), Path(sys.argv[2]))
