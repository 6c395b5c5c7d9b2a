"""The Helm chart of deploy/helm, rendered by Helm itself: no cluster is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from servers.etcd import ROOT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from kustomize import Manifest

CHART = ROOT / "deploy/helm/replicator"
ARCHIVE = "s3://my-bucket/gateway"


def helm() -> ModuleType:
    """Return Helm; skip the test on a platform that there is no wheel of it for."""
    return pytest.importorskip("helm_python")


def values(**given: Any) -> dict[str, Any]:
    """Return *given*, with an archive, which has no default."""
    return {**given, "config": {"archive": ARCHIVE, **given.get("config", {})}}


def texts(given: dict[str, Any], name: str = "replicator", chart: Path = CHART) -> dict[str, str]:
    """Return what each template gives for a release called *name*, in the namespace `apisix`."""
    with helm().Chart.load(chart) as loaded:
        return loaded.render(given, name=name, namespace="apisix")


def rendered(given: dict[str, Any], name: str = "replicator", chart: Path = CHART) -> list[Manifest]:
    """Return the same, as manifests."""
    found = (text for path, text in sorted(texts(given, name, chart).items()) if path.endswith(".yaml"))
    return [manifest for text in found for manifest in yaml.safe_load_all(text) if manifest]


def as_base() -> list[Manifest]:
    """Return the manifests for the values of deploy/kubernetes/base, named as they are there."""
    manifests = rendered(values(gateway={"enabled": True}, service={"enabled": False}))
    return _renamed(manifests)


def _renamed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _renamed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part) for part in value]
    is_name = isinstance(value, str) and value.startswith("replicator-gateway")
    return value.removeprefix("replicator-") if is_name else value
