"""`replicator run` as a child: its log as it grows, and its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from servers.command import until

from replicator.adapters.recorder import Recorder
from replicator.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from servers.etcd import Etcd


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture
def recorder(etcd: Etcd, tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return one that has started; the environment names another archive, and a proxy that isn't there."""
    monkeypatch.setenv("REPLICATOR_ARCHIVE", "s3://somebody-elses/archive")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    settings = tmp_path / "replicator.yaml"
    settings.write_text(
        json.dumps({"etcd": {"endpoints": [etcd.endpoint]}, "archive": f"file://{tmp_path}/archive"})
    )
    started = Recorder(settings, log)
    started.start()
    return started


def test_tells_each_event_once_and_ends_in_good_order(recorder, log, tmp_path) -> None:
    told: list[str] = []

    def is_recording() -> bool:
        told.extend(event["event"] for event in recorder.news())
        return "watch.started" in told

    until(is_recording, "watch.started")
    recorder.stop()
    with pytest.raises(StoreUnavailable, match="has ended"):
        told.extend(event["event"] for event in recorder.news())
    assert told == [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert told[-1] == "capture.stopped"
    assert (tmp_path / "archive/archive.json").exists()
    recorder.stop()


def test_holds_back_a_line_that_is_not_whole_and_passes_over_what_is_no_event(tmp_path, log) -> None:
    recorder = Recorder(tmp_path / "no-settings.yaml", log)
    recorder.start()
    recorder.stop()
    log.write_text('{"event":"one"}\nreplicator: trouble\n{"event":"tw')
    assert told(recorder) == ["one"]
    log.write_text('{"event":"one"}\nreplicator: trouble\n{"event":"two"}\n')
    assert told(recorder) == ["two"]


def told(recorder: Recorder) -> list[str]:
    """Return the news of one whose process has ended."""
    events = []
    with pytest.raises(StoreUnavailable):
        events.extend(event["event"] for event in recorder.news())
    return events
