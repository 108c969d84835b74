from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitors.window import Window, hours_of_week, microseconds, windows_of

INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))
ROME = ZoneInfo("Europe/Rome")


@settings(deadline=None)  # a busy machine may be slow
@given(
    start=INSTANTS,
    length=st.timedeltas(timedelta(minutes=1), timedelta(days=3)),
    count=st.integers(1, 40),
    part=st.floats(0, 1, exclude_max=True),
)
def test_windows_leave_no_gap_and_do_not_overlap(start, length, count, part):
    end = start + length * count
    windows = list(windows_of(start, end, length))
    assert (windows[0].start, windows[-1].end) == (start, end)
    assert all(one.end == following.start for one, following in pairwise(windows))
    at = microseconds(start) + int((microseconds(end) - microseconds(start)) * part)
    assert sum(window.holds(at) for window in windows) == 1


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        pytest.param(
            datetime(2026, 3, 29, tzinfo=ROME), datetime(2026, 3, 30, tzinfo=ROME), 23, id="clocks go forward"
        ),
        pytest.param(datetime(2026, 10, 25, tzinfo=ROME), datetime(2026, 10, 26, tzinfo=ROME), 25, id="clocks go back"),
        pytest.param(datetime(2028, 2, 28, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC), 48, id="leap day"),
        pytest.param(datetime(2027, 2, 28, tzinfo=UTC), datetime(2027, 3, 1, tzinfo=UTC), 24, id="no leap day"),
    ],
)
def test_a_day_has_as_many_hourly_windows_as_hours(start, end, hours):
    windows = list(windows_of(start, end, timedelta(hours=1)))
    assert len(windows) == hours
    assert len({window.start for window in windows}) == hours


def test_a_window_holds_its_start_and_not_its_end():
    window = Window(datetime(2026, 3, 1, 4, tzinfo=UTC), datetime(2026, 3, 1, 5, tzinfo=UTC))
    first, last = window.bounds_us
    assert (window.holds(first), window.holds(last - 1), window.holds(last)) == (True, True, False)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 3, 1), datetime(2026, 3, 2, tzinfo=UTC)),
        (datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)),
    ],
)
def test_a_window_without_zone_or_length_is_refused(start, end):
    with pytest.raises(ValueError, match="window"):
        Window(start, end)


@settings(deadline=None)  # a busy machine may be slow
@given(at=INSTANTS)
def test_the_hour_of_the_week_is_the_calendars(at):
    assert hours_of_week([microseconds(at)])[0] == at.weekday() * 24 + at.hour
