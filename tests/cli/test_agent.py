"""`replicator agent` beside a stand-in for a gateway: outages, failing reloads, kills, and words by hand."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from agent_bench import ORIGINAL, probed
from servers.command import called, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent_bench import Bench


def test_an_outage_from_end_to_end(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.put("2")
        until(lambda: bench.routes == {"1", "2"}, "the file follows")
        assert bench.reloads == 0
        bench.etcd.kill()
        bench.turns_to("its file")
        assert (bench.folder / "config.yaml").stat().st_mode & 0o777 == 0o640
        assert bench.reloads == 1
        bench.etcd.start()
        bench.turns_to("etcd")
        assert bench.config == ORIGINAL
        assert (bench.folder / "config.yaml").stat().st_mode & 0o777 == 0o640
        assert bench.reloads == 2
        bench.put("3")
        until(lambda: bench.routes == {"1", "2", "3"}, "the file follows again")
        assert agent.stop() == 0
    assert bench.status()["pid"] == 0


def test_an_agent_that_is_killed_amid_an_outage_goes_on(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        bench.turns_to("its file")
        assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
    bench.etcd.start()
    with bench.agent("again"):
        bench.turns_to("etcd")
    assert bench.config == ORIGINAL


def test_a_reload_that_fails_is_undone_and_tried_again(bench: Bench) -> None:
    (bench.folder / "broken").touch()
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        agent.tells("switch.undone")
        assert bench.config == ORIGINAL
        assert bench.runs_on == "etcd"
        (bench.folder / "broken").unlink()
        bench.turns_to("its file")
        failures = agent.events("switch.failed")
        assert "the reload command ended with 1" in failures[0]["cause"]


def test_a_wiped_etcd_is_not_trusted_unless_forced(bench: Bench) -> None:
    with bench.agent():
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        bench.turns_to("its file")
        bench.etcd.wipe()
        bench.etcd.start()
        until(lambda: "it was wiped" in bench.status()["outlook"], "the agent says why it stays")
        assert bench.runs_on == "its file"
        outcome = called("-c", bench.settings, "agent", "failback")
        assert outcome.code == 7
        assert "it was wiped" in outcome.err
        assert called("-c", bench.settings, "agent", "failback", "--force").code == 0
        assert bench.config == ORIGINAL


def test_by_hand_while_it_runs_and_while_none_does(bench: Bench) -> None:
    def say(*words: str) -> str:
        outcome = called("-c", bench.settings, "agent", *words)
        assert outcome.code == 0, outcome.err
        return outcome.out.decode()

    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        assert "runs on its file" in say("failover")
        until(lambda: bench.status()["outlook"] == "turned to the file by hand", "it stays there")
        assert "NONE RUNS" not in say("status")
        assert say("pause")
        until(lambda: bench.status()["switch"]["is_paused"], "it is paused")
        assert agent.stop() == 0
    assert "NONE RUNS" in say("status")
    assert "runs on etcd" in say("failback")
    assert bench.config == ORIGINAL
    assert say("resume")
    assert "already" in say("failback")


def test_a_second_agent_is_refused(bench: Bench) -> None:
    with bench.agent():
        outcome = called("-c", bench.settings, "agent")
        assert outcome.code == 6
        assert "another agent is at work" in outcome.err


def test_a_gateway_that_starts_during_an_outage(bench: Bench) -> None:
    def once() -> tuple[int, str]:
        outcome = called("-c", bench.settings, "agent", "--once")
        return outcome.code, outcome.err

    code, said = once()
    assert (code, bench.config) == (0, ORIGINAL)
    assert "etcd answers" in said
    bench.etcd.kill()
    code, said = once()
    assert code == 0
    assert "archive's newest state" in said
    assert bench.routes == {"1"}
    assert b"data_plane" in bench.config
    archive = bench.settings.parent / "archive"
    archive.rename(archive.with_name("away"))
    code, said = once()
    assert code == 0
    assert "the file of before" in said
    (bench.folder / "apisix.yaml").unlink()
    code, said = once()
    assert code == 5
    assert "nothing to start from" in said
    archive.with_name("away").rename(archive)
    bench.etcd.start()
    code, said = once()
    assert (code, bench.config) == (0, ORIGINAL)
    assert "the original again" in said
    assert bench.reloads == 0


def test_what_must_be_mended_before_an_outage_is_told(bench: Bench) -> None:
    (bench.folder / "config.yaml").write_text("deployment: {role: queen}\n")
    with bench.agent():
        until(lambda: bench.routes == {"1"}, "the file is there")
        until(lambda: "deployment.role" in bench.status()["trouble"], "the agent has looked at config.yaml")
    assert called("-c", bench.settings, "agent", "status").code == 3


def test_a_gateway_that_does_not_get_ready_is_put_back(bench: Bench) -> None:
    with probed(bench) as probe, bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        agent.tells("switch.undone")
        assert (bench.config, bench.runs_on) == (ORIGINAL, "its file")  # no reload while etcd is away
        assert "it answered 503" in agent.events("switch.failed")[0]["cause"]
        probe.answer = 200
        bench.turns_to("its file")
        bench.etcd.start()
        bench.turns_to("etcd")


def test_what_an_undo_has_not_reloaded_is_reloaded_once_etcd_is_well(bench: Bench) -> None:
    with probed(bench), bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        bench.etcd.kill()
        agent.tells("switch.undone")
        bench.etcd.start()
        until(lambda: (bench.config, bench.runs_on) == (ORIGINAL, "etcd"), "it has read what lies there")


def test_by_hand_it_goes_back_to_an_etcd_that_is_away_by_force_alone(bench: Bench) -> None:
    with bench.agent() as agent:
        until(lambda: bench.routes == {"1"}, "the file is there")
        assert called("-c", bench.settings, "agent", "failover").code == 0
        bench.etcd.kill()
        until(lambda: bench.status()["etcd_failing_s"] > 0, "the agent knows")
        outcome = called("-c", bench.settings, "agent", "failback")
        assert (outcome.code, bench.runs_on) == (7, "its file")
        assert "etcd fails, and the gateway would have nothing" in outcome.err
        assert called("-c", bench.settings, "agent", "failback", "--force").code == 0
        assert [entry["mode"] for entry in agent.events("switch.done")][:2] == ["standalone", "etcd"]


def test_a_status_of_nobody_is_an_error(settings: Callable[..., Path], tmp_path: Path) -> None:
    path = settings(archive=f"file://{tmp_path}/archive", agent={"home": str(tmp_path / "home")})
    outcome = called("-c", path, "agent", "status")
    assert outcome.code == 2
    assert "no agent has run here" in outcome.err
    assert not (tmp_path / "home").exists()
