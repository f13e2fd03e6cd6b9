"""A reader of gru models that knows the contract and nothing of the trainer: bucket_address in, score out.

Called with the folder of a bucket and files of JSON, each with ``bucket_address``, ``features_used`` and the last
``rows`` of telemetry by column; prints a JSON list of scores. Runs in environments older and newer than the trainer's.
"""

import json
import pickle
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd


def main(bucket, requests):
    """Prints the score that each requested model predicts."""
    scores = []
    for path in requests:
        request = json.loads(Path(path).read_text())
        address = request["bucket_address"]
        model = keras.models.load_model(bucket / address)
        scaler = pickle.loads((bucket / address.replace("weights", "scaler").replace(".h5", ".pkl")).read_bytes())
        rows = pd.DataFrame(request["rows"])[request["features_used"]]
        score = float(np.asarray(model.predict(scaler.transform(rows)[None], verbose=0)).reshape(-1)[0])
        # Readers may also build the network themselves and load the weights.
        model.set_weights([np.zeros_like(values) for values in model.get_weights()])
        model.load_weights(bucket / address)
        again = float(np.asarray(model.predict(scaler.transform(rows)[None], verbose=0)).reshape(-1)[0])
        scores.append([score, again])
    sys.stdout.write("scores:" + json.dumps(scores))


main(Path(sys.argv[1]), sys.argv[2:])
