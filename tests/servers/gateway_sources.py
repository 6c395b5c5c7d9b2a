"""Where the stand-in gateway has its configuration from: one object for each generation of its workers."""

from __future__ import annotations

import http.client
import json
import os
import threading
from base64 import b64decode, b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from servers.etcd_json import EtcdJson
from servers.gateway_config import LISTS, Unreadable, opened, read_file, sections_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.gateway_config import Node, Parse, Sections

_PATIENCE_S = 2.0
_RETRY_S = 0.1


class FromFile:
    """Workers that go by apisix.yaml or apisix.json.

    Args:
        node: What config.yaml says.
        folder: The folder `conf`.
        parse: lyaml.
        log: Takes a line for the error log.
        interval_s: How often the file's mtime is looked at; 1 s in APISIX.
    """

    def __init__(
        self, node: Node, folder: Path, parse: Parse, log: Callable[[str], None], interval_s: float
    ) -> None:
        self.sections: Sections = {}
        self._node, self._parse, self._log = node, parse, log
        self._path = folder / f"apisix.{node.provider}"
        self._mtime: int | None = None
        self._loaded = node.plugins
        self._read()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, args=(interval_s,), daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why `/status/ready` says 503; nothing if it doesn't."""
        if self._node.provider != "yaml":
            return f"unknown config provider: {self._node.provider}"
        return "worker id: 0 has not received configuration" if self._mtime is None else ""

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _follow(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            self._read()

    def _read(self) -> None:
        try:
            mtime = int(self._path.stat().st_mtime)
            if mtime == self._mtime:
                return
            document = read_file(self._path, self._node.provider, self._parse, os.environ)
        except (OSError, Unreadable) as error:
            self._log(str(error))
            return
        # The plugins that a change of the list brings are there for the next read only, as in the worst of
        # the trials; a fresh start has them at once.
        listed = document.get("plugins")  # an empty list looks like an empty map to lyaml
        fresh = self._node.plugins if listed is None else frozenset(one["name"] for one in listed)
        loaded = fresh if self._mtime is None else self._loaded
        self.sections, complaints = sections_of(document, loaded, self.sections)
        self._loaded, self._mtime = fresh, mtime
        for complaint in complaints:
            self._log(complaint)
        self._log(f"config file {self._path} reloaded.")


class FromEtcd:
    """Workers that go by etcd: they hold what they have while it is away, and begin empty without it.

    Args:
        node: What config.yaml says.
        log: Takes a line for the error log.
    """

    def __init__(self, node: Node, log: Callable[[str], None]) -> None:
        self.sections: Sections = {}
        self._node, self._log = node, log
        self._revision: int | None = None
        self._ended = threading.Event()
        self._load()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why `/status/ready` says 503; nothing if it doesn't."""
        return "worker id: 0 has not received configuration" if self._revision is None else ""

    def close(self) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._ended.is_set():
            try:
                if self._revision is None:
                    self._load()
                if self._revision is not None:
                    self._watch(self._revision + 1)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self._log(f"watchdir err: {error!r}")
            self._ended.wait(_RETRY_S)

    def _load(self) -> None:
        """Read all that there is, if etcd answers."""
        for url in self._node.etcd:
            try:
                with EtcdJson(url, patience_s=_PATIENCE_S) as client:
                    start, end = self._bounds()
                    answer = client.ask("kv/range", key=start, range_end=end)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self._log(f"failed to load the configuration: {error!r}")
                continue
            self.sections = {}
            for pair in answer.get("kvs", []):
                self._put(b64decode(pair["key"]).decode(), b64decode(pair.get("value", "")))
            self._revision = int(answer["header"]["revision"])
            return

    def _watch(self, start: int) -> None:
        """Take what changes from the revision *start* on, until the watch breaks."""
        for url in self._node.etcd:
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_PATIENCE_S)
            with suppress(ConnectionError, TimeoutError):
                key, end = (b64encode(bound).decode() for bound in self._bounds())
                wanted = {"key": key, "range_end": end, "start_revision": str(start)}
                connection.request("POST", "/v3/watch", json.dumps({"create_request": wanted}))
                self._take(connection.getresponse())
            connection.close()

    def _take(self, stream: http.client.HTTPResponse) -> None:
        while not self._ended.is_set() and (line := stream.readline()):
            result = json.loads(line)["result"]
            if result.get("canceled") or int(result["header"]["revision"]) < (self._revision or 0):
                self._revision = None  # compacted, or another etcd: all is read anew
                return
            for event in result.get("events", []):
                pair = event["kv"]
                key = b64decode(pair["key"]).decode()
                value = None if event.get("type") == "DELETE" else b64decode(pair.get("value", ""))
                self._put(key, value)
                self._revision = int(pair["mod_revision"])

    def _put(self, key: str, value: bytes | None) -> None:
        """Take one key's value, or None for its deletion; what is invalid changes nothing."""
        section, _, identity = key.removeprefix(f"{self._node.prefix}/").partition("/")
        if section not in LISTS or not identity:
            return
        held = dict(self.sections.get(section, {}))
        if value is None:
            held.pop(identity, None)
        else:
            try:
                item = json.loads(value, strict=False)
            except ValueError:
                return
            if not isinstance(item, dict):
                return
            if section == "consumers":
                item = opened(item, self._node.keyring)
            held[identity] = item | {"id": identity}
        self.sections = self.sections | {section: held}

    def _bounds(self) -> tuple[bytes, bytes]:
        prefix = self._node.prefix.encode() + b"/"
        return prefix, prefix[:-1] + b"0"


def owners_of(consumers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Return which consumer each key of key-auth opens the way for."""
    return {
        item["plugins"]["key-auth"]["key"]: identity.partition("/")[0]
        for identity, item in consumers.items()
        if "key" in item.get("plugins", {}).get("key-auth", {})
    }
