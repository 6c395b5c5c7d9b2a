"""import: a restored file goes back into an empty etcd, and comes out of it again the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml
from etcd_oracle import held
from servers.command import called, running
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd import Etcd

FILE = """
upstreams:
  - {id: 1, type: roundrobin, nodes: {"10.0.0.1:80": 1}}
routes:
  - {id: 1, uri: /a, upstream_id: 1}
consumers:
  - {username: jack, plugins: {key-auth: {key: jacks-key}}}
#END
"""


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Return a file that somebody wrote."""
    path = tmp_path / "apisix.yaml"
    path.write_text(FILE)
    return path


def test_what_was_restored_comes_back_the_same(
    story, etcd_factory: Callable[..., Etcd], settings: Callable[..., Path], tmp_path: Path
) -> None:
    file, again = tmp_path / "first.yaml", tmp_path / "again.yaml"
    assert called("restore", "--latest", "--archive", story.url, "-o", file).code == 0
    etcd = etcd_factory()
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"}, capture={"flush_interval": "0"})
    done = called("-c", path, "import", "-f", file, "--yes", "--json")
    assert done.code == 0, done.err
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        assert recorder.stop() == 0
    assert called("-c", path, "restore", "--latest", "-o", again).code == 0
    lines = [
        [line for line in one.read_bytes().splitlines() if not line.startswith(b"#")] for one in (file, again)
    ]
    assert [_without_times(line) for line in lines[0]] == [_without_times(line) for line in lines[1]]
    repeated = called("-c", path, "import", "-f", file, "--yes", "--json")
    assert json.loads(repeated.out)["keys"] == []


def _without_times(line: bytes) -> object:
    """Return a line of the file, decoded, without the times that the import has added."""
    if not line.startswith(b"- {"):
        return line
    item = json.loads(line[2:])
    return {name: value for name, value in item.items() if name not in ("create_time", "update_time")}


def test_it_adds_and_replaces_only_if_that_is_meant(
    etcd_factory: Callable[..., Etcd], settings: Callable[..., Path], written: Path
) -> None:
    etcd = etcd_factory()
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"})
    with EtcdJson(etcd.endpoint) as client:
        client.put("/apisix/routes/old", '{"id":"old","uri":"/old"}')
        dry = called("-c", path, "import", "-f", written, "--dry-run")
        assert (dry.code, len(held(client, b"/apisix/", 0))) == (0, 1)
        assert "create  routes/1" in dry.err
        assert called("-c", path, "import", "-f", written, "--yes").code == 0
        now = held(client, b"/apisix/", 0)
        assert set(now) == {
            b"/apisix/" + name for name in (b"routes/old", b"routes/1", b"upstreams/1", b"consumers/jack")
        }
        assert b"jacks-key" not in now[b"/apisix/consumers/jack"].value
        refused = called("-c", path, "import", "-f", written, "--yes", "--replace")
        assert (refused.code, "would delete 1 keys" in refused.err) == (7, True)
        assert (
            called("-c", path, "import", "-f", written, "--yes", "--replace", "--max-deletes", "1").code == 0
        )
        assert b"/apisix/routes/old" not in held(client, b"/apisix/", 0)
        before = held(client, b"/apisix/", 0)
        assert called("-c", path, "import", "-f", written, "--yes").code == 0
        assert held(client, b"/apisix/", 0) == before, "nothing was put once more"


def test_what_it_refers_to_must_be_there(
    etcd_factory: Callable[..., Etcd], settings: Callable[..., Path], written: Path
) -> None:
    etcd = etcd_factory()
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"})
    refused = called("-c", path, "import", "-f", written, "--yes", "--only", "routes")
    assert refused.code == 7
    assert "routes/1 to upstreams/1" in refused.err
    assert called("-c", path, "import", "-f", written, "--yes", "--only", "routes", "--force").code == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "can't read"),
        ("routes: []\n", "no #END"),
        ("routes: [\n#END", "line "),
        ("rout: []\n#END", "is routes meant"),
    ],
)
def test_what_is_no_such_file_is_told(
    settings: Callable[..., Path], tmp_path: Path, text: str | None, message: str
) -> None:
    path = tmp_path / "some.yaml"
    if text is not None:
        path.write_text(text)
    answer = called("-c", settings(), "import", "-f", path, "--yes")
    assert (answer.code, answer.out) == (2, b"")
    assert message in answer.err


def test_adcs_file_has_secrets_open_and_tells_what_it_leaves_out(story, tmp_path: Path) -> None:
    file, report = tmp_path / "adc.yaml", tmp_path / "report.json"
    words = ("restore", "--latest", "--archive", story.url, "--format", "adc", "-o", file, "--report", report)
    assert called(*words).code == 0
    document = yaml.safe_load(file.read_bytes())
    assert [one["plugins"] for one in document["consumers"]] == [{"key-auth": {"key": "jacks-key"}}]
    assert file.stat().st_mode & 0o777 == 0o600
    told = json.loads(report.read_bytes())
    assert "no service or route uses it" in " ".join(one["reason"] for one in told["refused"])
    assert any("it has no service" in one["why"] for one in told["inexact"])
    assert called(*words, "--strict").code == 7
