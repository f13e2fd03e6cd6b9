"""``make cluster-up``: a Kubernetes that stays up, with the operator, its Secrets and telemetry for the samples."""

import logging
import sys
from contextlib import redirect_stdout

from cluster import background
from cluster.clusters import ClusterUnavailableError
from cluster.interruption import end_in_order
from cluster.programs import ProgramError
from demo.deployment import deploy_operator, select_namespace
from demo.next_steps import AFTER_DEPLOYMENT, exports, told
from demo.telemetry import database_of, fill, sample_jobs


def main() -> None:
    """Starts the cluster, or loads the current images into a running one. Standard output is for the shell."""
    with redirect_stdout(sys.stderr):
        was_running = background.running() is not None
        bed = background.up(print)
        database = database_of(bed.postgres_server)
        fill(database, bed.object_store, sample_jobs())
        deploy_operator(bed.cluster, database, bed.object_store, restart=was_running)
        select_namespace(bed.cluster)
    for line in exports(bed.cluster):
        sys.stdout.write(f"{line}\n")
    sys.stderr.write(f"{told(AFTER_DEPLOYMENT)}\n")


if __name__ == "__main__":
    logging.basicConfig(format="==> %(message)s", stream=sys.stderr)
    logging.getLogger("cluster").setLevel(logging.INFO)
    end_in_order()
    try:
        main()
    except (ClusterUnavailableError, ProgramError) as error:
        sys.exit(f"error: {error}")
