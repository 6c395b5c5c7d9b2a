"""The alphabet of object names: what every store can hold, and what leads out of none."""

from __future__ import annotations

import re

from replicator.core.limits import DOCUMENT_BYTES
from replicator.errors import ArchiveDamaged

_PART = re.compile(r"[A-Za-z0-9@_-][A-Za-z0-9@=._-]{0,199}")


def is_name_part(part: str) -> bool:
    """Tell whether *part* may stand between two slashes of a name.

    Letters, digits, ``@ . _ = -``, at most 200 of them, and no leading dot. So no part is empty, ``.``,
    ``..`` or hidden, a file system can hold each, and the order of strings is the order of their bytes.
    """
    return _PART.fullmatch(part) is not None


def is_name(name: str) -> bool:
    """Tell whether *name* is made of such parts. Anything else in a store is a stranger's."""
    return all(is_name_part(part) for part in name.split("/"))


def check_name(name: str) -> str:
    """Return *name*.

    Raises:
        ValueError: It is no name. Names are computed from positions, so this is a bug.
    """
    if not is_name(name):
        raise ValueError(f"not an object name: {name!r}")
    return name


def longest_bytes(name: str) -> int | None:
    """Return how long the object *name* can be, if that is known: a document has its bounds."""
    return DOCUMENT_BYTES if name.endswith(".json") else None


def too_long(name: str) -> ArchiveDamaged:
    """Return the error of an object that is longer than it can be: it isn't read into memory."""
    return ArchiveDamaged(
        f"{name} is damaged: a document is at most {DOCUMENT_BYTES} bytes long",
        hint="bring the object back from a replica or an older version of the bucket",
    )
