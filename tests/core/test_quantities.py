"""Durations, sizes and moments as people write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.quantities import (
    format_time,
    human_duration,
    human_size,
    parse_duration,
    parse_size,
    parse_time,
)
from replicator.errors import UsageError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=offsets)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", timedelta(0)),
        ("500ms", timedelta(milliseconds=500)),
        ("1s", timedelta(seconds=1)),
        ("1m30s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("2h", timedelta(hours=2)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("1y", timedelta(days=365)),
    ],
)
def test_a_duration_is_read(text: str, expected: timedelta) -> None:
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text", ["", "5", "-1s", "1 s", "5 parsecs", "1S", "s", ".5s", "1s\n", "\u0661s", "1e3s", "99999999999d"]
)
def test_nonsense_is_no_duration_and_the_hint_shows_one(text: str) -> None:
    with pytest.raises(UsageError, match="duration") as refused:
        parse_duration(text)

    assert "1m30s" in refused.value.hint
    assert refused.value.exit_code == 2


@given(st.integers(0, 10**9))
def test_whole_seconds_are_shown_so_that_they_read_back(seconds: int) -> None:
    assert timedelta(seconds=seconds) == parse_duration(human_duration(seconds))


@given(st.floats(0, 59.999))
def test_below_a_minute_milliseconds_are_kept(seconds: float) -> None:
    assert abs(parse_duration(human_duration(seconds)).total_seconds() - seconds) <= 0.000501


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (1.5, "1.5s"),
        (59.9999, "1m"),
        (192.4, "3m12s"),
        (3605, "1h5s"),
        (-90, "-1m30s"),
    ],
)
def test_a_duration_is_shown(seconds: float, expected: str) -> None:
    assert expected == human_duration(seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("512KiB", 512 * 1024),
        ("4MiB", 4 * 1024**2),
        ("1.5GiB", 3 * 1024**3 // 2),
        ("1TiB", 1024**4),
        ("10kB", 10_000),
        ("10MB", 10_000_000),
    ],
)
def test_a_size_is_read(text: str, expected: int) -> None:
    assert expected == parse_size(text)


@pytest.mark.parametrize("text", ["", "MiB", "-1", "4 MiB", "4Mi", "4mib", "1.5", "0.3KiB", "four", "4MiB\n"])
def test_nonsense_is_no_size_and_the_hint_shows_one(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_size(text)

    assert "4MiB" in refused.value.hint


@given(st.integers(0, 2**50))
def test_a_size_is_shown_within_a_twentieth_of_its_unit(size_bytes: int) -> None:
    shown = human_size(size_bytes)
    unit = parse_size("1" + shown.lstrip("0123456789."))

    assert abs(float(shown.rstrip("TGMKiB")) * unit - size_bytes) <= unit / 20 + 1e-6


@given(moments)
def test_any_offset_reads_as_the_same_moment_in_utc(moment: datetime) -> None:
    read = parse_time(moment.isoformat(), NOW)

    assert moment == read
    assert UTC is read.tzinfo


@given(moments)
def test_a_shown_moment_reads_back(moment: datetime) -> None:
    assert moment == parse_time(format_time(moment), NOW)


@given(moments, moments)
def test_shown_moments_sort_as_the_moments_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (format_time(one) < format_time(other))
    assert len(format_time(one)) == 27


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T14:30:00.25Z",
        "2026-03-01t14:30:00.25z",
        "2026-03-01 14:30:00.250000Z",
        "2026-03-01T15:30:00.25+01:00",
        "2026-03-01T14:30:00.250000999Z",
        "2026-03-01T14:30:00.25-00:00",
    ],
)
def test_a_moment_is_read_in_each_form_that_rfc_3339_allows(text: str) -> None:
    assert datetime(2026, 3, 1, 14, 30, 0, 250_000, UTC) == parse_time(text, NOW)


@pytest.mark.parametrize(("text", "ago"), [("-15m", 15), ("-2h30m", 150), ("-0", 0), ("-1d", 1440)])
def test_a_relative_moment_counts_from_now(text: str, ago: int) -> None:
    assert NOW - timedelta(minutes=ago) == parse_time(text, NOW)


def test_a_naive_moment_is_refused_and_the_hint_offers_both_zones() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

    with pytest.raises(UsageError, match="no time zone") as refused:
        parse_time("2026-03-01 14:30:00", local)

    assert "2026-03-01T14:30:00Z" in refused.value.hint
    assert "2026-03-01T14:30:00+05:30" in refused.value.hint


def test_the_hint_offers_utc_alone_where_local_time_is_utc() -> None:
    with pytest.raises(UsageError) as refused:
        parse_time("2026-03-01T14:30:00", NOW)

    assert refused.value.hint == "write 2026-03-01T14:30:00Z for UTC"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "15m",
        "+15m",
        "-15",
        "-",
        "2026-03-01",
        "2026-03-01T14:30Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T14:30:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "-9000y",
        "1772375400",
        "2026-02-30T00:00:00",
    ],
)
def test_nonsense_is_no_moment_and_the_hint_shows_one(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_time(text, NOW)

    assert "2026-03-01T14:30:00Z" in refused.value.hint or "1m30s" in refused.value.hint


def test_a_leap_second_is_refused_with_the_moment_before_it() -> None:
    with pytest.raises(UsageError, match="leap second") as refused:
        parse_time("2016-12-31T23:59:60Z", NOW)

    suggested = refused.value.hint.split()[-1]
    assert datetime(2016, 12, 31, 23, 59, 59, 999_999, UTC) == parse_time(suggested, NOW)


@given(st.text())
def test_any_text_is_a_moment_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert UTC is parse_time(text, NOW).tzinfo


def test_a_naive_moment_is_never_shown() -> None:
    with pytest.raises(ValueError, match="naive"):
        format_time(datetime(2026, 3, 1))  # noqa: DTZ001
