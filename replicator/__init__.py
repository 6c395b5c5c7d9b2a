"""Keep every change of an API gateway's configuration, and restore any moment of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from replicator.version import __version__

if TYPE_CHECKING:
    from replicator.api import Archive

__all__ = ["Archive", "__version__"]


def __getattr__(name: str) -> Any:
    """Import `Archive` when it is asked for: a command that doesn't need it starts without."""
    if name == "Archive":
        from replicator.api import Archive  # noqa: PLC0415 (see above)

        return Archive
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
