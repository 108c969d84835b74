"""functions/take_down: one write brings the users back, whoever else writes meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.memory import MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain import traffic_moves
from understudy.domain.traffic_moves import By
from understudy.errors import TrafficMoved

EVENT = golden("take_down/on_verdict")
RELEASE = EVENT["release_id"]
AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
OLD, NEW = Standing(release="r-old", slot="blue"), Standing(release=RELEASE, slot="green")
FENCE = 7


def by(change, at=AT):
    return By(f"{RELEASE}:{change}", RELEASE, at, change)


def rehearsing(share_bp=1000):
    store = MemoryTraffic()
    first = store.replace(None, traffic_moves.first(OLD, By("r-old:champion", "r-old", AT, "first")), 3)
    store.replace(first, traffic_moves.stage(first, NEW, by("stage"), share_bp=share_bp).traffic, FENCE)
    return store


def promoted():
    store = rehearsing()
    now = store.current()
    store.replace(now, traffic_moves.promote(now, NEW, by("promote"), holdback_bp=500).traffic, FENCE)
    return store


@pytest.fixture
def ask(monkeypatch):
    def ask(store, **changes):
        door = load_door("take_down")
        monkeypatch.setattr(door, "world", lambda: store)
        return door.handler(EVENT | changes, CONTEXT)

    return ask


def test_a_candidates_users_go_back_to_the_champion_under_a_higher_fence(ask):
    store = rehearsing()
    assert ask(store)["taken_down"]
    now = store.current()
    assert (now.champion, now.candidate, now.share_bp, now.fence) == (OLD, None, 0, FENCE + 1)
    assert (now.change_id, now.reason) == (EVENT["change_id"], EVENT["reason"])


def test_one_second_after_its_promotion_a_champion_still_gives_way_to_the_one_before(ask):
    """R6: an alarm that fires just after 100 %."""
    store = promoted()
    ask(store, at=(AT + timedelta(seconds=1)).isoformat())
    now = store.current()
    assert (now.champion, now.previous, now.holdback_bp) == (OLD, None, 0)


def test_a_champion_without_a_way_back_serves_on(ask):
    store = promoted()
    now = store.current()
    kept = store.replace(now, traffic_moves.retire_previous(now, by("retire")).traffic, FENCE)
    said = ask(store)
    assert not said["taken_down"]
    assert "no way back" in said["reason"]
    assert store.current() == kept


def test_asking_twice_is_asking_once(ask):
    store = rehearsing()
    first, second = ask(store), ask(store)
    assert first["traffic"] == second["traffic"]
    assert second["taken_down"]


class AnotherIsFirst(MemoryTraffic):
    """Before each of the first writes of the rollback another writer lands one of its own."""

    def __init__(self, there: Traffic, *rivals) -> None:
        super().__init__(there)
        self.rivals = list(rivals)

    def replace(self, expected, new, fence):
        if self.rivals and new.change_id == EVENT["change_id"]:
            now = self.current()
            super().replace(now, self.rivals.pop(0)(now), FENCE)
        return super().replace(expected, new, fence)


@pytest.mark.parametrize("promotes_first", [True, False])
def test_when_another_change_comes_first_it_is_decided_anew(ask, promotes_first):
    raised = lambda now: traffic_moves.stage(now, NEW, by("stage 50 %"), share_bp=5000).traffic  # noqa: E731
    promotion = lambda now: traffic_moves.promote(now, NEW, by("promote"), holdback_bp=500).traffic  # noqa: E731
    store = AnotherIsFirst(rehearsing().current(), raised, *([promotion] if promotes_first else []))
    ask(store)
    now = store.current()
    assert (now.champion, now.candidate, now.previous) == (OLD, None, None)
    with pytest.raises(TrafficMoved):  # what was decided before lands no more
        store.replace(now, traffic_moves.stage(now, NEW, by("late"), share_bp=5000).traffic, FENCE)


def test_a_writer_whose_lost_reply_hides_its_own_write_changes_nothing_more(ask):
    class ReplyLost(MemoryTraffic):
        lost = False

        def replace(self, expected, new, fence):
            written = super().replace(expected, new, fence)
            if not self.lost:
                self.lost = True
                raise TimeoutError("the reply was lost")
            return written

    store = ReplyLost(rehearsing().current())
    with pytest.raises(TimeoutError):
        ask(store)
    version = store.current().version
    assert ask(store)["taken_down"]  # the machine's retry
    assert store.current().version == version


def test_a_rollback_that_wakes_late_takes_down_nothing_of_a_later_rollout_of_the_same_release(ask):
    store = MemoryTraffic()
    first = store.replace(None, traffic_moves.first(OLD, By("r-old:champion", "r-old", AT, "first")), 3)
    again = By(f"{RELEASE}-2:stage:1000", f"{RELEASE}-2", AT, "by hand again")
    later = store.replace(first, traffic_moves.stage(first, NEW, again, share_bp=1000).traffic, 9)
    assert not ask(store)["taken_down"]
    assert store.current() == later


def test_on_an_empty_stage_there_is_nothing_to_take_down(ask):
    assert ask(MemoryTraffic()) == {"taken_down": False, "reason": "nobody serves", "traffic": None}


@pytest.mark.parametrize("minutes", [-5, 5])
def test_clocks_that_differ_decide_nothing(ask, minutes):
    store = rehearsing()
    assert ask(store, at=(AT + timedelta(minutes=minutes)).isoformat())["taken_down"]
    assert store.current().candidate is None
