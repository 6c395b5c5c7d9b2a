"""API7's ``fallback_cp`` as its users have it in their files: turned into the settings that it stands for.

It says of two buckets where the resources and the instance configuration go, and how often. What it says is
put where this program's own settings stand, each with the line that it came from; so whatever is wrong with a
value is told of that line.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final

from replicator.config.document import Node
from replicator.errors import UsageError

_NAME: Final = "fallback_cp"
TO_S3: Final = {
    "access_key": "access_key",
    "secret_key": "secret_key",
    "region": "region",
    "endpoint": "endpoint",
    "custom_endpoint": "endpoint",
    "use_path_style": "use_path_style",
}
BUCKETS: Final = ("config_bucket", "resource_bucket", "bucket")
KNOWN: Final = ("aws_s3", "cron_spec", "mode", "interval", "bucket")
_SUPPORTED: Final = "buckets of S3 and its like are: fallback_cp.aws_s3"


def unfold(root: Node) -> Node:
    """Return *root* with its ``fallback_cp``, if it has one, turned into the settings that it stands for.

    It may stand by itself, or within ``deployment`` as in a gateway's config.yaml.

    Raises:
        UsageError: It can't be read, asks for what isn't supported, or contradicts another setting.
    """
    if not isinstance(root.content, Mapping):
        return root
    content = dict(root.content)
    block = _taken_out(content)
    if block is None:
        return root
    for path, node in _settings(block).items():
        _put(content, path.split("."), node, block)
    snapshot = content.get("snapshot")
    if snapshot is None or (isinstance(snapshot.content, Mapping) and "latest" not in snapshot.content):
        _put(content, ["snapshot", "latest"], Node("true", block.place), block)
    return Node(content, root.place)


def _taken_out(content: dict[str, Node]) -> Node | None:
    """Take the block out of *content* and return it."""
    block = content.pop(_NAME, None)
    within = content.get("deployment")
    if within is None:
        return block
    inner = _mapping(within, "deployment")
    if _NAME not in inner:
        return block
    if others := [name for name in inner if name != _NAME]:
        raise UsageError(
            f"{inner[others[0]].place}: unknown setting deployment.{others[0]}",
            hint="of a gateway's config.yaml only deployment.fallback_cp means something here",
        )
    if block is not None:
        raise UsageError(
            f"{within.place}: fallback_cp is given twice, first at {block.place}", hint="keep one"
        )
    del content["deployment"]
    return inner[_NAME]


def _settings(block: Node) -> dict[str, Node]:
    """Return what *block* says, by the dotted names of our settings."""
    given = _mapping(block, _NAME)
    for name, node in given.items():
        if name.startswith("azure"):
            raise UsageError(f"{node.place}: {_NAME}.{name} is not supported", hint=_SUPPORTED)
    _check_names(given, KNOWN, _NAME)
    s3 = _mapping(given.get("aws_s3", Node(None, block.place)), f"{_NAME}.aws_s3")
    _check_names(s3, (*TO_S3, *BUCKETS), f"{_NAME}.aws_s3")
    return {**_places(given, s3, block), **_service(s3), **_pace(given)}


def _check_names(given: Mapping[str, Node], known: tuple[str, ...], section: str) -> None:
    for name, node in given.items():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {section}.{near[0]}?" if near else f"known here: {', '.join(known)}"
            raise UsageError(f"{node.place}: unknown setting {section}.{name}", hint=hint)


def _places(given: Mapping[str, Node], s3: Mapping[str, Node], block: Node) -> dict[str, Node]:
    """Return where the two archives are: each in a folder of its own, since both buckets may be one."""
    single = s3.get("bucket") or given.get("bucket")
    if single is not None and ("config_bucket" in s3 or "resource_bucket" in s3):
        raise UsageError(
            f"{single.place}: {_NAME} has a bucket for both and one for each",
            hint="keep one way of saying it",
        )
    resources, config = s3.get("resource_bucket", single), s3.get("config_bucket", single)
    if resources is None:
        raise UsageError(
            f"{block.place}: {_NAME} names no bucket for the resources", hint="set aws_s3.resource_bucket"
        )
    places = {"archive": _url(resources, "resources")}
    if config is not None:
        places["instance.archive"] = _url(config, "config")
    return places


def _url(bucket: Node, folder: str) -> Node:
    if not isinstance(bucket.content, str):
        raise UsageError(f"{bucket.place}: {_NAME}: a bucket's name is a text")
    return Node(f"s3://{bucket.content}/{folder}", bucket.place)


def _service(s3: Mapping[str, Node]) -> dict[str, Node]:
    if "endpoint" in s3 and "custom_endpoint" in s3:
        raise UsageError(
            f"{s3['custom_endpoint'].place}: {_NAME}.aws_s3 has an endpoint and a custom_endpoint",
            hint="they mean the same: keep one",
        )
    return {f"s3.{ours}": s3[theirs] for theirs, ours in TO_S3.items() if theirs in s3}


def _pace(given: Mapping[str, Node]) -> dict[str, Node]:
    """Return how often: of a snapshot by whoever writes, of a look at the archive by whoever reads."""
    mode, interval = given.get("mode"), given.get("interval")
    if mode is not None and mode.content not in ("read", "write"):
        raise UsageError(f"{mode.place}: {_NAME}.mode is read or write")
    pace = {"snapshot.cron_spec": given["cron_spec"]} if "cron_spec" in given else {}
    if interval is None:
        return pace
    if not (isinstance(interval.content, str) and interval.content.isascii() and interval.content.isdigit()):
        raise UsageError(f"{interval.place}: {_NAME}.interval is a number of seconds", hint="such as 60")
    if mode is not None and mode.content == "read":
        return {**pace, "agent.follow_interval": Node(f"{interval.content}s", interval.place)}
    if pace:
        raise UsageError(
            f"{interval.place}: {_NAME} has an interval and a cron_spec", hint="they mean the same: keep one"
        )
    return {"snapshot.cron_spec": Node(f"@every {interval.content}s", interval.place)}


def _mapping(node: Node, name: str) -> Mapping[str, Node]:
    """Return what *node* holds, without names that nothing stands behind."""
    content = {} if node.content is None else node.content
    if not isinstance(content, Mapping):
        raise UsageError(f"{node.place}: {name}: expected a mapping (name: value)")
    return {key: child for key, child in content.items() if child.content is not None}


def _put(content: dict[str, Node], path: list[str], node: Node, block: Node) -> None:
    """Set what *path* names in *content* to *node*; raise if something else says it already."""
    head, *rest = path
    there = content.get(head)
    if there is not None and there.content is not None and not rest:
        raise UsageError(
            f"{there.place}: {head} is set here, and by {_NAME} ({block.place})", hint="keep one of them"
        )
    if not rest:
        content[head] = node
        return
    if there is not None and not (there.content is None or isinstance(there.content, Mapping)):
        return  # no section at all, which the reader will say better
    inner = dict(there.content) if there is not None and isinstance(there.content, Mapping) else {}
    _put(inner, rest, node, block)
    content[head] = Node(inner, there.place if there is not None else node.place)
