"""`replicator run` with `metrics.listen`: scraped as Prometheus does it."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING
from urllib.request import urlopen

from servers.command import Complaint, replicator, running, until
from servers.scrape import ANY_PORT, scraped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd_json import EtcdJson


def test_two_sources_are_scraped_at_one_address(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    urls = [f"file://{tmp_path}/{name}" for name in ("one", "two")]
    files = [
        settings(f"{place}.yaml", archive=url, metrics=ANY_PORT, capture={"flush_interval": "0"})
        for place, url in enumerate(urls)
    ]
    with running(tmp_path / "log", "-c", files[0], "-c", files[1]) as recorder:
        recorder.tells("watch.started", 2)
        address = recorder.events("metrics.served")[0]["address"]
        revision = client.put(f"{prefix}/routes/1", '{"uri":"/new"}')
        for url in urls:
            recorder.stores(revision, url)
            until(
                lambda url=url: scraped(address, url).get("restorable_revision") == revision,  # type: ignore[misc]
                "it is restorable",
            )
            found = scraped(address, url)
            assert found["recorded_revision"] == found["restorable_revision"] == revision
            assert found["segments_stored_total"] == 1
            assert found["readbacks_total"] >= 1
            assert found["readback_failures_total"] == found["watch_reconnects_total"] == found["gaps"] == 0
            assert 0 < found["restorable_time_seconds"] <= found["watermark_time_seconds"]
            assert found["etcd_head_revision"] >= revision
        with urlopen(f"http://{address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        for url in urls:
            count = f'store_request_duration_seconds_count{{archive="{url}",operation="create",result="ok"}} '
            assert count in text, "the requests to the store are timed"
        with urlopen(f"http://{address}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with urlopen(f"http://{address}/readyz", timeout=10) as answer:
            assert answer.read().count(b": writing, known until ") == 2
        assert recorder.stop() == 0


def test_an_address_that_cant_be_had_is_told(settings: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = replicator("-c", settings(metrics={"listen": listen}), "run")
    Complaint(2, f"metrics.listen: can't listen on {listen}", "another port").is_made_by(outcome)
    two = [settings(f"{port}.yaml", metrics={"listen": f"127.0.0.1:{port}"}) for port in (9465, 9466)]
    outcome = replicator("-c", two[0], "-c", two[1], "run")
    Complaint(2, "names several addresses: 127.0.0.1:9465, 127.0.0.1:9466", "name it once").is_made_by(
        outcome
    )
    outcome = replicator("-c", settings(metrics={"listen": "9465"}), "run")
    Complaint(2, '"9465" is no address to listen at', "127.0.0.1:9465").is_made_by(outcome)
    assert json.loads(two[0].read_text())["metrics"]
