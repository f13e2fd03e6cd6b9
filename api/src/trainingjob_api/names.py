"""Names that operator and trainer share: the API, labels, annotations, and the trainer's pod."""

from typing import Literal, get_args

ApiVersion = Literal["training.pumphealth.io/v1alpha1"]
Kind = Literal["TrainingJob"]
FleetKind = Literal["TrainingFleet"]
API_VERSION: str = get_args(ApiVersion)[0]
GROUP, VERSION = API_VERSION.split("/")
KIND: str = get_args(Kind)[0]
FLEET_KIND: str = get_args(FleetKind)[0]

RETRAIN_ANNOTATION = f"{GROUP}/retrain-requested-at"
RETRY_FAILED_ANNOTATION = f"{GROUP}/retry-failed-requested-at"
LABEL_KIND = f"{GROUP}/kind"
"""Kind of the parent of a Job or pod; absent: TrainingJob."""
LABEL_NAME = f"{GROUP}/name"
LABEL_UID = f"{GROUP}/uid"
LABEL_RUN = f"{GROUP}/run"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_MODEL = f"{GROUP}/model"
LABEL_ATTEMPT_HASH = f"{GROUP}/attempt-hash"

CONTAINER = "trainer"
TRAINING_JOB_VARIABLE = "TRAINING_JOB"
"""Environment variable that holds a ``TrainingRun`` as JSON."""
TRAINING_FLEET_VARIABLE = "TRAINING_FLEET"
"""Environment variable that holds a ``FleetRun`` as JSON."""
THREADS_VARIABLE = "TRAINER_THREADS"
"""Environment variable with the number of CPU threads to use."""
CACHE_VARIABLE = "TRAINER_CACHE_DIR"
"""Environment variable with the folder for compiled programs, which several trainers may share; absent: no cache."""
METRICS_PORT = 8080
"""Port of the trainer's Prometheus metrics."""
TERMINATION_LOG = "/dev/termination-log"
"""File of the termination message in the container."""
