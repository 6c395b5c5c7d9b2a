"""What the manifests of deploy/kubernetes say: of pods, containers, and the files and settings in them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import kubernetes_validate
from servers.etcd import ROOT

from replicator.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from kustomize import Manifest

    from replicator.config import Settings

DEPLOY = ROOT / "deploy/kubernetes"
TREES = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
WHOLE = [DEPLOY / "base", *sorted((DEPLOY / "overlays").iterdir())]
# The oldest version that the manifests are for, and the newest whose schemas there are.
VERSIONS = ("1.29", kubernetes_validate.latest_version())
NAMED = {"replicator": "/etc/replicator/replicator.yaml", "gateway": "/etc/replicator/agent.yaml"}


def name_of(folder: Path) -> str:
    return str(folder.relative_to(DEPLOY))


def named(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Return the manifests of a kind by their names."""
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return the pods that the Deployments make, by the Deployments' names."""
    return {name: one["spec"]["template"] for name, one in named(manifests, "Deployment").items()}


def variables(container: Manifest, manifests: list[Manifest]) -> dict[str, str]:
    """Return a container's environment; what comes from a Secret is "secret"."""
    maps = named(manifests, "ConfigMap")
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= maps[source["configMapRef"]["name"]]["data"]
    return found | {one["name"]: one.get("value", "secret") for one in container.get("env", [])}


def mounted(pod: Manifest, container: Manifest) -> dict[PurePosixPath, Manifest]:
    """Return the volumes that a container sees, by path."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    return {PurePosixPath(one["mountPath"]): volumes[one["name"]] for one in container["volumeMounts"]}


def volume_at(path: str, pod: Manifest, container: Manifest) -> tuple[Manifest, str]:
    """Return the volume that holds *path* in a container, and the path within it."""
    for place, volume in mounted(pod, container).items():
        if PurePosixPath(path).is_relative_to(place):
            return volume, str(PurePosixPath(path).relative_to(place))
    raise AssertionError(f"{container['name']} has no volume at {path}")


def file_at(path: str, pod: Manifest, container: Manifest, manifests: list[Manifest]) -> str:
    """Return what the file at *path* in a container holds, which must come from a ConfigMap."""
    volume, name = volume_at(path, pod, container)
    return named(manifests, "ConfigMap")[volume["configMap"]["name"]]["data"][name]


def container_of(pod: Manifest, name: str) -> Manifest:
    (found,) = [one for one in all_of(pod) if one["name"] == name]
    return found


def all_of(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def settings_of(name: str, manifests: list[Manifest], folder: Path) -> Settings:
    """Return what replicator's own loader makes of the settings in a pod."""
    pod = pods(manifests)[name]
    container = container_of(pod, {"replicator": "replicator", "gateway": "agent"}[name])
    path = folder / "settings.yaml"
    path.write_text(file_at(NAMED[name], pod, container, manifests))
    return load(path, variables(container, manifests))
