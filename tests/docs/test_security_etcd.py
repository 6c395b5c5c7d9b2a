"""docs/security.md: with the role that its commands make, everything works, and no more is allowed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from certificates import Authority
from servers.command import called, running
from servers.etcd_tls import TlsEtcd

from replicator.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs/security.md"
PASSWORD = "this-is-secret-0"


def blocks(language: str) -> list[str]:
    """Return the page's fenced blocks in *language*, of the section on etcd."""
    section = PAGE.read_text().partition("## etcd: a read-only role\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


class Guarded:
    """A TLS etcd with authentication enabled, where root has a certificate and a password."""

    def __init__(self, server: TlsEtcd, authority: Authority, folder: Path) -> None:
        self.server = server
        self._authority = authority
        self._folder = folder

    def sh(self, block: str) -> None:
        """Run a block of the page as root."""
        cert, key = self._authority.sign("root")
        (self._folder / "password.txt").write_text(f"{PASSWORD}\n")
        variables = {
            "PATH": f"{self.server._binary.parent}:{os.environ['PATH']}",
            "ETCDCTL_ENDPOINTS": self.server.endpoint,
            "ETCDCTL_CACERT": str(self._authority.cacert),
            "ETCDCTL_CERT": str(cert),
            "ETCDCTL_KEY": str(key),
            "ETCDCTL_USER": "root:root-secret",
        }
        command = ["/bin/sh", "-eu", "-c", block]
        subprocess.run(command, env=variables, cwd=self._folder, capture_output=True, check=True)

    def settings(self, block: str) -> Path:
        """Return a file of settings as the page has them, with this etcd's addresses and files."""
        etcd = yaml.safe_load(block)["etcd"] | {"endpoints": [self.server.endpoint]}
        cert, key = self._authority.sign("replicator")
        files = {"cacert": self._authority.cacert, "cert": cert, "key": key}
        etcd |= {name: str(file) for name, file in files.items() if name in etcd}
        if "cert" not in etcd:  # the server lets nobody in without one; this one's name is no user's
            cert, key = self._authority.sign("nobody")
            etcd |= {"cert": str(cert), "key": str(key)}
        path = self._folder / "replicator.yaml"
        path.write_text(yaml.safe_dump({"etcd": etcd, "archive": f"file://{self._folder}/archive"}))
        return path


@pytest.fixture
def guarded(etcd_binary: Path, tmp_path: Path) -> Iterator[Guarded]:
    """Return an etcd that holds keys of ours and of others."""
    authority = Authority(tmp_path, "authority")
    with TlsEtcd(tmp_path / "etcd", etcd_binary, authority, is_mutual=True) as server:
        for key in ("/apisix", "/apisix/routes/1", "/elsewhere"):
            server.ctl_as("root", "put", key, "1")
        server.ctl_as("root", "user", "add", "root:root-secret")
        server.ctl_as("root", "user", "grant-role", "root", "root")
        server.ctl_as("root", "auth", "enable")
        yield Guarded(server, authority, tmp_path)


@pytest.mark.parametrize("way", [0, 1], ids=["password", "certificate"])
def test_the_role_of_the_page_is_enough_and_allows_no_more(
    guarded: Guarded, tmp_path: Path, way: int
) -> None:
    role, *users = blocks("sh")
    guarded.sh(role)
    guarded.sh(users[way])
    settings = guarded.settings(blocks("yaml")[way])
    secrets = {"ETCD_PASSWORD": PASSWORD}

    checked = called("-c", settings, "check", env=secrets)
    assert checked.code == 0, checked.err
    with running(tmp_path / "log", "-c", settings, env=secrets) as recorder:
        recorder.tells("watch.started")
        guarded.server.ctl_as("root", "put", "/apisix/routes/2", "2")
        recorder.tells("segment.stored")
        (segment,) = recorder.events("segment.stored")
        asked = called("-c", settings, "status", "--json", env=secrets)
        assert asked.code == 0, asked.err
        assert recorder.stop() == 0
    assert not recorder.events("watch.lost")
    restored = called(
        "-c", settings, "restore", "--revision", segment["revision"], "--format", "kv", env=secrets
    )
    assert [line.split(b'"')[3] for line in restored.out.splitlines()] == [
        b"/apisix",
        b"/apisix/routes/1",
        b"/apisix/routes/2",
    ]
    assert PASSWORD not in recorder.said() + checked.err

    login = [f"--user=replicator:{PASSWORD}"] if way == 0 else []
    for refused in (["put", "/apisix/a", "1"], ["del", "/apisix"], ["get", "/elsewhere"], ["user", "list"]):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            guarded.server.ctl_as("replicator", *login, *refused)
        assert b"permission denied" in caught.value.stderr


def test_a_role_for_less_is_told_as_the_page_says(guarded: Guarded) -> None:
    role, users, _ = blocks("sh")
    guarded.sh(role.replace("read /apisix\n", "read /apisix/\n"))
    guarded.sh(users)
    settings = guarded.settings(blocks("yaml")[0])
    checked = called("-c", settings, "check", env={"ETCD_PASSWORD": PASSWORD})
    assert checked.code == 5
    (shown,) = blocks("text")
    assert shown.replace("https://etcd-0:2379", guarded.server.endpoint) in checked.out.decode()


def test_the_pages_settings_are_settings(tmp_path: Path) -> None:
    for block in blocks("yaml"):
        path = tmp_path / "replicator.yaml"
        path.write_text(block)
        assert load(path, {"ETCD_PASSWORD": PASSWORD}).etcd.prefix == "/apisix"
