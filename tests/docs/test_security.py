"""docs/security.md: its policies are enough for every command, and nothing in them is too much."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers.command import called, running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson
from servers.iam import Iam, guarded
from servers.keys import kms_key

from replicator.adapters.key_file import read_key_file
from replicator.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers.moto import S3Server

PAGE = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
EXAMPLE_KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
Statements = list[dict[str, Any]]


def blocks(language: str) -> list[str]:
    """Return the page's fenced blocks in *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def etcd(etcd_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """Return an etcd with a key."""
    with (
        Etcd(tmp_path_factory.mktemp("etcd"), etcd_binary, ["--unsafe-no-fsync"]) as server,
        EtcdJson(server.endpoint) as client,
    ):
        client.put("/apisix/routes/1", '{"uri":"/a"}')
        yield server


@pytest.fixture
def iam() -> Iterator[Iam]:
    """Return S3 and KMS behind policies."""
    with guarded() as serving:
        yield serving


class Case:
    """A bucket, a key, settings for both, and the page's policies for them."""

    def __init__(self, s3_server: S3Server, iam: Iam, etcd: Etcd, folder: Path) -> None:
        self.bucket = s3_server.make_bucket()
        self.key_id = kms_key(s3_server.endpoint)
        self.iam = iam
        self.plain = folder / "plain.yaml"
        self.sealed = folder / "sealed.yaml"
        place = {"endpoint": iam.endpoint, "region": "us-east-1", "access_key": "id", "secret_key": "secret"}
        settings = {
            "etcd": {"endpoints": [etcd.endpoint]},
            "archive": f"s3://{self.bucket}/gateway",
            "s3": place,
            "capture": {"flush_interval": "0"},
        }
        encryption = {"kms_key_id": self.key_id, "kms_endpoint": iam.endpoint}
        self.plain.write_text(json.dumps(settings))
        self.sealed.write_text(json.dumps(settings | {"encryption": encryption}))

    def policies(self) -> tuple[Statements, Statements, Statements, Statements]:
        """Return the page's statements: the writer's, a reader's, and what KMS adds to either."""
        writer, reader, *kms = (
            json.loads(text.replace("my-bucket", self.bucket).replace(EXAMPLE_KEY, self.key_id))["Statement"]
            for text in blocks("json")
        )
        return (writer, reader, *kms)  # type: ignore[return-value]


@pytest.fixture
def case(s3_server: S3Server, iam: Iam, etcd: Etcd, tmp_path: Path) -> Case:
    return Case(s3_server, iam, etcd, tmp_path)


def without(statements: Statements, action: str) -> Statements:
    """Return *statements* less one action."""
    rest = copy.deepcopy(statements)
    for statement in rest:
        if action in statement["Action"]:
            statement["Action"].remove(action)
    return rest


def actions(statements: Statements) -> list[str]:
    return [action for statement in statements for action in statement["Action"]]


def record(settings: Path, log: Path) -> None:
    with running(log, "-c", settings) as recorder:
        recorder.tells("watch.started")
        assert recorder.stop() == 0


def read(settings: Path) -> list[int]:
    """Run each command that reads; return their exit codes."""
    commands = (["list"], ["status"], ["restore", "--latest", "-o", "/dev/null"])
    return [called("-c", settings, *command).code for command in commands]


def test_each_command_does_with_the_pages_policy_and_needs_all_of_it(case: Case, tmp_path: Path) -> None:
    writer, reader, *_ = case.policies()
    case.iam.statements = writer
    assert called("-c", case.plain, "check").code == 0
    record(case.plain, tmp_path / "log")
    assert read(case.plain) == [0, 0, 0]
    for action in actions(writer):
        case.iam.statements = without(writer, action)
        assert called("-c", case.plain, "check").code == 5, action

    case.iam.statements, case.iam.asked = reader, set()
    assert read(case.plain) == [0, 0, 0]
    assert case.iam.asked == set(actions(reader))
    for action in actions(reader):
        case.iam.statements = without(reader, action)
        assert 5 in read(case.plain), action


def test_a_policy_for_one_path_opens_no_other(case: Case) -> None:
    writer, *_ = case.policies()
    case.iam.statements = writer
    outcome = called("-c", case.plain, "check", "--archive", f"s3://{case.bucket}/elsewhere")
    assert outcome.code == 5
    assert b"AccessDenied" in outcome.out


def test_keys_of_kms_need_what_the_page_adds(case: Case, tmp_path: Path) -> None:
    writer, reader, kms_writer, kms_reader = case.policies()
    case.iam.statements = writer + kms_writer
    record(case.sealed, tmp_path / "log")
    assert called("-c", case.sealed, "check").code == 0
    case.iam.statements = reader + kms_reader
    assert read(case.sealed) == [0, 0, 0]
    case.iam.statements = reader
    refused = called("-c", case.sealed, "list")
    assert (refused.code, "kms:Decrypt" in refused.err) == (5, True)
    for action in actions(kms_writer):
        case.iam.statements = writer + without(kms_writer, action)
        assert called("-c", case.sealed, "check").code == 5, action


def test_the_pages_settings_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "replicator.yaml"
    for text in blocks("yaml"):
        if not text.startswith("encryption:"):  # etcd's have a test of their own
            continue
        path.write_text(text)
        encryption = load(path, {}).encryption
        assert encryption.key_file or encryption.kms_key_id


def test_the_pages_key_file_is_one(tmp_path: Path) -> None:
    (text,) = (block for block in blocks("") if "the new key" in block)
    path = tmp_path / "keys"
    path.write_text(text)
    assert len(read_key_file(path)) == 2
