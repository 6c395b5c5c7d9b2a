"""A gateway's apisix.yaml, read back into the keys and values that its Admin API would have stored."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from replicator.apisix.encryption import decrypt_fields
from replicator.apisix.judgement import SECTIONS, Gateway
from replicator.apisix.keyring import Keyring
from replicator.apisix.resource import PLUGIN_LIST
from replicator.errors import UsageError

if TYPE_CHECKING:
    from replicator.apisix.options import Options

_END: Final = re.compile(rb"#END\s*$")
_END_BYTES: Final = 10
_END_HINT: Final = "a gateway reads only files that end with a line #END: is this one whole?"

_WITHOUT_TIMES: Final = frozenset({"plugin_metadata", "secrets"})

_NEED_ID: Final = frozenset({"plugin_metadata", "secrets", "ssls"})

_UNWANTED: Final = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")  # texts, for a gateway


class _Loader(yaml.CSafeLoader):
    """YAML as a gateway's parser takes it: dates are texts; and no name stands twice in one object."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own way)
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNWANTED]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (PyYAML's)
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, name in enumerate(names):
            if isinstance(name, list | dict):
                raise yaml.MarkedYAMLError(problem="a name is no text", problem_mark=node.start_mark)
            if name in names[:place] and name != "<<":
                raise yaml.MarkedYAMLError(
                    problem=f"{name} stands twice in one object", problem_mark=node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep=deep)


# PyYAML wants a point and a sign in a number with an exponent, and a gateway's parser doesn't.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
    list("-+.0123456789"),
)


def read_standalone(text: bytes, options: Options, now_s: int | None = None) -> dict[bytes, bytes]:
    """Return the keys and values that *text*, an apisix.yaml, stands for.

    Args:
        text: The file.
        options: The gateway: its prefix, and its keyring, with whose first key fields are encrypted again.
        now_s: What create_time and update_time become where the file has none; None: they stay away.

    Raises:
        UsageError: It is no such file: the message says where.
    """
    if not _END.search(text[-_END_BYTES:]):
        raise UsageError("the file has no #END at its end", hint=_END_HINT)
    document = _document(text)
    gateway = Gateway(
        options.plugins,
        options.stream_plugins,
        Keyring(options.keyring),
        options.encrypt_fields,
        reads_credentials=True,
    )
    found: dict[bytes, bytes] = {}
    for section, items in document.items():
        if section not in SECTIONS and section != PLUGIN_LIST:
            near = get_close_matches(str(section), (*SECTIONS, PLUGIN_LIST), 1)
            raise UsageError(
                f"{section} is no section of an apisix.yaml",
                hint=f"is {near[0]} meant?" if near else f"the sections: {', '.join(SECTIONS)}",
            )
        if items is None or items == {}:
            continue
        if not isinstance(items, list):
            raise UsageError(f"{section} is no list", hint="each item begins with a dash")
        if section == PLUGIN_LIST:
            found[options.prefix + b"/plugins"] = _encoded(items, section)
            continue
        for place, item in enumerate(items, 1):
            id_, value = _stored(section, place, item, gateway, now_s)
            key = options.prefix + f"/{section}/{id_}".encode()
            if key in found:
                raise UsageError(
                    f"{section}[{place}] has the id of another one: {key.decode()}",
                    hint="give each an id of its own",
                )
            found[key] = value
    return found


def _document(text: bytes) -> dict[str, Any]:
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 (a safe one)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise UsageError(f"the file is no YAML: {where}{error.problem}", hint="correct it there") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the file is no YAML: {type(error).__name__}", hint="is it UTF-8, and an apisix.yaml?"
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError("the file is no mapping of sections", hint="as in routes: [...]")
    return document


def _stored(section: str, place: int, item: Any, gateway: Gateway, now_s: int | None) -> tuple[str, bytes]:
    """Return the id and the value that *item*, the one at *place* (from 1) of *section*, is stored with."""
    where = f"{section}[{place}]"
    if not isinstance(item, dict):
        raise UsageError(f"{where} is no object", hint="an item is a mapping of fields")
    if section == "consumers" and "id" not in item:
        id_, stored = _id(item.get("username"), f"{where} has no username"), item
    else:
        own = item.pop("id", None if section in _NEED_ID else f"arr_{place}")  # as a gateway calls it
        id_ = _id(own, f"{where} has no id")
        stored = {"id": id_, **item}
    if section == "plugin_metadata":
        decrypt_fields(stored, gateway.fields.in_metadata.get(id_, ()), gateway.keyring.encrypt)
    elif isinstance(stored.get("plugins"), dict):
        paths = gateway.encrypted(section)
        for name in stored["plugins"].keys() & paths.keys():
            decrypt_fields(stored["plugins"][name], paths[name], gateway.keyring.encrypt)
    if now_s is not None and section not in _WITHOUT_TIMES:
        stored.setdefault("create_time", now_s)
        stored.setdefault("update_time", now_s)
    return id_, _encoded(stored, where)


def _id(value: Any, otherwise: str) -> str:
    """Return *value* as an id."""
    if value is None:
        raise UsageError(otherwise, hint="it is stored under that")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise UsageError(f"{otherwise} that is one", hint="a text or a whole number")
    return str(value)


def _encoded(document: Any, where: str) -> bytes:
    try:
        return msgspec.json.encode(_sayable(document))
    except (msgspec.MsgspecError, TypeError, ValueError, UnicodeEncodeError, OverflowError, RecursionError):
        raise UsageError(
            f"{where} holds what JSON can't say", hint="numbers that are some, and names that are texts"
        ) from None


def _sayable(document: Any) -> Any:
    """Return *document* with a number for infinity that is too large for any other."""
    if isinstance(document, dict):
        return {name: _sayable(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_sayable(value) for value in document]
    if isinstance(document, float) and not math.isfinite(document):
        if math.isnan(document):
            raise ValueError("not a number")
        return msgspec.Raw(b"1e999" if document > 0 else b"-1e999")
    return document
