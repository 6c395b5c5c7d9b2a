"""`replicator agent` in worse outages: etcd suspended, flapping, an editor, SIGTERM amid a switch."""

from __future__ import annotations

import base64
import json
import threading
from typing import TYPE_CHECKING, Any

from agent_bench import ORIGINAL, probed
from servers.command import called, until
from servers.etcd_json import EtcdJson

if TYPE_CHECKING:
    from agent_bench import Bench


def test_sigterm_amid_a_switch_leaves_it_to_the_next_agent(bench: Bench) -> None:
    with probed(bench) as probe:
        with bench.agent() as agent:
            until(lambda: bench.routes == {"1"}, "the file is there")
            bench.etcd.suspend()
            until(lambda: bench.reloads == 1, "the gateway is reloaded, and not ready")
            assert agent.stop() == 0
        assert bench.status()["switch"]["to"] == "standalone"
        assert b"data_plane" in bench.config
        probe.answer = 200
        with bench.agent("again") as agent:
            agent.tells("switch.done")
            assert (bench.runs_on, bench.reloads) == ("its file", 1)
            bench.etcd.resume()
            bench.turns_to("etcd")
        assert (bench.config, bench.reloads) == (ORIGINAL, 2)


def test_an_etcd_that_flaps_turns_nothing(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        until(lambda: bench.status()["etcd_healthy_s"] > 0, "etcd is known to be well")
        for _ in range(6):
            bench.etcd.suspend()
            threading.Event().wait(0.4)
            bench.etcd.resume()
            threading.Event().wait(0.2)
        assert agent.events("switch.begun") == []
        assert (bench.config, bench.reloads) == (ORIGINAL, 0)


def test_an_edited_config_is_held_and_a_store_that_is_away_delays_nothing(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        archive = bench.settings.parent / "archive"
        archive.rename(archive.with_name("away"))
        bench.etcd.kill()
        bench.turns_to("its file")
        edited = bench.config + b"# by hand\n"
        (bench.folder / "config.yaml").write_bytes(edited)
        bench.etcd.start()
        until(lambda: "somebody has changed config.yaml" in bench.status()["outlook"], "the agent says so")
        refused = called("-c", bench.settings, "agent", "failback")
        assert refused.code == 7
        assert (bench.config, bench.reloads) == (edited, 1)
        assert called("-c", bench.settings, "agent", "failback", "--force").code == 0
        assert bench.config == ORIGINAL
        assert (bench.settings.parent / "home" / "config.yaml.replaced").read_bytes() == edited
        assert agent.stop() == 0


def test_check_tries_the_gateway_and_the_keyring(bench: Bench) -> None:
    def found() -> dict[str, Any]:
        outcome = called("-c", bench.settings, "check", "--json")
        return {one["what"]: one for one in json.loads(outcome.out)} | {"code": outcome.code}

    recorded = bench.settings.parent / "archive" / "checkpoint.json"
    until(recorded.exists, "something is recorded")
    sound = found()
    assert sound["code"] == 0
    assert all(sound[what]["ok"] for what in ("home", "gateway", "keyring"))
    secret = base64.b64encode(b"of two whole blocks, encrypted..").decode()
    with EtcdJson(bench.etcd.endpoint) as client:
        consumer = {"username": "jo", "plugins": {"key-auth": {"key": secret}}}
        client.put("/apisix/consumers/jo", json.dumps(consumer))
    (bench.folder / "config.yaml").write_text("deployment: [")
    until(lambda: not found()["keyring"]["ok"], "the keyring is tried on what is recorded")
    broken = found()
    assert broken["code"] == 2
    assert "it is no YAML" in broken["gateway"]["said"]
    assert "/apisix/consumers/jo" in broken["keyring"]["said"]
    assert secret not in str(broken)
