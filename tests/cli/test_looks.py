"""`replicator status`, `list` and `check`: what they say of an archive and of a capture under way."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from servers.command import answered, called, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Story
    from servers.etcd_json import EtcdJson


def test_what_list_status_and_check_say_of_a_live_archive(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "0"})
    none_yet = called("-c", path, "check")
    assert none_yet.code == 0
    assert b"none yet: `replicator run` makes it" in none_yet.out
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        revision = client.put(f"{prefix}/routes/1", "new")
        recorder.stores(revision)
        client.put("/of/another/prefix", "1")

        status = answered("-c", path, "status")
        assert (status["epoch"], status["epochs"], status["revision"]) == (1, 1, revision)
        assert status["etcd_head"] > revision
        assert status["lag_revisions"] == status["etcd_head"] - status["through_revision"]
        assert 0 <= status["watermark_age"] < 60
        assert (status["lease"], status["term"], status["standby"]) == ("held", 1, False)
        assert status["writer"]
        assert status["restorable_since"] <= status["observed_through"]
        assert called("-c", path, "status", "--max-age", "1h").code == 0

        (epoch,) = answered("-c", path, "list")["epochs"]
        assert epoch["reason"] == "first"
        assert epoch["first"]["revision"] < epoch["end_revision"] == revision

        checked = answered("-c", path, "check")
        assert [(entry["what"], entry["ok"]) for entry in checked] == [
            (what, True) for what in ("etcd", "prefix", "store", "swap", "archive", "spool", "keyring")
        ]
        assert recorder.stop() == 0
    assert b"writer     none: the last one ended in order" in called("-c", path, "status").out
    assert not list((tmp_path / "archive").glob("probe/*"))


def test_check_tries_the_spool(settings: Callable[..., Path], tmp_path: Path, story: Story) -> None:
    spool = tmp_path / "spool"
    path = settings(archive=story.url, capture={"spool": str(spool)})
    assert entry_of(path)["said"] == "can be written to, and nothing waits in it"
    archive_id = answered("status", "--archive", story.url)["archive_id"]
    waiting = spool / archive_id / "writer" / "e00000001/log/00000000000000000009.jsonl.zst"
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(b"12345")
    assert "1 segment (5B) waiting in it" in entry_of(path)["said"]
    assert sorted(found.name for found in spool.iterdir()) == [archive_id]
    (tmp_path / "file").write_bytes(b"")
    path = settings(archive=story.url, capture={"spool": str(tmp_path / "file/spool")})
    assert entry_of(path)["ok"] is False


def entry_of(path: Path) -> dict[str, object]:
    """Return what `check` says of the spool."""
    entries = json.loads(called("-c", path, "check", "--json").out)
    return next(entry for entry in entries if entry["what"] == "spool")


def test_a_stale_watermark_can_be_an_alarm(recorded_story: Story) -> None:
    outcome = called("status", "--archive", recorded_story.url, "--max-age", "1ms")
    assert outcome.code == 3
    assert "more than 1ms" in outcome.err
    assert "watermark" in outcome.out.decode()


def test_list_leaves_out_what_lies_outside(recorded_story: Story) -> None:
    later = recorded_story.flawed.after + timedelta(days=1)
    listed = called("list", "--archive", recorded_story.url, "--since", later.isoformat(), "--json")
    assert json.loads(listed.out)["epochs"] == []
    listed = called("list", "--archive", recorded_story.url, "--since", recorded_story.first.at, "--json")
    (epoch,) = json.loads(listed.out)["epochs"]
    assert all(
        datetime.fromisoformat(point["time"]) > recorded_story.first.after for point in epoch["snapshots"]
    )
