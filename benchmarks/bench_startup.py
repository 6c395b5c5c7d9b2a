"""`restore` of a small archive as a whole process: is it the archive that takes the time, or Python?"""

from __future__ import annotations

import sys
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.history import History
from benchmarks.processes import REPLICATOR, spend
from benchmarks.report import Figure
from benchmarks.rounds import alternate, ratio
from benchmarks.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.ground import Ground, Place, Store

_ROUTES = 5
ROUNDS_MORE = 3
_TARGET = 2.0
_CLIENT = (
    "import boto3; boto3.session.Session().client("
    "'s3', region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')"
)


def measure(ground: Ground) -> Iterator[Figure]:
    """Yield a directory and a bucket."""
    kind: Store = "moto" if ground.kind == "directory" else ground.kind
    places = {"a directory": _small(ground, "directory"), f"a bucket ({kind})": _small(ground, kind)}
    contenders = {
        "python -c pass": partial(_spend, sys.executable, "-c", "pass"),
        'python -c "import boto3", and a client': partial(_spend, sys.executable, "-c", _CLIENT),
        **{name: partial(_restore, place, ground) for name, place in places.items()},
    }
    took = alternate(contenders, ROUNDS_MORE * ground.scale.rounds)
    nothing, client = list(contenders)[:2]
    for name in places:
        for floor in (client, nothing):
            yield Figure(
                what=f"restore of {_ROUTES} routes from {name}, the whole process",
                against=floor,
                ratio=ratio(took[name], took[floor]),
                target=_TARGET if floor == client else None,
                measured=f"{1000 * median(took[name]):.0f} ms; {1000 * median(took[floor]):.0f} ms",
            )


def _small(ground: Ground, kind: Store) -> Place:
    place = ground.place("small", kind)
    History(place.store, Shop(_ROUTES).items()).close()
    return place


def _restore(place: Place, ground: Ground) -> float:
    command = (*REPLICATOR, "restore", "--latest", "-o", str(ground.folder / "restored"))
    return spend(command, place.settings).wall_s


def _spend(*command: str) -> float:
    return spend(command).wall_s
