from __future__ import annotations

from datetime import UTC, datetime

import pytest

from understudy.contracts.traffic import Standing, Traffic
from understudy.domain import traffic_moves as moves
from understudy.domain.traffic import assign

AT = datetime(2026, 3, 1, 6, tzinfo=UTC)
OLD, NEW, OTHER = (
    Standing(release="r-1", slot="blue"),
    Standing(release="r-2", slot="green"),
    Standing(release="r-3", slot="green"),
)


def by(change: str, rollout: str = "r-2") -> moves.By:
    return moves.By(f"{rollout}:{change}", rollout, AT, change)


def on_stage() -> Traffic:
    return moves.first(OLD, by("first", "r-1"))


def at_share(share_bp: int) -> Traffic:
    move = moves.stage(on_stage(), NEW, by(f"stage:{share_bp}"), share_bp=share_bp)
    assert move.traffic is not None
    return move.traffic


def promoted(share_bp: int = 5000, holdback_bp: int = 500) -> Traffic:
    move = moves.promote(at_share(share_bp), NEW, by("promote"), holdback_bp=holdback_bp)
    assert move.traffic is not None
    return move.traffic


def arms(traffic: Traffic) -> dict[str, str]:
    return {user: assign(traffic, user).standing.release for user in (f"u{number}" for number in range(2000))}


def test_a_stage_sends_its_share_and_a_later_stage_only_adds_users():
    ten, fifty = at_share(1000), moves.stage(at_share(1000), NEW, by("stage:5000"), share_bp=5000).traffic
    assert fifty is not None
    first, later = arms(ten), arms(fifty)
    on_new = [user for user, release in first.items() if release == "r-2"]
    assert 0.08 < len(on_new) / 2000 < 0.12
    assert all(later[user] == "r-2" for user in on_new)


def test_nobody_who_met_the_candidate_goes_back_when_it_is_promoted():
    before, after = arms(at_share(9900)), arms(promoted(9900))
    assert promoted(9900).holdback_bp == 100, "the holdback is cut to those who were never reached"
    assert not [user for user, release in before.items() if release == "r-2" and after[user] != "r-2"]


@pytest.mark.parametrize(
    ("traffic", "standing", "change", "share_bp", "why"),
    [
        pytest.param(at_share(1000), NEW, by("stage:1000"), 1000, "made before", id="the same change again"),
        pytest.param(
            at_share(1000), OTHER, by("stage:1000", "r-3"), 1000, "r-2 is the candidate", id="a third release"
        ),
        pytest.param(at_share(5000), NEW, by("stage:1000"), 1000, "never takes users back", id="a stale earlier stage"),
        pytest.param(promoted(), OTHER, by("stage:1000", "r-3"), 1000, "kept as previous", id="previous still there"),
        pytest.param(on_stage(), OLD, by("stage:1000"), 1000, "serves already", id="the champion against itself"),
    ],
)
def test_a_stage_that_must_not_be_is_refused_with_its_reason(traffic, standing, change, share_bp, why):
    move = moves.stage(traffic, standing, change, share_bp=share_bp)
    assert move.traffic is None
    assert why in move.reason


def test_a_candidate_that_is_taken_down_has_no_user_and_the_champion_has_all():
    down = moves.take_down(at_share(5000), "r-2", by("back")).traffic
    assert down is not None
    assert (down.candidate, down.share_bp, set(arms(down).values())) == (None, 0, {"r-1"})


def test_a_fresh_champion_that_is_taken_down_leaves_the_stage_to_the_one_before():
    down = moves.take_down(promoted(), "r-2", by("back")).traffic
    assert down is not None
    assert (down.champion, down.previous, down.holdback_bp, set(arms(down).values())) == (OLD, None, 0, {"r-1"})


def test_without_a_previous_release_there_is_no_way_back_and_it_says_so():
    kept = moves.retire_previous(promoted(), by("retire")).traffic
    assert kept is not None
    move = moves.take_down(kept, "r-2", by("back"))
    assert move.traffic is None
    assert "no way back" in move.reason


def test_a_release_that_is_not_on_stage_needs_no_taking_down():
    assert moves.take_down(on_stage(), "r-9", by("back")).traffic is None


def test_only_this_rollouts_candidate_is_promoted():
    assert moves.promote(on_stage(), NEW, by("promote"), holdback_bp=500).traffic is None
    assert moves.promote(at_share(5000), NEW, by("promote", "r-2-2"), holdback_bp=500).traffic is None
