"""`replicator verify` as a user calls it, on archives that a real `replicator run` has recorded."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import tempfile
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from servers.command import REPLICATOR, Complaint, answered, called, environment, running, until
from servers.etcd_json import EtcdJson

from replicator.cli import drill, restore_command, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Story
    from servers.etcd import Etcd


def answer(*arguments: object, code: int) -> Any:
    """Return the document that a call prints which ends with *code*."""
    outcome = called(*arguments, "--json")
    assert outcome.code == code, outcome.err
    return json.loads(outcome.out)


def test_without_a_mode_it_says_which_there_are(recorded_story: Story) -> None:
    outcome = called("verify", "--archive", recorded_story.url)
    Complaint(2, "--full, --live, --drill", "--full reads all").is_made_by(outcome)


def test_a_clean_archive_is_told(recorded_story: Story) -> None:
    outcome = called("verify", "--full", "--archive", recorded_story.url)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    assert "ok       every digest fits" in outcome.out.decode()
    found = answer("verify", "--full", "--archive", recorded_story.url, code=0)
    assert found["ok"]
    assert found["full"]["damages"] == []
    assert found["full"]["verified"]["end"]["revision"] >= recorded_story.flawed.revision
    assert found["live"] is None


def test_damages_are_told_with_what_they_cost(story: Story) -> None:
    log = sorted((story.folder / "e00000001/log").iterdir())
    log[1].write_bytes(log[1].read_bytes()[:-1])
    (story.folder / "stranger").write_text("")
    outcome = called("verify", "--full", "--archive", story.url)

    assert outcome.code == 4
    said = outcome.out.decode()
    assert f"DAMAGED  e00000001/log/{log[1].name}\n" in said
    assert "what  e00000001/log/" in said
    assert f"lost  after revision {story.first.revision} (" in said
    assert "try   bring the object back" in said
    assert "note     stranger: not the archive's" in said
    found = answer("verify", "--full", "--archive", story.url, code=4)
    assert not found["ok"]
    assert len(found["full"]["damages"]) == 1


def test_nothing_there_is_no_damage(tmp_path: Path) -> None:
    outcome = called("verify", "--full", "--archive", f"file://{tmp_path}/none")
    Complaint(2, "there is no archive at", "").is_made_by(outcome)


@pytest.fixture
def sandboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder for temporary files, which must be empty afterwards."""
    folder = tmp_path / "sandboxes"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("sandboxes")
@pytest.mark.parametrize("seed", range(4))
def test_a_drill_restores_what_was_recorded_and_leaves_nothing(recorded_story: Story, seed: int) -> None:
    found = answer("verify", "--drill", "--seed", seed, "--archive", recorded_story.url, code=0)["drill"]
    again = answer("verify", "--drill", "--seed", seed, "--archive", recorded_story.url, code=0)["drill"]

    assert found["faults"] == []
    assert found["revision"] >= recorded_story.base
    assert (found["target"], found["items"]) == (again["target"], again["items"])


@pytest.mark.usefixtures("sandboxes")
def test_a_drill_of_the_last_moment_counts_every_item(
    recorded_story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "choose", lambda *_: ["--latest"])
    outcome = called("verify", "--drill", "--archive", recorded_story.url)
    assert outcome.code == 0, outcome.out
    said = outcome.out.decode()
    assert "1 upstreams, 1 routes, 1 services, 1 consumers" in said
    assert "ok       the files are whole" in said
    assert recorded_story.sealed not in said
    assert outcome.err == ""


@pytest.mark.usefixtures("sandboxes")
@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda text: text.replace(b"#END\n", b""), "the file doesn't end in #END"),
        (lambda text: text.replace(b"services:\n", b"services: [\n"), "no YAML to another parser"),
        (lambda text: text.replace(b"routes:\n", b"routes:\n- {}\n"), "routes: 2 items in the file, 1 in"),
        (lambda text: text.replace(b"upstreams:", b"upstream:"), "upstreams: 0 items in the file, 1 in"),
    ],
)
def test_a_file_that_isnt_right_is_told(
    recorded_story: Story, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[bytes], bytes], fault: str
) -> None:
    rendered = restored.standalone_file

    def spoilt(*arguments: Any) -> restored.Answer:
        whole = rendered(*arguments)
        return restored.Answer(whole.told, [spoil(b"".join(whole.chunks))])

    monkeypatch.setattr(restore_command, "standalone_file", spoilt)
    monkeypatch.setattr(drill, "choose", lambda *_: ["--latest"])
    found = answer("verify", "--drill", "--archive", recorded_story.url, code=8)["drill"]
    assert any(fault in one for one in found["faults"]), found["faults"]


def test_a_drill_that_is_ended_leaves_nothing(recorded_story: Story, tmp_path: Path) -> None:
    """Its restore waits at a pipe for somebody who reads: a plugin list that never comes."""
    pipe, sandboxes = tmp_path / "schema", tmp_path / "sandboxes"
    os.mkfifo(pipe)
    sandboxes.mkdir()
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps({"archive": recorded_story.url, "apisix": {"schema": str(pipe)}}))
    process = subprocess.Popen(
        [*REPLICATOR, "-c", str(settings), "verify", "--drill"],
        env=environment({"TMPDIR": str(sandboxes)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        until(lambda: any(sandboxes.iterdir()), "the sandbox is there")
        (sandbox,) = sandboxes.iterdir()
        assert stat.S_IMODE(sandbox.stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, said
    assert list(sandboxes.iterdir()) == []


@pytest.mark.usefixtures("sandboxes")
def test_key_values_that_arent_right_are_told(recorded_story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    told = restored.key_values

    def fewer(*arguments: Any) -> restored.Answer:
        whole = told(*arguments)
        return restored.Answer(whole.told, list(whole.chunks)[1:])

    monkeypatch.setattr(restore_command, "key_values", fewer)
    monkeypatch.setattr(drill, "choose", lambda *_: ["--latest"])
    found = answer("verify", "--drill", "--archive", recorded_story.url, code=8)["drill"]
    assert "the key/values don't give the state's digest" in found["faults"]


@pytest.mark.usefixtures("sandboxes")
def test_a_drill_on_a_damaged_archive_fails(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "choose", lambda *_: ["--latest"])
    for segment in (story.folder / "e00000001/log").iterdir():
        segment.write_bytes(b"x")
    for snapshot in (story.folder / "e00000001/snapshots").glob("*Z.jsonl.zst"):
        snapshot.unlink()
    found = answer("verify", "--drill", "--archive", story.url, code=8)["drill"]
    assert "restore failed: e00000001/log/" in found["faults"][0]
    both = answer("verify", "--full", "--drill", "--archive", story.url, code=4)
    assert both["full"]["damages"]
    assert both["drill"]["faults"]


def test_etcd_and_the_archive_are_compared_beside_a_capture(
    etcd: Etcd, settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    del client, prefix
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"}, capture={"flush_interval": "0"})
    etcd.ctl("put", "/apisix/routes/1", '{"uri":"/0"}')
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        for number in range(8):
            etcd.ctl("put", "/apisix/routes/1", f'{{"uri":"/{number}"}}')
        recorder.stores(10)
        found = answered("-c", path, "verify", "--live", "--full", "--drill", "--seed", 1)
        assert found["ok"]
        assert [one["keys"] for one in found["live"]["comparisons"]] == [1] * 6
        assert found["live"]["first_held"] == 2
        assert recorder.stop() == 0
    etcd.ctl("compact", "8")
    etcd.ctl("put", "/elsewhere", "1")
    outcome = called("-c", path, "verify", "--live")
    assert outcome.code == 0, outcome.err
    assert "1 ahead of what the archive knows" in outcome.out.decode()
    assert "both hold revision 8 and later; what lies before is compacted or thinned" in outcome.out.decode()


def test_an_etcd_that_holds_something_else_is_told(recorded_story: Story, etcd: Etcd, tmp_path: Path) -> None:
    """Another cluster, whose revisions hold other keys."""
    with EtcdJson(etcd.endpoint) as other:
        places = count()
        while other.put(f"/apisix/routes/{next(places) % 20}", "secret") <= recorded_story.flawed.revision:
            pass
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps({"etcd": {"endpoints": [etcd.endpoint]}, "archive": recorded_story.url}))
    outcome = called("-c", path, "verify", "--live")
    said = outcome.out.decode()

    assert outcome.code == 8, outcome.err
    assert "DIFFERS  /apisix/services/1: only in the archive" in said
    assert "secret" not in said
