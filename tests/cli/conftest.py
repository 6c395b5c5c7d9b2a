"""What the tests of the command line share: an etcd, settings files, and an archive with a known story."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from aes import encrypted
from agent_bench import AGENT, ORIGINAL, RELOAD, Bench
from servers.command import Complaint, running
from servers.etcd import Etcd
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Keys that attack the file, its comment and the terminal: line breaks, template text, escape sequences.
HOSTILE_KEYS = (
    "/apisix/routes/\n#END\nroutes: []",
    "/apisix/routes/${{HOME}}",
    "/apisix/routes/\x1b[2Jgone",
    "/apisix/elsewhere/\x1b]0;title\x07\r",
    "/apisix/routes/\u202etxt",
    "/apisix/routes/\u2028${{X}}",
)


SEALED = encrypted("jacks-key", b"qeddd145sfvddff3")


@dataclass(frozen=True)
class Chapter:
    """A revision that changed something, and a moment after it but before the next."""

    revision: int
    after: datetime

    @property
    def at(self) -> str:
        """The moment as `--at` takes it."""
        return self.after.isoformat()


@dataclass(frozen=True)
class Story:
    """An archive that a real `replicator run` has recorded from a real etcd.

    Args:
        folder: The archive's directory.
        base: Its first revision.
        first: One route is there: uri /one.
        second: The route's uri is /two.
        hostile: `HOSTILE_KEYS` are there too, as routes or as nothing that the gateway knows.
        flawed: What must be told of is there too: a service with a plugin of its own, a consumer whose key is
            encrypted with APISIX's default keyring, and last an upstream with an empty array.
        sealed: The consumer's encrypted key, in plain "jacks-key".
    """

    folder: Path
    base: int
    first: Chapter
    second: Chapter
    hostile: Chapter
    flawed: Chapter
    sealed: str = SEALED

    @property
    def url(self) -> str:
        """Where it is, as `--archive` takes it."""
        return f"file://{self.folder}"


@pytest.fixture(scope="session")
def shared_etcd(etcd_binary: Path) -> Iterator[Etcd]:
    """Return an etcd for all tests of a session, each with a prefix of its own."""
    with (
        TemporaryDirectory(prefix="etcd-") as folder,
        Etcd(Path(folder), etcd_binary, ("--unsafe-no-fsync",)) as server,
    ):
        yield server


@pytest.fixture(scope="session")
def client(shared_etcd: Etcd) -> Iterator[EtcdJson]:
    """Return a client of `shared_etcd`."""
    with EtcdJson(shared_etcd.endpoint) as connected:
        yield connected


@pytest.fixture(scope="session")
def guarded_etcd(etcd_binary: Path) -> Iterator[Etcd]:
    """Return an etcd that wants passwords; its users are root, and `reader`, who may read /apisix alone."""
    with (
        TemporaryDirectory(prefix="etcd-") as folder,
        Etcd(Path(folder), etcd_binary, ("--unsafe-no-fsync",)) as server,
    ):
        server.ctl("put", "/apisix/routes/1", "{}")
        for words in (
            "role add reader",
            "role grant-permission reader read --prefix /apisix",
            "user add root:root",
            f"user add reader:{Complaint.SECRET}",
            "user grant-role root root",
            "user grant-role reader reader",
            "auth enable",
        ):
            server.ctl(*words.split())
        yield server


@pytest.fixture
def prefix(client: EtcdJson) -> str:
    """Return a prefix that nobody else uses, with one key below it."""
    fresh = f"/{uuid.uuid4().hex}"
    client.put(f"{fresh}/routes/1", '{"uri":"/one"}')
    return fresh


@pytest.fixture
def settings(shared_etcd: Etcd, tmp_path: Path, prefix: str) -> Callable[..., Path]:
    """Return a function that writes a settings file and returns its path.

    It takes sections, which are laid over those of a working source: this test's prefix of `shared_etcd`,
    recorded into the directory `archive` of `tmp_path`.
    """

    def written(name: str = "settings.yaml", **sections: object) -> Path:
        etcd = {"endpoints": [shared_etcd.endpoint], "prefix": prefix}
        content = {"etcd": etcd, "archive": f"file://{tmp_path}/archive"} | sections
        if isinstance(sections.get("etcd"), dict):
            content["etcd"] = etcd | sections["etcd"]
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return written


@pytest.fixture(scope="session")
def recorded_story(tmp_path_factory: pytest.TempPathFactory, shared_etcd: Etcd, client: EtcdJson) -> Story:
    """Record the story, once; nobody may write to its archive."""
    folder = tmp_path_factory.mktemp("story")
    content = {
        "etcd": {"endpoints": [shared_etcd.endpoint]},
        "archive": f"file://{folder}/archive",
        "capture": {"flush_interval": "0"},
    }
    (folder / "settings.yaml").write_text(json.dumps(content))
    base = client.put("/apisix/routes/", "init_dir")
    with running(folder / "log", "-c", folder / "settings.yaml") as recorder:
        recorder.tells("watch.started")

        def chapter(*pairs: tuple[str, str]) -> Chapter:
            for pair in pairs:
                revision = client.put(*pair)
            recorder.stores(revision)
            return Chapter(revision, datetime.now(UTC))

        story = Story(
            folder / "archive",
            base,
            chapter(("/apisix/routes/1", '{"uri":"/one"}')),
            chapter(("/apisix/routes/1", '{"uri":"/two"}')),
            chapter(*((key, '{"uri":"/x"}') for key in HOSTILE_KEYS)),
            chapter(
                ("/apisix/services/1", '{"plugins":{"cors":{},"my-plugin":{"a":1}}}'),
                (
                    "/apisix/consumers/jack",
                    f'{{"username":"jack","plugins":{{"key-auth":{{"key":"{SEALED}"}}}}}}',
                ),
                ("/apisix/upstreams/1", '{"type":"roundrobin","nodes":{"a:1":1},"labels":[]}'),
            ),
        )
        assert recorder.stop() == 0
    return story


@pytest.fixture
def story(recorded_story: Story, tmp_path: Path) -> Story:
    """Return the story in a copy of this test's own."""
    copy = tmp_path / "story"
    shutil.copytree(recorded_story.folder, copy)
    return replace(recorded_story, folder=copy)


@pytest.fixture
def bench(
    tmp_path: Path, etcd_factory: Callable[..., Etcd], settings: Callable[..., Path]
) -> Iterator[Bench]:
    """Return a bench with a recorder at work, and one route."""
    etcd = etcd_factory()
    folder = tmp_path / "gateway"
    folder.mkdir()
    (folder / "config.yaml").write_bytes(ORIGINAL)
    (folder / "config.yaml").chmod(0o640)
    (folder / "running").write_bytes(ORIGINAL)
    agent = AGENT | {
        "home": str(tmp_path / "home"),
        "config_file": str(folder / "config.yaml"),
        "resource_file": str(folder / "apisix.yaml"),
        "reload": ["sh", "-c", RELOAD, str(folder)],
    }
    path = settings(
        etcd={"endpoints": [etcd.endpoint], "prefix": "/apisix"},
        archive=f"file://{tmp_path}/archive",
        capture={"flush_interval": "0"},
        agent=agent,
    )
    bench = Bench(folder, etcd, path)
    bench.put("1")
    with running(tmp_path / "run.log", "-c", path) as recorder:
        recorder.tells("watch.started")
        yield bench
