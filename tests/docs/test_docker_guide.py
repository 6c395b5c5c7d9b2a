"""docs/guides/docker.md shows what is there: the composed settings, and the words of the program."""

from __future__ import annotations

import re
from datetime import datetime

import yaml
from servers.etcd import ROOT

from replicator.cli.agent_words import words
from replicator.flows.agent_told import AgentTold
from replicator.flows.copy_told import CopyTold, Written
from replicator.flows.journal import Journal

PAGE = (ROOT / "docs/guides/docker.md").read_text(encoding="utf-8")
COMPOSED = ROOT / "compose/outage"


def test_the_settings_are_the_composed_ones() -> None:
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    assert yaml.safe_load(shown) == yaml.safe_load((COMPOSED / "replicator.yaml").read_text())


def test_the_services_and_volumes_are_the_composed_ones() -> None:
    document = yaml.safe_load((COMPOSED / "compose.yaml").read_text())
    volumes = {f"{document['name']}_{volume}" for volume in document["volumes"]}
    verbs = re.findall(r"^outage (?:exec|stop|start|restart|rm|up|logs) (.*)$", PAGE, re.MULTILINE)
    named = {word for verb in verbs for word in verb.split(" replicator ")[0].split() if word[0] != "-"}

    assert len(verbs) > 10
    assert named <= document["services"].keys()
    assert set(re.findall(rf"{document['name']}_\w+", PAGE)) <= volumes


def test_the_status_is_told_so() -> None:
    written = Written(
        archive_id="",
        epoch=1,
        revision=3,
        content="",
        sha256="",
        counts={"routes": 1},
        written_at=datetime.fromisoformat("2026-11-26T11:53:46.000000Z"),
    )
    told = AgentTold(
        at=datetime.fromisoformat("2026-11-26T11:53:55.696279Z"),
        pid=12881,
        switch=Journal(
            mode="standalone",
            ended_at=datetime.fromisoformat("2026-11-26T11:53:55.690196Z"),
            why="etcd has failed for 5 s",
        ),
        copy=CopyTold(written=written),
        etcd_failing_s=5.0,
        etcd_failure="etcd at http://127.0.0.1:2379: unavailable: failed to connect to all addresses; "
        "last error: UNKNOWN: ipv4:127.0.0.1:2379: Failed to connect to remote host: Connection refused",
        outlook="etcd has failed for 5 s",
        age_s=7.8,
    )

    assert "```\n" + "\n".join(words(told)) + "\n```\n" in PAGE
