"""What the demo's Admin API writes: what our own reading of APISIX's values takes apart again."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from replicator.apisix import DEFAULT_KEYRING
from replicator.apisix.keyring import Keyring
from replicator.demo.admin_api import AdminApi, Delete, Heartbeat, Marker, Put, encrypted, key_of

ROUTE = Put("routes", "one", {"uri": "/one"})


@given(st.text(min_size=1))
def test_a_gateway_reads_what_is_encrypted(plain) -> None:
    assert Keyring(DEFAULT_KEYRING).decrypt(encrypted(plain)) == plain


def test_a_resource_keeps_its_birthday_until_it_is_deleted() -> None:
    api = AdminApi()

    def times(now_s: int) -> tuple[int, int]:
        written = json.loads(api.value(ROUTE, now_s))
        return written["create_time"], written["update_time"]

    assert [times(10), times(20)] == [(10, 10), (10, 20)]
    assert api.value(Delete("routes", "one"), 25) is None
    assert times(30) == (30, 30)


def test_keys_and_values_are_where_and_as_apisix_has_them() -> None:
    api = AdminApi()
    consumer, metadata = Put("consumers", "jack", {"plugins": {}}), Put("plugin_metadata", "syslog", {"a": 1})
    heartbeat = Heartbeat("gw", {"id": "gw"}, ttl_s=60)
    assert (key_of(ROUTE), json.loads(api.value(ROUTE, 9))["id"]) == (b"/apisix/routes/one", "one")
    assert json.loads(api.value(consumer, 9)) == {
        "username": "jack",
        "plugins": {},
        "create_time": 9,
        "update_time": 9,
    }
    assert json.loads(api.value(metadata, 9)) == {"id": "syslog", "a": 1}
    assert (key_of(Marker("routes")), api.value(Marker("routes"), 9)) == (b"/apisix/routes/", b"init_dir")
    assert (key_of(heartbeat), json.loads(api.value(heartbeat, 9))) == (
        b"/apisix/data_plane/server_info/gw",
        {"id": "gw", "boot_time": 9},
    )
