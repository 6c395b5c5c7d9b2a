"""bisect with real probes, over an archive whose bad change is known."""

from __future__ import annotations

import json
import os
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START
from servers.command import called, running

from replicator.adapters.directory import DirectoryStore
from replicator.core.records import Batch

if TYPE_CHECKING:
    from pathlib import Path

_CHANGES = 40
# with its slash, since the digest and the lineage in a file's header may well have b, a, d in a row
_IS_GOOD = ("sh", "-c", "! grep -q /bad {}")


@pytest.fixture
def broken(tmp_path: Path) -> tuple[str, int]:
    """Return an archive of many changes with a gap amid them, and the revision of the first bad one."""
    scribe, etcd = Scribe(DirectoryStore(tmp_path / "archive")), EtcdModel()  # type: ignore[arg-type]
    etcd.put(b"/apisix/routes/1", b'{"uri":"/0"}')
    scribe.open(etcd, START)
    seed = random.randrange(2**32)
    (tmp_path / f"seed-{seed}").touch()  # so that a failure's folder tells it
    dice = random.Random(seed)
    first_bad = dice.randrange(2, _CHANGES)
    revision = 0
    for number in range(1, _CHANGES + 1):
        key = b"/apisix/routes/1" if number == first_bad else b"/apisix/routes/%d" % dice.randrange(2, 9)
        etcd.put(key, b'{"uri":"/bad"}' if number == first_bad else b'{"uri":"/%d"}' % number)
        revision = etcd.head if number == first_bad else revision
        moment = START + timedelta(minutes=number)
        if number == _CHANGES // 2:
            scribe.open(etcd, moment, "compacted")
        else:
            scribe.append([Batch(etcd.head, moment, etcd.history[-1][1])])
    return f"--archive=file://{tmp_path}/archive", revision


def test_the_change_that_broke_it_is_found(broken: tuple[str, int]) -> None:
    archive, first_bad = broken
    words = ("bisect", "--good", START.isoformat(), "--bad", "latest", archive)
    found = json.loads(called(*words, "--json", "--", *_IS_GOOD).out)
    assert found["first_bad"]["revision"] == first_bad
    assert found["tried"] <= 2 + 6
    assert any(one["resource"] == "routes/1" for one in found["first_bad"]["changes"])
    told = called(*words, "--trust-ends", "--", *_IS_GOOD)
    assert b'uri: "/0" -> "/bad"' in told.out
    assert ": good" in told.err


def test_what_the_probe_is_given(broken: tuple[str, int], tmp_path: Path) -> None:
    archive, _ = broken
    probe = tmp_path / "probe"
    log = tmp_path / "log"
    probe.write_text(
        '#!/bin/sh\nmode=$(stat -c %a "$REPLICATOR_FILE")\n'
        f'echo "$REPLICATOR_REVISION $REPLICATOR_TIME $mode $1" >> {log}\n'
        'test "$1" = "$REPLICATOR_FILE" || exit 200\n! grep -q bad "$1"\n'
    )
    probe.chmod(0o755)
    words = ("bisect", "--good", START.isoformat(), "--bad", "latest", "--format", "kv", archive, "--")
    assert called(*words, probe, "{}").code == 0
    for line in log.read_text().splitlines():
        revision, moment, mode, file = line.split()
        assert int(revision) > 0
        assert moment.endswith("Z")
        assert mode == "600"
        assert not os.path.exists(file)  # noqa: PTH110 (a name that is gone)


def test_a_probe_that_skips_leaves_suspects(broken: tuple[str, int]) -> None:
    archive, first_bad = broken
    skips = (
        f"test $REPLICATOR_REVISION -ge {first_bad - 1} -a $REPLICATOR_REVISION -le {first_bad} && exit 125; "
    )
    words = (
        "bisect",
        "--good",
        START.isoformat(),
        "--bad",
        "latest",
        "--trust-ends",
        "--json",
        archive,
        "--",
    )
    answer = called(*words, "sh", "-c", skips + "! grep -q /bad {}")
    found = json.loads(answer.out)
    revisions = [one["revision"] for one in found["suspects"]]
    assert first_bad in revisions
    assert (answer.code, found["first_bad"]) == ((7, None) if len(revisions) > 1 else (0, found["first_bad"]))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--good", "latest", "--bad", "latest", "--", "true"), 2, "nothing changed between them"),
        (("--good", "latest", "--bad", START.isoformat(), "--", "true"), 2, "lies before it"),
        (("--good", START.isoformat(), "--bad", "latest", "--", "true"), 7, "which is to be bad, is good"),
        (("--good", START.isoformat(), "--bad", "latest", "--", "false"), 7, "which is to be good, is bad"),
        (("--good", START.isoformat(), "--bad", "latest", "--", "sh", "-c", "exit 130"), 7, "ended with 130"),
        (("--good", START.isoformat(), "--bad", "latest", "--", "sh", "-c", "kill -9 $$"), 7, "signal 9"),
        (
            ("--good", START.isoformat(), "--bad", "latest", "--", "/no/such/probe"),
            2,
            "can't run /no/such/probe",
        ),
        (("--good", "noon", "--bad", "latest", "--", "true"), 2, "no moment"),
        (("--good", START.isoformat(), "--bad", "latest"), 2, "COMMAND"),
    ],
)
def test_what_is_wrong_is_told(
    broken: tuple[str, int], words: tuple[str, ...], code: int, message: str
) -> None:
    answer = called("bisect", broken[0], *words)
    assert (answer.code, answer.out) == (code, b""), answer.err
    assert message in answer.err


def test_an_interrupted_one_leaves_no_file(broken: tuple[str, int], tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = tmp_path / "started"
    words = ("bisect", "--good", START.isoformat(), "--bad", "latest", broken[0], "--", "sh", "-c")
    probe = f"touch {started}; exec sleep 60"
    with running(tmp_path / "log", *words, env={"TMPDIR": str(scratch)}, command=probe) as own:
        own._until(started.exists, "the probe began")
        assert own.stop() == 130
    assert list(scratch.iterdir()) == []
