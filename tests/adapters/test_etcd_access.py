"""Who we are to etcd, and whom we believe: passwords, roles, certificates."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from certificates import Authority
from etcd_sources import listening
from servers.command import until
from servers.etcd import Etcd
from servers.etcd_tls import TlsEtcd

from replicator.adapters.clock import SystemClock
from replicator.adapters.etcd import EtcdOptions, EtcdSource
from replicator.errors import SourceUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = b"/apisix"


def source_of(server: Etcd, **options: object) -> EtcdSource:
    """Return a source that nobody has connected yet."""
    texts = {name: str(value) for name, value in options.items()}
    return EtcdSource(EtcdOptions((server.endpoint,), **texts), PREFIX, SystemClock())


@pytest.fixture(scope="module")
def guarded(etcd_binary: Path) -> Iterator[Etcd]:
    """Return an etcd with a key, three users, and authentication enabled.

    `reader` may read the prefix, `stranger` something else, `root` everything.
    """
    with (
        TemporaryDirectory(prefix="etcd-") as folder,
        Etcd(Path(folder), etcd_binary, ["--unsafe-no-fsync", "--bcrypt-cost=4"]) as server,
    ):
        server.ctl("put", "/apisix/a", "1")
        server.ctl("put", "/elsewhere", "1")
        for user, key in (("reader", "/apisix"), ("stranger", "/other")):
            server.ctl("user", "add", f"{user}:{user}-secret")
            server.ctl("role", "add", user)
            server.ctl("role", "grant-permission", user, "--prefix=true", "read", key)
            server.ctl("user", "grant-role", user, user)
        server.ctl("user", "add", "root:root-secret")
        server.ctl("user", "grant-role", "root", "root")
        server.ctl("auth", "enable")
        yield server


def test_a_user_who_may_read_the_prefix_reads_and_watches_it(guarded) -> None:
    source = source_of(guarded, username="reader", password="reader-secret")
    head = source.status().head
    assert [key for key, _ in source.read(head)] == [b"/apisix/a"]
    guarded.ctl("--user=root:root-secret", "put", "/apisix/b", "2")
    deliveries = source.watch(head)
    ((revision, (event,)),) = next(deliveries).revisions
    assert (head + 1, b"/apisix/b") == (revision, event.key)
    bookmark = next(deliveries)  # the questions need permission, too
    assert head + 1 == bookmark.through
    source.interrupt()
    assert not any(delivery.revisions for delivery in deliveries)


def test_a_role_for_the_prefix_alone_may_not_know_the_neighbours(guarded) -> None:
    source = source_of(guarded, username="reader", password="reader-secret")
    source.status()
    assert source.neighbour() is None


@pytest.mark.parametrize(
    ("user", "hint"),
    [
        ({"username": "reader", "password": "wrong"}, "etcd.password"),
        ({"username": "nobody", "password": "reader-secret"}, "etcd.password"),
        ({}, "etcd.username"),
        ({"username": "stranger", "password": "stranger-secret"}, "read permission on the whole prefix"),
    ],
)
def test_anybody_else_is_told_what_is_missing(guarded, user, hint) -> None:
    with pytest.raises(SourceUnavailable, match="etcd at http://") as caught:
        source_of(guarded, **user).status()
    assert hint in caught.value.hint
    assert "-secret" not in f"{caught.value} {caught.value.hint}"


def test_a_refused_watch_is_no_success(guarded) -> None:
    guarded.ctl("--user=root:root-secret", "user", "add", "leaver:leaver-secret")
    guarded.ctl("--user=root:root-secret", "user", "grant-role", "leaver", "reader")
    source = source_of(guarded, username="leaver", password="leaver-secret")
    head = source.status().head
    guarded.ctl("--user=root:root-secret", "user", "revoke-role", "leaver", "reader")
    with pytest.raises(SourceUnavailable, match=r"ended the watch: .*permission denied") as caught:
        list(source.watch(head))
    assert "read permission" in caught.value.hint


@pytest.fixture
def forgetful(etcd_factory, tmp_path) -> Etcd:
    """Return an etcd whose tokens hold for one second, whatever is done with them."""
    cert, key = Authority(tmp_path, "authority").sign("token")
    server = etcd_factory(f"--auth-token=jwt,pub-key={cert},priv-key={key},sign-method=ES256,ttl=1s")
    server.ctl("user", "add", "root:root-secret")
    server.ctl("user", "grant-role", "root", "root")
    server.ctl("auth", "enable")
    return server


def expires(source: EtcdSource) -> float:
    """Return when the source's token runs out, in seconds since 1970."""
    ((name, token), *_) = source._connection._metadata
    assert name == "token"
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]


def test_a_token_that_ran_out_while_nothing_was_asked_is_renewed(forgetful) -> None:
    source = source_of(forgetful, username="root", password="root-secret")
    head = source.status().head
    ended = expires(source)
    until(lambda: time.time() > ended + 1, "the token has run out")
    assert list(source.read(head)) == []
    assert expires(source) > ended


def test_a_watch_outlives_its_tokens(forgetful) -> None:
    source = source_of(forgetful, username="root", password="root-secret")
    head = source.status().head
    with listening(source, head) as listener:
        ended = expires(source)
        until(lambda: listener.failure or expires(source) > ended + 2, "it was renewed again")
        forgetful.ctl("--user=root:root-secret", "put", "/apisix/a", "1")
        listener.hears(head + 1)
    assert listener.revisions() == [head + 1]


def test_a_change_of_roles_ends_no_watch(guarded) -> None:
    """It makes every token old."""
    source = source_of(guarded, username="reader", password="reader-secret")
    head = source.status().head
    with listening(source, head) as listener:
        guarded.ctl("--user=root:root-secret", "role", "add", "somebody's")
        guarded.ctl("--user=root:root-secret", "put", "/apisix/c", "3")
        listener.hears(head + 1)
        guarded.ctl("--user=root:root-secret", "put", "/elsewhere", "3")
        listener.hears(head + 2)


def test_a_password_where_none_is_asked_for_is_told(etcd) -> None:
    with pytest.raises(SourceUnavailable, match="authentication is not enabled") as caught:
        source_of(etcd, username="reader", password="reader-secret").status()
    assert "auth disabled" in caught.value.hint


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def impostor(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "impostor")


@pytest.mark.parametrize("is_mutual", [False, True], ids=["server", "mutual"])
def test_tls_is_spoken_with_those_whom_our_authority_has_signed(
    etcd_binary, tmp_path, authority, impostor, is_mutual
) -> None:
    cert, key = authority.sign("client")
    own = {"cert": cert, "key": key} if is_mutual else {}
    with TlsEtcd(tmp_path / "etcd", etcd_binary, authority, is_mutual=is_mutual) as server:
        source = source_of(server, cacert=authority.cacert, **own)
        assert source.status().head == 1
        assert list(source.read(1)) == []
        assert next(source.watch(1)).through == 1
        with pytest.raises(SourceUnavailable, match="etcd at https://"):
            source_of(server, cacert=impostor.cacert, **own).status()
        if is_mutual:
            with pytest.raises(SourceUnavailable, match="etcd at https://"):
                source_of(server, cacert=authority.cacert).status()


def test_tls_against_a_server_without_is_told(etcd, authority) -> None:
    source = EtcdSource(
        EtcdOptions((etcd.endpoint.replace("http:", "https:"),), cacert=str(authority.cacert)),
        PREFIX,
        SystemClock(),
    )
    with pytest.raises(SourceUnavailable, match="etcd at https://"):
        source.status()


@pytest.mark.parametrize("name", ["cacert", "cert"])
def test_a_missing_file_is_told_by_its_name(etcd, tmp_path, authority, name) -> None:
    cert, key = authority.sign("client")
    files = {"cacert": authority.cacert, "cert": cert, "key": key} | {name: tmp_path / "absent.pem"}
    source = EtcdSource(
        EtcdOptions(
            (etcd.endpoint.replace("http:", "https:"),), **{kind: str(file) for kind, file in files.items()}
        ),
        PREFIX,
        SystemClock(),
    )
    with pytest.raises(UsageError, match=r"absent\.pem: No such file") as caught:
        source.status()
    assert "etcd.cacert" in caught.value.hint


@pytest.mark.parametrize("name", ["cacert", "cert", "key"])
def test_a_file_that_goes_away_later_is_waited_for(etcd_binary, tmp_path, authority, name) -> None:
    cert, key = authority.sign("client")
    files = {"cacert": authority.cacert, "cert": cert, "key": key}
    with TlsEtcd(tmp_path / "etcd", etcd_binary, authority, is_mutual=True) as server:
        source = source_of(server, **files)
        source.status()
        away = files[name].rename(tmp_path / "elsewhere")
        with pytest.raises(SourceUnavailable, match=f"{files[name].name}: No such file") as caught:
            source.status()
        assert "etcd.cacert" in caught.value.hint
        away.rename(files[name])
        assert source.status().head == 1
