"""What can be wrong with etcd and with the store, and what is said of it."""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING

import pytest
from servers.command import Complaint, called, replicator, running
from servers.moto import refusal
from servers.proxy import Answer, Fault, faulty

from replicator import wiring

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Story
    from servers.etcd import Etcd
    from servers.moto import S3Server

SECRET = Complaint.SECRET
NOWHERE = "http://127.0.0.1:1"


@pytest.mark.parametrize("command", ["run", "check"])
def test_etcd_out_of_reach(command: str, settings: Callable[..., Path], tmp_path: Path) -> None:
    outcome = replicator("-c", settings(etcd={"endpoints": [NOWHERE]}), command)
    said = outcome.err + outcome.out.decode()
    assert outcome.code == 5
    assert f"etcd at {NOWHERE}: unavailable" in said
    assert "check etcd.endpoints" in said
    assert "Traceback" not in said
    assert not (tmp_path / "archive/archive.json").exists()


def test_status_without_etcd_tells_the_archives_part(
    recorded_story: Story, settings: Callable[..., Path]
) -> None:
    path = settings(etcd={"endpoints": [NOWHERE], "prefix": "/apisix"}, archive=recorded_story.url)
    outcome = called("-c", path, "status", "--json")
    assert outcome.code == 5
    assert json.loads(outcome.out)["revision"] == recorded_story.flawed.revision
    assert "check etcd.endpoints" in outcome.err


def test_a_prefix_without_keys(settings: Callable[..., Path], tmp_path: Path) -> None:
    outcome = called("-c", settings(etcd={"prefix": "/apisixx"}), "run")
    Complaint(2, "etcd holds no key under /apisixx, but others", "check etcd.prefix").is_made_by(outcome)
    assert not (tmp_path / "archive").exists()


def test_check_finds_what_run_would_stumble_over(story: Story, settings: Callable[..., Path]) -> None:
    path = settings(etcd={"prefix": "/apisixx"}, archive=story.url)
    found = called("-c", path, "check", "--json")
    assert found.code == 2
    entries = {entry.pop("what"): entry for entry in json.loads(found.out)}
    assert [what for what, entry in entries.items() if not entry["ok"]] == ["prefix", "archive"]
    assert "but others" in entries["prefix"]["said"]
    assert entries["archive"]["hint"] == "give each prefix an archive of its own"


def test_check_speaks_as_nagios_wants_it(settings: Callable[..., Path]) -> None:
    well = called("-c", settings(), "check", "--nagios")
    assert well.code == 0
    assert re.fullmatch(
        rb"REPLICATOR OK - \d+ things tried \| time=[\d.]+s failed=0;;0 tried=\d+\n", well.out
    )
    broken = called("-c", settings(archive="file:///dev/null/archive"), "check", "--nagios")
    assert broken.code == 2
    assert broken.out.startswith(b"REPLICATOR CRITICAL - ")
    assert broken.out.count(b"|") == 1
    assert b" failed=" in broken.out
    unknown = called("-c", settings(nothing={}), "check", "--nagios")
    assert (unknown.code, unknown.out.count(b"\n")) == (3, 1)
    assert unknown.out.startswith(b"REPLICATOR UNKNOWN - ")


def test_check_does_not_look_for_an_archive_in_a_store_that_fails(settings: Callable[..., Path]) -> None:
    found = called("-c", settings(archive="file:///dev/null/archive"), "check")
    assert found.code == 5
    assert b"FAIL  store" in found.out
    assert b"not a directory" in found.out
    assert b"archive  " not in found.out.partition(b"FAIL")[2]


def test_an_archive_of_another_prefix(story: Story, settings: Callable[..., Path], prefix: str) -> None:
    what = f"the archive records the prefix /apisix, and etcd.prefix is {prefix}"
    outcome = called("-c", settings(archive=story.url), "run")
    Complaint(2, what, "an archive of its own").is_made_by(outcome)


def test_a_password_for_an_etcd_that_wants_none(settings: Callable[..., Path]) -> None:
    outcome = replicator("-c", settings(etcd={"username": "root", "password": SECRET}), "run")
    Complaint(5, "authentication is not enabled", "leave out etcd.username").is_made_by(outcome)


@pytest.mark.parametrize(
    ("etcd", "what", "hint"),
    [
        ({}, "user name is empty", "check etcd.username"),
        ({"username": "root", "password": f"{SECRET}!"}, "authentication failed", "check etcd.username"),
        ({"username": SECRET, "password": SECRET}, "authentication failed", "check etcd.username"),
        (
            {"username": "reader", "password": SECRET, "prefix": "/other"},
            "permission denied",
            "read permission on the whole prefix",
        ),
    ],
    ids=["no user", "wrong password", "unknown user", "forbidden prefix"],
)
def test_etcd_refuses_us(
    etcd: dict[str, str], what: str, hint: str, guarded_etcd: Etcd, settings: Callable[..., Path]
) -> None:
    path = settings(etcd={"endpoints": [guarded_etcd.endpoint], "prefix": "/apisix"} | etcd)
    Complaint(5, what, hint).is_made_by(replicator("-c", path, "--log-level", "debug", "run"))


def test_a_reader_of_the_prefix_alone_is_enough(
    guarded_etcd: Etcd, settings: Callable[..., Path], tmp_path: Path
) -> None:
    reader = {"username": "reader", "password": SECRET}
    path = settings(etcd={"endpoints": [guarded_etcd.endpoint], "prefix": "/apisix"} | reader)
    assert replicator("-c", path, "check").code == 0
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        assert recorder.stop() == 0


@pytest.mark.parametrize(
    ("place", "what"), [("/proc/archive", "no such file"), ("/dev/null/archive", "not a directory")]
)
def test_a_directory_that_cannot_be_made(place: str, what: str, settings: Callable[..., Path]) -> None:
    outcome = replicator("-c", settings(archive=f"file://{place}"), "run")
    Complaint(5, f": {what}", place).is_made_by(outcome)


# ---- S3 --------------------------------------------------------------------------------------------------


@pytest.fixture
def in_s3(settings: Callable[..., Path]) -> Callable[..., Path]:
    """Return a function from a bucket and an endpoint to a settings file."""

    def written(bucket: str, endpoint: str) -> Path:
        keys = {"access_key": "some-id", "secret_key": SECRET, "region": "us-east-1"}
        return settings(archive=f"s3://{bucket}/some/path", s3=keys | {"endpoint": endpoint})

    return written


def test_s3_out_of_reach(in_s3: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "_COMMAND_PATIENCE_S", 0.5)
    outcome = called("-c", in_s3("bucket", NOWHERE), "list")
    Complaint(5, "Could not connect to the endpoint", "check `s3.endpoint`").is_made_by(outcome)


@pytest.mark.parametrize("command", ["run", "list"])
def test_a_missing_bucket(command: str, in_s3: Callable[..., Path], s3_server: S3Server) -> None:
    outcome = replicator("-c", in_s3("nobody-made-this", s3_server.endpoint), command)
    Complaint(5, "NoSuchBucket", "create the bucket").is_made_by(outcome)


REFUSALS = {
    "wrong access key": (refusal(403, "InvalidAccessKeyId"), "correct the access key id"),
    "wrong secret key": (refusal(403, "SignatureDoesNotMatch"), "correct the secret key"),
    "no permission": (refusal(403, "AccessDenied"), "grant s3:GetObject"),
    "expired session": (refusal(400, "ExpiredToken"), "renew the credentials"),
    "another region": (refusal(301, "PermanentRedirect"), "s3.region"),
}


@pytest.mark.parametrize(("answer", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_s3_refuses_us(
    answer: Answer, hint: str, in_s3: Callable[..., Path], s3_server: S3Server, bucket: str
) -> None:
    with faulty(s3_server.endpoint, itertools.repeat(answer)) as proxy:
        outcome = called("-c", in_s3(bucket, proxy.endpoint), "restore", "--latest")
    Complaint(5, f"s3://{bucket}/some/path/archive.json: ", hint).is_made_by(outcome)


def test_a_bucket_that_may_be_read_alone(
    in_s3: Callable[..., Path], s3_server: S3Server, bucket: str
) -> None:
    """Nothing was recorded yet that would be worth waiting for."""
    denied = itertools.repeat(refusal(403, "AccessDenied"))
    with faulty(s3_server.endpoint, itertools.chain([Fault.NONE], denied)) as proxy:
        outcome = replicator("-c", in_s3(bucket, proxy.endpoint), "run")
    Complaint(5, f"s3://{bucket}/some/path/probe/", "grant s3:GetObject").is_made_by(outcome)


def test_no_credentials_for_s3(s3_server: S3Server, bucket: str) -> None:
    environment = {"REPLICATOR_S3_ENDPOINT": s3_server.endpoint, "REPLICATOR_S3_REGION": "us-east-1"}
    outcome = called("list", "--archive", f"s3://{bucket}", env=environment)
    Complaint(5, "Unable to locate credentials", "AWS_ACCESS_KEY_ID").is_made_by(outcome)


# ---- writers ---------------------------------------------------------------------------------------------
