"""`tools/fetch` as make calls it; only apt-get is ours, the packages and dpkg are real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FETCH = Path(__file__).resolve().parents[1] / "tools/fetch"

APT_GET = """#!/bin/sh
case "$*" in
    *indextargets*) echo "Packages main stable file:/nowhere" ;;
    *update) echo update >> "$CALLS" ; if [ -e "$OFFLINE" ]; then echo "E: No route" >&2; exit 100; fi ;;
    *download-only*) cp "$PACKAGES"/*.deb cache/archives ;;
    *download*) cp "$PACKAGES"/*.deb . ;;
esac
"""


@dataclass
class Machine:
    """A machine with nothing installed, whose mirror holds what is offered."""

    home: Path
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("bin", "packages"):
            (self.home / name).mkdir()
        for name in ("cp", "dpkg", "dpkg-deb", "tar"):
            (self.home / "bin" / name).symlink_to(shutil.which(name) or "missing")
        (self.home / "bin/apt-get").write_text(APT_GET)
        (self.home / "bin/apt-get").chmod(0o755)
        self.environment = {
            "CALLS": f"{self.home}/calls",
            "OFFLINE": f"{self.home}/offline",
            "PACKAGES": f"{self.home}/packages",
            "PATH": f"{self.home}/bin",
            "XDG_CACHE_HOME": f"{self.home}/cache",
        }

    @property
    def cache(self) -> Path:
        """The folder in which everything fetched is kept."""
        return self.home / "cache/replicator"

    @property
    def updates(self) -> int:
        """How often the mirror's index was asked for."""
        calls = self.home / "calls"
        return len(calls.read_text().split()) if calls.exists() else 0

    def offer(self, programs: dict[str, str], package: str = "some") -> None:
        """Put a *package* with these *programs*, as name and shell script, on the mirror."""
        content = self.home / package
        for name, script in programs.items():
            (content / "usr/bin").mkdir(parents=True, exist_ok=True)
            (content / "usr/bin" / name).write_text(f"#!/bin/sh\n{script}\n")
            (content / "usr/bin" / name).chmod(0o755)
        (content / "DEBIAN").mkdir()
        (content / "DEBIAN/control").write_text(
            f"Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: some\n"
        )
        command = ["dpkg-deb", "--build", "--root-owner-group", content, self.home / "packages"]
        subprocess.run(command, check=True, capture_output=True)

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start `tools/fetch` *name*."""
        return subprocess.Popen(
            [sys.executable, FETCH, name],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def fetch(self, name: str) -> tuple[int, str, str]:
        """Run `tools/fetch` *name*; return its exit code, output and messages."""
        with self.start(name) as process:
            output, errors = process.communicate(timeout=60)
        return process.returncode, output.strip(), errors


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_what_was_fetched_is_fetched_once(machine: Machine) -> None:
    machine.offer({"lua5.1": "echo lua"})
    code, output, errors = machine.fetch("lua")
    assert (code, output) == (0, f"{machine.cache}/lua")
    assert "fetching lua5.1" in errors
    assert machine.fetch("lua") == (0, output, "")
    assert machine.updates == 1


def test_of_what_ceph_needs_only_libraries_come_along(machine: Machine) -> None:
    for package in ("ceph-mon", "libsome", "sudo"):
        machine.offer({f"{package}-file": "true"}, package)
    code, output, _ = machine.fetch("ceph")
    assert (code, output) == (0, f"{machine.cache}/ceph")
    unpacked = sorted(path.name for path in (machine.cache / "ceph/usr/bin").iterdir())
    assert unpacked == ["ceph-mon-file", "libsome-file"]


@pytest.mark.parametrize("damage", ["changed", "removed"])
def test_what_is_damaged_is_fetched_again(machine: Machine, damage: str) -> None:
    machine.offer({"lua5.1": "echo lua"})
    machine.fetch("lua")
    program = machine.cache / "lua/usr/bin/lua5.1"
    program.unlink() if damage == "removed" else program.write_text("#!/bin/sh\necho Lua")
    assert machine.fetch("lua")[0] == 0
    assert program.read_text() == "#!/bin/sh\necho lua\n"
    assert machine.updates == 2


def test_what_a_killed_call_left_is_never_used(machine: Machine) -> None:
    machine.offer({"lua5.1": "echo lua"})
    half = machine.cache / "fetching-1/unpacked/usr/bin"
    half.mkdir(parents=True)
    (machine.cache / "lua").mkdir()
    assert machine.fetch("lua")[0] == 0
    assert sorted(path.name for path in machine.cache.iterdir()) == ["lock", "lua"]


def test_calls_at_once_fetch_once(machine: Machine) -> None:
    machine.offer({"lua5.1": "echo lua"})
    calls = [machine.start("lua") for _ in range(4)]
    assert [call.communicate(timeout=60)[0] for call in calls] == [f"{machine.cache}/lua\n"] * 4
    assert machine.updates == 1


def test_offline_it_says_what_to_do_and_leaves_nothing(machine: Machine) -> None:
    (machine.home / "offline").touch()
    code, output, errors = machine.fetch("etcd")
    assert (code, output) == (1, "")
    assert "No route" in errors
    assert "try: check the network, or install etcd" in errors
    assert [path.name for path in machine.cache.iterdir()] == ["lock"]


def test_a_fetched_etcd_must_be_recent(machine: Machine) -> None:
    machine.offer({"etcd": "echo 'etcd Version: 3.4.23'", "etcdctl": "true"})
    code, output, errors = machine.fetch("etcd")
    assert (code, output) == (1, "")
    assert "its etcd is older than 3.5.16" in errors


def test_an_installed_etcd_needs_no_fetching(machine: Machine) -> None:
    for name in ("etcd", "etcdctl"):
        (machine.home / "bin" / name).write_text("#!/bin/sh\necho 'etcd Version: 3.5.16'")
        (machine.home / "bin" / name).chmod(0o755)
    assert machine.fetch("etcd") == (0, f"{machine.home}/bin", "")


def test_a_cache_that_cannot_be_written_is_named(machine: Machine) -> None:
    (machine.home / "cache").write_text("a file where a folder must be")
    code, output, errors = machine.fetch("lua")
    assert (code, output) == (1, "")
    assert f"{machine.home}/cache" in errors
    assert "XDG_CACHE_HOME" in errors
