"""What `recommend` knows of traffic between its reads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.releases import release
from understudy.adapters.cached import CachedReleases, CachedTraffic
from understudy.contracts.traffic import Standing
from understudy.domain.traffic_moves import By, first
from understudy.errors import StepFailed

TRAFFIC = first(
    Standing(release="r-1", slot="blue"), By("r-1:champion", "r-1", datetime(2026, 11, 24, tzinfo=UTC), "first")
)


class Reads:
    """Answers of a table, in order; an exception among them is raised."""

    def __init__(self, *answers) -> None:
        self._answers, self.count = list(answers), 0

    def __call__(self):
        self.count += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def clock():
    return {"now": 1000.0}


def test_only_the_first_read_has_patience_and_it_is_asked_until_something_is_known(clock):
    first_read, later = Reads(StepFailed("traffic", "late"), TRAFFIC), Reads(TRAFFIC)
    traffic = CachedTraffic(later, 2.0, lambda: clock["now"], first_read)
    assert traffic.current() == (None, False)
    assert traffic.current() == (TRAFFIC, True)
    clock["now"] += 3
    assert traffic.current() == (TRAFFIC, True)
    assert (first_read.count, later.count) == (2, 1)


def test_what_was_known_last_serves_while_the_table_cannot_be_read_and_is_not_called_fresh(clock):
    traffic = CachedTraffic(Reads(TRAFFIC, StepFailed("traffic", "late")), 2.0, lambda: clock["now"])
    traffic.current()
    clock["now"] += 3
    assert traffic.current() == (TRAFFIC, False)


def test_a_clock_set_back_does_not_keep_an_old_traffic(clock):
    down = TRAFFIC.next(change_id="c-2", reason="down", changed_at=TRAFFIC.changed_at)
    traffic = CachedTraffic(Reads(TRAFFIC, down), 2.0, lambda: clock["now"])
    traffic.current()
    clock["now"] -= 300
    assert traffic.current() == (down, True)


def test_every_release_that_traffic_names_is_read_before_its_first_user():
    asked = []

    def read(release_id, _timeout_s):
        asked.append(release_id)
        return release(release_id) if release_id != "r-gone" else None

    releases = CachedReleases(read)
    both = TRAFFIC.next(
        change_id="c-2", reason="stage", changed_at=TRAFFIC.changed_at, candidate=Standing(release="r-2", slot="green")
    )
    releases.expect(both, 0.06)
    assert asked == ["r-1", "r-2"]
    assert releases.get("r-2", 0.0).release_id == "r-2"
    assert asked == ["r-1", "r-2"]
    releases.expect(
        both.next(
            change_id="c-3", reason="x", changed_at=both.changed_at, candidate=Standing(release="r-gone", slot="green")
        ),
        0.06,
    )
    with pytest.raises(StepFailed, match="not registered"):
        releases.get("r-gone", 0.06)
