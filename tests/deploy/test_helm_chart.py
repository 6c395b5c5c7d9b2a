"""deploy/helm: by default the Kustomize base; what is in it twice is the same; what it says can be done."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from charts import CHART, as_base, helm, rendered, texts, values
from kustomize import build
from manifests import DEPLOY, all_of, named, pods, settings_of
from servers.etcd import ROOT

from replicator.cli.app import COMMANDS
from replicator.cli.app import replicator as program
from replicator.config.schema import put_into
from replicator.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from kustomize import Manifest

SCHEMA = (CHART / "values.schema.json").read_text()
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def test_the_defaults_are_the_kustomize_base(tmp_path: Path) -> None:
    """But for labels, images' pull policy, and the ConfigMap in which the base keeps the archive's place."""
    theirs, ours = build(DEPLOY / "base"), as_base()
    for name in ("replicator", "gateway"):
        assert settings_of(name, ours, tmp_path) == settings_of(name, theirs, tmp_path)
        assert _substance(ours, name) == _substance(theirs, name)
    maps, base = named(ours, "ConfigMap"), named(theirs, "ConfigMap")
    assert maps.keys() == base.keys() - {"archive"}
    assert maps["gateway-scripts"]["data"] == base["gateway-scripts"]["data"]
    config, expected = (yaml.safe_load(one["gateway-config"]["data"]["config.yaml"]) for one in (maps, base))
    assert config == expected
    for kind in ("ServiceAccount", "PodDisruptionBudget"):
        assert _plain(named(ours, kind)) == _plain(named(theirs, kind))
    (service,), (expected,) = (named(one, "Service").values() for one in (ours, theirs))
    assert service["spec"].pop("type") == "ClusterIP"  # Kubernetes' own default
    assert _plain(service) == _plain(expected)


def _substance(manifests: list[Manifest], name: str) -> Any:
    """Return what a Deployment says, without what may be said in another way."""
    pods(manifests)[name]["metadata"]["annotations"].pop("checksum/settings", None)
    for container in all_of(pods(manifests)[name]):
        container.pop("envFrom", None)
        container.pop("imagePullPolicy", None)
        container["args"] = " ".join(container.get("args", [])).replace(" --log-level info", "")
    return _plain(named(manifests, "Deployment")[name])


def _plain(value: Any) -> Any:
    """Return *value* without what chooses pods: that they choose the right ones is tested elsewhere."""
    if isinstance(value, dict):
        dropped = ("labels", "matchLabels", "selector")
        return {name: _plain(part) for name, part in value.items() if name not in dropped}
    return [_plain(part) for part in value] if isinstance(value, list) else value


def test_what_is_there_twice_is_the_same() -> None:
    """Helm reads nothing outside of a chart, and not everyone who unpacks one keeps links."""
    folder = CHART / "files"
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    scripts = {f"scripts/{path.name}" for path in (DEPLOY / "scripts").glob("*.sh")}
    assert {str(name) for name in files} == {"alerts.yaml", *scripts}
    for name, path in files.items():
        origin = ROOT / "deploy/monitoring" / name if name.suffix == ".yaml" else DEPLOY / name
        assert path.read_bytes() == origin.read_bytes(), f"cp {origin} {path}"


def test_the_chart_is_of_this_version_and_its_schema_of_these_settings() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    remake = f"python -m replicator.config.schema {(CHART / 'values.schema.json').relative_to(ROOT)}"

    assert chart["appVersion"] == __version__
    assert put_into(SCHEMA) == SCHEMA, remake


def test_each_value_of_the_schema_has_a_default_to_read_and_no_object_is_open() -> None:
    """Those aside that documents of their own describe: settings, pods' parts, APISIX's config.yaml."""
    schema = json.loads(SCHEMA)
    without_default = {"global"}
    elsewhere = {"config", "podSecurityContext", "affinity", "apisix"}

    def check(told: Any, default: Any, path: str) -> None:
        if "$ref" in told:
            told = schema["definitions"][told["$ref"].rpartition("/")[2]]
        if told.get("type") != "object" or "properties" not in told:
            return
        assert told["additionalProperties"] is False, path
        assert told["properties"].keys() - without_default == default.keys(), path
        for name in default.keys() - elsewhere:
            check(told["properties"][name], default[name], f"{path}.{name}")

    check(schema, DEFAULTS, "")


def test_what_helm_packages_is_the_same_chart(tmp_path: Path) -> None:
    given = values(gateway={"enabled": True}, prometheusRule={"enabled": True})
    package = helm().package(CHART, destination=tmp_path)

    assert rendered(given, chart=package) == rendered(given)


def test_other_settings_are_other_pods() -> None:
    def checksums(**config: Any) -> list[str]:
        found = pods(rendered(values(gateway={"enabled": True}, config=config)))
        return [found[name]["metadata"]["annotations"]["checksum/settings"] for name in sorted(found)]

    recorder, gateway = checksums()
    assert checksums() == [recorder, gateway]
    changed = checksums(retention={"full": "31d"})
    assert (changed[0] != recorder, changed[1] == gateway) == (True, True)
    changed = checksums(etcd={"prefix": "/other"})
    assert (changed[0] != recorder, changed[1] != gateway) == (True, True)


def test_the_operators_parts_watch_the_pods_and_tell_the_alerts_of_the_runbook() -> None:
    parts = {"serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
    manifests = rendered(values(gateway={"enabled": True}, **parts))
    service = named(manifests, "Service")["replicator"]
    (rules,), (monitor,), (pod_monitor,) = (
        list(named(manifests, kind).values()) for kind in ("PrometheusRule", "ServiceMonitor", "PodMonitor")
    )
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    annotations = [pod["metadata"]["annotations"].keys() for pod in pods(manifests).values()]

    assert {one["apiVersion"] for one in (rules, monitor, pod_monitor)} == {"monitoring.coreos.com/v1"}
    assert rules["spec"] == yaml.safe_load((ROOT / "deploy/monitoring/alerts.yaml").read_text())
    assert service["metadata"]["labels"].items() >= monitor["spec"]["selector"]["matchLabels"].items()
    assert [port["name"] for port in service["spec"]["ports"]] == ["metrics"]
    chosen = pod_monitor["spec"]["selector"]["matchLabels"].items()
    assert [name for name in labels if labels[name].items() >= chosen] == ["replicator-gateway"]
    scraped = [{"port": "metrics", "interval": "30s"}]
    assert monitor["spec"]["endpoints"] == pod_monitor["spec"]["podMetricsEndpoints"] == scraped
    assert annotations == [{"checksum/settings"}] * 2


def test_each_service_chooses_its_own_pods() -> None:
    manifests = rendered(values(gateway={"enabled": True}))
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests).items()}
    chosen = {
        service: [name for name in labels if labels[name].items() >= one["spec"]["selector"].items()]
        for service, one in named(manifests, "Service").items()
    }

    assert chosen == {"replicator": ["replicator"], "replicator-gateway": ["replicator-gateway"]}


@pytest.mark.parametrize("name", ["replicator", "edge"])
def test_the_notes_say_what_can_be_done(name: str) -> None:
    given = values(gateway={"enabled": True}, secrets={"archiveKeys": "archive-writer"})
    told = texts(given, name)["replicator/templates/NOTES.txt"]
    found = pods(rendered(given, name))
    lines = [shlex.split(line) for line in told.splitlines() if line.startswith("  kubectl")]

    assert len(lines) == 5
    for words in lines:
        (deployment,) = [word.removeprefix("deploy/") for word in words if word.startswith("deploy/")]
        assert (words[:3], deployment in found) == (["kubectl", "-n", "apisix"], True)
        if "--" in words:
            _parse(words[words.index("--") + 2 :])
    assert "replicator-etcd-tls, archive-writer" in told
    assert "\n\n\n" not in told


def test_the_guides_values_are_some(tmp_path: Path) -> None:
    guide = (ROOT / "docs/guides/kubernetes.md").read_text()
    (given,) = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL))
    manifests = rendered(given)
    settings = settings_of("replicator", manifests, tmp_path)

    assert (str(settings.archive), settings.s3.region) == ("s3://my-bucket/gateway", "eu-central-1")
    assert {"PrometheusRule", "ServiceMonitor"} < {one["kind"] for one in manifests}
    assert (ROOT / re.findall(r"helm upgrade --install replicator (\S+)", guide)[0]) == CHART


def _parse(words: list[str]) -> None:
    place = next(place for place, word in enumerate(words) if word in COMMANDS)
    context = program.make_context("replicator", words[: place + 1])
    command = program.get_command(context, words[place])
    assert command is not None
    command.make_context(words[place], words[place + 1 :], parent=context)
