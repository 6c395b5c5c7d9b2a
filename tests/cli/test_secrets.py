"""Secrets of the settings and values of keys: neither is in any output, whatever goes wrong."""

from __future__ import annotations

import base64
from itertools import repeat
from typing import TYPE_CHECKING

import pytest
from servers.command import Complaint, called, replicator, running
from servers.moto import refusal
from servers.proxy import Fault, at_random, faulty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.command import Outcome
    from servers.etcd import Etcd
    from servers.moto import S3Server

SECRET = Complaint.SECRET
VALUE = '{"uri":"/value-of-a-key"}'
FAULTS = (Fault.BUSY, Fault.RESET, Fault.ACK_LOST, Fault.TRUNCATED)


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_and_no_value_is_ever_said(
    form: str,
    settings: Callable[..., Path],
    guarded_etcd: Etcd,
    s3_server: S3Server,
    bucket: str,
    tmp_path: Path,
) -> None:
    reader = {"username": "reader", "password": SECRET}
    said = []
    with faulty(s3_server.endpoint, at_random(1, FAULTS, 0.2)) as proxy:
        path = settings(
            etcd=reader | {"endpoints": [guarded_etcd.endpoint], "prefix": "/apisix"},
            archive=f"s3://{bucket}/archive",
            s3={"endpoint": proxy.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": SECRET},
            capture={"flush_interval": "0"},
        )
        shared = ("--log-format", form, "--log-level", "debug", "-c", path)
        with running(tmp_path / "log", *shared) as recorder:
            recorder.says("watch.started")
            guarded_etcd.ctl("--user=root:root", "put", "/apisix/routes/1", VALUE)
            recorder.says("segment.stored")
            proxy.follow(repeat(refusal(403, "SignatureDoesNotMatch")))
            guarded_etcd.ctl("--user=root:root", "put", "/apisix/routes/2", VALUE)
            recorder.says("store.unavailable")
            assert recorder.stop() == 5
        said.append(recorder.said())
        said += [_all(replicator(*shared, "run")), _all(called("-c", path, "check"))]
        proxy.follow(())
        for command in (
            ("list",),
            ("status", "--json"),
            ("check",),
            ("restore", "--latest", "-o", "/dev/null"),
        ):
            said.append(_all(called("-c", path, *command)))
    assert all(said)
    for forbidden in (SECRET, base64.b64encode(SECRET.encode()).decode(), "value-of-a-key"):
        assert not [text for text in said if forbidden in text]


def _all(outcome: Outcome) -> str:
    return outcome.out.decode() + outcome.err
