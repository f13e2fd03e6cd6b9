"""The next commands to try on a cluster that stays up."""

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster.clusters import Cluster

AFTER_DEPLOYMENT = (
    "kubectl apply -f manifests/samples/gru.yaml",
    "kubectl get tj -w",
    "kubectl describe tj motobomba-007-health",
)


def after_training(name: str) -> Sequence[str]:
    """Commands to try on a TrainingJob that has ended."""
    return (
        "kubectl get tj -o wide",
        f"kubectl describe tj {name}",
        f"kubectl annotate tj {name} training.pumphealth.io/retrain-requested-at=$(date -Is) --overwrite",
    )


def exports(cluster: Cluster) -> list[str]:
    """Shell commands that configure kubectl for the cluster."""
    lines = [f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}"]
    if shutil.which("kubectl") is None:
        lines.append(f"export PATH={shlex.quote(str(Path(cluster.kubectl).parent))}:$PATH")
    return lines


def told(commands: Sequence[str]) -> str:
    """The commands to try and how to end the cluster, as text."""
    return "\n".join(["Then try:", *(f"  {each}" for each in commands), "To stop the cluster: make cluster-down"])
