"""What can be wrong: each mistake gets a line that says so, a line that says what to do, and its exit code.

No traceback, nothing half-written, and no secret in any of it.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers.command import REPLICATOR, Complaint, called, environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Story

SECRET = Complaint.SECRET


# ---- settings --------------------------------------------------------------------------------------------

SETTINGS: dict[str, tuple[str, str, str]] = {
    "unknown section": ("etcdd: {}", ":1: unknown setting etcdd", "did you mean etcd?"),
    "unknown setting": ("etcd:\n  prefx: /x", ":2: unknown setting etcd.prefx", "did you mean etcd.prefix?"),
    "text for a list": ("etcd: {endpoints: 5}", "etcd.endpoints: expected a list", "docs/configuration.md"),
    "list for a text": ("archive: []", "archive: expected a text", "docs/configuration.md"),
    "no duration": ("capture: {flush_interval: soon}", '"soon" is no duration', "write it like 500ms"),
    "no schedule": ("snapshot: {cron_spec: often}", "snapshot.cron_spec", "@every 1m"),
    "no size": ("capture: {flush_bytes: 1 parsec}", '"1 parsec" is no size', "4MiB"),
    "password without a user": (f"etcd: {{password: {SECRET}}}", "username and password go together", "both"),
    "password in a URL": (f"etcd: {{endpoints: ['http://u:{SECRET}@h:1']}}", "has an @ in it", "settings"),
    "an unset variable": ("etcd: {prefix: '${NOBODY_SET_THIS}'}", "NOBODY_SET_THIS is not set", "set it"),
    "Azure's": ("fallback_cp: {azure_blob: {a: b}}", "fallback_cp.azure_blob is not supported", "aws_s3"),
    "no YAML": ("etcd: {", "not YAML", "quotes"),
    "no mapping": ("- 1", "expected a mapping", "docs/configuration.md"),
    "nothing at all": ("", "no archive is named", "--archive file:///dir"),
    "a path for a URL": ("archive: /var/lib/archive", "is a path, not a URL", "file:///var/lib/archive"),
}


@pytest.mark.parametrize(("text", "what", "hint"), SETTINGS.values(), ids=SETTINGS)
def test_settings(text: str, what: str, hint: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    Complaint(2, what, hint).is_made_by(called("-c", path, "run"))


@pytest.mark.parametrize(("name", "what"), [("nothing", "No such file"), (".", "Is a directory")])
def test_settings_that_cannot_be_read(name: str, what: str, tmp_path: Path) -> None:
    Complaint(2, what, "-c names the settings file").is_made_by(called("-c", tmp_path / name, "run"))


# ---- the command line ------------------------------------------------------------------------------------

ARCHIVE = ("--archive", "file:///nonexistent")
WORDS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "no target": (("restore", *ARCHIVE), "which moment?", "replicator list"),
    "two targets": (("restore", "--latest", "--revision", "5", *ARCHIVE), "which moment?", "replicator list"),
    "naive time": (
        ("restore", "--at", "2026-11-23T03:05:00", *ARCHIVE),
        "has no time zone",
        "03:05:00Z for UTC",
    ),
    "nonsense time": (("restore", "--at", "yesterday", *ARCHIVE), '"yesterday" is no time', "-15m"),
    "no such day": (("restore", "--at", "2026-02-30T00:00:00Z", *ARCHIVE), "no such moment", "write it like"),
    "no revision": (("restore", "--revision", "0", *ARCHIVE), '"0" is no revision', "from 1"),
    "exclusive latest": (("restore", "--latest", "--exclusive", *ARCHIVE), "--exclusive goes with", "--help"),
    "unknown format": (("restore", "--latest", "--format", "xml", *ARCHIVE), "'xml'", "--help"),
    "unknown option": (("restore", "--latets", *ARCHIVE), "--latets", "replicator restore --help"),
    "unknown command": (("restor",), "restor", "replicator --help"),
    "no archive named": (("list",), "no archive is named", "--archive"),
    "no archive there": (
        ("list", *ARCHIVE),
        "no archive at file:///nonexistent: archive.json is missing",
        "replicator run",
    ),
    "no URL": (("list", "--archive", "gs://x"), "is no place for an archive", "s3://bucket/path"),
    "several files": (("-c", "a", "-c", "b", "list"), "several -c", "one file"),
    "two answers for stdout": (("restore", "--latest", "--json", *ARCHIVE), "can't both go to stdout", "-o"),
    "no duration": (("status", "--max-age", "old", *ARCHIVE), '"old" is no duration', "30d"),
    "unknown gateway": (("restore", "--latest", "--apisix-version", "2.15", *ARCHIVE), "2.15", "3.18"),
}


@pytest.mark.parametrize(("words", "what", "hint"), WORDS.values(), ids=WORDS)
def test_words(words: tuple[str, ...], what: str, hint: str) -> None:
    Complaint(2, what, hint).is_made_by(called(*words))


# ---- targets ---------------------------------------------------------------------------------------------

TARGETS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "time before": (
        ("--at", "2020-01-01T00:00:00Z"),
        "before the archive's history",
        "first moment is revision",
    ),
    "revision before": (("--revision", "1"), "before the archive's history", "the first moment is revision"),
    "time after": (("--at", "2100-01-01T00:00:00Z"), "after the watermark", "or say --latest"),
    "revision after": (("--revision", "9223372036854775807"), "after the watermark", "or say --latest"),
    "just now": (("--at", "-0s"), "after the watermark", "or say --latest"),
}


@pytest.mark.parametrize(("target", "what", "hint"), TARGETS.values(), ids=TARGETS)
def test_targets(
    target: tuple[str, ...], what: str, hint: str, recorded_story: Story, tmp_path: Path
) -> None:
    output = tmp_path / "apisix.yaml"
    output.write_text("old")
    outcome = called("restore", *target, "--archive", recorded_story.url, "-o", output)
    Complaint(3, what, hint).is_made_by(outcome)
    assert output.read_text() == "old"


# ---- files about the gateway -----------------------------------------------------------------------------

GATEWAY_FILES: dict[str, tuple[str, bytes, str]] = {
    "a text for a list": ("--keyring", f'"{SECRET}"'.encode(), "no list"),
    "numbers for keys": ("--keyring", b"[1234567890123456]", "no list"),
    "a mapping without keys": ("--keyring", b'{"keys": []}', "has no mapping"),
    "a key of a bad length": ("--keyring", f'["{SECRET}", "{SECRET}short"]'.encode(), "neither 16 nor 32"),
    "nothing": ("--keyring", b"", "no list"),
    "no text": ("--keyring", b"\xff\xfe\x01", "neither YAML nor JSON"),
    "no YAML": ("--keyring", f"[{SECRET}".encode(), "neither YAML nor JSON"),
    "no plugin names": ("--plugins", b"[{}]", "no list of names"),
    "no plugin list": ("--plugins", b"plugin: cors", "neither a list nor a mapping"),
}


@pytest.mark.parametrize(("option", "content", "what"), GATEWAY_FILES.values(), ids=GATEWAY_FILES)
def test_files_about_the_gateway(
    option: str, content: bytes, what: str, recorded_story: Story, tmp_path: Path
) -> None:
    path, output = tmp_path / "given", tmp_path / "apisix.yaml"
    path.write_bytes(content)
    outcome = called("restore", "--latest", "--archive", recorded_story.url, option, path, "-o", output)
    Complaint(2, what, "").is_made_by(outcome)
    assert not output.exists()


@pytest.mark.parametrize("option", ["--keyring", "--plugins"])
def test_missing_files_about_the_gateway(option: str, recorded_story: Story, tmp_path: Path) -> None:
    outcome = called("restore", "--latest", "--archive", recorded_story.url, option, tmp_path / "no")
    Complaint(2, f"{option}: can't read {tmp_path}/no: No such file", "").is_made_by(outcome)


# ---- where the file goes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-o", "--report"])
@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("missing/apisix.yaml", "No such file"),
        (".", "Is a directory"),
        ("file/apisix.yaml", "Not a directory"),
    ],
)
def test_places_that_cannot_be_written(
    option: str, place: str, what: str, recorded_story: Story, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    output = tmp_path / "output"
    words = (option, tmp_path / place) if option == "-o" else (option, tmp_path / place, "-o", output)
    outcome = called("restore", "--latest", "--archive", recorded_story.url, *words)
    Complaint(2, f"can't write {tmp_path / place}: {what}", "choose another place").is_made_by(outcome)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_directory_that_takes_no_files(recorded_story: Story) -> None:
    """Whoever runs the tests may be root, to whom no mode is a barrier: /proc takes no files of anybody's."""
    outcome = called("restore", "--latest", "--archive", recorded_story.url, "-o", "/proc/apisix.yaml")
    Complaint(2, "can't write /proc/apisix.yaml", "choose another place").is_made_by(outcome)


def test_a_full_device(recorded_story: Story) -> None:
    outcome = called("restore", "--latest", "--archive", recorded_story.url, "-o", "/dev/full")
    Complaint(2, "can't write /dev/full: No space left", "choose another place").is_made_by(outcome)


def test_a_full_disk_leaves_the_old_file(recorded_story: Story, tmp_path: Path) -> None:
    output = tmp_path / "apisix.yaml"
    output.write_text("old")
    done = subprocess.run(
        [*REPLICATOR, "restore", "--latest", "--archive", recorded_story.url, "-o", output],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_allow_files_of_100_bytes,
    )
    assert done.returncode == 2
    assert f"can't write {output}: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["apisix.yaml"]
    assert output.read_text() == "old"


def _allow_files_of_100_bytes() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


@pytest.mark.parametrize(
    "words",
    [("restore", "--latest"), ("restore", "--latest", "--json", "-o", "/dev/null"), ("list",), ("status",)],
    ids=" ".join,
)
def test_a_full_stdout(words: tuple[str, ...], recorded_story: Story) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*REPLICATOR, *words, "--archive", recorded_story.url],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "replicator: can't write to stdout: No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


# ---- the archive -----------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Change one bit in the middle of the file at *path*."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(body)


def cut(path: Path) -> None:
    """Take the last byte off the file at *path*."""
    path.write_bytes(path.read_bytes()[:-1])


def remove(path: Path) -> None:
    """Remove the file at *path*."""
    path.unlink()


@pytest.mark.parametrize(
    ("where", "damage", "what"),
    [
        ("archive.json", flip, "archive.json is damaged"),
        ("archive.json", cut, "archive.json is damaged"),
        ("e00000001/epoch.json", flip, "e00000001/epoch.json is damaged"),
        ("e00000001/log/*", flip, "is damaged"),
        ("e00000001/log/*", cut, "is damaged"),
        ("e00000001/log/*", remove, ""),
        ("e00000001/snapshots/*", flip, "is damaged"),
        ("e00000001/snapshots/*", cut, "is damaged"),
        ("e00000001/snapshots/*", remove, "is missing: it is the base of epoch 1"),
    ],
)
def test_a_damaged_archive(
    where: str, damage: Callable[[Path], None], what: str, story: Story, tmp_path: Path
) -> None:
    output = tmp_path / "apisix.yaml"
    output.write_text("old")
    damage(min(story.folder.glob(where)))
    outcome = called("restore", "--latest", "--archive", story.url, "-o", output)
    Complaint(4, what, "").is_made_by(outcome)
    assert output.read_text() == "old"


def test_the_last_segments_are_missing(story: Story) -> None:
    max(story.folder.glob("e00000001/log/*")).unlink()
    outcome = called("restore", "--latest", "--archive", story.url)
    Complaint(
        4, f"revision {story.flawed.revision} was recorded: the segments between are missing", "bring"
    ).is_made_by(outcome)


def test_an_archive_without_an_epoch(story: Story) -> None:
    shutil.rmtree(story.folder / "e00000001")
    (story.folder / "checkpoint.json").unlink()
    outcome = called("list", "--archive", story.url)
    Complaint(2, "nothing was recorded in this archive yet", "replicator run").is_made_by(outcome)
