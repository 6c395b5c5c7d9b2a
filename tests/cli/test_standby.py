"""Two `replicator run` on one archive, as processes: suspended, woken up and killed."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from servers.command import answered, called, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd_json import EtcdJson


def test_a_suspended_writer_is_relieved_fenced_and_takes_over_again(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "0", "lease": "2s"})
    revisions = []
    with running(tmp_path / "one", "-c", path) as one:
        one.tells("watch.started")
        with running(tmp_path / "two", "-c", path) as two:
            two.tells("standby.waiting")
            one.tells("standby.noticed")
            one.send(signal.SIGSTOP)
            revisions.append(client.put(f"{prefix}/routes/1", "while nobody is awake"))
            two.stores(revisions[-1])
            one.send(signal.SIGCONT)
            one.tells("writer.fenced")
            one.tells("standby.waiting")
            revisions.append(client.put(f"{prefix}/routes/1", "with both awake"))
            two.stores(revisions[-1])
            assert two.stop(signal.SIGKILL) == -signal.SIGKILL
        revisions.append(client.put(f"{prefix}/routes/1", "after the second one's end"))
        one.stores(revisions[-1])
        assert one.stop() == 0

    assert [event["term"] for event in one.events("lease.taken")] == [1, 3]
    assert [event["term"] for event in two.events("lease.taken")] == [2]
    (epoch,) = answered("-c", path, "list")["epochs"]
    assert epoch["end_revision"] == revisions[-1]
    said = ["while nobody is awake", "with both awake", "after the second one's end"]
    for revision, value in zip(revisions, said, strict=True):
        outcome = called("-c", path, "restore", "--format", "kv", "--revision", revision)
        assert json.loads(outcome.out)["value"] == value


def test_a_standby_stops_when_it_is_told_to(settings: Callable[..., Path], tmp_path: Path) -> None:
    path = settings()
    with running(tmp_path / "one", "-c", path) as one:
        one.tells("watch.started")
        with running(tmp_path / "two", "-c", path) as two:
            two.tells("standby.waiting")
            assert two.stop() == 0
        assert one.stop() == 0
