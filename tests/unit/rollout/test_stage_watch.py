"""domain/stage_watch: every path from a verdict, the clock and a wish to what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from understudy.domain.judge import Verdict
from understudy.domain.stage_watch import StageClock, Wish, decide_look, look_pause, whole_seconds

START = datetime(2026, 11, 23, 5, tzinfo=UTC)
BAKE, LOOK = 100.0, 10.0


def verdict(outcome, *, no_blame=False):
    return Verdict(outcome, (f"{outcome} it is",), {"no_blame": no_blame})


VERSION = 4


def wish(ask, seconds_after_start=1.0, *, version=VERSION):
    return Wish(ask, "ada", START + timedelta(seconds=seconds_after_start), version)


def action(outcome, elapsed, *, extended=False, no_blame=False, **more):
    clock = StageClock(elapsed, BAKE, LOOK, extended)
    more.setdefault("kind", "share")
    return decide_look(verdict(outcome, no_blame=no_blame), clock, version=VERSION, **more).action


@pytest.mark.parametrize("kind", ["shadow", "share", "watch"])
@pytest.mark.parametrize("elapsed", [0, 50, 100, 500])
@pytest.mark.parametrize("asked", [None, wish("pause"), wish("promote"), wish("resume")])
def test_a_fail_acts_at_once_whatever_anybody_wishes(kind, elapsed, asked):
    assert action("fail", elapsed, kind=kind, wish=asked) == "roll_back"


@pytest.mark.parametrize(
    ("elapsed", "follows"),
    [pytest.param(99, "look_again", id="a second before the end"), pytest.param(100, "next", id="at the end")],
)
@pytest.mark.parametrize("kind", ["shadow", "share", "watch"])
def test_a_pass_waits_for_the_whole_bake(elapsed, follows, kind):
    assert action("pass", elapsed, kind=kind) == follows


def test_an_inconclusive_bake_is_extended_once():
    assert action("inconclusive", 99) == "look_again"
    assert action("inconclusive", 100) == "extend"
    assert action("inconclusive", 199, extended=True) == "look_again"


@pytest.mark.parametrize(("policy", "follows"), [("abort", "roll_back"), ("hold", "hold"), ("promote", "next")])
def test_after_the_extension_the_policy_decides(policy, follows):
    assert action("inconclusive", 200, extended=True, policy=policy) == follows


def test_without_a_policy_given_nothing_is_promoted_on_too_little():
    assert action("inconclusive", 200, extended=True) == "roll_back"


def test_what_a_policy_did_is_said():
    clock = StageClock(200, BAKE, LOOK, extended=True)
    step = decide_look(verdict("inconclusive"), clock, kind="share", version=VERSION, policy="promote")
    assert "InconclusivePolicy is promote" in step.reason


def test_a_pass_in_the_extension_needs_not_wait_for_its_end():
    assert action("pass", 130, extended=True) == "next"


@pytest.mark.parametrize("kind", ["share", "watch"])
@pytest.mark.parametrize("policy", ["abort", "hold", "promote"])
@pytest.mark.parametrize("extended", [False, True])
def test_when_both_arms_are_bad_nobody_is_blamed_and_nothing_promoted(kind, policy, extended):
    assert action("inconclusive", 250, no_blame=True, kind=kind, policy=policy, extended=extended) == "hold"


@pytest.mark.parametrize("elapsed", [10, 100, 500])
@pytest.mark.parametrize("outcome", ["pass", "inconclusive"])
@pytest.mark.parametrize("kind", ["shadow", "share", "watch"])
def test_a_pause_holds_the_share_for_as_long_as_it_stands(elapsed, outcome, kind):
    assert action(outcome, elapsed, kind=kind, wish=wish("pause")) == "hold"


def test_a_pause_of_an_earlier_stage_stands_until_somebody_resumes():
    assert action("pass", 100, wish=wish("pause", seconds_after_start=-60)) == "hold"
    assert action("pass", 100, wish=wish("resume", seconds_after_start=-60)) == "next"
    assert action("pass", 50, wish=wish("resume")) == "look_again"


@pytest.mark.parametrize("outcome", ["pass", "inconclusive"])
@pytest.mark.parametrize("kind", ["shadow", "share", "watch"])
def test_a_wish_to_promote_goes_on_at_once(outcome, kind):
    assert action(outcome, 1, kind=kind, wish=wish("promote")) == "next"


def test_a_wish_to_promote_is_for_the_stage_it_was_made_in():
    assert action("inconclusive", 1, wish=wish("promote", version=VERSION - 1)) == "look_again"
    assert action("inconclusive", 1, wish=wish("promote", version=None)) == "look_again"
    assert action("inconclusive", 1, wish=wish("promote")) == "next"


@pytest.mark.parametrize("skew_s", [-300, 300])
def test_an_operators_clock_decides_nothing(skew_s):
    assert action("inconclusive", 1, wish=wish("promote", skew_s)) == "next"
    assert action("inconclusive", 1, wish=wish("promote", skew_s, version=VERSION - 1)) == "look_again"
    assert action("pass", 100, wish=wish("pause", skew_s)) == "hold"


def test_a_wish_is_named_with_who_made_it():
    clock = StageClock(1, BAKE, LOOK)
    step = decide_look(verdict("pass"), clock, kind="share", version=VERSION, wish=wish("promote"))
    assert step.reason == "ada asked to go on"


def test_a_shadow_ends_when_its_time_is_over():
    assert action("inconclusive", 99, kind="shadow") == "look_again"
    assert action("inconclusive", 100, kind="shadow") == "next"


@pytest.mark.parametrize("policy", ["abort", "hold", "promote"])
def test_a_watch_without_harm_shown_ends_after_its_extension(policy):
    assert action("inconclusive", 100, kind="watch", policy=policy) == "extend"
    assert action("inconclusive", 200, kind="watch", policy=policy, extended=True) == "next"


@pytest.mark.parametrize(
    ("look_s", "bake_s", "pause"), [(60, 14400, 72.0), (60, 3600, 60.0), (1, 20, 1.0), (1, 0, 1.0)]
)
def test_a_bake_has_at_most_two_hundred_looks(look_s, bake_s, pause):
    assert look_pause(look_s, bake_s) == pause
    assert bake_s / look_pause(look_s, bake_s) <= 200


def test_the_next_look_is_never_beyond_the_end_of_the_bake():
    step = decide_look(verdict("pass"), StageClock(96, BAKE, LOOK), kind="share", version=VERSION)
    assert (step.action, step.wait_s) == ("look_again", 4)


@pytest.mark.parametrize(("wait_s", "seconds"), [(0, 1), (0.2, 1), (1, 1), (4.01, 5)])
def test_a_wait_is_in_whole_seconds_and_never_none(wait_s, seconds):
    assert whole_seconds(wait_s) == seconds


def test_an_extension_ends_as_much_later_again():
    assert (StageClock(0, BAKE, LOOK).ends_s, StageClock(0, BAKE, LOOK, extended=True).ends_s) == (100, 200)
