"""Where and what a process is, and whether it has ended: as far as one machine can tell."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


class LocalPeers:
    """The `Peers` of this machine, by Linux's /proc; elsewhere nobody is ever known to be gone."""

    def me(self) -> str:
        """Return ``<boot>/<pid namespace>/<pid>/<start time in ticks>``; empty if that can't be had.

        The boot's id is random, so that no two machines have the same. It names no host.
        """
        try:
            return "/".join((*_here(), str(os.getpid()), _started("self")))
        except OSError:
            return ""

    def is_gone(self, process: str) -> bool:
        """Tell whether *process* ran within this boot and pid namespace, and does no more."""
        try:
            boot, namespace, pid, started = process.split("/")
            if (boot, namespace) != _here():
                return False
        except (OSError, ValueError):
            return False
        try:
            return _started(str(int(pid))) != started
        except FileNotFoundError:
            return (_PROC / "1").exists()  # else /proc hides the processes of other users
        except (OSError, ValueError):
            return False


def _here() -> tuple[str, str]:
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return boot, str((_PROC / "self/ns/pid").stat().st_ino)


def _started(pid: str) -> str:
    """Return a process's start time, which tells it from a later one of the same pid; a zombie has ended."""
    _, _, fields = (_PROC / pid / "stat").read_text().rpartition(")")  # the name before it may hold anything
    state, *rest = fields.split()
    if state in "ZX":
        raise FileNotFoundError(pid)
    return rest[18]
