"""Prepare a gateway that is about to start: on etcd if that answers, else on its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from replicator.errors import SourceUnavailable, StoreUnavailable

if TYPE_CHECKING:
    from replicator.flows.copy import Copy
    from replicator.flows.switch import Switch
    from replicator.ports import ControlPlane, Target


def prepare(plane: ControlPlane, copy: Copy, switch: Switch, target: Target) -> str:
    """Let the gateway start on what there is; return what was done, in words.

    etcd comes first, then the archive, then the file that an earlier agent has left.

    Raises:
        StoreUnavailable: There is neither of them.
        GatewayFailed: Its config.yaml can't be written.
        UsageError: Its config.yaml can't be read, or is none.
    """
    try:
        plane.probe()
    except SourceUnavailable as away:
        cause = str(away)
    else:
        was_put_back = switch.put_back("etcd answers")
        return "etcd answers: its config.yaml is " + (
            "the original again" if was_put_back else "left as it is"
        )
    copy.step()
    told = copy.told
    if told.failure and (told.written is None or not target.digest()):
        raise StoreUnavailable(
            f"nothing to start from: etcd: {cause}; archive: {told.failure}; and there is no file of before",
            hint="bring back one of them; a volume that outlives restarts keeps the file and agent.home",
        )
    switch.place(f"etcd doesn't answer: {cause}")
    if told.failure:
        return f"etcd doesn't answer, nor the archive ({told.failure}): it starts from the file of before"
    return "etcd doesn't answer: it starts from the archive's newest state"
