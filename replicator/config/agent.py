"""The settings of `replicator agent`, which runs beside a gateway."""
# No `from __future__ import annotations`: the types are asked for at run time.

from datetime import timedelta
from pathlib import PurePosixPath
from typing import Annotated, Literal

from msgspec import Struct

from replicator.config.values import HttpUrl, Secret, Share
from replicator.errors import UsageError


class Agent(Struct, frozen=True, kw_only=True):
    """How `replicator agent` keeps a gateway serving while its control plane is gone."""

    home: Annotated[
        str,
        "Directory of the agent's own, on a disk that outlives restarts: what it has decided, and the "
        "original of each file that it has replaced.",
    ] = "/var/lib/replicator/agent"
    config_file: Annotated[
        str, "The gateway's own configuration, which the agent replaces for the time of an outage."
    ] = "/usr/local/apisix/conf/config.yaml"
    resource_file: Annotated[
        str,
        "The standalone file that is kept fresh from the archive. With a name that ends in `.json` it is "
        "written for `config_provider: json`.",
    ] = "/usr/local/apisix/conf/apisix.yaml"
    follow_interval: Annotated[
        timedelta, "How often the archive is asked for the next segment: one GET each time."
    ] = timedelta(seconds=1)
    probe_interval: Annotated[timedelta, "How often etcd is asked whether it answers linearizable reads."] = (
        timedelta(seconds=2)
    )
    failover_after: Annotated[
        timedelta, "For how long etcd must have failed each probe before the gateway is turned to the file."
    ] = timedelta(seconds=30)
    failback_after: Annotated[
        timedelta, "For how long etcd must have passed each probe before the gateway is turned back."
    ] = timedelta(minutes=1)
    hold_down: Annotated[
        timedelta,
        "The least time from the end of one switch, successful or not, to the beginning of the next one.",
    ] = timedelta(minutes=1)
    reload: Annotated[
        tuple[str, ...],
        "The command that makes the gateway read its configuration anew, with its arguments: "
        "`[apisix, reload]`, `[docker, exec, gateway, apisix, reload]`, `[kill, -HUP, '1']`. No shell is "
        "involved. Left out: the agent only keeps the file fresh, and never switches.",
    ] = ()
    reload_timeout: Annotated[timedelta, "For how long that command may run before it is killed."] = (
        timedelta(seconds=30)
    )
    ready: Annotated[
        HttpUrl | None,
        "URL that answers 200 once the gateway has its configuration: APISIX's `/status/ready`, or any probe "
        "of yours. Left out: a reload that ends well is believed.",
    ] = None
    ready_timeout: Annotated[
        timedelta, "For how long that may take after a reload before the switch is undone."
    ] = timedelta(seconds=30)
    wipe_guard: Annotated[
        Share,
        "A change that deletes more than this share of the resources is held back from the gateway. "
        "`100%`: none is.",
    ] = Share(0.5)
    wipe_guard_after: Annotated[
        timedelta,
        "After how long such a change is believed and let through, unless somebody confirms it before.",
    ] = timedelta(minutes=10)
    max_age: Annotated[timedelta, "How old the configuration may be before `when_stale` holds."] = timedelta(
        hours=1
    )
    when_stale: Annotated[
        Literal["serve", "refuse"],
        "`serve`: go on with what there is, and say so loudly. `refuse`: don't turn a gateway to a file that "
        "is older.",
    ] = "serve"
    push: Annotated[
        HttpUrl | None,
        "Admin API of a gateway in API-driven standalone mode (APISIX 3.13 and later), such as "
        "`http://127.0.0.1:9180`: the configuration is sent there, in place of `resource_file`. Nothing is "
        "switched then: `reload` must be left out.",
    ] = None
    push_key: Annotated[
        Secret | None, "The Admin API's key, for `push` and `restore --push`; left out if it asks for none."
    ] = None

    def __post_init__(self) -> None:
        """Refuse what can't be meant."""
        for name in ("home", "config_file", "resource_file"):
            if not PurePosixPath(getattr(self, name)).is_absolute():
                raise UsageError(f'{name} "{getattr(self, name)}" is no absolute path')
        for name in ("follow_interval", "probe_interval"):
            if getattr(self, name) < timedelta(milliseconds=100):
                raise UsageError(f"{name} must be at least 100ms")
