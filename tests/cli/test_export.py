"""export, as DuckDB reads it: against the history, and the page's queries."""

from __future__ import annotations

import json
import random
import re
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import jsonpatch
import pytest
from archives import Scribe
from etcd_model import EtcdModel
from generators import START
from pyarrow import parquet
from servers.command import Outcome, answered, called, replicator

from replicator.adapters.directory import DirectoryStore
from replicator.core.records import Batch
from replicator.flows.export import COLUMNS
from replicator.flows.tip import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs/parquet.md"
_DAYS = 5
_SECRET = "0123456789abcdef"


class Writer:
    """Writes an archive over several days, by chance."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.scribe = Scribe(DirectoryStore(folder))  # type: ignore[arg-type]
        self.etcd = EtcdModel()
        self.etcd.put(b"/apisix/routes/1", b'{"uri":"/0"}')
        self.scribe.open(self.etcd, START)

    def write(self, day: int) -> None:
        """Write some changes of that day: puts, deletes, no JSON, a heartbeat, one of them late."""
        moment = START + timedelta(days=day)
        for number in range(self.dice.randrange(1, 12)):
            moment += timedelta(minutes=self.dice.randrange(1, 60))
            key = self.dice.choice(
                [
                    b"/apisix/routes/1",
                    b"/apisix/routes/2",
                    b"/apisix/consumers/a",
                    b"/apisix/\xff",
                    b"/apisix/data_plane/x",
                ]
            )
            if (
                number
                and self.dice.random() < 0.2
                and self.etcd.states[self.etcd.head].get(b"/apisix/routes/1")
            ):
                self.etcd.delete(b"/apisix/routes/1")
            elif key == b"/apisix/\xff":
                self.etcd.put(key, b"\xfe no json")
            else:
                password = f"{_SECRET}{number}"
                self.etcd.put(key, json.dumps({"uri": f"/{number}", "n": day, "password": password}).encode())
            self.scribe.append([Batch(self.etcd.head, moment, self.etcd.history[-1][1])])

    def watch_on(self, day: int) -> None:
        """Let the watermark move into that day."""
        self.scribe.watch_on(Watermark(self.etcd.head, START + timedelta(days=day, hours=23)))


@pytest.fixture
def seed() -> int:
    """Return what chance comes from."""
    return random.randrange(2**32)


def rows(place: Path) -> list[dict[str, Any]]:
    """Return what DuckDB reads, in order."""
    table = duckdb.read_parquet(f"{place}/*/*.parquet", hive_partitioning=True).order("epoch, revision, key")
    return [dict(zip(table.columns, row, strict=True)) for row in table.fetchall()]


def history(url: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each change and key that `history` tells of days that are over."""
    for text in called("history", url, "--json", "--reveal").out.splitlines():
        line = json.loads(text)
        yield from ((line, one) for one in line["changes"])


def test_duckdb_reads_what_history_tells(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    url, place = f"--archive=file://{tmp_path}/archive", tmp_path / "out"
    written: list[str] = []
    for day in range(_DAYS):
        writer.write(day)
        writer.watch_on(day)
        told = answered("export", "--parquet", place, "--reveal", url)
        written += told["days"]
        expected = [
            (line, one)
            for line, one in history(url)
            if datetime.fromisoformat(line["time"]).date() < (START + timedelta(days=day)).date()
        ]
        found = rows(place) if expected else []
        assert [(row["epoch"], row["revision"], row["key"], row["op"]) for row in found] == [
            (line["epoch"], line["revision"], one["key"], one["op"]) for line, one in expected
        ], seed
        for row, (line, one) in zip(found, expected, strict=True):
            assert row["time"] == datetime.fromisoformat(line["time"])
            assert row["day"] == row["time"].astimezone(UTC).date()
            assert json.loads(row["patch"] or "[]") == one.get("patch", [])
    assert sorted(set(written)) == written, "a day was written twice"
    assert {path.parent.name for path in place.glob("*/*.parquet")} == {f"day={day}" for day in written}
    assert answered("export", "--parquet", place, "--reveal", url)["days"] == []


def test_who_reads_the_folder_itself_reads_the_same(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    for day in range(3):
        writer.write(day)
    writer.watch_on(4)
    called("export", "--parquet", tmp_path / "out", f"--archive=file://{tmp_path}/archive")
    table = parquet.read_table(tmp_path / "out")
    assert table.num_rows == len(rows(tmp_path / "out")), seed
    assert set(table.column_names) == {*(column.name for column in COLUMNS), "day"}


def test_patches_lead_from_value_to_value(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    for day in range(3):
        writer.write(day)
    writer.watch_on(4)
    called("export", "--parquet", tmp_path / "out", "--reveal", f"--archive=file://{tmp_path}/archive")
    held: dict[str, Any] = {"/apisix/routes/1": {"uri": "/0"}}
    for row in rows(tmp_path / "out"):
        if row["patch"] is not None:
            made = jsonpatch.JsonPatch(json.loads(row["patch"])).apply(held[row["key"]])
            assert made == json.loads(row["value"]), seed
        held[row["key"]] = None if row["value"] is None else json.loads(row["value"])


def test_secrets_stay_out_and_kinds_apart(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    writer.write(0)
    writer.watch_on(1)
    url, place = f"--archive=file://{tmp_path}/archive", tmp_path / "out"
    assert called("export", "--parquet", place, url).code == 0
    assert _SECRET not in json.dumps(rows(place), default=str)
    other = called("export", "--parquet", place, url, "--reveal")
    assert (other.code, "another --reveal" in other.err) == (2, True)
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.glob("*/*.parquet"))


def test_two_at_once_write_each_day_once(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    for day in range(3):
        writer.write(day)
    writer.watch_on(4)
    url = f"--archive=file://{tmp_path}/archive"
    outcomes: list[Outcome] = []

    def export() -> None:
        outcomes.append(replicator("export", "--parquet", tmp_path / "out", "--json", url))

    threads = [threading.Thread(target=export) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.code for one in outcomes] == [0, 0, 0], [one.err for one in outcomes]
    alone = tmp_path / "alone"
    assert called("export", "--parquet", alone, url).code == 0
    assert rows(tmp_path / "out") == rows(alone), seed


def test_the_columns_are_those_of_the_page(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    writer.write(0)
    writer.watch_on(1)
    called("export", "--parquet", tmp_path / "out", f"--archive=file://{tmp_path}/archive")
    assert list(rows(tmp_path / "out")[0]) == [*(column.name for column in COLUMNS), "day"]
    lines = ["| column | type | what |", "|---|---|---|"]
    lines += [f"| `{column.name}` | {column.type} | {column.about} |" for column in COLUMNS]
    assert f"<!-- columns -->\n\n{chr(10).join(lines)}\n\n<!-- end -->" in PAGE.read_text(encoding="utf-8")


def test_the_queries_of_the_page_run(tmp_path: Path, seed: int) -> None:
    writer = Writer(tmp_path / "archive", seed)
    for day in range(3):
        writer.write(day)
    writer.watch_on(4)
    called("export", "--parquet", tmp_path / "out", f"--archive=file://{tmp_path}/archive")
    queries = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(queries) == 6
    found = [duckdb.sql(query.replace("/srv/history", f"{tmp_path}/out")).fetchall() for query in queries]
    every = rows(tmp_path / "out")
    changes = Counter(row["resource"] for row in every)
    assert {resource: count for resource, count, _ in found[0]} == changes, seed
    assert sum(count for _, _, count in found[1]) == len(every)
    assert len(found[2]) == changes["routes/1"], seed
    last = {row["resource"]: row for row in every if row["type"] == "routes"}
    alive = sorted(name for name, row in last.items() if row["op"] in ("create", "update"))
    assert [resource for resource, _ in found[3]] == alive, seed
    assert found[4:] == [[], []], "nobody has that plugin, and no transaction is large"


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path) -> None:
    Writer(tmp_path / "archive", 1)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    env = {"PYTHONPATH": f"{tmp_path}:{':'.join(path for path in sys.path if path)}"}
    answer = replicator(
        "export", "--parquet", tmp_path / "out", f"--archive=file://{tmp_path}/archive", env=env
    )
    assert answer.code == 2
    assert "pip install 'replicator[parquet]'" in answer.err
    assert not (tmp_path / "out").exists()
