"""`replicator restore` as a user calls it, on an archive that a real `replicator run` has recorded."""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from servers.command import REPLICATOR, called, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Story
    from servers.command import Outcome


def restore(story: Story, *arguments: object) -> Outcome:
    """Call `replicator restore` on *story*."""
    return called("restore", "--archive", story.url, *arguments)


def restored(story: Story, *arguments: object) -> Any:
    """Return the file that the command prints, as YAML reads it."""
    outcome = restore(story, *arguments)
    assert outcome.code == 0, outcome.err
    return yaml.safe_load(outcome.out)


def routes(*uris: str) -> Any:
    """Return the file of a gateway with one route for each of *uris*."""
    return {"routes": [{"id": str(number), "uri": uri} for number, uri in enumerate(uris, 1)]}


def test_at_takes_the_last_change_up_to_that_moment(recorded_story: Story) -> None:
    assert restored(recorded_story, "--at", recorded_story.first.at) == routes("/one")
    assert restored(recorded_story, "--at", recorded_story.second.at) == routes("/two")


def test_at_takes_an_age(recorded_story: Story) -> None:
    age = datetime.now(UTC) - recorded_story.first.after
    # The command asks the time a little later than we do: less than the second that it is asked to go back.
    outcome = restore(recorded_story, "--at", f"-{age.total_seconds() + 3600:f}s")
    assert outcome.code == 3
    assert "before the archive's history" in outcome.err


def test_the_stamp_of_a_change_is_inclusive_unless_exclusive(recorded_story: Story, tmp_path: Path) -> None:
    report = tmp_path / "report"
    restored(recorded_story, "--revision", recorded_story.second.revision, "--report", report)
    stamp = json.loads(report.read_bytes())["time"]
    assert restored(recorded_story, "--at", stamp) == routes("/two")
    assert restored(recorded_story, "--at", stamp, "--exclusive") == routes("/one")


def test_revision_takes_the_state_there(recorded_story: Story) -> None:
    second = recorded_story.second.revision
    assert restored(recorded_story, "--revision", second) == routes("/two")
    assert restored(recorded_story, "--revision", second, "--exclusive") == routes("/one")


def test_an_empty_state_is_a_file_that_a_gateway_starts_on(recorded_story: Story) -> None:
    outcome = restore(recorded_story, "--revision", recorded_story.base)
    assert yaml.safe_load(outcome.out) == {}
    assert outcome.out.endswith(b"{}\n#END\n")


def test_latest_takes_the_last_change(recorded_story: Story) -> None:
    outcome = restore(recorded_story, "--latest")
    assert yaml.safe_load(outcome.out)["upstreams"][0]["id"] == "1"
    assert f"revision {recorded_story.flawed.revision} of epoch 1" in outcome.err


def test_both_styles_and_json_say_the_same(recorded_story: Story) -> None:
    flow = restored(recorded_story, "--latest")
    assert restored(recorded_story, "--latest", "--style", "block") == flow
    assert restored(recorded_story, "--latest", "--format", "json") == flow


def test_kv_is_what_etcd_holds(recorded_story: Story) -> None:
    outcome = restore(recorded_story, "--revision", recorded_story.second.revision, "--format", "kv")
    marker, route = map(json.loads, outcome.out.splitlines())
    assert marker["key"] == "/apisix/routes/"
    assert route == {
        "key": "/apisix/routes/1",
        "value": '{"uri":"/two"}',
        "create_revision": recorded_story.first.revision,
        "mod_revision": recorded_story.second.revision,
        "version": 2,
        "lease": 0,
    }


def test_the_comment_names_the_moment_and_what_is_missing(recorded_story: Story, tmp_path: Path) -> None:
    report = tmp_path / "report"
    text = restore(recorded_story, "--latest", "--report", report).out.decode()
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    told = json.loads(report.read_bytes())
    assert told["archive_id"] in comment
    assert f"revision {told['revision']} of epoch 1, {told['time']}" in comment
    assert told["state_digest"] in comment
    assert "/apisix/upstreams/1: an empty array" in comment


def test_the_report_says_what_the_contract_says(recorded_story: Story, tmp_path: Path) -> None:
    report = tmp_path / "report"
    restored(recorded_story, "--latest", "--report", report)
    told = json.loads(report.read_bytes())
    assert told.keys() == {
        *("archive_id", "epoch", "revision", "time", "late_by", "state_digest", "keys"),
        *("refused", "ignored", "inexact", "stripped", "unopened"),
        *("in_gap", "gap_ends_at"),
    }
    assert (told["epoch"], told["revision"], told["late_by"]) == (1, recorded_story.flawed.revision, 0)
    assert datetime.fromisoformat(told["time"]) < recorded_story.flawed.after
    assert all(entry.keys() == {"key", "reason", "held_by_gateway"} for entry in told["refused"])
    assert [entry["key"] for entry in told["inexact"]] == ["/apisix/upstreams/1"]
    assert told["ignored"] == ["/apisix/elsewhere/\x1b]0;title\x07\r", "/apisix/routes/"]
    assert report.stat().st_mode & 0o777 == 0o600


def test_json_prints_what_the_report_holds(recorded_story: Story, tmp_path: Path) -> None:
    output, report = tmp_path / "apisix.yaml", tmp_path / "report"
    outcome = restore(recorded_story, "--latest", "--json", "-o", output, "--report", report)
    assert json.loads(outcome.out) == json.loads(report.read_bytes())


@pytest.mark.parametrize("given", ["by a list", "by a mapping", "by the settings"])
def test_plugins_that_the_gateway_does_not_load_are_left_out_and_told(
    given: str, recorded_story: Story, settings: Callable[..., Path], tmp_path: Path
) -> None:
    names, lists = ["cors", "key-auth"], tmp_path / "plugins.json"
    lists.write_text(json.dumps({"plugins": names, "stream_plugins": []} if "mapping" in given else names))
    shared = ("-c", settings(apisix={"plugins": names})) if "settings" in given else ()
    words = () if "settings" in given else ("--plugins", lists)
    report = tmp_path / "report"
    outcome = called(
        *(*shared, "restore", "--latest", "--archive", recorded_story.url),
        *(*words, "--report", report),
    )
    assert yaml.safe_load(outcome.out)["services"] == [{"id": "1", "plugins": {"cors": {}}}]
    assert json.loads(report.read_bytes())["stripped"] == [
        {"key": "/apisix/services/1", "plugins": ["my-plugin"]}
    ]
    assert "/apisix/services/1: my-plugin" in outcome.err


KEYRINGS = {
    "none is named": (None, None, "jacks-key"),
    "encryption is off": (None, [], None),
    "the gateway's": (None, ["0123456789abcdef", "qeddd145sfvddff3"], "jacks-key"),
    "another's": (None, ["0123456789abcdef"], None),
    "the settings'": (["0123456789abcdef"], None, None),
    "the command line's above the settings'": (["0123456789abcdef"], ["qeddd145sfvddff3"], "jacks-key"),
    "a gateway's config.yaml": (
        None,
        {"apisix": {"data_encryption": {"keyring": ["qeddd145sfvddff3"]}}},
        "jacks-key",
    ),
}


@pytest.mark.parametrize(("by_settings", "by_file", "key"), KEYRINGS.values(), ids=KEYRINGS)
def test_a_consumers_key_is_opened_by_the_keyring(
    by_settings: object,
    by_file: object,
    key: str | None,
    recorded_story: Story,
    settings: Callable[..., Path],
    tmp_path: Path,
) -> None:
    (tmp_path / "keyring").write_text(json.dumps(by_file))
    outcome = called(
        *("-c", settings(apisix={"keyring": by_settings}), "restore", "--latest"),
        *("--archive", recorded_story.url),
        *(() if by_file is None else ("--keyring", tmp_path / "keyring")),
    )
    (consumer,) = yaml.safe_load(outcome.out)["consumers"]
    assert consumer["plugins"]["key-auth"]["key"] == (key or recorded_story.sealed)
    is_shut = key is None and by_file != []
    assert ("perhaps still encrypted" in outcome.err) == is_shut
    assert ("  /apisix/consumers/jack" in outcome.err) == is_shut


def test_the_file_appears_whole_and_private(recorded_story: Story, tmp_path: Path) -> None:
    output = tmp_path / "apisix.yaml"
    outcome = restore(recorded_story, "--latest", "-o", output)
    assert outcome.out == b""
    assert output.read_bytes() == restore(recorded_story, "--latest").out
    assert output.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [output]


def test_each_write_is_a_second_later_for_who_watches_the_file(recorded_story: Story, tmp_path: Path) -> None:
    output = tmp_path / "apisix.yaml"
    output.write_text("old")
    output.chmod(0o644)
    ahead_s = int(time.time()) + 30
    os.utime(output, (ahead_s, ahead_s))
    for later_by_s in (1, 2):
        restore(recorded_story, "--latest", "-o", output)
        assert int(output.stat().st_mtime) == ahead_s + later_by_s
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_stays_one(recorded_story: Story, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    link = tmp_path / "apisix.yaml"
    link.symlink_to("conf/real.yaml")
    restore(recorded_story, "--revision", recorded_story.first.revision, "-o", link)
    assert link.is_symlink()
    assert yaml.safe_load((tmp_path / "conf/real.yaml").read_bytes()) == routes("/one")


def test_strict_writes_no_file_but_the_report(recorded_story: Story, tmp_path: Path) -> None:
    output, report = tmp_path / "apisix.yaml", tmp_path / "report"
    output.write_text("old")
    outcome = restore(recorded_story, "--latest", "--strict", "-o", output, "--report", report)
    assert outcome.code == 7
    assert "--strict" in outcome.err
    assert output.read_text() == "old"
    assert [entry["key"] for entry in json.loads(report.read_bytes())["inexact"]] == ["/apisix/upstreams/1"]


def test_strict_lets_pass_what_is_exact(recorded_story: Story) -> None:
    first = recorded_story.first.revision
    assert restored(recorded_story, "--revision", first, "--strict") == routes("/one")


@pytest.mark.parametrize("style", ["flow", "block"])
def test_hostile_keys_break_neither_file_nor_terminal(
    recorded_story: Story, style: str, lyaml: Callable[[bytes], Any]
) -> None:
    outcome = restore(recorded_story, "--revision", recorded_story.hostile.revision, "--style", style)
    assert lyaml(outcome.out) == routes("/two")
    assert b"${{" not in outcome.out
    assert outcome.out.count(b"#END\n") == 1
    assert outcome.out.endswith(b"\n#END\n")
    for line in (*outcome.err.splitlines(), *outcome.out.decode().splitlines()):
        assert line.isprintable(), line


def test_hostile_keys_are_told_by_name(recorded_story: Story) -> None:
    err = restore(recorded_story, "--revision", recorded_story.hostile.revision).err
    for name in (r"\n#END\nroutes: []", "/${{HOME}}", r"\x1b[2Jgone", r"\x1b]0;title\x07\r", r"\u202etxt"):
        assert name in err


def test_a_reader_that_has_had_enough_is_no_failure(recorded_story: Story) -> None:
    command = [*REPLICATOR, "restore", "--latest", "--archive", recorded_story.url]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        words = process.stderr.read().decode()
        assert process.wait() == 0
    assert "Exception" not in words
    assert "Broken" not in words
