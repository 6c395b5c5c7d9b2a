"""Let faults happen for a long time, run after run, each with the next seed: ``make soak MINUTES=n``.

    PYTHONPATH=tests python -m faults MINUTES [--store directory|moto|ceph] [--seed N]

By default the archive is in a directory and in moto's S3 by turns, and the first seed is the time. Each run
has its own folder below .soak/, which stays if the run fails. A part of the time goes to the deterministic
simulation, over seeds that nobody has tried.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from faults.report import Tally
from faults.run import Plan, played
from servers.ceph import running_ceph
from servers.etcd import fetched
from servers.moto import running_s3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.stage import Service

FOLDER = Path(".soak")
RUN_S = 40.0
SIMULATED = 25  # seeds for each run: a quarter of the time


def main(arguments: list[str]) -> int:
    """Run until the time is up; return 1 if anything was lost or wrong."""
    parser = argparse.ArgumentParser(prog="python -m faults")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--store", choices=["directory", "moto", "ceph"])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args(arguments)
    tally, end = Tally(), time.monotonic() + 60 * asked.minutes
    with ExitStack() as stack:
        services = dict(_services(asked.store, stack))
        for seed, name in zip(itertools.count(asked.seed), itertools.cycle(services), strict=False):
            if time.monotonic() > end:
                break
            _run(seed, name, services[name], tally)
            if time.monotonic() < end:
                tally.simulated += SIMULATED
                tally.failed += not _simulated(range(SIMULATED * seed, SIMULATED * (seed + 1)))
    _say("\n" + tally.table())
    return 0 if tally.is_good else 1


def _services(chosen: str | None, stack: ExitStack) -> Iterator[tuple[str, Service | None]]:
    """Yield the services to run on, each with its name; they serve until *stack* is unwound."""
    if chosen in {None, "directory"}:
        yield "directory", None
    if chosen in {None, "moto"}:
        yield "moto", stack.enter_context(running_s3())
    if chosen == "ceph":
        yield "ceph", stack.enter_context(running_ceph(fetched("ceph")))


def _run(seed: int, name: str, service: Service | None, tally: Tally) -> None:
    folder = (FOLDER / f"{seed}-{name}").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    plan = Plan(seed, RUN_S, folder, fetched("etcd") / "etcd", service, is_cluster=seed % 3 == 0)
    try:
        outcome = played(plan)
    except Exception as failure:  # noqa: BLE001 (the table must come whatever happens)
        tally.failed += 1
        (folder / "failure.log").write_text(traceback.format_exc())
        _say(f"{plan}: {failure!r}; see {folder}")
        return
    tally.add(outcome)
    _say(f"{plan}: {outcome.line()}")
    if outcome.verdict.is_good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        (folder / "failure.log").write_text("\n".join(outcome.verdict.told))
        _say("\n".join([*outcome.verdict.told, f"see {folder}"]))


def _simulated(seeds: range) -> bool:
    """Run the simulation over *seeds*; tell whether all is well."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "tests/simulation"]
    environment = os.environ | {"SIMULATION_SEEDS": f"{seeds[0]}-{seeds[-1]}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        _say(done.stdout)
    return done.returncode == 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (a script)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
