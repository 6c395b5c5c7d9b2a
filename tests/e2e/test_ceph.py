"""The whole product on Ceph RGW: a real etcd, a recorder killed again and again, every revision restored."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from etcd_oracle import held, transact
from servers.ceph import REGION
from servers.command import Complaint, called, replicator, running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

from replicator.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.ceph import Rgw

pytestmark = pytest.mark.ceph

PREFIX = b"/apisix"
KILLS = 3
COMMANDS = ["list", "status", "restore --latest", "run"]


@dataclass(frozen=True)
class Recorded:
    """An archive on RGW, and the etcd that it was recorded from, which still answers.

    Args:
        etcd: A client of that etcd.
        etcd_endpoint: Where it serves.
        settings: The file with which it was recorded.
        head: The last change.
    """

    etcd: EtcdJson
    etcd_endpoint: str
    settings: Path
    head: int


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, etcd_binary: Path, rgw: Rgw) -> Iterator[Recorded]:
    """Record some hundred changes; each recorder but the last is killed while changes are under way."""
    folder = tmp_path_factory.mktemp("ceph")
    with (
        Etcd(folder / "etcd", etcd_binary, ("--unsafe-no-fsync",)) as etcd,
        EtcdJson(etcd.endpoint) as client,
    ):
        settings = written(folder, rgw, etcd.endpoint)
        chance = random.Random(1)
        client.put(b"/apisix/routes/", b"init_dir")
        for start in range(1, KILLS + 1):
            with running(folder / "log", "-c", settings) as recorder:
                recorder.tells("watch.started", start)
                recorder.stores(change(client, chance, 60))
                recorder.tells("snapshot.stored", start)
                change(client, chance, 20)  # partly unstored when the block ends, and kills
            change(client, chance, 20)
        with running(folder / "log", "-c", settings) as recorder:
            head = change(client, chance, 20)
            recorder.stores(head)
            assert recorder.stop() == 0
        yield Recorded(client, etcd.endpoint, settings, head)


def written(folder: Path, rgw: Rgw, etcd: str, **other: str) -> Path:
    """Write settings for a fresh bucket on *rgw*, or with *other* bucket and keys; return the file."""
    keys = {"access_key": rgw.access_key, "secret_key": rgw.secret_key}
    place = {"endpoint": rgw.endpoint, "region": REGION, "use_path_style": True}
    bucket = other.pop("bucket", None) or rgw.make_bucket()
    settings = {
        "etcd": {"endpoints": [etcd], "prefix": PREFIX.decode()},
        "archive": f"s3://{bucket}/some/archive",
        "s3": place | keys | other,
        "capture": {"flush_interval": "0"},
        "snapshot": {"cron_spec": "@every 1s"},
    }
    path = folder / "replicator.yaml"
    path.write_text(json.dumps(settings))
    return path


def change(etcd: EtcdJson, chance: random.Random, count: int) -> int:
    """Change *etcd* at random so many times, and then one key under the prefix; return the revision."""
    for _ in range(count):
        keys = [b"%s/routes/%d" % (chance.choice([PREFIX, PREFIX, b"/else"]), n) for n in range(40)]
        value = chance.choice([b'{"uri":"/\xc3\xa9"}', b"\0\xff", b"", chance.randbytes(20_000)])
        match chance.choice(["put", "put", "put", "delete", "transaction"]):
            case "put":
                etcd.put(chance.choice(keys), value)
            case "delete":
                etcd.delete(chance.choice(keys))
            case _:
                transact(etcd, [(key, chance.choice([value, None]), 0) for key in chance.sample(keys, 5)])
    return etcd.put(b"/apisix/last", b"%d" % count)


def test_every_revision_is_what_etcd_held(recorded: Recorded) -> None:
    (epoch,) = listed(recorded)["epochs"]
    assert (epoch["end_revision"], len(epoch["snapshots"]) > 1) == (recorded.head, True)
    for revision in range(epoch["first"]["revision"], recorded.head + 1):
        outcome = called("-c", recorded.settings, "restore", "--revision", revision, "--format", "kv")
        assert outcome.code == 0, outcome.err
        expected = held(recorded.etcd, PREFIX, revision)
        actual = {_bytes(line, "key"): _record(line) for line in map(json.loads, outcome.out.splitlines())}
        assert expected == actual, revision


def test_status_knows_the_head(recorded: Recorded) -> None:
    outcome = called("-c", recorded.settings, "status", "--json", "--max-age", "10m")
    status = json.loads(outcome.out)
    assert (outcome.code, status["revision"], status["epochs"]) == (0, recorded.head, 1)
    assert (status["etcd_head"], status["lag_revisions"]) == (recorded.head, 0)


def test_check_finds_conditional_writes(recorded: Recorded) -> None:
    outcome = called("-c", recorded.settings, "check")
    assert outcome.code == 0, outcome.out
    assert "two writers can't overwrite each other" in outcome.out.decode()


def test_a_revision_that_is_not_there_yet(recorded: Recorded) -> None:
    outcome = called("-c", recorded.settings, "restore", "--revision", recorded.head + 1)
    assert outcome.code == 3, outcome.err


REFUSED = {
    "wrong secret": ({"secret_key": Complaint.SECRET}, "SignatureDoesNotMatch", "correct the secret key"),
    "unknown key": ({"access_key": "nobody"}, "InvalidAccessKeyId", "correct the access key id"),
    "missing bucket": ({"bucket": "nobody-made-this"}, "NoSuchBucket", "create the bucket"),
}


@pytest.fixture(params=REFUSED.values(), ids=REFUSED)
def refused(
    request: pytest.FixtureRequest, rgw: Rgw, recorded: Recorded, tmp_path: Path
) -> tuple[Path, Complaint]:
    """Return settings that RGW refuses, and what must be said of it."""
    other, what, hint = request.param
    return written(tmp_path, rgw, recorded.etcd_endpoint, **other), Complaint(5, what, hint)


@pytest.mark.parametrize("command", COMMANDS)
def test_rgw_refuses_us(command: str, refused: tuple[Path, Complaint]) -> None:
    settings, complaint = refused
    complaint.is_made_by(replicator("-c", settings, *command.split()))


def test_check_says_why_rgw_refuses_us(refused: tuple[Path, Complaint]) -> None:
    settings, complaint = refused
    outcome = called("-c", settings, "check")
    said = outcome.out.decode()
    assert outcome.code == complaint.code
    assert complaint.what in said
    assert complaint.hint in said
    assert Complaint.SECRET not in said


def listed(recorded: Recorded) -> Any:
    """Return what `list --json` says."""
    outcome = called("-c", recorded.settings, "list", "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def _record(line: dict[str, Any]) -> Record:
    numbers = (line[name] for name in ("create_revision", "mod_revision", "version", "lease"))
    return Record(_bytes(line, "value"), *numbers)


def _bytes(line: dict[str, Any], name: str) -> bytes:
    return line[name].encode() if name in line else base64.b64decode(line[f"{name}_base64"])
