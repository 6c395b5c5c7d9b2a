"""Under which id an item stands in the file, and whether APISIX takes it.

A gateway that reads etcd checks the id stored in a value and then replaces it by the key's suffix; one
that reads a file checks the id in the file. So both must be valid for the item to be the same.

Source: apisix/schema_def.lua, apisix/consumer.lua, apisix/secret.lua.
"""

from __future__ import annotations

import re
from typing import Any, Final

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CREDENTIAL_ID = re.compile(r"(?=.{15,128}\Z)[A-Za-z0-9_-]+/credentials/[A-Za-z0-9_.-]+")
_NEEDS_STORED_ID: Final = frozenset({"plugin_configs", "global_rules", "consumer_groups"})


class Unfit(Exception):
    """An item must not be put into the file.

    Args:
        reason: Why, without any part of a value.
        held_by_gateway: Whether a gateway that reads etcd holds it all the same.
    """

    def __init__(self, reason: str, *, held_by_gateway: bool) -> None:
        super().__init__(reason)
        self.held_by_gateway = held_by_gateway


def is_id(text: str) -> bool:
    """Tell whether *text* is an id as most types have it."""
    return _ID.fullmatch(text) is not None


def is_credential(section: str, suffix: str) -> bool:
    """Tell whether APISIX takes the key for a credential's: ``consumers/<user>/credentials/...``."""
    return section == "consumers" and suffix.split("/", 2)[1:2] == ["credentials"]


def identified(section: str, suffix: str, item: dict[str, Any], *, reads_credentials: bool) -> dict[str, Any]:
    """Return *item* with the id that it has in the file put first, if it has one there.

    Args:
        section: The section of the item.
        suffix: Its key after ``<prefix>/<section>/``.
        item: The decoded value; consumed.
        reads_credentials: Whether a file can hold credentials.

    Raises:
        Unfit: The stored id or the suffix can't be an id.
    """
    stored = item.pop("id", None) if "id" in item else _MISSING
    if section == "plugin_metadata":
        return {"id": suffix} | item
    if section == "secrets":
        _check_secret(suffix, stored)
    else:
        credential = is_credential(section, suffix)
        _check_stored(section, stored, credential=credential)
        if section == "consumers" and not credential and item.get("username") == suffix:
            return item
        _check_suffix(suffix, credential=credential, reads_credentials=reads_credentials)
    return {"id": suffix} | item


_MISSING: Final = object()


def _check_secret(suffix: str, stored: Any) -> None:
    if not isinstance(stored, str) or "/" not in stored:
        raise Unfit("the stored id is missing or names no secret manager", held_by_gateway=False)
    if "/" not in suffix:
        raise Unfit("the key names no secret manager, which a file needs", held_by_gateway=True)
    if stored.partition("/")[0] != suffix.partition("/")[0]:
        raise Unfit("the stored id names another secret manager than the key", held_by_gateway=False)


def _check_stored(section: str, stored: Any, *, credential: bool) -> None:
    if stored is _MISSING:
        if section in _NEEDS_STORED_ID:
            raise Unfit("the stored id is missing", held_by_gateway=False)
    elif not _is_stored_id(stored, credential=credential):
        raise Unfit("the stored id is invalid", held_by_gateway=False)


def _is_stored_id(stored: Any, *, credential: bool) -> bool:
    if isinstance(stored, str):
        return is_id(stored) or (credential and _CREDENTIAL_ID.fullmatch(stored) is not None)
    if isinstance(stored, bool) or not isinstance(stored, int | float):
        return False
    return stored >= 1 and stored == stored // 1


def _check_suffix(suffix: str, *, credential: bool, reads_credentials: bool) -> None:
    if credential and not reads_credentials:
        raise Unfit("a file can't hold credentials before APISIX 3.17", held_by_gateway=True)
    if _CREDENTIAL_ID.fullmatch(suffix) is None if credential else not is_id(suffix):
        raise Unfit("the key's suffix is no id that a file can hold", held_by_gateway=True)
