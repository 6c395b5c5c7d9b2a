"""What `kubectl kustomize` would build, as far as deploy/kubernetes needs it; all else is refused.

Generated names get no hash. A test compares this with kubectl itself, where there is one.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    Manifest = dict[str, Any]

_KNOWN = {"apiVersion", "kind", "namespace", "resources", "images", "configMapGenerator", "patches"}
_TYPE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def build(folder: Path) -> list[Manifest]:
    """Return the manifests of the kustomization in *folder*; an AssertionError says what is wrong with it."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert told.keys() <= _KNOWN, f"{folder}: {told.keys() - _KNOWN}"
    assert told.items() >= _TYPE.items(), folder
    manifests = [manifest for name in told.get("resources", []) for manifest in _resource(folder, name)]
    for generator in told.get("configMapGenerator", []):
        _generate(folder, generator, manifests)
    for patch in told.get("patches", []):
        _patch(folder, patch, manifests)
    for manifest in manifests:
        if "namespace" in told:
            manifest["metadata"]["namespace"] = told["namespace"]
    for image in told.get("images", []):
        _rename(image, manifests)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(set(names)) == len(names), f"{folder}: one is there twice: {names}"
    return manifests


def containers(manifests: list[Manifest]) -> list[Manifest]:
    """Return all containers, those of the set-up first."""
    pods = [
        manifest["spec"]["template"]["spec"] for manifest in manifests if manifest["kind"] == "Deployment"
    ]
    return [one for pod in pods for one in (*pod.get("initContainers", []), *pod["containers"])]


def _resource(folder: Path, name: str) -> list[Manifest]:
    path = folder / name
    if path.is_dir():
        return build(path.resolve())
    assert path.resolve().is_relative_to(folder), f"{name} is outside of {folder}, which kustomize refuses"
    return list(yaml.safe_load_all(path.read_text()))


def _generate(folder: Path, generator: Manifest, manifests: list[Manifest]) -> None:
    assert generator.keys() <= {"name", "behavior", "files", "literals"}, generator
    data = dict(literal.split("=", 1) for literal in generator.get("literals", []))
    for name in generator.get("files", []):
        path = (folder / name).resolve()
        assert path.is_relative_to(folder), f"{name} is outside of {folder}, which kustomize refuses"
        data[path.name] = path.read_text()
    if generator.get("behavior", "create") == "create":
        metadata = {"name": generator["name"]}
        manifests.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
        return
    assert generator["behavior"] == "merge", generator
    _find(manifests, {"kind": "ConfigMap", "metadata": generator})["data"].update(data)


def _patch(folder: Path, patch: Manifest, manifests: list[Manifest]) -> None:
    assert patch.keys() in ({"path"}, {"patch"}), patch
    change = yaml.safe_load(patch.get("patch") or (folder / patch["path"]).read_text())
    target = _find(manifests, change)
    manifests[manifests.index(target)] = _merged(target, change)


def _find(manifests: list[Manifest], sought: Manifest) -> Manifest:
    kind, name = sought["kind"], sought["metadata"]["name"]
    found = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name} is there {len(found)} times"
    return found[0]


def _merged(base: Any, change: Any) -> Any:
    """Merge as a strategic merge patch does: lists by name, in which what the patch names comes first."""
    if isinstance(base, dict) and isinstance(change, dict):
        return base | {name: _merged(base.get(name), value) for name, value in change.items()}
    if not (isinstance(base, list) and isinstance(change, list)):
        return copy.deepcopy(change)
    theirs, ours = ({item["name"]: item for item in items} for items in (base, change))
    merged = {name: _merged(theirs.get(name), item) for name, item in ours.items()}
    return [*merged.values(), *(item for name, item in theirs.items() if name not in ours)]


def _rename(image: Manifest, manifests: list[Manifest]) -> None:
    assert image.keys() == {"name", "newName"}, image
    found = [one for one in containers(manifests) if one["image"].split(":")[0] == image["name"]]
    assert found, f"no container has the image {image['name']}"
    for container in found:
        container["image"] = container["image"].replace(image["name"], image["newName"], 1)
