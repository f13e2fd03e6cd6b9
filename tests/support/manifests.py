"""The manifests as kustomize renders them, alone and combined as in an overlay."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cluster.clusters import Cluster

MANIFESTS = Path(__file__).parents[2] / "manifests"
BASE = MANIFESTS / "base"
COMPONENTS = MANIFESTS / "components"


def render(cluster: Cluster, kustomization: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization."""
    return parse(cluster.run_kubectl("kustomize", str(kustomization)))


def parse(text: str) -> list[dict[str, Any]]:
    """The objects of a YAML file; the CRDs take seconds without the parser in C."""
    return list(yaml.load_all(text, yaml.CSafeLoader))


def as_list(documents: Sequence[dict[str, Any]]) -> str:
    """The objects as one object, for kubectl."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})


def compose(folder: Path, resources: Sequence[Path], components: Sequence[Path] = (), **fields: Any) -> Path:
    """Writes a kustomization into a folder, and returns the folder."""
    parts = {"resources": resources, "components": components}
    relative = {kind: [os.path.relpath(path, folder) for path in paths] for kind, paths in parts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({**relative, **fields}))
    return folder


def training_namespace(folder: Path, namespace: str, *components: str) -> Path:
    """Writes the kustomization of a namespace with TrainingJobs, with components of manifests/components."""
    folder.mkdir(parents=True, exist_ok=True)
    resource = folder / "namespace.yaml"
    resource.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))
    return compose(folder, [resource], [COMPONENTS / name for name in components], namespace=namespace)


def one(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    """The only object of a kind whose name matches a pattern."""
    (found,) = [
        document
        for document in documents
        if document["kind"] == kind and re.fullmatch(name, document["metadata"]["name"])
    ]
    return found
