"""The golden vectors through the whole product: a real etcd, `replicator run`, `replicator restore`.

Each vector's keys are put into one etcd after those of the one before are deleted, while one process
records; each is then restored at its own revision from the archive alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from golden import Vector, vectors
from servers.command import running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

# A lease that outlives the tests.
_LEASE_S = 3600


@dataclass(frozen=True)
class Recorded:
    """The archive of each prefix, and the revision at which each vector was complete."""

    archives: Mapping[str, str]
    revisions: Mapping[str, int]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, etcd_binary: Path) -> Recorded:
    """Play all vectors through one etcd, recorded by one process with a source for each prefix."""
    folder = tmp_path_factory.mktemp("vectors")
    prefixes = sorted({vector.prefix for vector in vectors()})
    archives = {prefix: f"file://{folder}/archive{prefix.replace('/', '-')}" for prefix in prefixes}
    with (
        Etcd(folder / "etcd", etcd_binary, ("--unsafe-no-fsync",)) as etcd,
        EtcdJson(etcd.endpoint) as client,
    ):
        files = [_settings(folder, etcd.endpoint, prefix, archives[prefix]) for prefix in prefixes]
        with running(folder / "log", *(word for file in files for word in ("-c", file))) as recorder:
            recorder.tells("watch.started", len(prefixes))
            revisions = {vector.name: _play(client, vector) for vector in vectors()}
            for prefix in prefixes:
                recorder.stores(client.put(f"{prefix}/end", ""), archives[prefix])
            assert recorder.stop() == 0
    return Recorded(archives, revisions)


def _settings(folder: Path, endpoint: str, prefix: str, archive: str) -> Path:
    settings = {"etcd": {"endpoints": [endpoint], "prefix": prefix}, "archive": archive}
    path = folder / f"settings{prefix.replace('/', '-')}.yaml"
    path.write_text(json.dumps(settings))
    return path


def _play(client: EtcdJson, vector: Vector) -> int:
    revision = client.clear()
    for key, value, has_lease in vector.pairs():
        revision = client.put(key, value, client.grant(_LEASE_S) if has_lease else 0)
    return revision


@pytest.mark.parametrize("style", ["flow", "block"])
@pytest.mark.parametrize("vector", vectors(), ids=str)
def test_vector(
    vector: Vector, style: str, recorded: Recorded, lyaml: Callable[[bytes], Any], tmp_path: Path
) -> None:
    code = main([*_restore(vector, recorded, tmp_path), "--style", style])
    text = (tmp_path / "apisix").read_bytes()
    assert code == 0
    assert vector.found(lyaml(text)) == vector.expected()
    assert text.endswith(b"\n#END\n")
    assert b"${{" not in text
    assert (tmp_path / "apisix").stat().st_mode & 0o777 == 0o600
    report = json.loads((tmp_path / "report").read_bytes())
    lists = ("refused", "ignored", "inexact", "stripped")
    assert {name: _keys(report[name]) - vector.told("either") for name in lists} == {
        name: vector.told(name) for name in lists
    }


# The other vectors are about what YAML can't carry, or what only YAML must escape.
@pytest.mark.parametrize("number", ["01", "03", "55", "56"])
def test_vector_as_json(number: str, recorded: Recorded, tmp_path: Path) -> None:
    (vector,) = (vector for vector in vectors() if vector.name.startswith(number))
    assert main([*_restore(vector, recorded, tmp_path), "--format", "json"]) == 0
    assert vector.found(json.loads((tmp_path / "apisix").read_bytes())) == vector.expected()


def _restore(vector: Vector, recorded: Recorded, folder: Path) -> list[str]:
    """Return the command that restores *vector* into *folder*/apisix."""
    options = vector.options
    (folder / "keyring").write_text(json.dumps(options["keyring"] or []))
    lists = {name: options[name] for name in ("plugins", "stream_plugins") if options[name] is not None}
    (folder / "plugins").write_text(json.dumps(lists))
    return [
        *("restore", "--archive", recorded.archives[vector.prefix]),
        *("--revision", str(recorded.revisions[vector.name])),
        *("--keyring", str(folder / "keyring")),
        *(["--plugins", str(folder / "plugins")] if lists else []),
        *("-o", str(folder / "apisix"), "--report", str(folder / "report")),
    ]


def _keys(entries: list[Any]) -> set[str]:
    return {entry if isinstance(entry, str) else entry["key"] for entry in entries}
