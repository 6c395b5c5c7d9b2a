"""The metrics as Prometheus scrapes them, over HTTP."""

from __future__ import annotations

import re
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicator.adapters.prometheus import Registry, serve
from replicator.errors import UsageError
from replicator.telemetry.metrics import METRICS, PREFIX


def scraped(address: str) -> dict[tuple[str, ...], float]:
    """Return each sample by its name, archive and other labels, by their names' order."""
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def served() -> tuple[Registry, str]:
    registry = Registry()
    return registry, serve(registry, "127.0.0.1", 0)


def test_sources_stand_side_by_side(served: Any) -> None:
    registry, address = served
    one, two = registry.meter("file:///a"), registry.meter("s3://b/c")
    one.set("gaps", 2)
    two.set("gaps", 3)
    one.count("store_failures_total", operation="get")
    one.count("store_failures_total", 2, operation="get")
    two.count("fenced_total")
    found = scraped(address)

    assert found["replicator_gaps", "file:///a"] == 2
    assert found["replicator_gaps", "s3://b/c"] == 3
    assert found["replicator_store_failures_total", "file:///a", "get"] == 3
    assert found["replicator_fenced_total", "file:///a"] == 0
    assert found["replicator_fenced_total", "s3://b/c"] == 1
    assert ("replicator_spool_bytes", "file:///a") not in found
    assert not any(name.endswith("_created") for name, *_ in found)


def test_each_metric_of_the_list_can_be_scraped(served: Any) -> None:
    registry, address = served
    meter = registry.meter("a")
    for metric in METRICS:
        if metric.type == "gauge":
            meter.set(metric.name, 1)
        elif metric.type == "counter":
            meter.count(metric.name, **dict.fromkeys(metric.labels, "x"))
        else:
            meter.observe(metric.name, 1, **dict.fromkeys(metric.labels, "x"))

    found = {re.sub("(?<=_seconds)_(bucket|count|sum)$", "", name) for name, *_ in scraped(address)}
    assert found == {PREFIX + metric.name for metric in METRICS}


def test_a_histogram_says_how_many_took_how_long(served: Any) -> None:
    registry, address = served
    meter = registry.meter("a")
    for taken_s in (0.004, 0.2, 0.2, 40):
        meter.observe("store_request_duration_seconds", taken_s, operation="get", result="ok")
    found = scraped(address)

    name = "replicator_store_request_duration_seconds"
    within = {bound: found[f"{name}_bucket", "a", bound, "get", "ok"] for bound in ("0.005", "0.25", "30.0")}
    assert within == {"0.005": 1, "0.25": 3, "30.0": 3}
    assert found[f"{name}_bucket", "a", "+Inf", "get", "ok"] == found[f"{name}_count", "a", "get", "ok"] == 4
    assert found[f"{name}_sum", "a", "get", "ok"] == pytest.approx(40.404)


def test_an_unknown_name_is_a_bug(served: Any) -> None:
    with pytest.raises(KeyError):
        served[0].meter("a").set("nothing", 1)
    with pytest.raises(KeyError):
        served[0].meter("a").count("gaps")
    with pytest.raises(KeyError):
        served[0].meter("a").observe("gaps", 1)


def test_what_else_is_there(served: Any) -> None:
    _, address = served
    with urlopen(f"http://{address}/healthz", timeout=10) as answer:
        assert answer.read() == b"ok\n"
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"http://{address}/", timeout=10)
    wants = Request(f"http://{address}/metrics", headers={"Accept": "application/openmetrics-text"})
    with urlopen(wants, timeout=10) as answer:  # noqa: S310 (the address is the fixture's)
        assert answer.read().endswith(b"# EOF\n")


def test_an_address_that_is_taken_or_nobodys_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"can't listen on 127.0.0.1:{port}: Address already in use"):
            serve(Registry(), "127.0.0.1", port)
    with pytest.raises(UsageError, match="can't listen on"):
        serve(Registry(), "192.0.2.1", 0)
    with pytest.raises(UsageError, match="can't listen on"):
        serve(Registry(), "no-such-host.invalid", 0)


@pytest.mark.parametrize(
    ("numbers", "is_ready", "words"),
    [
        ({}, False, "a: not begun"),
        ({"is_writer": 1}, False, "a: not begun"),
        ({"is_writer": 0}, True, "a: standing by"),
        ({"is_writer": 1, "watermark_time_seconds": 990}, True, "a: writing, known until 10 s ago"),
        ({"is_writer": 1, "watermark_time_seconds": 99}, False, "a: writing, known until 901 s ago"),
        ({"agent_standalone": 1}, True, "a: the agent is at work"),
    ],
)
def test_who_is_ready(numbers: dict[str, float], *, is_ready: bool, words: str) -> None:
    registry = Registry()
    for archive, held in (("a", numbers), ("b", {"is_writer": 0})):
        meter = registry.meter(archive)
        for name, value in held.items():
            meter.set(name, value)
    assert registry.readiness(1000) == (is_ready, f"{words}\nb: standing by\n")


def test_who_is_not_ready_is_told_with_503(served: Any) -> None:
    registry, address = served
    meter = registry.meter("a")
    with pytest.raises(HTTPError, match="503") as raised:
        urlopen(f"http://{address}/readyz", timeout=10)
    assert raised.value.read() == b"a: not begun\n"
    meter.set("is_writer", 0)
    with urlopen(f"http://{address}/readyz", timeout=10) as answer:
        assert answer.read() == b"a: standing by\n"
