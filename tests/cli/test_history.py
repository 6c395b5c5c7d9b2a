"""history, show, diff and blame over an archive of a real etcd, which judges them."""

from __future__ import annotations

import json
import random
import signal
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jsonpatch
import pytest
from etcd_oracle import held, transact
from servers.command import answered, called, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.etcd import Etcd
    from servers.etcd_json import EtcdJson

_STEPS = 60
_SECRET = "0123456789abcdef"


@dataclass(frozen=True)
class Recorded:
    """What a real `run` has recorded of changes by chance.

    Args:
        url: The archive, as ``--archive`` takes it.
        settings: The settings of the run, for ``live``.
        seed: What the chance came from.
        revisions: All revisions that were recorded, the base first.
        states: What etcd held at each.
        moment: A moment after some revision, with that revision.
    """

    url: str
    settings: Path
    seed: int
    revisions: list[int]
    states: dict[int, dict[bytes, bytes]]
    moment: tuple[datetime, int]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, shared_etcd: Etcd, client: EtcdJson) -> Recorded:
    """Record a history made by chance: puts, deletes, transactions, a lease that is revoked, heartbeats."""
    folder, seed = tmp_path_factory.mktemp("history"), random.randrange(2**32)
    dice, prefix = random.Random(seed), f"/history-{seed}"
    settings = folder / "settings.yaml"
    settings.write_text(
        json.dumps(
            {
                "etcd": {"endpoints": [shared_etcd.endpoint], "prefix": prefix},
                "archive": f"file://{folder}/archive",
                "capture": {"flush_interval": "0"},
            }
        )
    )
    keys = [f"{prefix}/{name}".encode() for name in ("routes/1", "routes/2", "consumers/jack", "upstreams/1")]
    revisions = [client.put(keys[0], _value(dice))]
    moment = (datetime.now(UTC), revisions[0])
    with running(folder / "log", "-c", settings) as recorder:
        recorder.tells("watch.started")
        lease = client.grant(600)
        for step in range(_STEPS):
            chosen = dice.sample(keys, dice.choice([1, 1, 1, 2, 3]))
            alive = held(client, prefix.encode(), 0)
            changes = [
                (key, None, 0) if key in alive and dice.random() < 0.2 else (key, _value(dice), 0)
                for key in chosen
            ]
            revisions.append(transact(client, changes))
            if step == _STEPS // 2:
                recorder.stores(revisions[-1])
                moment = (datetime.now(UTC), revisions[-1])
        beat = f"{prefix}/data_plane/server_info/x"
        revisions.append(client.put(beat, '{"id":"x"}', lease))
        client.ask("lease/revoke", ID=lease)
        revisions.append(client.put(keys[3], _value(dice)))
        recorder.stores(revisions[-1])
        revisions.insert(-1, revisions[-1] - 1)
        assert recorder.stop() == 0
    states = {
        revision: {key: record.value for key, record in held(client, prefix.encode(), revision).items()}
        for revision in revisions
    }
    return Recorded(f"--archive=file://{folder}/archive", settings, seed, revisions, states, moment)


def _value(dice: random.Random) -> bytes:
    """Return some resource's JSON, which has a secret."""
    return json.dumps(
        {
            "uri": f"/{dice.randrange(3)}",
            "upstream": {"nodes": {f"10.0.0.{place}:80": dice.randrange(2) for place in range(2)}},
            "plugins": {"key-auth": {"key": f"{_SECRET}{dice.randrange(9)}"}},
            "methods": dice.sample(["GET", "PUT", "POST"], dice.randrange(4)),
            "update_time": dice.randrange(10**9),
        }
    ).encode()


def _lines(recorded: Recorded, *words: str) -> list[Any]:
    """Return what ``history --json`` says, a document for each line."""
    answer = called("history", *words, "--json", recorded.url)
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def _key(recorded: Recorded, resource: str) -> bytes:
    (prefix,) = {key.split(b"/")[1] for state in recorded.states.values() for key in state}
    return b"/" + prefix + b"/" + resource.encode()


def test_history_says_of_every_revision_what_etcd_says(recorded: Recorded) -> None:
    lines = {line["revision"]: line for line in _lines(recorded, "--heartbeats", "--reveal")}
    assert sorted(lines) == recorded.revisions[1:], recorded.seed
    for before, after in zip(recorded.revisions, recorded.revisions[1:], strict=False):
        old, new = recorded.states[before], recorded.states[after]
        told = {one["key"].encode(): one for one in lines[after]["changes"]}
        for key in old.keys() | new.keys():
            if key not in told:
                assert old.get(key) == new.get(key), (recorded.seed, after, key)
                continue
            op = told[key]["op"]
            assert op == ("create" if key not in old else "update" if key in new else op)
            assert (op in ("delete", "expire")) == (key not in new)
            if op == "update":
                made = jsonpatch.JsonPatch(told[key].get("patch", [])).apply(json.loads(old[key]))
                assert made == json.loads(new[key]), (recorded.seed, after, key)
    assert lines[recorded.revisions[-2]]["changes"][0]["op"] == "expire"


def test_history_of_one_is_its_part_of_all(recorded: Recorded) -> None:
    whole = _lines(recorded, "--heartbeats")
    for resource in ("routes/1", "consumers/jack", "routes", "upstreams/9"):
        some = _lines(recorded, resource)
        expected = [
            (line["revision"], one["resource"], one["op"])
            for line in whole
            for one in line["changes"]
            if one["resource"] == resource or one["resource"].startswith(f"{resource}/")
        ]
        assert [
            (line["revision"], one["resource"], one["op"]) for line in some for one in line["changes"]
        ] == (expected), recorded.seed
        for line in some:
            keys = next(other for other in whole if other["revision"] == line["revision"])["changes"]
            assert len(line["changes"]) + line.get("others", 0) == len(keys)


def test_history_can_be_cut_by_time(recorded: Recorded) -> None:
    moment, revision = recorded.moment
    earlier = _lines(recorded, "--until", moment.isoformat())
    later = _lines(recorded, "--since", moment.isoformat())
    assert [line["revision"] for line in earlier + later] == [
        line["revision"] for line in _lines(recorded)
    ], recorded.seed
    assert earlier[-1]["revision"] == revision


def test_heartbeats_are_hidden_and_secrets_too(recorded: Recorded) -> None:
    for words in (
        ("history",),
        ("history", "--json"),
        ("diff", str(recorded.revisions[0]), "latest", "--json"),
    ):
        answer = called(*words, recorded.url)
        assert b"server_info" not in answer.out
        assert _SECRET not in answer.out.decode() + answer.err
    assert _SECRET.encode() in called("history", "--json", "--reveal", recorded.url).out
    assert b"server_info" in called("history", "--heartbeats", recorded.url).out


def test_show_is_etcds_value(recorded: Recorded) -> None:
    for revision in random.Random(recorded.seed).sample(recorded.revisions, 6):
        for resource in ("routes/1", "consumers/jack"):
            value = recorded.states[revision].get(_key(recorded, resource))
            answer = called("show", resource, "--at", str(revision), "--raw", recorded.url)
            if value is None:
                assert answer.code == 2
                assert "wasn't there" in answer.err
            else:
                assert answer.out == value, (recorded.seed, revision)
                shown = answered("show", resource, "--at", str(revision), recorded.url)
                assert shown["value"] == json.loads(value) | {"plugins": {"key-auth": {"key": "***"}}}


def test_diff_makes_the_one_state_into_the_other(recorded: Recorded) -> None:
    dice = random.Random(recorded.seed)
    for _ in range(4):
        one, other = dice.choices(recorded.revisions, k=2)
        old, new = recorded.states[one], recorded.states[other]
        answer = called(
            "diff", str(one), str(other), "--json", "--reveal", "--exit-code", "--heartbeats", recorded.url
        )
        found = json.loads(answer.out)
        assert answer.code == (8 if found else 0)
        assert {each["key"].encode() for each in found} == {
            key for key in old.keys() | new.keys() if old.get(key) != new.get(key)
        }, recorded.seed
        for each in found:
            key = each["key"].encode()
            if each["op"] != "delete":
                before = json.loads(old[key]) if key in old else None
                assert jsonpatch.JsonPatch(each["patch"]).apply(before) == json.loads(new[key])


def test_diff_with_live_etcd(recorded: Recorded) -> None:
    answer = called("-c", recorded.settings, "diff", "latest", "live", "--exit-code")
    assert (answer.code, answer.out) == (0, b""), answer.err
    first = str(recorded.revisions[0])
    live = called("-c", recorded.settings, "diff", first, "--json").out
    assert live == called("diff", first, "latest", "--json", recorded.url).out
    stat = called("-c", recorded.settings, "diff", first, "--stat").out.decode()
    assert stat.split()[0] in ("consumers", "routes", "upstreams")


def test_blame_names_the_last_revision_that_set_each_field(recorded: Recorded) -> None:
    for resource in ("routes/1", "routes/2", "consumers/jack"):
        key = _key(recorded, resource)
        values = [recorded.states[revision].get(key) for revision in recorded.revisions]
        if values[-1] is None:
            assert called("blame", resource, recorded.url).code == 2
            continue
        for line in answered("blame", resource, "--reveal", recorded.url):
            place = len(values) - 1
            while place and _leaf(values[place - 1], line["path"]) == [line["value"]]:
                place -= 1
            assert _leaf(values[-1], line["path"]) == [line["value"]]
            assert line["revision"] == recorded.revisions[place], (recorded.seed, resource, line)
            assert line["is_before"] == (place == 0)


def _leaf(value: bytes | None, path: str) -> list[Any] | None:
    """Return what the JSON *value* has at the pointer *path*, in a list; None if it has nothing there."""
    document = None if value is None else json.loads(value)
    for name in path.split("/")[1:]:
        if isinstance(document, list) and int(name) < len(document):
            document = document[int(name)]
        elif isinstance(document, dict) and name in document:
            document = document[name]
        else:
            return None
    return None if document is None else [document]


def test_follow_goes_on_with_what_is_recorded(
    settings: Callable[..., Path], client: EtcdJson, prefix: str, tmp_path: Path
) -> None:
    path = settings(capture={"flush_interval": "0"})
    with running(tmp_path / "log", "-c", path) as recorder:
        recorder.tells("watch.started")
        words = ("-c", path, "history", "routes/1", "--json")
        with running(tmp_path / "followed", *words, command="--follow") as own:
            revision = client.put(f"{prefix}/routes/1", '{"uri":"/new"}')
            own.says(f'"revision":{revision},')
            assert own.stop(signal.SIGINT) == 130
        assert recorder.stop() == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("history", "rout"), "is routes meant"),
        (("history", "--follow", "--until", "-1m"), "has no end"),
        (("history", "--since", "yesterday"), "--since"),
        (("show", "routes"), "which of them"),
        (("show", "routes/1", "--at", "noon"), "no moment"),
        (("show", "routes/1", "--raw", "--json"), "two answers"),
        (("show", "routes/77"), "wasn't there"),
        (("blame", "routes/77"), "wasn't there"),
        (("diff", "latest", "-1x"), "no moment"),
        (("diff", "-1h", "--josn"), "--json"),
        (("diff", "latest", "latest", "--stat", "--unified"), "choose one"),
        (("diff", "latest", "latest", "--only", "x/1"), "no resource"),
        (("diff", "point:nothing", "latest"), "nothing"),
        (("diff", "latest"), "prefix"),
    ],
)
def test_what_is_wrong_is_told(recorded: Recorded, words: tuple[str, ...], message: str) -> None:
    answer = called(*words, recorded.url)
    assert answer.code == 2, answer.err
    assert message in answer.err
    assert not answer.out


def test_a_moment_that_is_not_restorable(recorded: Recorded) -> None:
    answer = called("diff", "1", "latest", recorded.url)
    assert answer.code == 3
    assert "before the archive's history" in answer.err
