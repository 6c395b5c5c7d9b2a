"""compose/Dockerfile: nothing here builds it, so that all that can be known without an engine is held."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from servers.command import running
from servers.etcd import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPE = ROOT / "compose/Dockerfile"
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent))


@dataclass(frozen=True)
class Stage:
    """One image of a recipe: what it is called, and its instructions, each with its words."""

    name: str
    steps: tuple[tuple[str, str], ...]

    def of(self, instruction: str) -> list[str]:
        """Return what is said by each *instruction*."""
        return [rest for word, rest in self.steps if word == instruction]


def stages() -> list[Stage]:
    """Return the stages of the recipe."""
    lines = [line for line in RECIPE.read_text().splitlines() if line and not line.startswith("#")]
    steps = [line.split(maxsplit=1) for line in "\n".join(lines).replace("\\\n", " ").splitlines()]
    starts = [place for place, (word, _) in enumerate(steps) if word == "FROM"]
    ends = [*starts[1:], len(steps)]
    return [
        Stage(steps[start][1], tuple((word, rest) for word, rest in steps[start + 1 : end]))
        for start, end in zip(starts, ends, strict=True)
    ]


@pytest.mark.skipif(HADOLINT is None, reason="there is no hadolint for this platform")
def test_the_recipe_is_sound() -> None:
    command = [str(HADOLINT), "--failure-threshold", "style", str(RECIPE)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.skipif(HADOLINT is None, reason="there is no hadolint for this platform")
@pytest.mark.parametrize(
    ("here", "broken"),
    [("python:3.13-slim AS", "python AS"), ("--no-cache-dir ", ""), ("USER 10001", "USER root")],
)
def test_an_unsound_one_is_seen(tmp_path: Path, here: str, broken: str) -> None:
    text = RECIPE.read_text()
    assert here in text
    (tmp_path / "Dockerfile").write_text(text.replace(here, broken))
    command = [str(HADOLINT), "--failure-threshold", "style", str(tmp_path / "Dockerfile")]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_the_image_is_what_was_installed_and_runs_as_nobody_else() -> None:
    build, image = stages()

    assert build.name.partition(" ")[0] == image.name
    assert [word for word, _ in build.steps if word != "COPY"] == ["WORKDIR", "RUN"]
    assert image.of("USER") == ["10001"]
    order = [word for word, _ in image.steps]
    assert order.index("USER") > max(place for place, word in enumerate(order) if word in ("RUN", "COPY"))
    assert "pip" not in " ".join(image.of("RUN"))
    assert image.of("COPY")[0] == "--from=build /opt/replicator /opt/replicator"
    assert image.of("ENV") == ["PATH=/opt/replicator/bin:$PATH"]
    assert json.loads(image.of("ENTRYPOINT")[0]) == ["replicator"]


def test_what_is_copied_is_there_and_isnt_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [ROOT / line.removeprefix("!") for line in ignore if line.startswith("!")]
    copied = [
        ROOT / path
        for stage in stages()
        for line in stage.of("COPY")
        for path in line.split()[:-1]
        if "--from=" not in line
    ]

    assert "*" in ignore
    assert [path for path in copied if not any(path.is_relative_to(one) for one in kept)] == []
    assert [path for path in kept if not any(one.is_relative_to(path) for one in copied)] == []
    assert [path for path in copied if not path.exists()] == []


def test_the_health_check_is_the_script_that_is_there() -> None:
    (check,) = stages()[-1].of("HEALTHCHECK")
    program, path = json.loads(check[check.index("[") :])
    folder = next(
        line.split()[-1] for line in stages()[-1].of("COPY") if line.startswith("compose/healthy.py")
    )

    assert (program, path) == ("python", f"{folder}healthy.py")


def healthy(url: str) -> tuple[int, str]:
    """Return how the health check ends, and what it says."""
    command = [sys.executable, str(ROOT / "compose/healthy.py")]
    environment = {**os.environ, "HEALTH_URL": url, "http_proxy": "http://127.0.0.1:1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


@pytest.fixture
def answering() -> Iterator[str]:
    """Return the address of a server whose path is the code that it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path[1:]))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("code", "expected"), [(200, 0), (404, 1), (503, 1)])
def test_health_is_what_the_process_answers(answering: str, code: int, expected: int) -> None:
    assert healthy(f"{answering}/{code}")[0] == expected


def test_a_recorder_is_well_until_it_hangs_and_is_not_ill_where_it_serves_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "replicator.yaml"
    settings.write_text(
        f"etcd: {{endpoints: ['http://127.0.0.1:1']}}\n"
        f"archive: file://{tmp_path}/archive\n"
        "metrics: {listen: '127.0.0.1:0'}\n"
    )
    with running(tmp_path / "log", "-c", settings) as recorder:
        recorder.tells("metrics.served")
        url = f"http://{recorder.events('metrics.served')[0]['address']}/healthz"
        assert healthy(url) == (0, "well")
        recorder.send(signal.SIGSTOP)
        assert healthy(url) == (1, f"{url}: timed out")
    assert healthy(url) == (0, "well")
