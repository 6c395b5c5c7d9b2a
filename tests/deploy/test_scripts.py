"""The scripts of a gateway's pod, with stand-ins for APISIX's programs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from pods import Pod
from servers.command import until

if TYPE_CHECKING:
    from pathlib import Path

# What answers is the folder: a file in it lets a program fail or hang.
APISIX = """\
while [ -e "$POD/$1-hangs" ]; do sleep 0.05; done
[ ! -e "$POD/$1-fails" ] || { cat "$POD/$1-fails"; exit 3; }
"""
OPENRESTY = """\
case "$*" in *"-t -q") [ ! -e "$POD/test-fails" ] || { echo "nginx: [emerg] no" >&2; exit 1; } ;; esac
"""
# The image's own start: the master's pid is the container's own.
ENTRYPOINT = """\
echo $$ > "$POD/logs/nginx.pid"
while :; do sleep 0.05; done
"""
RELOADED = ["-t -q", "-s reload"]


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    """Return a pod whose gateway does what the files in its folder say."""
    pod = Pod(tmp_path)
    pod.program("apisix", APISIX)
    pod.program("openresty", OPENRESTY)
    pod.program("entrypoint", ENTRYPOINT)
    return pod


def steps(pod: Pod) -> list[str]:
    """Return what openresty was told to do."""
    return [call.removeprefix(f"openresty -p {pod.home} ") for call in pod.calls if "openresty" in call]


def is_up(pod: Pod) -> bool:
    return "entrypoint docker-start" in pod.calls


def test_a_request_is_answered_by_a_reload(pod: Pod) -> None:
    with pod.container("gateway.sh", "entrypoint", "docker-start"):
        until(lambda: is_up(pod), "the gateway starts")
        first, second = (pod.run("reload.sh", str(pod.conf), "10") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0)
    assert steps(pod) == RELOADED * 2
    assert {path.name for path in pod.conf.iterdir()} == {"reload.answer"}


def test_a_reload_that_fails_tells_its_words_and_stops_there(pod: Pod) -> None:
    with pod.container("gateway.sh", "entrypoint", "docker-start"):
        until(lambda: is_up(pod), "the gateway starts")
        (pod.home / "init-fails").write_text("failed to parse config.yaml\nat line 3\n")
        refused = pod.run("reload.sh", str(pod.conf), "10")
        (pod.home / "init-fails").unlink()
        (pod.home / "test-fails").touch()
        untested = pod.run("reload.sh", str(pod.conf), "10")
    assert (refused.returncode, refused.stdout) == (1, "failed to parse config.yaml\nat line 3\n")
    assert (untested.returncode, untested.stdout) == (1, "nginx: [emerg] no\n")
    assert steps(pod) == ["-t -q"]


def test_a_request_that_nobody_takes_is_withdrawn(pod: Pod) -> None:
    told = pod.run("reload.sh", str(pod.conf), "1")
    assert told.returncode == 1
    assert "hasn't taken the request within 1 s: does it run gateway.sh?" in told.stdout
    assert list(pod.conf.iterdir()) == []


def test_a_reload_that_comes_too_late_is_none(pod: Pod) -> None:
    with pod.container("gateway.sh", "entrypoint", "docker-start"):
        until(lambda: is_up(pod), "the gateway starts")
        (pod.home / "init-hangs").touch()
        told = pod.run("reload.sh", str(pod.conf), "1")
        (pod.home / "init-hangs").unlink()
        until((pod.conf / "reload.answer").exists, "the gateway's container answers")
    assert (told.returncode, told.stdout) == (1, "the gateway's reload takes longer than 1 s\n")
    assert "nothing was reloaded" in (pod.conf / "reload.answer").read_text()
    assert steps(pod) == ["-t -q"]


def test_a_gateway_without_etcd_waits_for_its_start_and_says_why(pod: Pod) -> None:
    answers = (
        '[ -e "$POD/conf/reload.taken" ] && [ -e "$POD/well" ]'  # so that only a trial on request succeeds
    )
    pod.program(
        "apisix", f'[ "$1" = init ] || {{ {answers}; }} || {{ echo "all etcds are away"; exit 3; }}\n'
    )
    with pod.container("gateway.sh", "entrypoint", "docker-start") as gateway:
        gateway.says("all etcds are away")
        refused = pod.run("reload.sh", str(pod.conf), "10")
        assert (refused.returncode, refused.stdout) == (3, "all etcds are away\n")
        assert not is_up(pod)
        (pod.home / "well").touch()
        assert pod.run("reload.sh", str(pod.conf), "10").returncode == 0
        until(lambda: is_up(pod), "the gateway starts")
        assert gateway.said().count("away") == 1
    assert steps(pod) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_gateway_that_waits_for_its_start_can_be_ended(pod: Pod, number: signal.Signals) -> None:
    (pod.home / "init_etcd-fails").write_text("all etcd nodes are unavailable\n")
    with pod.container("gateway.sh", "entrypoint", "docker-start") as gateway:
        gateway.says("unavailable")
        assert gateway.stop(number) == 0


def test_the_loop_ends_with_the_gateway(pod: Pod) -> None:
    with pod.container("gateway.sh", "entrypoint", "docker-start") as gateway:
        until((pod.home / "logs/nginx.pid").exists, "the gateway starts")
        assert (pod.home / "logs/nginx.pid").read_text() == f"{gateway.process.pid}\n"
        assert gateway.stop(signal.SIGTERM) == -signal.SIGTERM
        until(lambda: not _is_group_alive(gateway.process.pid), "all of the container has ended")


def _is_group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_agent_is_run_again_and_hears_of_the_end(pod: Pod) -> None:
    body = """\
[ -e "$POD/once" ] || { touch "$POD/once"; exit 5; }
trap 'sleep 0.3; touch "$POD/ended-well"; exit 0' TERM
touch "$POD/waits"
while :; do sleep 0.05; done
"""
    pod.program("replicator", body)
    with pod.container("agent.sh", "-c", "a file.yaml", "agent") as agent:
        until((pod.home / "waits").exists, "the agent runs for the second time")
        assert agent.stop(signal.SIGTERM) == 0
        assert (pod.home / "ended-well").exists()
    assert pod.calls == ["replicator -c a file.yaml agent"] * 2


def test_an_agent_that_pauses_ends_at_once(pod: Pod) -> None:
    pod.program("replicator", "exit 5\n")
    pod.program("sleep", 'touch "$POD/pauses"; exec /bin/sleep 60\n')
    with pod.container("agent.sh", "agent") as agent:
        until((pod.home / "pauses").exists, "it pauses")
        assert agent.stop(signal.SIGTERM) == 0


def test_the_shared_folder_is_filled_and_keeps_what_the_agent_has_left(tmp_path: Path) -> None:
    image, shared, config = tmp_path / "image", tmp_path / "shared", tmp_path / "config.yaml"
    for name in ("image/cert/one.crt", "image/mime.types", "image/config.yaml", "image/apisix.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the image's")
    shared.mkdir()
    config.write_text("ours")
    config.chmod(0o444)
    for _ in range(2):
        done = Pod(tmp_path).run("conf.sh", str(image), str(config), str(shared))
        assert (done.returncode, done.stderr) == (0, "")
        assert (shared / "config.yaml").read_text() == "ours"
        assert (shared / "cert/one.crt").read_text() == "the image's"
        assert (shared / "apisix.yaml").exists() == (shared / "left").exists()
        (shared / "apisix.yaml").write_text("the agent's")
        (shared / "left").touch()
    assert (shared / "apisix.yaml").read_text() == "the agent's"
