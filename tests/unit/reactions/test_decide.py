"""What an alarm leads to, as a table, and both sides of each edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from support.reacting import COOL_DOWN_S, NEW, NOW, OLD, POLICY, alarm, occasion
from understudy.contracts.traffic import Traffic
from understudy.domain.episodes import opened
from understudy.domain.reactions import Situation, back_name, decide, due

ALONE = Traffic(change_id="c", rollout_id="r-old", champion=OLD, salt="s", reason="r", changed_at=NOW)
REHEARSAL = ALONE.model_copy(update={"rollout_id": "r-new", "candidate": NEW, "share_bp": 1000})
FRESH = ALONE.model_copy(update={"rollout_id": "r-new", "champion": NEW, "previous": OLD, "holdback_bp": 500})
STOOD = NOW - timedelta(hours=1)
NIGHT = "arn:aws:states:us-east-1:123456789012:execution:nightly:night-1"


def situation(*alarms, **facts):
    return Situation(NOW, alarms, **{"traffic": ALONE, "stood_since": STOOD, **facts})


def episode(before_s: float, by="drift-bias", **changes):
    opened_at = NOW - timedelta(seconds=before_s)
    made = opened(
        None,
        occasion(by, opened_at),
        [f"understudy-{by}"],
        stack="understudy",
        now=opened_at,
        cool_down_s=COOL_DOWN_S,
        window_days={},
    )
    return made.model_copy(update=changes)


DRIFT = alarm("drift-ranking-quality")
TABLE = [
    pytest.param("drift-ranking-quality", situation(DRIFT), "retrain", id="drift"),
    pytest.param("drift-bias", situation(), "retrain", id="drift, by an alarm that CloudWatch does not list"),
    pytest.param("drift-bias", situation(alarm("schema-bias")), "wait", id="drift while any schema is broken"),
    pytest.param(
        "drift-bias", situation(alarm("schema-bias", "OK")), "retrain", id="drift and a schema that was mended"
    ),
    pytest.param("drift-bias", situation(night=NIGHT), "wait", id="drift while a night runs"),
    pytest.param(
        "drift-bias", situation(episode=episode(COOL_DOWN_S - 1)), "ignore", id="one second before the cool-down ends"
    ),
    pytest.param("drift-bias", situation(episode=episode(COOL_DOWN_S)), "retrain", id="the cool-down is over"),
    pytest.param(
        "drift-bias", situation(episode=episode(60, closed_at=NOW)), "ignore", id="a closed episode cools down too"
    ),
    pytest.param(
        "drift-bias", situation(episode=episode(COOL_DOWN_S, in_a_row=3)), "page", id="the third retrain did not help"
    ),
    pytest.param(
        "drift-bias",
        situation(episode=episode(COOL_DOWN_S, in_a_row=3, closed_at=NOW)),
        "retrain",
        id="it did help: a new drift",
    ),
    pytest.param("health-green", situation(traffic=REHEARSAL), "roll_back", id="a candidate's health"),
    pytest.param("errors-ranker-green", situation(traffic=REHEARSAL), "roll_back", id="a candidate's errors"),
    pytest.param("latency-two-tower-green", situation(traffic=REHEARSAL), "roll_back", id="a candidate's latency"),
    pytest.param("health-green", situation(traffic=FRESH), "roll_back", id="a fresh champion's health"),
    pytest.param("health-blue", situation(traffic=FRESH), "page", id="the release kept as previous"),
    pytest.param("health-blue", situation(traffic=REHEARSAL), "page", id="the champion, while a candidate rehearses"),
    pytest.param("errors-ranker-blue", situation(), "page", id="an old champion"),
    pytest.param("health-green", situation(), "ignore", id="nobody stands there"),
    pytest.param("health-green", situation(traffic=None), "ignore", id="nobody serves"),
    pytest.param("health-green", situation(traffic=REHEARSAL, rolls_back=True), "ignore", id="a rollback runs"),
    pytest.param(
        "health-green", situation(alarm("health-blue"), traffic=REHEARSAL), "wait", id="both falter: no blame"
    ),
    pytest.param(
        "health-green", situation(alarm("errors-ranker-blue"), traffic=REHEARSAL), "roll_back", id="of another thing"
    ),
    pytest.param("schema-data-quality", situation(), "page", id="schema"),
    pytest.param("silent-bias", situation(), "page", id="silent"),
    pytest.param("dead-letters", situation(), "page", id="dead letters"),
    pytest.param("cost", situation(), "ignore", id="somebody else's alarm"),
    pytest.param("dev-drift-bias", situation(), "ignore", id="another stack's alarm, whose name begins with ours"),
]


@pytest.mark.parametrize(("what", "found", "action"), TABLE)
def test_an_alarm_leads_to_one_action_with_a_reason(what, found, action):
    decision = decide(occasion(what), found, POLICY)
    assert decision.action == action
    assert len(decision.reason.split()) >= 3
    assert (decision.execution is not None) == (action in ("retrain", "roll_back"))


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize("what", ["drift-bias", "health-green", "schema-bias"])
def test_an_alarm_that_does_not_ring_leads_to_nothing(state, what):
    assert decide(occasion(what, state=state), situation(traffic=REHEARSAL), POLICY).action == "ignore"


def test_what_is_over_by_the_time_it_is_heard_leads_to_nothing():
    """Redriven from the dead-letter queue, or again the next day."""
    heard = occasion("drift-bias", NOW - timedelta(hours=5))
    over = alarm("drift-bias", "OK", NOW - timedelta(hours=1))
    assert decide(heard, situation(over), POLICY).action == "ignore"
    assert decide(heard, situation(alarm("drift-bias", "ALARM", NOW)), POLICY).action == "retrain"


def test_an_event_that_is_ahead_of_the_description_is_believed():
    behind = alarm("drift-bias", "OK", NOW - timedelta(minutes=1))
    assert decide(occasion("drift-bias"), situation(behind), POLICY).action == "retrain"


@pytest.mark.parametrize(("at", "action"), [(STOOD - timedelta(seconds=1), "ignore"), (STOOD, "roll_back")])
def test_a_release_is_not_blamed_for_who_stood_there_before(at, action):
    assert decide(occasion("health-green", at), situation(traffic=REHEARSAL), POLICY).action == action


def test_all_alarms_of_a_release_ask_for_one_rollback():
    asked = [
        decide(occasion(what), situation(traffic=REHEARSAL), POLICY)
        for what in ("health-green", "errors-ranker-green", "latency-ranker-green")
    ]
    assert len({decision.execution for decision in asked}) == 1
    assert {decision.rollback.cause for decision in asked} == {"alarm"}
    assert back_name(asked[0].rollback) == asked[0].execution


def test_a_retrain_says_what_it_answers_and_takes_the_shortest_window_asked_for():
    policy = replace(POLICY, window_days={"ranking-quality": 7, "bias": 14, "explainability": 3})
    found = situation(DRIFT, alarm("drift-bias"), alarm("drift-explainability", "OK"))
    new = decide(occasion("drift-ranking-quality"), found, policy).opens
    assert new.request == {
        "reason": "drift: bias, ranking-quality",
        "episode": new.episode_id,
        "alarms": ["understudy-drift-bias", "understudy-drift-ranking-quality"],
        "window_days": 7,
    }
    assert new.run == f"drift-{new.episode_id}"
    assert len(f"{new.run}-99") <= 44


def test_the_occasion_that_opened_an_episode_finds_it_again():
    by = occasion("drift-bias", NOW - timedelta(seconds=60))
    decision = decide(by, situation(episode=episode(60)), POLICY)
    assert (decision.action, decision.opens) == ("retrain", None)
    assert decision.execution == episode(60).run


def test_the_sweep_asks_again_about_a_drift_that_outlives_its_cool_down():
    opening = episode(COOL_DOWN_S + 30)
    rings = alarm("drift-bias", since=opening.opened_at)
    assert due(rings, situation(episode=opening), POLICY) == occasion("drift-bias", opening.cool_down_until)
    cooling = episode(COOL_DOWN_S - 30)
    assert due(rings, situation(episode=cooling), POLICY) == occasion("drift-bias", opening.opened_at)


@pytest.mark.parametrize(("stood_s", "at_s"), [(899, None), (900, 900), (7200, 900)])
def test_an_alarm_older_than_the_release_in_its_slot_gets_time_to_go_out(stood_s, at_s):
    stood = NOW - timedelta(seconds=stood_s)
    found = situation(traffic=REHEARSAL, stood_since=stood)
    asked = due(alarm("health-green", since=stood - timedelta(hours=1)), found, POLICY)
    assert asked == (None if at_s is None else occasion("health-green", stood + timedelta(seconds=at_s)))


def test_what_does_not_ring_is_not_due():
    assert due(alarm("drift-bias", "OK"), situation(), POLICY) is None
