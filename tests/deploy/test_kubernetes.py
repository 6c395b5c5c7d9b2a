"""deploy/kubernetes: each tree is built, is what Kubernetes knows, and its parts fit together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import kubernetes_validate
import pytest
import yaml
from kustomize import build
from manifests import (
    DEPLOY,
    NAMED,
    TREES,
    VERSIONS,
    WHOLE,
    all_of,
    container_of,
    file_at,
    mounted,
    name_of,
    named,
    pods,
    volume_at,
)
from servers.etcd import ROOT

from replicator.cli.app import replicator as program

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from kustomize import Manifest

GUIDE = (ROOT / "docs/guides/kubernetes.md").read_text()
KUBECTL = shutil.which("kubectl")


@pytest.mark.parametrize("folder", TREES, ids=name_of)
def test_each_tree_is_what_kubernetes_knows(folder: Path) -> None:
    for manifest in build(folder):
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.skipif(KUBECTL is None, reason="compares with kubectl, which isn't there")
@pytest.mark.parametrize("folder", TREES, ids=name_of)
def test_each_tree_is_built_as_kubectl_builds_it(folder: Path) -> None:
    built = build(folder)
    command = [str(KUBECTL), "kustomize", str(folder)]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    for name in named(built, "ConfigMap"):
        text = re.sub(rf"\b{name}-[0-9a-z]{{10}}\b", name, text)

    def in_order(manifests: Iterable[Manifest]) -> list[Manifest]:
        return sorted(manifests, key=lambda one: (one["kind"], one["metadata"]["name"]))

    assert in_order(yaml.safe_load_all(text)) == in_order(built)


def test_all_that_a_pod_names_is_there(manifests: list[Manifest]) -> None:
    maps, accounts = named(manifests, "ConfigMap"), named(manifests, "ServiceAccount")
    for pod in pods(manifests).values():
        spec = pod["spec"]
        assert spec["serviceAccountName"] in accounts
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        used = {one["name"] for container in all_of(pod) for one in container["volumeMounts"]}
        assert used == volumes.keys()
        assert {one["configMap"]["name"] for one in volumes.values() if "configMap" in one} <= maps.keys()
        for container in all_of(pod):
            ports = {port["name"] for port in container.get("ports", [])}
            probed = {probe["httpGet"]["port"] for name, probe in container.items() if name.endswith("Probe")}
            assert probed <= ports
            named_maps = {source["configMapRef"]["name"] for source in container.get("envFrom", [])}
            assert named_maps <= maps.keys()


def test_services_and_budgets_choose_the_pods(manifests: list[Manifest]) -> None:
    found = pods(manifests)
    labels = {name: pod["metadata"]["labels"] for name, pod in found.items()}
    chosen = [
        (one["metadata"]["name"], one["spec"]["selector"].get("matchLabels", one["spec"]["selector"]))
        for kind in ("Deployment", "PodDisruptionBudget", "Service")
        for one in named(manifests, kind).values()
    ]
    chosen += [
        (name, spread["labelSelector"]["matchLabels"])
        for name, pod in found.items()
        for spread in pod["spec"]["topologySpreadConstraints"]
    ]
    assert [labels[name].items() >= selector.items() for name, selector in chosen] == [True] * len(chosen)
    assert {name for name, _ in chosen} == set(found)
    assert labels["gateway"] != labels["replicator"]
    (service,) = named(manifests, "Service").values()
    ports = {port["name"] for port in container_of(found["gateway"], "gateway")["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_each_command_line_can_be_given(manifests: list[Manifest]) -> None:
    lines = 0
    for name, pod in pods(manifests).items():
        for container in all_of(pod):
            words = container.get("args", [])
            if "-c" not in words:
                continue
            lines += 1
            assert file_at(words[words.index("-c") + 1], pod, container, manifests)
            assert words[1] == NAMED[name]
            place = words.index({"replicator": "run", "gateway": "agent"}[name])
            context = program.make_context("replicator", words[: place + 1])
            command = program.get_command(context, words[place])
            assert command is not None
            command.make_context(words[place], words[place + 1 :], parent=context)
    assert lines == 3


def test_each_script_is_there_and_may_be_run(manifests: list[Manifest]) -> None:
    scripts = set()
    for pod in pods(manifests).values():
        for container in all_of(pod):
            for word in container.get("command", []):
                if not word.endswith(".sh"):
                    continue
                assert file_at(word, pod, container, manifests).startswith("#!/bin/sh\n")
                volume, name = volume_at(word, pod, container)
                assert volume["configMap"]["defaultMode"] == 0o555
                scripts.add(name)
    assert scripts == {"agent.sh", "conf.sh", "gateway.sh"}


def test_a_pod_is_set_up_in_order(manifests: list[Manifest]) -> None:
    names = [one["name"] for one in pods(manifests)["gateway"]["spec"]["initContainers"]]

    assert names == ["conf", "prepare"]


def test_every_container_is_confined(manifests: list[Manifest]) -> None:
    made = (ROOT / "compose/Dockerfile").read_text()
    for pod in pods(manifests).values():
        context = pod["spec"]["securityContext"]
        user = context["runAsUser"]
        assert context == {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert f"install -d -o {user} " in made
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["enableServiceLinks"] is False
        for container in all_of(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in resources["limits"]


def test_no_volume_lies_within_another(manifests: list[Manifest]) -> None:
    """Else its folder would have to be made in the other one, which may be read-only."""
    for pod in pods(manifests).values():
        for container in all_of(pod):
            paths = mounted(pod, container)
            assert len(paths) == len(container["volumeMounts"])
            assert [(path, other) for path in paths for other in paths if other in path.parents] == []


def test_what_is_read_only_is_mounted_so(manifests: list[Manifest]) -> None:
    for pod in pods(manifests).values():
        for container in all_of(pod):
            volumes = mounted(pod, container)
            for mount in container["volumeMounts"]:
                is_written = "emptyDir" in volumes[PurePosixPath(mount["mountPath"])]
                assert mount.get("readOnly", False) is not is_written


def test_on_aws_the_roles_come_with_the_accounts_and_nothing_has_keys() -> None:
    manifests = build(DEPLOY / "overlays/aws")
    roles = [
        account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].rpartition("/")[2]
        for account in named(manifests, "ServiceAccount").values()
    ]

    assert sorted(roles) == ["gateway", "replicator"]
    assert "AWS_" not in str(manifests)


def test_the_guide_tells_of_each_secret_and_its_keys(manifests: list[Manifest]) -> None:
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (`.+?`) \|", GUIDE, re.MULTILINE)
    told = {name: set(_quoted(keys)) for names, keys in rows for name in _quoted(names)}
    asked: dict[str, set[str]] = {}
    for pod in pods(manifests).values():
        for container in all_of(pod):
            for one in container.get("env", []):
                reference = one["valueFrom"]["secretKeyRef"]
                asked.setdefault(reference["name"], set()).add(reference["key"])
        mounts = {one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one}
        asked |= {
            name: {"ca.crt", "tls.crt", "tls.key"} for name in mounts
        }  # as a test of the settings has it

    assert asked.items() <= told.items()


def _quoted(text: str) -> list[str]:
    return re.findall("`(.+?)`", text)


def test_the_guides_kubectl_finds_what_it_names(manifests: list[Manifest]) -> None:
    found = pods(manifests)
    commands = re.findall(r" deploy/([\w-]+)(?![\w/-])(?: -c (\w+))?", GUIDE)
    assert len(commands) > 5
    for name, container in commands:
        assert container_of(found[name], container or name)
    applied = re.findall(r"apply -k (\S+)", GUIDE)
    assert {ROOT / path for path in applied} == set(WHOLE) - {DEPLOY / "base"}
    (forwarded,) = set(re.findall(r"service/([\w-]+) 9080:(\d+)", GUIDE))
    service = named(manifests, "Service")[forwarded[0]]
    assert int(forwarded[1]) in {port["port"] for port in service["spec"]["ports"]}
