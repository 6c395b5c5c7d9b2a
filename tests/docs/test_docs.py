"""README and docs/ say what the code does: generated pages, command lines, links, samples of output."""

from __future__ import annotations

import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from replicator.apisix import Inexact, Refusal, Stripped
from replicator.cli.app import COMMANDS
from replicator.cli.app import replicator as program
from replicator.cli.gaps import gap_words
from replicator.cli.reference import reference
from replicator.cli.restored import Answer, Told
from replicator.cli.verify_words import full_words
from replicator.config import load
from replicator.config.reference import reference as settings_reference
from replicator.core.documents import Epoch, Follows, Gap
from replicator.core.plan import AtRevision, AtTime, choose_spans
from replicator.core.quantities import parse_time
from replicator.core.records import Position
from replicator.errors import ReplicatorError
from replicator.flows.findings import BRING_BACK, Damage, Verified, moments
from replicator.flows.gaps import KnownGap
from replicator.flows.verify_full import Full
from replicator.telemetry.events import EVENTS
from replicator.telemetry.metrics import METRICS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), ROOT / "compose/README.md", *(ROOT / "docs").rglob("*.md")])
NEVER = parse_time("2026-11-23T09:00:00Z", datetime.fromisoformat("2026-11-23T09:00:00Z"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield language and content of each fenced block."""
    yield from re.findall(
        r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def calls(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each `replicator ...` line in a block of shell commands, or of no language."""
    for language, text in blocks(page):
        if language not in ("", "sh"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = (
                shlex.split(line, comments=True)
                if re.search(r"\breplicator -|\breplicator \w+", line)
                else []
            )
            if "replicator" in words and not COMMANDS.keys().isdisjoint(words):
                rest = words[len(words) - words[::-1].index("replicator") :]
                end = next((rest.index(mark) for mark in ("|", ">", "&&") if mark in rest), None)
                yield rest[:end]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_the_commands_page_is_the_reference() -> None:
    page = (ROOT / "docs/reference.md").read_text(encoding="utf-8")

    assert reference() == page, "python -m replicator.cli.reference > docs/reference.md"


def test_every_command_has_its_words_and_every_option_too() -> None:
    for name in COMMANDS:
        command = program.get_command(click.Context(program), name)
        assert command is not None
        assert command.help, name
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert [option.name for option in options if not option.help] == [], name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_command_line_of_a_page_can_be_given(page: Path) -> None:
    for words in calls(page):
        place = next(place for place, word in enumerate(words) if word in COMMANDS)
        context = program.make_context("replicator", words[: place + 1])
        command = program.get_command(context, words[place])
        assert command is not None
        command.make_context(words[place], words[place + 1 :], parent=context)


def test_the_readme_in_chinese_has_the_same_commands() -> None:
    english, chinese = (
        re.findall(r"```\w+\n.*?```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
        for name in ("README.md", "README.zh-CN.md")
    )
    assert chinese == english


def test_the_pages_have_command_lines() -> None:
    assert len(list(calls(ROOT / "README.md"))) >= 5
    assert len(list(calls(ROOT / "compose/README.md"))) == 2
    assert len(list(calls(ROOT / "docs/guides/docker.md"))) == 5


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_setting_event_and_metric_of_a_page_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    settings = set(re.findall(r"`([a-z0-9]+\.[a-z_]+)`", settings_reference()))
    files = {"apisix.yaml", "apisix.json", "agent.yaml", "apisix.data_encryption"}
    known = settings | {event.name for event in EVENTS} | files
    sections = "|".join(sorted({setting.partition(".")[0] for setting in settings}))
    metrics = {PREFIX + metric.name for metric in METRICS}

    assert set(re.findall(rf"`((?:{sections})\.[a-z_]+)`", text)) <= known
    assert set(re.findall(rf"\b{PREFIX}[a-z_]+", text)) <= metrics


def test_each_page_can_be_found_from_the_readme() -> None:
    found, new = {ROOT / "README.md"}, [ROOT / "README.md"]
    while new:
        page = new.pop()
        for target in re.findall(r"\]\(([^)#\s]+\.md)", page.read_text(encoding="utf-8")):
            linked = (page.parent / target).resolve()
            if linked not in found:
                found.add(linked)
                new.append(linked)

    assert set(PAGES) <= found


def test_the_readmes_settings_are_settings(tmp_path: Path) -> None:
    (settings,) = (text for language, text in blocks(ROOT / "README.md") if language == "yaml")
    path = tmp_path / "replicator.yaml"
    path.write_text(settings)

    assert str(load(path, {}).archive) == "file:///var/lib/replicator/archive"


def at(text: str) -> datetime:
    return parse_time(text, NEVER)


HISTORY = (
    Epoch(
        epoch=1,
        reason="first",
        cluster_id="cdf818194e3a8c32",
        base=2,
        observed_at=at("2026-11-23T09:05:26.754856Z"),
        snapshot="",
        writer="",
    ),
    Epoch(
        epoch=2,
        reason="compacted",
        cluster_id="cdf818194e3a8c32",
        base=7,
        observed_at=at("2026-11-23T09:05:49.081171Z"),
        snapshot="",
        writer="",
        follows=Follows(
            position=Position(1, 5),
            through_revision=5,
            observed_through=at("2026-11-23T09:05:42.912213Z"),
            segment="",
        ),
        gap=Gap(name="", sha256="", created=0, updated=1, deleted=0, same_value=0),
    ),
)


@pytest.mark.parametrize("moment", ["2026-11-23T08:05:42.750842Z", "2026-11-23T09:05:46.948392Z"])
def test_the_refusals_that_the_page_on_time_shows_are_those_of_the_code(moment: str) -> None:
    page = (ROOT / "docs/time.md").read_text(encoding="utf-8")

    with pytest.raises(ReplicatorError) as refusal:
        choose_spans(AtTime(at(moment)), HISTORY)
    assert f"replicator: {refusal.value}\n  try: {refusal.value.hint}\n" in page
    with pytest.raises(ReplicatorError):
        choose_spans(AtRevision(6), HISTORY)


def test_the_gap_that_the_page_on_time_shows_is_what_list_says() -> None:
    (gap,) = [KnownGap(epoch, epoch.follows, None) for epoch in HISTORY if epoch.follows]

    assert "\n".join(gap_words(gap)) in (ROOT / "docs/time.md").read_text(encoding="utf-8")


def test_a_naive_time_is_refused_as_the_page_on_time_shows() -> None:
    page = (ROOT / "docs/time.md").read_text(encoding="utf-8")

    with pytest.raises(ReplicatorError) as refusal:
        at("2026-11-23T09:00:00")
    assert f"replicator: --at: {refusal.value}\n  try: {refusal.value.hint}\n" in page


def test_the_words_about_a_restore_are_those_that_the_pages_show() -> None:
    late = Told(
        archive_id="",
        epoch=1,
        revision=4,
        time="2026-11-23T09:05:35.000000Z",
        late_by=8.126,
        state_digest="",
        keys=3,
    )
    in_gap = Told(
        archive_id="",
        epoch=1,
        revision=5,
        time="2026-11-23T09:05:38.900511Z",
        late_by=0,
        state_digest="",
        keys=4,
        in_gap=True,
        gap_ends_at="2026-11-23T09:05:49.081171Z",
    )
    lossy = Told(
        archive_id="",
        epoch=1,
        revision=8,
        time="2026-11-23T09:07:53.416667Z",
        late_by=0,
        state_digest="",
        keys=7,
        refused=(
            Refusal(
                "/apisix/routes/admin users",
                "the key's suffix is no id that a file can hold",
                held_by_gateway=True,
            ),
            Refusal(
                "/apisix/upstreams/u",
                "the value is no JSON for APISIX: no comma or end of the container at byte 26",
                held_by_gateway=False,
            ),
        ),
        ignored=("/apisix/gen_id", "/apisix/routes/"),
        inexact=(
            Inexact("/apisix/routes/4", "an empty array, which YAML can't tell from an empty object: vars"),
        ),
        stripped=(Stripped("/apisix/routes/3", ("my-audit",)),),
    )

    assert "\n".join(Answer(late, ()).words()) in (ROOT / "docs/time.md").read_text(encoding="utf-8")
    assert "\n".join(Answer(in_gap, ()).words()) in (ROOT / "docs/time.md").read_text(encoding="utf-8")
    assert "\n".join(Answer(lossy, ()).words()) in (ROOT / "docs/exactness.md").read_text(encoding="utf-8")


def test_the_damage_that_the_page_on_verification_shows_is_told_so() -> None:
    page = (ROOT / "docs/verification.md").read_text(encoding="utf-8")
    name = "e00000001/log/00000000000000000003.jsonl.zst"
    lost = moments(
        (3, at("2026-11-25T19:27:43.871022Z")), (9, at("2026-11-25T19:28:01.100345Z")), inclusive=False
    )
    damage = Damage(
        object=name,
        what=f"{name} is damaged: its SHA-256 doesn't fit its bytes",
        lost=lost,
        remedy=BRING_BACK,
    )
    sums = Verified(epochs=1, segments=4, snapshots=0, revisions=4, objects=9, size_bytes=3174, end=None)
    words = list(full_words(Full(verified=sums, damages=(damage,), notes=()), 0.012))

    assert "\n".join(line for line, _ in words[:-1]) in page
