"""What is wrong with a compose file, as far as that shows without a container engine.

Its shape by the compose specification; that what it names is there; that our own settings and command lines,
and APISIX's config.yaml, are what the programs in the containers read.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import compose_spec
import yaml
from servers.gateway_config import Dies, read_node

from replicator.apisix.gateway_config import standalone_config
from replicator.cli.app import COMMANDS
from replicator.cli.app import replicator as program
from replicator.config import load
from replicator.errors import ReplicatorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.gateway_config import Node, Parse

    from replicator.config import Settings

_CONF = "/usr/local/apisix/conf"
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(:\?[^}]*)?\}")
_SECRET = "a-secret-of-32-bytes-for-a-trial"


@dataclass(frozen=True)
class Composed:
    """A compose file.

    Args:
        root: The folder that it is in, somewhere within: of the repository's shape.
        path: Its path in that.
        parse: APISIX's own parser of YAML.
    """

    root: Path
    path: str
    parse: Parse

    @property
    def text(self) -> str:
        """What it says."""
        return (self.root / self.path).read_text(encoding="utf-8")

    @cached_property
    def document(self) -> dict[str, Any]:
        """The same, parsed."""
        return yaml.safe_load(self.text)

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """Its services, by name."""
        return self.document["services"]

    @property
    def ours(self) -> dict[str, dict[str, Any]]:
        """The services that run from our own image."""
        return {name: service for name, service in self.services.items() if "build" in service}

    def mounts(self, service: str) -> dict[str, str]:
        """Return where its volumes and files come from, by where they are in the container."""
        parts = [volume.split(":") for volume in self.services[service].get("volumes", ())]
        return {part[1]: part[0] for part in parts}

    def file(self, origin: str) -> Path:
        """Return the local file or folder that *origin* names."""
        return (self.root / self.path).parent / origin

    def environment(self, service: str) -> dict[str, str]:
        """Return its variables, with something in the place of what is chosen by whoever runs it."""
        given = self.services[service].get("environment", {})
        return {name: _VARIABLE.sub(_SECRET, value) for name, value in given.items()}

    def words(self, service: str) -> list[str]:
        """Return its entrypoint and command; of a line for a shell, the words in it."""
        told = self.services[service]
        words = [*told.get("entrypoint", ()), *told.get("command", ())]
        split = (shlex.split(word.replace("$$", "$")) if " " in word else [word] for word in words)
        return [word for words in split for word in words]

    def settings(self, service: str) -> Settings | None:
        """Return what `-c FILE` stands for in that container; None if it names none that is mounted."""
        words, mounts = self.words(service), self.mounts(service)
        names = [words[place + 1] for place, word in enumerate(words) if word == "-c"]
        if not names or names[0] not in mounts:
            return None
        return load(self.file(mounts[names[0]]), self.environment(service))

    def nodes(self) -> Iterator[tuple[str, bytes, Node]]:
        """Yield each config.yaml of APISIX: the service that has it, its bytes, what the stand-in reads."""
        for name, service in self.services.items():
            for origin in self.mounts(name).values():
                if "apisix" in service.get("image", "") and origin.endswith(".yaml"):
                    text = self.file(origin).read_bytes()
                    yield name, text, read_node(text, self.parse, self.environment(name))


def complaints(composed: Composed) -> list[str]:
    """Return all that is wrong with *composed*."""
    try:
        compose_spec.PyCompose.from_yaml(composed.text)
    except ValueError as error:
        return [f"no compose file: {error}"]
    found = []
    for check in (_references, _variables, _images, _mounted, _read, _gateways, _agents):
        try:
            found += check(composed)
        except (Dies, OSError, ReplicatorError, click.ClickException) as error:
            found.append(str(error))
    return found


def _references(composed: Composed) -> Iterator[str]:
    """Services and volumes that nobody has, or nobody uses."""
    named = composed.document.get("volumes", {})
    used = set()
    for name, service in composed.services.items():
        for needed, told in service.get("depends_on", {}).items():
            other = composed.services.get(needed)
            if other is None:
                yield f"{name} waits for {needed}, which is no service"
            elif told["condition"] == "service_healthy" and "healthcheck" not in other:
                yield f"{name} waits for the health of {needed}, which tells none"
            elif told["condition"].endswith("completed_successfully") and "restart" in other:
                yield f"{name} waits for the end of {needed}, which is started again"
        for origin in composed.mounts(name).values():
            used.add(origin)
            if origin not in named and not composed.file(origin).exists():
                yield f"{name} mounts {origin}, which is neither a volume nor there"
    yield from (f"nobody uses the volume {volume}" for volume in named if volume not in used)


def _variables(composed: Composed) -> Iterator[str]:
    """Variables that whoever runs it isn't told of."""
    told = {name for name, words in _VARIABLE.findall(composed.text) if len(words) > len(":?")}
    head = composed.text.partition("\nname:")[0]
    for name, words in sorted(set(_VARIABLE.findall(composed.text))):
        if not words:
            yield f"${{{name}}} may be left out, and is empty then"
        if name not in told or name not in head:
            yield f"nothing says what {name} is for"


def _images(composed: Composed) -> Iterator[str]:
    """Images that are another one tomorrow."""
    for name, service in composed.services.items():
        if "build" not in service and not re.search(r":v?\d+\.\d+", service["image"]):
            yield f"{name} runs from {service['image']}, of no version"
    for name, service in composed.ours.items():
        build = service["build"]
        context = composed.file(build["context"])
        recipe = context / build["dockerfile"]
        for line in recipe.read_text(encoding="utf-8").splitlines():
            if line.startswith("COPY ") and "--from=" not in line:
                missing = [path for path in line.split()[1:-1] if not (context / path).exists()]
                yield from (f"{name}: the image needs {path}, which isn't there" for path in missing)


def _mounted(composed: Composed) -> Iterator[str]:
    """Files that a command names, and that aren't in its container."""
    for name in composed.services:
        mounts = composed.mounts(name)
        for word in composed.words(name):
            if word.startswith(("/etc/", "/usr/local/bin/")) and word not in mounts:
                yield f"{name}: nothing is mounted at {word}"


def _read(composed: Composed) -> Iterator[str]:
    """Our settings and command lines, as the program reads them; what they name in container and network."""
    for name in composed.ours:
        command = _parsed(composed.words(name))
        if not command:
            continue
        settings = composed.settings(name)
        if settings is None:
            yield f"{name} has no settings"
            continue
        mounts = composed.mounts(name)
        for path in _recorders_paths(settings) if command == "run" else _agents_paths(settings):
            if not any(path == target or path.startswith(f"{target}/") for target in mounts):
                yield f"{name}: {path} is in no volume"
        for url in (*settings.etcd.endpoints, settings.s3.endpoint):
            if url and urlsplit(url).hostname not in composed.services:
                yield f"{name}: {url} is none of the services"
        listen = settings.metrics.listen
        if listen is not None and _loopback(listen.port) not in composed.services[name].get("ports", ()):
            yield f"{name}: nobody reaches the metrics at port {listen.port}"


def _parsed(words: list[str]) -> str:
    """Return which of our commands *words* give; none is no error. What follows a `||` is the shell's.

    Raises:
        ClickException: The command line doesn't take them.
        UsageError: Likewise.
    """
    first = words.index("replicator") + 1 if "replicator" in words else 0
    end = words.index("||") if "||" in words else None
    place = next((place for place, word in enumerate(words) if word in COMMANDS), None)
    if place is None:
        return ""
    context = program.make_context("replicator", words[first : place + 1])
    command = program.get_command(context, words[place])
    assert command is not None
    command.make_context(words[place], words[place + 1 : end], parent=context)
    return words[place]


def _recorders_paths(settings: Settings) -> Iterator[str]:
    yield from settings.instance.files
    if settings.archive is not None and not settings.archive.bucket:
        yield settings.archive.path
    if settings.capture.spool:
        yield settings.capture.spool


def _agents_paths(settings: Settings) -> tuple[str, ...]:
    return settings.agent.home, settings.agent.config_file, settings.agent.resource_file


def _loopback(port: int) -> str:
    return f"127.0.0.1:{port}:{port}"


def _gateways(composed: Composed) -> Iterator[str]:
    """APISIX's own configuration, beside ours."""
    settings = [told for name in composed.ours if (told := composed.settings(name)) is not None]
    for name, _, node in composed.nodes():
        if not node.etcd or any(node.etcd != told.etcd.endpoints for told in settings):
            yield f"{name} asks another etcd than replicator: {', '.join(node.etcd)}"
        if any(node.prefix != told.etcd.prefix for told in settings):
            yield f"{name} has another prefix than replicator: {node.prefix}"
        version = re.search(r":(\d+\.\d+)", composed.services[name]["image"])
        if version is None or any(version[1] != told.apisix.version for told in settings):
            yield f"{name} is of another version than apisix.version"


def _agents(composed: Composed) -> Iterator[str]:
    """The agent, in its own container."""
    settings = composed.settings("agent") if "agent" in composed.services else None
    if settings is None:
        return
    agent, recipe = settings.agent, (composed.root / "compose/Dockerfile").read_text(encoding="utf-8")
    name, folder, patience = agent.reload
    if f"/{name} " not in recipe or folder != _CONF:
        yield f"the agent's reload asks nobody: {' '.join(agent.reload)}"
    if int(patience) >= agent.reload_timeout.total_seconds():
        yield "the agent kills its reload command before that gives up"
    user, _, group = composed.services["agent"]["user"].partition(":")
    if f"-o {user} -m 0700 {agent.home}" not in recipe or not group:
        yield f"the agent's home isn't that of the user {user}"
    if composed.services["prepare"]["user"] != composed.services["agent"]["user"]:
        yield "who prepares the gateway leaves files that the agent can't replace"
    if (agent.config_file, agent.resource_file) != (f"{_CONF}/config.yaml", f"{_CONF}/apisix.yaml"):
        yield "the agent writes what the gateway doesn't read"
    yield from _turned(composed, agent.ready or "")


def _turned(composed: Composed, ready: str) -> Iterator[str]:
    """The gateway that the agent turns, and what it turns it to."""
    volume = composed.mounts("agent").get(_CONF)
    if volume not in composed.document["volumes"] or volume != composed.mounts("gateway").get(_CONF):
        yield "agent and gateway don't share the folder of config.yaml"
    own = {node.role: (text, node) for _, text, node in composed.nodes()}
    text, node = own["data_plane"]
    if (urlsplit(ready).hostname, urlsplit(ready).port) != ("gateway", node.status):
        yield f"the gateway doesn't tell at {ready} whether it is ready"
    if _loopback(node.listen) not in composed.services["gateway"]["ports"]:
        yield f"nobody reaches the gateway at its port {node.listen}"
    made = standalone_config(text, own["control_plane"][0], "yaml")
    turned = read_node(made, composed.parse, composed.environment("gateway"))
    if turned != replace(node, provider="yaml"):
        yield f"the gateway would be another one in an outage: {turned}"
