"""When something recurs."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.core.quantities import human_duration
from replicator.core.schedule import Schedule
from replicator.errors import UsageError

MOMENT = datetime(2026, 3, 1, 14, 30, 20, 5, UTC)  # a Sunday
moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
minutes = st.integers(0, 59)
fields = st.builds(
    "{} {} * * *".format,
    minutes | minutes.map("*/{}".format).filter("*/0".__ne__),
    st.integers(0, 23) | st.just("*"),
)
intervals = st.integers(1, 366 * 86_400)
specs = (
    fields
    | intervals.map(lambda s: f"@every {human_duration(s)}")
    | st.sampled_from(["@hourly", "@daily", "@weekly", "@yearly"])
)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("@every 1m", MOMENT + timedelta(minutes=1)),
        ("@every 1h30m", MOMENT + timedelta(minutes=90)),
        ("@hourly", datetime(2026, 3, 1, 15, 0, tzinfo=UTC)),
        ("@daily", datetime(2026, 3, 2, tzinfo=UTC)),
        ("@midnight", datetime(2026, 3, 2, tzinfo=UTC)),
        ("@weekly", datetime(2026, 3, 8, tzinfo=UTC)),
        ("@monthly", datetime(2026, 4, 1, tzinfo=UTC)),
        ("@yearly", datetime(2027, 1, 1, tzinfo=UTC)),
        ("@annually", datetime(2027, 1, 1, tzinfo=UTC)),
        ("*/5 * * * *", datetime(2026, 3, 1, 14, 35, tzinfo=UTC)),
        ("0 9 * * MON-FRI", datetime(2026, 3, 2, 9, 0, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
        ("  @hourly ", datetime(2026, 3, 1, 15, 0, tzinfo=UTC)),
    ],
)
def test_the_next_moment(spec: str, expected: datetime) -> None:
    assert expected == Schedule.parse(spec).next_after(MOMENT)


@given(specs, moments)
def test_moments_are_strictly_increasing_and_in_utc(spec: str, moment: datetime) -> None:
    schedule = Schedule.parse(spec)
    first = schedule.next_after(moment)
    second = schedule.next_after(first)

    assert moment < first < second
    assert UTC is first.tzinfo


@given(fields, moments, st.floats(0, 0.999))
def test_no_moment_of_a_cron_schedule_is_stepped_over(spec: str, moment: datetime, part: float) -> None:
    schedule = Schedule.parse(spec)
    following = schedule.next_after(moment)

    # Rounded to microseconds, a part of a short wait can be the whole of it.
    between = min(moment + (following - moment) * part, following - timedelta(microseconds=1))

    assert following == schedule.next_after(between)


def test_the_zone_of_the_given_moment_does_not_matter() -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=-9, minutes=-30)))

    assert Schedule.parse("@daily").next_after(MOMENT) == Schedule.parse("@daily").next_after(elsewhere)


@pytest.mark.parametrize(
    ("spec", "complaint", "hint"),
    [
        ("0 */5 * * * *", "seconds", '"*/5 * * * *"'),
        ("CRON_TZ=Europe/Berlin 0 5 * * *", "time zone", "leave it out"),
        ("TZ=UTC 0 5 * * *", "time zone", "leave it out"),
        ("", "no schedule", "@every 1m"),
        ("hourly", "no schedule", "@every 1m"),
        ("@fortnightly", "no schedule", "@every 1m"),
        ("@every", "no schedule", "@every 1m"),
        ("@everyday 1m", "no schedule", "@every 1m"),
        ("@every 1m 2m", "no schedule", "@every 1m"),
        ("@every soon", "no duration", "1m30s"),
        ("@every 0", "between", "@every 1m"),
        ("@every 100ms", "between", "@every 1m"),
        ("@every 2y", "between", "@every 1m"),
        ("61 * * * *", "minute", "@every 1m"),
        ("* * * * ?", "day-of-week", "@every 1m"),
        ("0 0 30 2 *", "day-of-month", "@every 1m"),
    ],
)
def test_a_bad_schedule_is_refused_with_the_way_out(spec: str, complaint: str, hint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as refused:
        Schedule.parse(spec)

    assert hint in refused.value.hint


@given(st.text(alphabet="0123456789*/-,#LW@ MONevery?\t"))
def test_any_text_is_a_schedule_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert Schedule.parse(text).next_after(MOMENT) > MOMENT
