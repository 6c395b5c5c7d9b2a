"""deploy/kubernetes: the settings of recorder, agent and gateway fit to each other and to their pods."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml
from kustomize import build, containers
from manifests import DEPLOY, all_of, container_of, file_at, named, pods, settings_of, variables, volume_at
from servers.gateway_config import read_node

from replicator.apisix.gateway_config import standalone_config
from replicator.core.quantities import parse_size
from replicator.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from kustomize import Manifest
    from servers.lua import Lyaml

    from replicator.config import Settings


def test_the_recorder_has_what_its_settings_name(manifests: list[Manifest], tmp_path: Path) -> None:
    settings = settings_of("replicator", manifests, tmp_path)
    pod = pods(manifests)["replicator"]
    (container,) = all_of(pod)
    assert settings.capture.spool is not None
    spool, _ = volume_at(settings.capture.spool, pod, container)
    limit = parse_size(spool["emptyDir"]["sizeLimit"] + "B")
    assert limit >= 2 * settings.capture.spool_max_bytes
    assert settings.metrics.listen is not None
    (port,) = container["ports"]
    assert (port["name"], port["containerPort"]) == ("metrics", settings.metrics.listen.port)
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    _has_certificates(settings, pod, container)


def test_the_agent_has_what_its_settings_name(manifests: list[Manifest], tmp_path: Path) -> None:
    settings = settings_of("gateway", manifests, tmp_path)
    pod = pods(manifests)["gateway"]
    prepare, gateway, agent = (container_of(pod, name) for name in ("prepare", "gateway", "agent"))
    for container in (prepare, agent):
        _has_certificates(settings, pod, container)
        assert variables(container, manifests) == variables(agent, manifests)
        for path in (settings.agent.home, settings.agent.config_file, settings.agent.resource_file):
            assert "emptyDir" in volume_at(path, pod, container)[0]
    shared = volume_at(settings.agent.config_file, pod, agent)
    assert shared == volume_at(settings.agent.config_file, pod, gateway)
    script, folder, patience_s = settings.agent.reload
    assert file_at(script, pod, agent, manifests)
    assert volume_at(folder, pod, agent) == volume_at(folder, pod, gateway) == (shared[0], ".")
    assert int(patience_s) < settings.agent.reload_timeout.total_seconds()
    (port,) = agent["ports"]
    assert settings.metrics.listen is not None
    assert (port["name"], port["containerPort"]) == ("metrics", settings.metrics.listen.port)


def _has_certificates(settings: Settings, pod: Manifest, container: Manifest) -> None:
    files = (settings.etcd.cacert, settings.etcd.cert, settings.etcd.key)
    found = [volume_at(str(file), pod, container) for file in files]
    assert [name for _, name in found] == ["ca.crt", "tls.crt", "tls.key"]
    assert all(volume["secret"]["defaultMode"] == 0o440 for volume, _ in found)


def test_recorder_agent_and_gateway_mean_the_same_etcd_and_archive(
    manifests: list[Manifest], tmp_path: Path
) -> None:
    recorder, agent = (settings_of(name, manifests, tmp_path) for name in ("replicator", "gateway"))
    config = named(manifests, "ConfigMap")["gateway-config"]["data"]["config.yaml"]
    etcd = yaml.safe_load(config)["deployment"]["etcd"]

    assert recorder.archive == agent.archive is not None
    assert (recorder.s3, recorder.etcd.prefix) == (agent.s3, agent.etcd.prefix)
    assert list(recorder.etcd.endpoints) == list(agent.etcd.endpoints) == etcd["host"]
    assert agent.etcd.prefix == etcd["prefix"]
    assert (etcd["tls"]["cert"], etcd["tls"]["key"]) == (agent.etcd.cert, agent.etcd.key)


def test_the_gateways_config_can_be_turned(manifests: list[Manifest], tmp_path: Path, lyaml: Lyaml) -> None:
    settings = settings_of("gateway", manifests, tmp_path)
    pod = pods(manifests)["gateway"]
    gateway, conf = container_of(pod, "gateway"), container_of(pod, "conf")
    _, _, config_file, folder = conf["command"]
    config = file_at(config_file, pod, conf, manifests)
    node, turned = (
        read_node(text, lyaml, {})
        for text in (config.encode(), standalone_config(config.encode(), None, "yaml"))
    )
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}

    shared, _ = volume_at(settings.agent.config_file, pod, gateway)
    assert volume_at(folder, pod, conf) == (shared, ".")
    assert (node.provider, turned.provider, turned.role) == ("etcd", "yaml", "data_plane")
    assert (node.listen, node.status) == (ports["http"], ports["status"])
    assert settings.agent.ready is not None
    ready = urlsplit(settings.agent.ready)
    assert (ready.port, ready.path) == (node.status, gateway["readinessProbe"]["httpGet"]["path"])
    assert yaml.safe_load(config)["apisix"]["status"]["ip"] == "0.0.0.0"  # noqa: S104 (Kubernetes asks it)


def test_images_are_of_this_version(manifests: list[Manifest], tmp_path: Path) -> None:
    settings = settings_of("gateway", manifests, tmp_path)
    images = {one["image"].split("/")[-1] for one in containers(manifests)}

    assert images == {f"replicator:{__version__}", f"apisix:{settings.apisix.version}.0-debian"}


def test_with_keys_each_container_has_those_of_its_secret(tmp_path: Path) -> None:
    manifests = build(DEPLOY / "overlays/s3-keys")
    found = {
        container["name"]: {
            one["name"]: one["valueFrom"]["secretKeyRef"]
            for one in container.get("env", [])
            if one["name"].startswith("AWS_")
        }
        for container in containers(manifests)
    }
    expected = {
        secret: {
            name: {"name": secret, "key": name} for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        }
        for secret in ("archive-reader", "archive-writer")
    }

    assert {name: keys for name, keys in found.items() if keys} == {
        "replicator": expected["archive-writer"],
        "prepare": expected["archive-reader"],
        "agent": expected["archive-reader"],
    }
    settings = settings_of("replicator", manifests, tmp_path)
    assert (settings.s3.endpoint, settings.s3.use_path_style) == ("https://minio.storage.svc:9000", True)
