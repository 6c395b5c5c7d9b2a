"""compact, prune and point, as a user gives them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START, stamped

from replicator.adapters.directory import DirectoryStore
from replicator.cli import main
from replicator.core.records import Batch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAYS = 6


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return an archive of two changes and a snapshot each day: revisions 1 to 13, at 01:00 and 13:00."""
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    scribe.open(etcd, START)
    for _ in range(2 * DAYS):
        etcd.put(b"/apisix/routes/1", b'{"uri":"/%d"}' % etcd.head)
    for place, batch in enumerate(stamped(etcd.history)):
        scribe.append([Batch(batch.revision, START + timedelta(hours=12 * place + 1), batch.events)])
        if place % 2:
            scribe.snapshot()
    return tmp_path / "archive"


@pytest.fixture
def call(archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Return a function that calls the program; it returns exit code, stdout and stderr."""
    monkeypatch.setenv("REPLICATOR_ARCHIVE", f"file://{archive}")
    monkeypatch.setenv("REPLICATOR_RETENTION_FULL", "2d")
    monkeypatch.setenv("REPLICATOR_RETENTION_DAILY", "4d")

    def called(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def names(archive: Path) -> set[str]:
    """Return the names of all objects."""
    return {str(path.relative_to(archive)) for path in archive.rglob("[!.]*.*") if path.is_file()}


def test_compact_tells_what_it_did_and_then_finds_nothing(archive, call) -> None:
    code, out, _ = call("compact", "--json")
    done = json.loads(out)
    assert (code, len(done["made"]), done["deleted"], done["waiting"]) == (0, 1, [], 2 * DAYS)
    assert set(done["made"]) <= names(archive)
    assert call("compact")[1] == (
        "deleted  0 objects that merged ones hold\nwaiting  12 objects, until their grace time is over\n"
    )
    assert "deleted  12 objects" in call("compact", "--grace", "0")[1]
    assert not [name for name in names(archive) if "/log/" in name]
    assert json.loads(call("compact", "--json")[1]) == {
        "made": [],
        "deleted": [],
        "waiting": 0,
        "damaged": [],
    }
    assert call("restore", "--revision", "6", "--format", "kv")[0] == 0


def test_prune_is_a_dry_run_unless_told_otherwise(archive, call) -> None:
    before = names(archive)
    code, out, _ = call("prune")
    assert code == 0
    assert "before revision 9 go 2 snapshots and 8 pieces of the log; 2 snapshots stay there" in out
    assert "would go: 10 objects" in out
    assert "nothing was deleted: say --yes to do it" in out
    planned = json.loads(call("prune", "--json")[1])
    assert before == names(archive)
    done = json.loads(call("prune", "--yes", "--json")[1])
    assert planned | {"is_done": True} == done
    assert set(done["objects"]) == before - names(archive)
    (record,) = names(archive) - before
    assert record.startswith("e00000001/pruned/00000000000000000009@")
    code, _, err = call("restore", "--revision", "6", "--format", "kv")
    assert (code, "at revision 6 was thinned by retention" in err) == (3, True)
    assert "revision 5, known until 2026-01-02T13:00:00.000000Z, and revision 7 at" in err


def test_list_shows_what_is_left_and_named_points(call) -> None:
    call("point", "add", "before-upgrade", "--revision", "2", "--note", "why")
    call("prune", "--yes")
    _, out, _ = call("list")
    assert "thinned    3 moments are left of what retention thinned" in out
    assert "from       revision 9 " in out
    assert "before-upgrade   revision 2            2026-01-01T01:00:00.000000Z  why" in out
    listing = json.loads(call("list", "--json")[1])
    assert [point["name"] for point in listing["points"]] == ["before-upgrade"]
    (epoch,) = listing["epochs"]
    assert [moment["revision"] for moment in epoch["kept"]] == [1, 5, 7]
    assert epoch["first"]["revision"] == 9


def test_a_point_survives_pruning_and_is_restored_by_name(call) -> None:
    code, out, _ = call("point", "add", "p", "--at", "2026-01-01T13:00:00Z", "--json")
    assert (code, json.loads(out)["revision"]) == (0, 3)
    call("prune", "--yes")
    code, out, _ = call("restore", "--point", "p", "--format", "kv")
    assert (code, json.loads(out)["mod_revision"]) == (0, 3)
    assert json.loads(call("point", "list", "--json")[1])[0]["name"] == "p"
    assert call("point", "rm", "p")[0] == 0
    assert call("point", "list") == (0, "", "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("point",), 2, "Missing command"),
        (("point", "add", "p"), 2, "which moment?"),
        (("point", "add", "../p", "--latest"), 2, "is no name for a point"),
        (("point", "add", "p", "--revision", "99"), 3, "after the watermark"),
        (("point", "rm", "p"), 2, "there is no point p"),
        (("restore", "--point", "p"), 2, "there is no point p"),
        (("restore", "--point", "p", "--latest"), 2, "which moment?"),
        (("compact", "--grace", "soon"), 2, "is no duration"),
    ],
)
def test_mistakes_are_told(archive, call, words, code, said) -> None:
    before = names(archive)
    outcome = call(*words)
    assert (outcome[0], said in outcome[2]) == (code, True), outcome
    assert before == names(archive)


def test_without_a_rule_nothing_is_pruned(archive, call, monkeypatch) -> None:
    monkeypatch.delenv("REPLICATOR_RETENTION_FULL")
    monkeypatch.delenv("REPLICATOR_RETENTION_DAILY")
    before = names(archive)
    code, _, err = call("prune", "--yes")
    assert (code, "no retention is set" in err) == (2, True)
    assert before == names(archive)
    monkeypatch.setenv("REPLICATOR_RETENTION_DAILY", "1y")
    code, _, err = call("prune")
    assert (code, "daily goes with a shorter full" in err) == (2, True)
