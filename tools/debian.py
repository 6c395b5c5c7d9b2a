"""Debian's and Ubuntu's packages without root: apt-get downloads and verifies them, dpkg-deb unpacks them.

apt-get works in a folder of its own, with the mirror that the machine's configuration names and the keyring
that the distribution has installed. Nothing is installed; the machine's package lists are neither needed
nor changed, and its proxies and certificates hold.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from replicator.errors import ReplicatorError

KEYRINGS = {"debian": "debian-archive-keyring", "ubuntu": "ubuntu-archive-keyring"}
COMPONENTS = {"debian": "main", "ubuntu": "main universe"}
ROLLING = ("stable", "testing", "unstable", "sid")  # what a sources list may say in place of a codename
OPTIONS = {
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::Languages": "none",
    "Acquire::Retries": "2",
    "Acquire::http::Timeout": "30",
    "Acquire::https::Timeout": "30",
    "APT::Get::AllowUnauthenticated": "false",
    "APT::Sandbox::User": "root",  # for root: the user _apt can't write into our folder
    "APT::Update::Error-Mode": "any",
    "Dir::Etc::Preferences": "/dev/null",
    "Dir::Etc::PreferencesParts": "/dev/null",
    "Dir::Etc::SourceParts": "/dev/null",
}
DEADLINE_SECONDS = 900


class PackageError(ReplicatorError):
    """A package can't be had here, or isn't what it should be."""


class Archive(NamedTuple):
    """A suite of the distribution, as one mirror offers it."""

    mirror: str
    suite: str
    distribution: str

    def source(self) -> str:
        """Return the line of a sources list; only what the distribution's own keyring has signed passes.

        Raises:
            PackageError: There is no such keyring.
        """
        keyrings = sorted(Path("/usr/share/keyrings").glob(f"{KEYRINGS[self.distribution]}.[gp]*"))
        if not keyrings:
            raise PackageError(f"the package {KEYRINGS[self.distribution]} is not installed")
        architecture = _run(["dpkg", "--print-architecture"]).strip()
        options = f"arch={architecture} target=Packages signed-by={keyrings[0]}"
        return f"deb [{options}] {self.mirror} {self.suite} {COMPONENTS[self.distribution]}\n"


def codename() -> str:
    """Return the name of this machine's release.

    Raises:
        PackageError: It is neither Debian nor Ubuntu.
    """
    release = platform.freedesktop_os_release()
    if release["ID"] not in KEYRINGS or not shutil.which("apt-get"):
        raise PackageError(f"packages come only from Debian and Ubuntu, and this is {release['ID']}")
    return release["VERSION_CODENAME"]


def archives(suite: str) -> list[Archive]:
    """Return *suite* on each mirror from which this machine has its own release; the likeliest first."""
    columns = "--format=$(CREATED_BY) $(COMPONENT) $(RELEASE) $(REPO_URI)"
    targets = _run(["apt-get", "indextargets", "--no-release-info", columns]).splitlines()
    mirrors = {}
    for name in (codename(), *ROLLING):
        wanted = f"Packages main {name} "
        mirrors |= dict.fromkeys(line.removeprefix(wanted) for line in targets if line.startswith(wanted))
    distribution = platform.freedesktop_os_release()["ID"]
    return [Archive(mirror, suite, distribution) for mirror in mirrors if not mirror.startswith("cdrom:")]


def download(packages: list[str], archive: Archive, folder: Path) -> list[Path]:
    """Put the newest *packages* of *archive* into *folder*, verified, and return their files.

    Raises:
        PackageError: The archive can't be reached or isn't signed as it must be, or lacks a package.
    """
    status = folder / "status"
    status.touch()  # nothing counts as installed: it would be preferred to the archive's
    _run([*_apt_get(archive, folder, status), "download", *packages], folder)
    return sorted(folder.glob("*.deb"))


def download_with_libraries(packages: list[str], archive: Archive, folder: Path) -> list[Path]:
    """Do as `download` does, and add the libraries that *packages* need and this machine lacks.

    Programs that they need are left out: some, such as sudo, must not lie about unpacked.

    Raises:
        PackageError: As for `download`, or what is installed here stands in the way.
    """
    (folder / "cache/archives/partial").mkdir(parents=True)
    apt_get = _apt_get(archive, folder, Path("/var/lib/dpkg/status"))
    no_lock = "--option=Debug::NoLocking=true"  # dpkg's is root's, and nothing is installed
    install = [no_lock, "install", "--download-only", "--reinstall", "--no-install-recommends", "--yes"]
    _run([*apt_get, *install, *packages], folder)
    files = sorted(folder.glob("cache/archives/*.deb"))
    return [file for file in files if file.name.startswith("lib") or file.name.split("_")[0] in packages]


def _apt_get(archive: Archive, folder: Path, status: Path) -> list[str]:
    """Return an apt-get that knows *archive* alone, lives in *folder*, and takes *status* for what is here.

    Raises:
        PackageError: The archive can't be reached or isn't signed as it must be.
    """
    (folder / "sources.list").write_text(archive.source())
    own = {
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::State": folder,
        "Dir::State::status": status,
    }
    command = ["apt-get", *(f"--option={key}={value}" for key, value in (OPTIONS | own).items())]
    _run([*command, "update"], folder)
    return command


def unpack(files: list[Path], folder: Path) -> Path:
    """Unpack the packages *files* over one another into *folder*, and return that."""
    for file in files:
        _run(["dpkg-deb", "--extract", str(file), str(folder)])
    return folder


def _run(command: list[str], folder: Path | None = None) -> str:
    """Return what *command* prints.

    Raises:
        PackageError: It fails, with its own first error, or takes over 15 minutes.
    """
    environment = os.environ | {"LC_ALL": "C"}
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"{command[0]} took over {DEADLINE_SECONDS} s") from error
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines()
        errors = [line.removeprefix("E: ") for line in lines if line.startswith("E: ")]
        raise PackageError((errors or lines or [f"{command[0]} failed"])[0])
    return answer.stdout
