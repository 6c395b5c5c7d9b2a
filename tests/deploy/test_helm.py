"""deploy/helm: what Helm makes of values Kubernetes and replicator know; what can't be meant is refused.

The fixture `manifests` renders the chart as well: all that test_kubernetes.py holds of the base holds for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from charts import CHART, helm, rendered, texts, values
from every_setting import EVERYTHING
from manifests import VERSIONS, named

from replicator.config import load

if TYPE_CHECKING:
    from pathlib import Path

    from kustomize import Manifest

    from replicator.config import Settings

OPERATOR = {
    "PodMonitor",
    "PrometheusRule",
    "ServiceMonitor",
}  # of the operator: no schemas of Kubernetes' own
DIGEST = f"sha256:{'0' * 64}"
KEYS = [{"name": "key", "mountPath": "/keys", "readOnly": True}]

SETS: dict[str, dict[str, Any]] = {
    "the least": values(),
    "a gateway": values(gateway={"enabled": True}),
    "on AWS": values(
        config={
            "s3": {"region": "eu-central-1"},
            "etcd": {"endpoints": ["https://a:2379", "https://b:2379"]},
        },
        image={"repository": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/replicator", "digest": DIGEST},
        imagePullSecrets=[{"name": "registry"}],
        serviceAccount={
            "annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/replicator"}
        },
        gateway={"enabled": True, "serviceAccount": {"create": False, "name": "gateways"}},
    ),
    "with keys": values(
        config={"s3": {"endpoint": "https://minio.storage.svc:9000", "use_path_style": True}},
        secrets={"archiveKeys": "archive-writer"},
        gateway={"enabled": True, "secrets": {"archiveKeys": "archive-reader"}},
    ),
    "an etcd in plain": values(
        config={"etcd": {"endpoints": ["http://etcd:2379"], "username": "reader", "password": "${PASSWORD}"}},
        secrets={"etcdUser": ""},
        env=[{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "etcd", "key": "password"}}}],
        gateway={
            "enabled": True,
            "secrets": {"etcdUser": ""},
            "agentEnv": [{"name": "PASSWORD", "value": "of a test"}],
            "env": [{"name": "PASSWORD", "value": "of a test"}],
            "apisix": {"deployment": {"etcd": {"host": ["http://etcd:2379"], "password": "${{PASSWORD}}"}}},
        },
    ),
    "only a CA": values(config={"etcd": {"cacert": "/etc/etcd-tls/ca.crt"}}),
    "without a spool": values(config={"capture": None}, secrets={"etcdTls": "", "etcdUser": ""}),
    "watched": values(
        config={"metrics": {"listen": "[::]:9000"}},
        serviceMonitor={"enabled": True, "labels": {"release": "prometheus"}, "interval": "1m"},
        prometheusRule={"enabled": True, "labels": {"release": "prometheus"}},
        service={"annotations": {"example.org/team": "edge"}},
        gateway={"enabled": True, "service": {"type": "LoadBalancer", "annotations": {"a": "b"}}},
    ),
    "placed": values(
        nameOverride="recorder",
        config={"encryption": {"key_file": "/keys/archive.txt"}, "capture": {"spool_max_bytes": 1073741824}},
        replicas=1,
        logFormat="console",
        logLevel="debug",
        spool={"existingClaim": "spool"},
        nodeSelector={"disk": "ssd"},
        tolerations=[{"key": "edge", "operator": "Exists"}],
        affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        priorityClassName="system-cluster-critical",
        podSecurityContext={"runAsUser": None, "runAsGroup": None, "fsGroup": None},
        podAnnotations={"example.org/cost": "edge"},
        podLabels={"team": "edge"},
        extraVolumes=[{"name": "key", "secret": {"secretName": "archive-key", "defaultMode": 256}}],
        extraVolumeMounts=KEYS,
        envFrom=[{"configMapRef": {"name": "proxy"}}],
    ),
}
each_set = pytest.mark.parametrize("given", SETS.values(), ids=SETS)


@each_set
def test_helm_has_nothing_to_say_against_it(given: dict[str, Any]) -> None:
    report = helm().lint(CHART, given, strict=True)

    assert report["errors"] == []
    assert [told["error"] for told in report["messages"]] == ["icon is recommended"]


@each_set
@pytest.mark.parametrize("name", ["replicator", "edge", "123"])
def test_what_is_rendered_is_what_kubernetes_knows(given: dict[str, Any], name: str) -> None:
    manifests = rendered(given, name)
    assert len({(one["kind"], one["metadata"]["name"]) for one in manifests}) == len(manifests)
    for manifest in manifests:
        if manifest["kind"] not in OPERATOR:
            for version in VERSIONS:
                kubernetes_validate.validate(manifest, version, strict=True)
        labels = manifest["metadata"]["labels"]
        assert all(isinstance(value, str) and len(value) <= 63 for value in labels.values())


@each_set
def test_the_settings_are_those_of_the_values(given: dict[str, Any], tmp_path: Path) -> None:
    manifests = rendered(given)
    environ = {"PASSWORD": "of a test"}
    expected = _merged(yaml.safe_load((CHART / "values.yaml").read_text())["config"], given["config"])
    certificates = {
        "cacert": "/etc/etcd-tls/ca.crt",
        "cert": "/etc/etcd-tls/tls.crt",
        "key": "/etc/etcd-tls/tls.key",
    }
    is_tls = expected["etcd"]["endpoints"][0].startswith("https") and "cacert" not in expected["etcd"]
    if is_tls and given.get("secrets", {}).get("etcdTls") != "":
        expected["etcd"] |= certificates
    (tmp_path / "expected.yaml").write_text(yaml.safe_dump(expected))

    found = _settings(manifests, "replicator.yaml", tmp_path, environ)
    assert found == load(tmp_path / "expected.yaml", environ)
    if "gateway" in given:
        agent = _settings(manifests, "agent.yaml", tmp_path, environ)
        assert (agent.archive, agent.s3, agent.etcd) == (found.archive, found.s3, found.etcd)


def _merged(default: Any, given: Any) -> Any:
    """Merge as Helm does: null takes a default away."""
    if not (isinstance(default, dict) and isinstance(given, dict)):
        return given
    merged = default | {name: _merged(default.get(name), part) for name, part in given.items()}
    return {name: part for name, part in merged.items() if part is not None}


def _settings(manifests: list[Manifest], name: str, folder: Path, environ: dict[str, str]) -> Settings:
    """Return what replicator's own reader makes of the file *name* in one of the ConfigMaps."""
    (text,) = [one["data"][name] for one in named(manifests, "ConfigMap").values() if name in one["data"]]
    (folder / name).write_text(text)
    return load(folder / name, environ)


def test_each_setting_there_is_can_be_given_and_secrets_by_variables_alone(tmp_path: Path) -> None:
    document = yaml.load(EVERYTHING, yaml.BaseLoader)  # noqa: S506 (all of it as text)
    environ = {"ETCD_PASSWORD": "a", "ACCESS": "b", "SECRET": "c", "ONE": "d", "BEAT": "e", "ADMIN": "f"}
    document["s3"] |= {"access_key": "${ACCESS}", "secret_key": "${SECRET}", "sse_kms_key_id": None}
    document["apisix"]["keyring"] = ["${ONE}"]
    document["metrics"]["heartbeat"] = "https://beat.example/${BEAT}"
    document["agent"]["push_key"] = "${ADMIN}"
    path = tmp_path / "given.yaml"
    path.write_text(json.dumps(document))

    assert _settings(rendered({"config": document}), "replicator.yaml", tmp_path, environ) == load(
        path, environ
    )


def test_a_block_of_api7s_may_stand_there(tmp_path: Path) -> None:
    s3 = {"access_key": "${KEY}", "secret_key": "${SECRET}", "resource_bucket": "bucket", "region": "r"}
    block = {"mode": "write", "interval": 60, "aws_s3": s3}
    found = _settings(
        rendered({"config": {"fallback_cp": block}}),
        "replicator.yaml",
        tmp_path,
        {"KEY": "a", "SECRET": "b"},
    )

    assert (str(found.archive), found.snapshot.cron_spec.spec) == ("s3://bucket/resources", "@every 60s")


SECRET = "hunter2"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, "missing property 'archive'"),
        (values(replica=3), "'replica' not allowed"),
        (values(replicas="three"), "/replicas"),
        (values(replicas=-1), "/replicas"),
        (values(image={"pullPolicy": "Sometimes"}), "/image/pullPolicy"),
        (values(image={"digest": "latest"}), "/image/digest"),
        (values(image={"name": "replicator"}), "'name' not allowed"),
        (values(logLevel="loud"), "/logLevel"),
        (values(secrets={"etcdTLS": "etcd"}), "'etcdTLS' not allowed"),
        (values(secrets={"etcdTls": "an etcd"}), "/secrets/etcdTls"),
        (values(env={"A": "b"}), "/env"),
        (values(podSecurityContext={"runAsNonRoot": False}), "/podSecurityContext/runAsNonRoot"),
        (values(podSecurityContext={"runAsUser": 0}), "/podSecurityContext/runAsUser"),
        (values(podSecurityContext={"privileged": True}), "'privileged' not allowed"),
        (values(podLabels={"a": 1}), "/podLabels/a"),
        (values(resources={"limits": {"memory": "1 GB"}}), "/resources/limits/memory"),
        (values(spool={"size": "1Gi"}), "'size' not allowed"),
        (values(serviceMonitor={"interval": 30}), "/serviceMonitor/interval"),
        (values(gateway={"service": {"type": "Ingress"}}), "/gateway/service/type"),
        (values(gateway={"config": {"agent": {"hom": "/a"}}}), "'hom' not allowed"),
        (values(config={"etcd": {"endpoint": ["http://etcd:2379"]}}), "'endpoint' not allowed"),
        (values(config={"etcd": {"endpoints": "http://etcd:2379"}}), "/config/etcd/endpoints"),
        (values(config={"apisix": {"version": 3.10}}), "/config/apisix/version"),
        (values(config={"capture": {"lease": 30}}), "/config/capture/lease"),
        (values(config={"capture": {"spool": "spool"}}), "/config/capture/spool"),
        (values(config={"snapshot": {"latest": "perhaps"}}), "/config/snapshot/latest"),
        (values(config={"metrics": {"listen": None}}), "missing property 'listen'"),
        (values(config={"metrics": {"listen": "0.0.0.0:0"}}), "/config/metrics/listen"),
        (values(config={"archive": None}), "/config/archive"),
        (values(config={"etcd": {"password": SECRET}}), "/config/etcd/password"),
        (values(config={"s3": {"secret_key": SECRET}}), "/config/s3/secret_key"),
        (values(config={"etcd": {"password": "$${" + SECRET + "}"}}), "/config/etcd/password"),
        (values(config={"apisix": {"keyring": [SECRET]}}), "/config/apisix/keyring/0"),
        (values(gateway={"config": {"agent": {"push_key": SECRET}}}), "/gateway/config/agent/push_key"),
    ],
)
def test_values_that_cant_be_meant_are_refused_before_anything_is_rendered(
    given: dict[str, Any], place: str
) -> None:
    with pytest.raises(helm().HelmValuesError) as refusal:
        texts(given)

    assert place in str(refusal.value)
    assert SECRET not in str(refusal.value)
