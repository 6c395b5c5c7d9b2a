"""`replicator run` as a process: what it records, how it ends, and what it says meanwhile."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime
from itertools import repeat
from typing import TYPE_CHECKING

import yaml
from servers.command import answered, called, replicator, running
from servers.etcd_json import EtcdJson
from servers.moto import refusal
from servers.proxy import Fault, faulty

from replicator.telemetry.events import EVENTS, EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.moto import S3Server


def state(settings: Path, *target: object) -> dict[str, str]:
    """Return the keys and values that `restore` finds at *target*."""
    outcome = called("-c", settings, "restore", "--format", "kv", *(target or ("--latest",)))
    assert outcome.code == 0, outcome.err
    lines = map(json.loads, outcome.out.splitlines())
    return {line["key"]: line["value"] for line in lines}


def test_a_put_right_before_sigterm_is_restorable(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "1h"})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        client.put(f"{prefix}/routes/1", "first")
        client.put(f"{prefix}/routes/1", "last")
        assert recorder.stop() == 0
    assert state(path) == {f"{prefix}/routes/1": "last"}
    (stored,) = recorder.events("segment.stored")
    assert stored["events"] == 2
    assert recorder.events("capture.stopped")


def test_ctrl_c_flushes_too_and_is_told_apart(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "1h"})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        client.put(f"{prefix}/routes/1", "last")
        assert recorder.stop(signal.SIGINT) == 130
    assert state(path) == {f"{prefix}/routes/1": "last"}


def test_a_second_signal_ends_at_once(etcd: Etcd, settings: Callable[..., Path], tmp_path: Path) -> None:
    path = settings(etcd={"endpoints": [etcd.endpoint]})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        etcd.suspend()  # so that the first one waits
        recorder.send(signal.SIGTERM)
        assert recorder.stop(signal.SIGINT) == 130
    assert not recorder.events("capture.stopped")


def test_kill_and_restart_lose_nothing(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path, revisions = settings(capture={"flush_interval": "0"}), {}
    for number in range(3):
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started", number + 1)
            value = f"seen {number}"
            revisions[value] = client.put(f"{prefix}/routes/1", value)
            recorder.stores(revisions[value])
            assert recorder.stop(signal.SIGKILL) == -signal.SIGKILL
        value = f"missed {number}"
        revisions[value] = client.put(f"{prefix}/routes/1", value)
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.stores(revisions["missed 2"])
        assert recorder.stop() == 0
    for value, revision in revisions.items():
        assert state(path, "--revision", revision) == {f"{prefix}/routes/1": value}


def test_a_change_that_was_missed_is_restored_with_its_uncertainty(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings()
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        assert recorder.stop() == 0
    client.put(f"{prefix}/routes/1", "missed")
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("segment.stored")
        assert recorder.stop() == 0
    outcome = called("-c", path, "restore", "--latest", "--report", tmp_path / "report", "-o", "/dev/null")
    late_by_s = json.loads((tmp_path / "report").read_bytes())["late_by"]
    assert 0 < late_by_s < 60
    assert "its time is uncertain by up to" in outcome.err


def test_what_etcd_forgot_is_a_gap_and_no_guess(
    etcd: Etcd, settings: Callable[..., Path], tmp_path: Path
) -> None:
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"})
    with EtcdJson(etcd.endpoint) as client:
        known = client.put("/apisix/routes/1", "known")
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started")
            assert recorder.stop() == 0
        moment = datetime.now(UTC)
        forgotten = client.put("/apisix/routes/1", "forgotten")
        client.compact(client.put("/apisix/routes/1", "newest"))
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("epoch.opened", 2)
            assert recorder.stop() == 0

    before, after = answered("-c", path, "list")["epochs"]
    assert (before["reason"], after["reason"]) == ("first", "compacted")
    assert b"gap of " in called("-c", path, "list").out
    assert b"gaps       1, 1 not acknowledged" in called("-c", path, "status").out
    assert state(path, "--revision", known) == {"/apisix/routes/1": "known"}
    assert state(path) == {"/apisix/routes/1": "newest"}
    for target in (("--revision", forgotten), ("--at", moment.isoformat())):
        outcome = called("-c", path, "restore", *target)
        assert outcome.code == 3
        assert "lies in the gap after epoch 1" in outcome.err
        assert f"the nearest moments are revision {known}" in outcome.err
        assert "--allow-gap" in outcome.err
        assert state(path, *target, "--allow-gap") == {"/apisix/routes/1": "known"}


def test_two_sources_in_one_process(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    one = settings("one.yaml", archive=f"file://{tmp_path}/one", etcd={"prefix": f"{prefix}/one"})
    two = settings("two.yaml", archive=f"file://{tmp_path}/two", etcd={"prefix": f"{prefix}/two"})
    for name in ("one", "two"):
        client.put(f"{prefix}/{name}/routes/1", "before")
    with running(tmp_path / "log", "-c", one, "-c", two) as recorder:
        recorder.tells("watch.started", 2)
        for name in ("one", "two"):
            client.put(f"{prefix}/{name}/routes/1", name)
        assert recorder.stop() == 0
    assert state(one) == {f"{prefix}/one/routes/1": "one"}
    assert state(two) == {f"{prefix}/two/routes/1": "two"}


def test_a_source_that_cannot_be_recorded_ends_them_all(
    settings: Callable[..., Path], tmp_path: Path
) -> None:
    good = settings("good.yaml")
    bad = settings("bad.yaml", archive=f"file://{tmp_path}/bad", etcd={"prefix": "/nothing/here"})
    outcome = replicator("--log-format", "json", "-c", good, "-c", bad, "run")
    assert outcome.code == 2
    failure = json.loads(outcome.err.splitlines()[-1])
    assert failure["event"] == "run.failed"
    assert failure["archive"] == f"file://{tmp_path}/bad"
    assert "etcd holds no key under /nothing/here" in failure["cause"]
    assert "check etcd.prefix" in failure["hint"]
    assert failure["exit_code"] == 2


def test_a_source_that_is_away_does_not_keep_the_others_from_recording(
    etcd: Etcd, settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    good = settings("good.yaml", capture={"flush_interval": "0"})
    away = {"endpoints": [etcd.endpoint], "prefix": "/apisix"}
    late = settings("late.yaml", archive=f"file://{tmp_path}/late", etcd=away)
    with EtcdJson(etcd.endpoint) as other:
        other.put("/apisix/routes/1", "late")
    etcd.kill()
    with running(tmp_path / "log", "-c", late, "-c", good) as recorder:
        recorder.tells("capture.delayed")
        recorder.tells("watch.started")
        recorder.stores(client.put(f"{prefix}/routes/1", "meanwhile"))
        etcd.start()
        recorder.tells("watch.started", 2)
        assert recorder.stop() == 0
    assert state(late) == {"/apisix/routes/1": "late"}


def test_where_no_source_is_there_all_end(etcd: Etcd, settings: Callable[..., Path], tmp_path: Path) -> None:
    away = {"endpoints": [etcd.endpoint], "prefix": "/apisix"}
    one = settings("one.yaml", etcd=away)
    two = settings("two.yaml", archive=f"file://{tmp_path}/two", etcd=away)
    etcd.kill()
    assert replicator("-c", one, "-c", two, "run").code == 5


def test_an_empty_etcd_is_waited_for(etcd: Etcd, settings: Callable[..., Path], tmp_path: Path) -> None:
    path = settings(etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"})
    assert b"`replicator run` waits for the first" in called("-c", path, "check").out
    with running(tmp_path / "log", "-c", path) as recorder, EtcdJson(etcd.endpoint) as client:
        recorder.tells("source.empty")
        recorder.tells("watch.started")
        recorder.stores(client.put("/apisix/routes/1", "first"))
        assert recorder.stop() == 0
    assert state(path) == {"/apisix/routes/1": "first"}
    assert state(path, "--revision", 1) == {}


def test_segments_follow_the_settings(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    at_once = settings("at-once.yaml", archive=f"file://{tmp_path}/at-once", capture={"flush_interval": "0"})
    by_size = settings(
        "by-size.yaml",
        archive=f"file://{tmp_path}/by-size",
        capture={"flush_interval": "1h", "flush_bytes": "1kB"},
    )
    with running(tmp_path / "log", "-c", at_once, "-c", by_size) as recorder:
        recorder.tells("watch.started", 2)
        for number in range(3):
            revision = client.put(f"{prefix}/routes/1", str(number))
            recorder.stores(revision, f"file://{tmp_path}/at-once")
        revision = client.put(f"{prefix}/routes/1", "x" * 1000)
        recorder.stores(revision, f"file://{tmp_path}/by-size")
        assert recorder.stop() == 0
    assert len(list((tmp_path / "at-once").glob("*/log/*"))) == 4
    assert len(list((tmp_path / "by-size").glob("*/log/*"))) == 1


def test_snapshots_follow_the_schedule(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(snapshot={"cron_spec": "@every 1s"}, capture={"flush_interval": "0"})
    client.put(f"{prefix}/routes/2", "x" * 1000)  # so that the tail alone would not be worth a snapshot
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        for number in range(1, 3):
            revision = client.put(f"{prefix}/routes/1", str(number))
            recorder.tells("snapshot.stored", number)
        assert recorder.stop() == 0
    (epoch,) = answered("-c", path, "list")["epochs"]
    assert [point["revision"] for point in epoch["snapshots"]][-1] == revision
    assert len(epoch["snapshots"]) == 3


def test_an_archive_in_s3_is_restored_without_settings(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
) -> None:
    keys = {"access_key": "some-id", "secret_key": "some-secret"}
    s3 = {"endpoint": s3_server.endpoint, "region": "us-east-1"}
    path = settings(archive=f"s3://{bucket}/shop/live", s3=s3 | keys)
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        client.put(f"{prefix}/routes/1", '{"uri":"/in/s3"}')
        assert recorder.stop() == 0
    outcome = replicator(
        *("restore", "--latest", "--archive", f"s3://{bucket}/shop/live"),
        env={
            "REPLICATOR_S3_ENDPOINT": s3_server.endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "some-id",
            "AWS_SECRET_ACCESS_KEY": "some-secret",
        },
    )
    assert outcome.code == 0, outcome.err
    assert yaml.safe_load(outcome.out) == {"routes": [{"id": "1", "uri": "/in/s3"}]}


def is_documented(line: str) -> str:
    """Fail unless *line* is a documented event with just its fields; return its name."""
    said = json.loads(line)
    (event,) = (event for event in EVENTS if event.name == said["event"])
    assert said["level"] == event.level
    assert said.keys() == {*EVERYWHERE, *event.fields}
    return event.name


def test_each_line_of_the_log_is_a_documented_event(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "0"}, snapshot={"cron_spec": "@every 1s"})
    for _ in range(2):
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started")
            recorder.stores(client.put(f"{prefix}/routes/1", "value-of-a-key"))
            recorder.tells("snapshot.stored")
            assert recorder.stop() == 0
    events = set(map(is_documented, recorder.said().splitlines()))
    assert {"archive.created", "capture.resumed", "checkpoint.stored", "capture.stopped"} < events
    assert "value-of-a-key" not in recorder.said()


def test_in_trouble_each_line_is_a_documented_event_too(
    settings: Callable[..., Path],
    client: EtcdJson,
    prefix: str,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
) -> None:
    with faulty(s3_server.endpoint) as proxy:
        s3 = {"endpoint": proxy.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "secret"}
        path = settings(archive=f"s3://{bucket}/archive", s3=s3, capture={"flush_interval": "0"})
        with running(tmp_path / "log", "-c", path) as recorder:
            recorder.tells("watch.started")
            proxy.follow([Fault.BUSY, *repeat(refusal(403, "AccessDenied"), 1000)])
            client.put(f"{prefix}/routes/1", "value-of-a-key")
            recorder.tells("store.unavailable")
            assert recorder.stop() == 5
    events = [is_documented(line) for line in recorder.said().splitlines()]
    assert {"store.retried", "store.unavailable"} < set(events)
    assert events[-1] == "run.failed"
