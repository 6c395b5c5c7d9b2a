"""Tell stories of troubles around a gateway, each with the next seed: ``make outages MINUTES=n``.

    PYTHONPATH=tests python -m outages MINUTES [--seed N]

Each story has its own folder below .outages/, which stays if anything went wrong.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from outages.story import Plan, told
from servers.etcd import fetched

FOLDER = Path(".outages")
STORY_S = 30.0


def main(arguments: list[str]) -> int:
    """Tell stories until the time is up; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m outages")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args(arguments)
    end = time.monotonic() + 60 * asked.minutes
    sums: Counter[str] = Counter()
    for seed in itertools.count(asked.seed):
        if time.monotonic() > end:
            break
        sums += _told(seed)
    print("\n" + ", ".join(f"{number:,} {what}" for what, number in sums.items()))  # noqa: T201 (a script)
    return 1 if sums["failed"] or sums["wrong"] else 0


def _told(seed: int) -> Counter[str]:
    """Tell the story of *seed*; return what is to be summed up."""
    folder = (FOLDER / str(seed)).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcome = told(Plan(seed, STORY_S, folder, fetched("etcd") / "etcd"))
    print(f"seed {seed}: {outcome.line()}", flush=True)  # noqa: T201 (a script)
    if outcome.is_good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        words = "\n".join([*outcome.wrong, *outcome.failures])
        (folder / "failure.log").write_text(words)
        print(f"{words[:2000]}\nsee {folder}", flush=True)  # noqa: T201 (a script)
    return Counter(
        stories=1,
        troubles=outcome.troubles.total(),
        switches=outcome.switches.total(),
        undone=outcome.undone,
        requests=outcome.asked,
        failed=len(outcome.failures),
        wrong=len(outcome.wrong),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
