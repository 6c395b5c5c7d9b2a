"""``python -m benchmarks.page``: bring docs/performance.md and docs/scale.md up to the newest report.

What stands there between ``<!-- name -->`` and ``<!-- end -->`` is made here; all else is written by hand.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.model import costs, limits
from benchmarks.report import markdown, newest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.model import Row
    from benchmarks.report import Report

DOCS = Path(__file__).parents[1] / "docs"

_PLOTS = {
    "targets": "what was reached, as a share of what the targets allow",
    "latency": "from commit to durable",
    "length": "restore time as a history grows",
    "price": "requests to S3, dollars a month",
    "storage": "what is stored for a change",
}


def pages() -> dict[Path, str]:
    """Return what the pages must hold by now."""
    folder, done = newest()
    made = {
        "performance.md": {"table": markdown(done), "plots": _plots(folder)},
        "scale.md": {
            "facts": _facts(done),
            "costs": _table(("what", "how much of it", "a month"), costs(done.facts)),
            "limits": _table(("what", "measured", "so"), limits(done.facts)),
        },
    }
    return {DOCS / name: filled((DOCS / name).read_text(), blocks) for name, blocks in made.items()}


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """Return *text* with each of *blocks* in its place."""
    for name, block in blocks.items():
        place = rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)"
        text, count = re.subn(place, lambda _, block=block: f"\n{block}\n", text, count=1, flags=re.DOTALL)
        if not count:
            raise ValueError(f"the page has no place for {name}")
    return text


def _plots(folder: Path) -> str:
    there = [name for name in _PLOTS if (folder / f"{name}.svg").exists()]
    return "\n\n".join(f"![{_PLOTS[name]}]({_link(folder / f'{name}.svg')})" for name in there) + "\n"


def _link(file: Path) -> str:
    return Path(os.path.relpath(file, DOCS)).as_posix()


def _facts(done: Report) -> str:
    rows = (
        (f"`{name}`", f"{value:,.4g}" if value < 1000 else f"{value:,.0f}")
        for name, value in done.facts.items()
    )
    return _table(("fact", "measured"), rows)


def _table(columns: tuple[str, ...], rows: Iterable[Row | tuple[str, str]]) -> str:
    lines = [columns, ("---",) * (len(columns) - 1) + ("--:",), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
