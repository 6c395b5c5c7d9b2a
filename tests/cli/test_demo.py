"""The demo as a newcomer meets it: run whole, in a pipe and on a terminal, and stopped in the middle."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from servers.command import PATIENCE_S, REPLICATOR, Complaint, environment, replicator, until

from replicator.apisix import DEFAULT_KEYRING
from replicator.apisix.keyring import Keyring
from replicator.core.frame import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS, LINES = 80, 24
MOBILE_APP_KEY = "fern-mobile-8c41d07ab2"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def demo_env(etcd_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return what the demo finds in its environment: an etcd, and temporary files of our own."""
    return {"REPLICATOR_ETCD": str(etcd_binary), "TMPDIR": str(tmp_path_factory.mktemp("tmp"))}


@pytest.fixture(scope="module")
def both(demo_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Run two demos at once; return what one says in JSON, and the other in words."""
    folder = tmp_path_factory.mktemp("kept") / "a new folder"
    commands = (["demo", "--json", "--keep", str(folder)], ["demo"])
    running = [
        subprocess.Popen(
            [*REPLICATOR, *command],
            env=environment(demo_env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for command in commands
    ]
    (document, trouble), (words, more_trouble) = (
        process.communicate(timeout=PATIENCE_S * 2) for process in running
    )
    assert [process.returncode for process in running] == [0, 0], trouble + more_trouble
    assert trouble + more_trouble == b""
    return json.loads(document), words.decode()


@pytest.fixture
def told(both: tuple[dict[str, Any], str]) -> dict[str, Any]:
    """Return what ``--json`` says of a whole demo."""
    return both[0]


@pytest.fixture
def files(told: dict[str, Any]) -> dict[str, Any]:
    """Return the three files, as a YAML parser reads them: sections of items by name."""
    return {
        moment["name"]: {
            section: {item.get("id", item.get("username")): item for item in items}
            for section, items in yaml.safe_load(Path(moment["file"]).read_bytes()).items()
        }
        for moment in told["moments"]
    }


def processes_of(folder: str) -> list[str]:
    """Return the command lines of all processes that have to do with *folder*."""
    return [line for line in map(command_line, Path("/proc").glob("[0-9]*")) if folder in line]


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has just ended
        return ""


def without_times(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in ("create_time", "update_time")}


def widest(text: str, folder: str) -> int:
    """Return the length of the longest line; a folder's name counts like that of a usual temporary one."""
    return max(map(len, text.replace(folder, "/tmp/replicator-demo-01234567").splitlines()))


def test_the_files_differ_as_the_story_says(files) -> None:
    before, during, after = files["before"], files["during"], files["after"]
    two_nodes = {"10.0.2.21:8080": 1, "10.0.2.22:8080": 1}
    assert [file["upstreams"]["checkout"]["nodes"] for file in files.values()] == [
        two_nodes,
        {"10.9.0.5:8080": 1},
        two_nodes,
    ]
    assert [file["upstreams"]["checkout"].get("retries") for file in files.values()] == [None, None, 1]
    for section, name in (("routes", "checkout"), ("consumers", "mobile_app")):
        assert name not in during[section]
        assert without_times(before[section][name]) == without_times(after[section][name])
        del before[section][name], after[section][name]
    for file in files.values():
        del file["upstreams"]["checkout"]
    assert before == during == after


def test_what_it_says_of_the_differences_is_what_the_files_say(told) -> None:
    touched = ["consumers/mobile_app", "routes/checkout"]
    assert told["differences"] == [
        {
            "since": "before",
            "until": "during",
            "new": [],
            "gone": touched,
            "changed": {"upstreams/checkout": ["nodes"]},
        },
        {
            "since": "during",
            "until": "after",
            "new": touched,
            "gone": [],
            "changed": {"upstreams/checkout": ["nodes", "retries"]},
        },
        {
            "since": "before",
            "until": "after",
            "new": [],
            "gone": [],
            "changed": {"upstreams/checkout": ["retries"]},
        },
    ]


def test_a_restore_by_hand_gives_the_same_files(told) -> None:
    for moment in told["moments"]:
        outcome = replicator(
            "restore", "--at", moment["at"], "--style", "block", "--archive", told["archive"]
        )
        assert outcome.code == 0, outcome.err
        assert outcome.out == Path(moment["file"]).read_bytes()
        assert Path(moment["file"]).stat().st_mode & 0o777 == 0o600


def test_the_steps_are_the_archive_s_whole_history(told) -> None:
    spans = [tuple(step["revisions"]) for step in told["steps"]]
    assert [first for first, _ in spans] == [2, *(last + 1 for _, last in spans[:-1])]
    assert told["events"] == spans[-1][1] - 1
    stamps = [step["observed_at"] for step in told["steps"]]
    assert stamps == sorted(set(stamps))
    by_hand = replicator("list", "--json", "--archive", told["archive"])
    assert json.loads(by_hand.out)["epochs"][0]["end_revision"] == spans[-1][1]
    assert all(0 < step["durable_after"] < told["duration"] for step in told["steps"])


def test_keys_are_encrypted_in_the_archive_and_readable_in_the_file(told, files) -> None:
    name = next(step["segment"] for step in told["steps"] if "mobile_app gets" in step["what"])
    recorded = b"".join(unpack((Path(told["folder"]) / "archive" / name).read_bytes(), name))
    assert b'"username":"mobile_app"' in recorded
    assert MOBILE_APP_KEY.encode() not in recorded
    assert files["before"]["consumers"]["mobile_app"]["plugins"] == {"key-auth": {"key": MOBILE_APP_KEY}}


def test_the_certificate_in_the_file_is_real(files) -> None:
    tls = files["after"]["ssls"]["shop"]
    certificate = x509.load_pem_x509_certificate(tls["cert"].encode())
    private_key = load_pem_private_key(Keyring(DEFAULT_KEYRING).decrypt(tls["key"]).encode(), None)
    assert private_key.public_key() == certificate.public_key()


def test_no_process_and_no_etcd_is_left_behind(told, demo_env) -> None:
    assert processes_of(told["folder"]) == []
    assert processes_of(demo_env["TMPDIR"]) == []
    kept = {path.name for path in Path(told["folder"]).iterdir()}
    assert kept == {"archive", "before.yaml", "during.yaml", "after.yaml", "replicator.yaml", "run.log"}


def test_a_pipe_gets_plain_words_and_commands_that_work(both) -> None:
    _, words = both
    text, _, commands = words.partition(" By hand:\n")
    naming, listing, restoring, reading, removing = (line.strip() for line in commands.splitlines())
    _, _, folder = removing.partition("rm -r ")
    assert widest(text, folder) <= COLUMNS
    assert "\x1b" not in words
    assert MOBILE_APP_KEY not in words
    printing = reading.partition(" | ")[0].replace("zstdcat", "cat")  # zstd need not be installed
    for command in (f"{naming}; {listing}", f"{naming}; {restoring}", printing, removing):
        done = subprocess.run(["/bin/sh", "-c", command], env=environment(), capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode()}"
        assert done.stdout or command is removing
    assert not Path(folder).exists()


@contextmanager
def on_a_terminal(
    *arguments: str, env: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], list[bytes]]]:
    """Run the command line on a terminal of 80 columns; yield the process, and what it shows as it comes."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", LINES, COLUMNS, 0, 0))
    command = [*REPLICATOR, *arguments]
    env = environment(env) | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown: list[bytes] = []
    reading = threading.Thread(target=read, args=(ours, shown))
    reading.start()
    try:
        yield process, shown
    finally:
        process.kill()
        process.wait()
        reading.join()
        os.close(ours)


def read(terminal: int, shown: list[bytes]) -> None:
    """Take what comes from *terminal* until nobody has it open any more."""
    while True:
        try:
            shown.append(os.read(terminal, 65536))
        except OSError:
            return


def test_a_terminal_gets_colours_and_lines_that_fit(demo_env, tmp_path) -> None:
    folder = tmp_path / "kept"
    with on_a_terminal("demo", "--keep", str(folder), env=demo_env) as (process, shown):
        assert process.wait(60) == 0
    screen = b"".join(shown).decode()
    text, _, commands = ESCAPES.sub("", screen).replace("\r", "\n").partition(" By hand:\n")
    assert "\x1b[31m!14:32" in screen
    assert screen.endswith("\n")
    assert screen.count("\x1b[?25l") == screen.count("\x1b[?25h") > 0, "the cursor is there again"
    assert widest(text, str(folder)) <= COLUMNS
    assert commands.rstrip().endswith(f"rm -r {folder}")
    assert MOBILE_APP_KEY not in screen


@pytest.mark.parametrize(
    ("meanwhile", "number"),
    [
        ("etcd.log", signal.SIGINT),
        ("run.log", signal.SIGTERM),
        ("archive/e00000001/log/*", signal.SIGINT),
        ("archive/e00000001/log/*", signal.SIGTERM),
        ("archive/e00000001/log/*", signal.SIGHUP),
    ],
)
def test_an_interruption_leaves_nothing_behind(demo_env, tmp_path, number, meanwhile) -> None:
    """It comes when *meanwhile* is there: while etcd starts, or the recorder, or in the middle of the day."""
    env = demo_env | {"TMPDIR": str(tmp_path)}
    with on_a_terminal("demo", env=env) as (process, shown):
        until(lambda: any(tmp_path.rglob(meanwhile)), meanwhile)
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 130, b"".join(shown)
    assert b"replicator: interrupted" in b"".join(shown)
    assert processes_of(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path) -> None:
    (tmp_path / "precious").touch()
    complaint = Complaint(2, f"--keep: {tmp_path} is not empty", "name a new folder")
    complaint.is_made_by(replicator("demo", "--keep", tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_without_an_etcd_it_says_where_to_get_one(tmp_path) -> None:
    env = {"REPLICATOR_ETCD": "/nowhere/etcd", "TMPDIR": str(tmp_path)}
    Complaint(2, "REPLICATOR_ETCD: /nowhere/etcd", "tools/fetch etcd").is_made_by(replicator("demo", env=env))
    assert list(tmp_path.iterdir()) == []
