"""`python -m cluster`: the local cluster on the command line."""

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Mapping

from cluster import background
from cluster.bed import Bed
from cluster.clusters import ClusterUnavailableError
from cluster.existing import variables
from cluster.images import GPU_TARGETS, build_images
from cluster.interruption import end_in_order
from cluster.programs import ProgramError


def _up() -> None:
    bed = background.up(lambda line: print(line, file=sys.stderr))
    print(f"export KUBECONFIG={shlex.quote(str(bed.cluster.kubeconfig))}")


def _environment() -> None:
    bed = _running()
    values = {"USE_EXISTING_CLUSTER": "true", "KUBECONFIG": str(bed.cluster.kubeconfig), **variables(bed)}
    for name, value in values.items():
        print(f"export {name}={shlex.quote(value)}")


def _running() -> Bed:
    bed = background.running()
    if bed is None:
        sys.exit("no local cluster is running; `make cluster-up` starts one")
    return bed


def _status() -> None:
    bed = _running()
    print(f"export KUBECONFIG={shlex.quote(str(bed.cluster.kubeconfig))}")
    print(f"PostgreSQL {bed.postgres_server.host}:{bed.postgres_server.port}, S3 http://{bed.object_store.endpoint}")
    print(bed.cluster.run_kubectl("get", "nodes,pods", "--all-namespaces"), end="")


_COMMANDS: Mapping[str, tuple[Callable[[], object], str]] = {
    "up": (
        _up,
        "start it in the background and print the KUBECONFIG to export; load the current images if it runs already",
    ),
    "down": (background.down, "stop it and remove everything that it created"),
    "status": (_status, "show its nodes, pods and servers"),
    "environment": (_environment, "print the variables for tests that use it as an existing cluster"),
    "image": (build_images, "build the images of operator and trainer"),
    "image-gpu": (lambda: build_images(GPU_TARGETS), "build the image of the trainer for GPUs"),
    "hold": (background.hold, "run it in the foreground until SIGTERM"),
}


def main() -> None:
    """Runs the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m cluster", description="The local Kubernetes, PostgreSQL and S3.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, purpose) in _COMMANDS.items():
        commands.add_parser(name, help=purpose)
    logging.basicConfig(format="==> %(message)s", stream=sys.stderr)
    logging.getLogger("cluster").setLevel(logging.INFO)
    end_in_order()
    run, _ = _COMMANDS[parser.parse_args().command]
    try:
        run()
    except (ClusterUnavailableError, ProgramError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
