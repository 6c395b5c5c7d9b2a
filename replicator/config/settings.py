"""What can be set, its defaults, and what each setting means.

This module is the only list: the reader, the names of the environment's variables and
docs/configuration.md are all made from it. Each field's type says how its text is read, the string beside it
what it means. A section that contradicts itself raises UsageError.
"""
# No `from __future__ import annotations`: the types are asked for at run time.

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from msgspec import Struct

from replicator.config.agent import Agent
from replicator.config.values import ArchiveUrl, Bytes, Endpoint, HttpUrl, KeyPrefix, Listen, Secret
from replicator.core.retention import RetentionRule
from replicator.core.schedule import Schedule
from replicator.errors import UsageError


def _together(**pair: object) -> None:
    if len({value is None for value in pair.values()}) > 1:
        raise UsageError(f"{' and '.join(pair)} go together", hint="give both, or neither")


class Etcd(Struct, frozen=True, kw_only=True):
    """The source: an etcd cluster, and what is recorded of it."""

    endpoints: Annotated[
        tuple[Endpoint, ...],
        "Client URLs of the members of one cluster, each with its port; all http, or all https.",
    ] = (Endpoint("http://127.0.0.1:2379"),)
    prefix: Annotated[
        KeyPrefix,
        "What is recorded: the keys that begin with it, as `etcdctl get --prefix` takes it. The gateway's "
        "`deployment.etcd.prefix`; `/apisix/` leaves out neighbours such as `/apisix-test`.",
    ] = KeyPrefix("/apisix")
    username: Annotated[str | None, "etcd's user; goes with `password`."] = None
    password: Annotated[Secret | None, "The user's password."] = None
    cacert: Annotated[
        str | None,
        "File with the certificates (PEM) that vouch for the server's; without it the system's do.",
    ] = None
    cert: Annotated[str | None, "File with our own certificate (PEM); goes with `key`."] = None
    key: Annotated[str | None, "File with the certificate's private key (PEM)."] = None

    def __post_init__(self) -> None:
        """Refuse what no cluster could be reached with."""
        schemes = {endpoint.partition(":")[0] for endpoint in self.endpoints}
        if not schemes:
            raise UsageError("endpoints is empty", hint="name at least one member of the cluster")
        if len(schemes) > 1:
            raise UsageError("endpoints mixes http and https", hint="give all members the same scheme")
        _together(username=self.username, password=self.password)
        _together(cert=self.cert, key=self.key)
        if schemes == {"http"} and (self.cacert or self.cert):
            raise UsageError(
                "certificates are given, but the endpoints are http", hint="write https:// endpoints"
            )


class S3(Struct, frozen=True, kw_only=True):
    """The bucket's service, for an archive in one. Keys left out come from the AWS chain, roles included."""

    endpoint: Annotated[HttpUrl | None, "URL of a service other than AWS: Ceph, MinIO and their like."] = None
    region: Annotated[str | None, "The bucket's region."] = None
    use_path_style: Annotated[
        bool, "Whether the bucket is named in the path, not in the host. Most services but AWS need it."
    ] = False
    access_key: Annotated[Secret | None, "Access key id; goes with `secret_key`."] = None
    secret_key: Annotated[Secret | None, "Secret access key."] = None
    sse_kms_key_id: Annotated[str | None, "KMS key that the service encrypts each object with (SSE-KMS)."] = (
        None
    )

    def __post_init__(self) -> None:
        """Refuse half a pair of keys."""
        _together(access_key=self.access_key, secret_key=self.secret_key)


class Encryption(Struct, frozen=True, kw_only=True):
    """Encryption of every object before it leaves this process. Without a key, nothing is encrypted."""

    key_file: Annotated[
        str | None,
        "File with keys: 32 random bytes each, in base64 or hexadecimal, one a line. The first one seals, "
        "all of them open. Mode 0600.",
    ] = None
    kms_key_id: Annotated[
        str | None,
        "Key of AWS KMS that wraps the keys that objects are sealed with: its ARN; or its id or alias, in "
        "the bucket's region. A `key_file` beside it only opens.",
    ] = None
    kms_old_key_ids: Annotated[
        tuple[str, ...], "Keys of KMS that older objects were sealed under; they only open."
    ] = ()
    kms_endpoint: Annotated[
        HttpUrl | None,
        "URL of a service other than AWS's. The access keys of `s3` serve here too, if both services are "
        "AWS's or neither is; else those of the AWS chain do.",
    ] = None
    allow_plaintext: Annotated[
        bool,
        "Whether objects that aren't encrypted are read as well: for an archive that was begun without a "
        "key. Whoever may write to its store can then put in what they like.",
    ] = False

    def __post_init__(self) -> None:
        """Refuse settings that would have no effect, where somebody thinks that they encrypt."""
        if self.kms_key_id is None and (self.kms_old_key_ids or self.kms_endpoint):
            raise UsageError("settings of KMS are given, but no kms_key_id", hint="name the key that seals")
        if self.allow_plaintext and self.key_file is None and self.kms_key_id is None:
            raise UsageError(
                "allow_plaintext is given, but neither key_file nor kms_key_id",
                hint="name a key, or leave it out: without a key nothing is encrypted",
            )


class Capture(Struct, frozen=True, kw_only=True):
    """How changes are gathered into segments. A segment is one object, so one PUT."""

    flush_interval: Annotated[
        timedelta, "How long a change may wait for others before its segment is stored; `0` for not at all."
    ] = timedelta(seconds=1)
    flush_bytes: Annotated[Bytes, "Size of the waiting changes at which their segment is stored at once."] = (
        Bytes(4 * 2**20)
    )

    spool: Annotated[
        str | None,
        "Directory on local disk where segments wait for the store, so that neither a crash nor an outage "
        "takes them. Left out: they wait in memory, and what etcd has compacted meanwhile dies with the "
        "process. Several sources and processes may share it.",
    ] = None
    spool_max_bytes: Annotated[
        Bytes,
        "How much may wait there. At that the watch is made to wait, and etcd keeps what it hasn't sent.",
    ] = Bytes(2**30)
    lease: Annotated[
        timedelta,
        "How long a writer may give no sign of life before a standby takes over. While one stands by, a "
        "sign comes each third of it.",
    ] = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Refuse limits that can't be kept."""
        if self.flush_bytes <= 0:
            raise UsageError("flush_bytes must be more than 0", hint="the default is 4MiB")
        if self.spool_max_bytes <= 0:
            raise UsageError("spool_max_bytes must be more than 0", hint="the default is 1GiB")
        if self.spool is not None and not self.spool.startswith("/"):
            raise UsageError(f'spool "{self.spool}" is no absolute path', hint="/var/lib/replicator/spool")
        if self.lease < timedelta(seconds=1):
            raise UsageError("lease must be at least 1s", hint="the default is 30s")


class Snapshot(Struct, frozen=True, kw_only=True):
    """When the whole state is stored."""

    cron_spec: Annotated[
        Schedule,
        "The latest moment for a snapshot, if anything changed: `@every 1m`, `@hourly` and its like, or five "
        "fields of cron, in UTC. One is stored earlier if the changes since the last take long to replay.",
    ] = Schedule("@every 1m")
    latest: Annotated[
        bool,
        "Whether the newest state is kept in plain form as well, for what can only fetch one file: "
        "`latest/apisix.yaml` in the archive's place, `latest/config.yaml` in that of the instance "
        "configuration. It is as new as the newest snapshot. What etcd holds encrypted stands there in plain "
        "text.",
    ] = False
    latest_plaintext: Annotated[
        bool, "Whether that is wanted even though `encryption` encrypts all other objects."
    ] = False


class Metrics(Struct, frozen=True, kw_only=True):
    """What `replicator run` tells Prometheus of itself. Several sources of one process share one address."""

    listen: Annotated[
        Listen | None,
        "Address at which `/metrics`, `/healthz` and `/readyz` are served, such as `127.0.0.1:9465`; port 0 "
        "takes any that is free. Whoever reaches it may read. Left out: nowhere.",
    ] = None
    heartbeat: Annotated[
        Secret | None,
        "URL (http or https) that is asked for, once a minute at most, while what is recorded can be "
        "restored: for a service that raises the alarm when the signs stop.",
    ] = None

    def __post_init__(self) -> None:
        """Refuse what can't be asked for."""
        if self.heartbeat and not self.heartbeat.reveal().startswith(("http://", "https://")):
            raise UsageError(
                "heartbeat is no http:// or https:// URL", hint="it isn't shown: it may be a secret"
            )


class Retention(Struct, frozen=True, kw_only=True):
    """How long the history is kept. Without `full` nothing is ever deleted.

    The newest snapshot and all that follows it stay whatever their age, and so does what named points need.
    """

    full: Annotated[
        timedelta | None,
        "How long every moment stays restorable: `30d`. What is older is thinned, once a day.",
    ] = None
    daily: Annotated[
        timedelta | None,
        "How long one snapshot of each UTC day stays, its last: `1y`. Left out: none is older than `full`.",
    ] = None

    def __post_init__(self) -> None:
        """Refuse what would keep days for a shorter time than moments."""
        if self.daily is not None and (self.full is None or self.daily < self.full):
            raise UsageError(
                "daily goes with a shorter full", hint="such as full: 30d and daily: 1y; or leave out daily"
            )

    @property
    def rule(self) -> RetentionRule | None:
        """The rule that is meant; None for no deleting at all."""
        return None if self.full is None else RetentionRule(self.full, self.daily)


class Instance(Struct, frozen=True, kw_only=True):
    """The instance configuration: files that are recorded beside etcd, into an archive of their own."""

    files: Annotated[
        tuple[str, ...],
        "Files that are recorded whenever they change, such as the control plane's "
        "`/usr/local/apisix/conf/config.yaml`: absolute paths.",
    ] = ()
    archive: Annotated[
        ArchiveUrl | None,
        "Where their history is kept; another place than the resources' archive. The sections `s3` and "
        "`encryption` hold for it as well.",
    ] = None

    def __post_init__(self) -> None:
        """Refuse files without a place for them, and paths that depend on who reads them."""
        if self.files and self.archive is None:
            raise UsageError("files are given, but no archive", hint="say where their history is kept")
        for path in self.files:
            if not path.startswith("/"):
                raise UsageError(f'"{path}" is no absolute path', hint="begin it with /")


class EncryptedFields(Struct, frozen=True, kw_only=True):
    """The fields of one plugin that APISIX keeps encrypted in etcd, as dotted paths."""

    schema: Annotated[
        tuple[str, ...], "In routes, services, plugin_configs, global_rules and consumer_groups."
    ] = ()
    consumer_schema: Annotated[tuple[str, ...], "In consumers and their credentials."] = ()
    metadata_schema: Annotated[tuple[str, ...], "In the plugin's metadata."] = ()


class Apisix(Struct, frozen=True, kw_only=True):
    """The gateway whose file is restored: its version, its keys, its plugins."""

    version: Annotated[str, "APISIX's version: major and minor."] = "3.18"
    keyring: Annotated[
        tuple[Secret, ...] | None,
        "The gateway's `data_encryption.keyring`. Left out: APISIX's default. `[]`: encryption is off.",
    ] = None
    plugins: Annotated[
        tuple[str, ...] | None,
        "The plugins that the gateway loads; the file leaves out all others. Left out: no plugin is dropped.",
    ] = None
    stream_plugins: Annotated[tuple[str, ...] | None, "The same for stream routes."] = None
    schema: Annotated[
        str,
        "What says which fields of which plugins are encrypted: `builtin` (APISIX's own table), `none`, or "
        "the file or http(s) URL of a gateway's control API document, `/v1/schema`.",
    ] = "builtin"
    encrypt_fields: Annotated[
        Mapping[str, EncryptedFields],
        "The same by hand: dotted paths under `schema`, `consumer_schema` and `metadata_schema` of a "
        "plugin's name. A plugin named here is taken from here alone; `schema: none` leaves no others.",
    ] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """All settings of one source."""

    etcd: Etcd = Etcd()
    archive: Annotated[
        ArchiveUrl | None,
        "Where the history is kept: `s3://bucket/path` or `file:///directory`. One archive per source.",
    ] = None
    s3: S3 = S3()
    encryption: Encryption = Encryption()
    capture: Capture = Capture()
    snapshot: Snapshot = Snapshot()
    metrics: Metrics = Metrics()
    retention: Retention = Retention()
    apisix: Apisix = Apisix()
    instance: Instance = Instance()
    agent: Agent = Agent()
