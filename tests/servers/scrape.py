"""Metrics as Prometheus scrapes them."""

from __future__ import annotations

from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

ANY_PORT = {"listen": "127.0.0.1:0"}


def scraped(address: str, archive: str) -> dict[str, float]:
    """Return the samples of one archive, by name without the prefix."""
    with urlopen(f"http://{address}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return {
        sample.name.removeprefix("replicator_"): sample.value
        for family in families
        for sample in family.samples
        if sample.labels["archive"] == archive
    }
