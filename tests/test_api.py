"""The Python API: against etcd's own states, and as its page shows it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from archives import archives, written
from generators import START
from hypothesis import given
from hypothesis import strategies as st

import replicator
from replicator import Archive
from replicator.adapters.directory import DirectoryStore
from replicator.errors import TargetNotRestorable, UsageError
from replicator.flows.changes import Break

PAGE = Path(__file__).parents[1] / "docs/python.md"


@given(archives(), st.data())
def test_it_answers_what_etcd_held(scribe, data) -> None:
    archive, known = Archive(scribe.store), scribe.known[-1]
    (one, _), (other, moment) = (data.draw(st.sampled_from(known.stamps)) for _ in range(2))
    assert dict(archive.at(moment).records()) == known.states[other]
    found = {change.key: (change.before, change.after) for change in archive.diff(one, moment)}
    before, after = known.states[one], known.states[other]
    assert found == {
        key: (before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if (before[key].value if key in before else None) != (after[key].value if key in after else None)
    }


@given(archives(), st.data())
def test_history_is_what_happened_within(scribe, data) -> None:
    archive, known = Archive(scribe.store), scribe.known[-1]
    revision, moment = data.draw(st.sampled_from(known.stamps))
    found = [item.revision for item in archive.history(since=moment) if not isinstance(item, Break)]
    assert found == [number for number, at in known.stamps[1:] if at >= moment]
    until = [
        i.revision
        for i in archive.history(until=moment)
        if i.epoch == known.number and not isinstance(i, Break)
    ]
    assert until == [number for number, _ in known.stamps[1:] if number <= revision]


def test_what_is_no_moment_is_told() -> None:
    archive = Archive(written().store)
    with pytest.raises(UsageError, match="has no zone"):
        archive.at(datetime(2026, 1, 1))  # noqa: DTZ001 (it is about that)
    with pytest.raises(UsageError, match="no moment"):
        archive.at("noon")
    with pytest.raises(TargetNotRestorable):
        archive.at(1)
    assert archive.at("latest").revision == 8
    assert archive.at().get("routes/1") is None


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        replicator.Nothing  # noqa: B018 (it is about that)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DirectoryStore(tmp_path / "archive")
    for name, body in written().store.objects.items():
        store.create(name, body)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("file:///var/lib/replicator/archive", f"file://{tmp_path}/archive")
    for relative, moment in (("-15m", START + timedelta(seconds=2)), ("-1d", START), ("-2h", START)):
        code = code.replace(f'"{relative}"', f'"{moment.isoformat()}"')
    exec(compile(code, str(PAGE), "exec"), {})  # noqa: S102 (our own page)
    assert (tmp_path / "apisix.yaml").read_bytes().endswith(b"#END\n")
