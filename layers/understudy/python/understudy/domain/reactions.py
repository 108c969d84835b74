"""What an alarm leads to: one pure decision with its reason (DESIGN §8).

drift                                   -> retrain, once an episode and cool-down; wait while a night runs or a schema is broken
health, errors, latency: of a candidate -> roll_back
                         of a champion  -> roll_back while the release before is kept, else page
schema, silent, dead letters            -> page
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from understudy.contracts.reactions import Action, Episode, Occasion
from understudy.contracts.rollback import RollBackInput
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.alarms import SLOT_SUBJECTS, Alarm, AlarmName, occasion_of, parse_name, ringing
from understudy.domain.episodes import cools_down, opened
from understudy.domain.rollback import rollback_name


@dataclass(frozen=True, slots=True)
class Policy:
    stack: str
    cool_down_s: int
    settle_s: int  # an alarm older than the release in its slot is that release's when it still rings after so long
    max_in_a_row: int  # retrains that did not end a drift before people are asked
    window_days: Mapping[str, int] = field(default_factory=dict)  # by kind of drift; else the deployment's own


@dataclass(frozen=True, slots=True)
class Situation:
    """What is so at `now`. `alarms` are all of the stack's; `stood_since`: when traffic's rollout put its release on stage."""

    now: datetime
    alarms: tuple[Alarm, ...]
    traffic: Traffic | None = None
    stood_since: datetime | None = None
    rolls_back: bool = False  # a rollback of traffic's rollout runs
    night: str | None = None  # the execution that has the night's lease and runs
    episode: Episode | None = None

    def alarm(self, text: str) -> Alarm | None:
        return next((alarm for alarm in self.alarms if alarm.text == text), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """`opens` is an episode to be written before anything is started, `joins` one that the alarm belongs to."""

    action: Action
    reason: str
    opens: Episode | None = None
    joins: Episode | None = None
    rollback: RollBackInput | None = None

    @property
    def episode(self) -> Episode | None:
        return self.opens or self.joins

    @property
    def execution(self) -> str | None:
        if self.action == "retrain" and self.episode is not None:
            return self.episode.run
        return back_name(self.rollback) if self.rollback is not None else None


def back_name(asked: RollBackInput) -> str:
    """One rollback by alarms a rollout: whichever of them is heard first gives its reason."""
    return rollback_name(asked.rollout_id, f"alarm: {asked.release_id}")


def decide(occasion: Occasion, situation: Situation, policy: Policy) -> Decision:
    """What an alarm's state leads to.

    An alarm that is in another state by now is over: it was told late, or again. `retrain` and `wait` and `ignore` of a
    drift depend on the episode as it stands, so whoever opens one writes it on condition, and decides anew if refused.
    """
    name = parse_name(policy.stack, occasion.alarm)
    if name is None:
        return Decision("ignore", "none of the alarms that lead to something")
    if occasion.state != "ALARM":
        return Decision("ignore", f"it is {occasion.state}")
    now_is = situation.alarm(occasion.alarm)
    if now_is is not None and not now_is.rings and now_is.since >= occasion.at:
        return Decision("ignore", f"it has been {now_is.state} since {now_is.since:%Y-%m-%d %H:%M:%S}")
    if name.subject == "drift":
        return _drift(occasion, situation, policy)
    if name.subject in SLOT_SUBJECTS:
        return _slot(occasion, name, situation, policy)
    return Decision("page", _WHY_PAGE[name.subject].format(what=name.kind))


_WHY_PAGE = {
    "schema": "the data of {what} has another form than the release was made from; no retrain until that is mended",
    "silent": "monitor {what} has said nothing for two periods: neither health nor drift is known",
    "dead-letters": "something was given up: understudy doctor lists it",
}


def _drift(occasion: Occasion, situation: Situation, policy: Policy) -> Decision:
    episode, now = situation.episode, situation.now
    if episode is not None and episode.opened_by == occasion:
        return Decision("retrain", _opens(episode), joins=episode)
    if episode is not None and cools_down(episode, now):
        until = f"{episode.cool_down_until:%Y-%m-%d %H:%M:%S}"
        return Decision("ignore", f"{episode.run} answers it; cooling down until {until}", joins=episode)
    if broken := ringing(situation.alarms, "schema"):
        return Decision("wait", f"{', '.join(broken)} in ALARM: retraining on broken data makes it worse")
    if situation.night is not None:
        return Decision("wait", f"night {situation.night.rpartition(':')[2]} runs: answered after it")
    if episode is not None and episode.closed_at is None and episode.in_a_row >= policy.max_in_a_row:
        return Decision(
            "page", f"{episode.in_a_row} retrains in a row did not end it: it is people's business", joins=episode
        )
    drifts = sorted({occasion.alarm, *ringing(situation.alarms, "drift")})
    new = opened(
        episode,
        occasion,
        drifts,
        stack=policy.stack,
        now=now,
        cool_down_s=policy.cool_down_s,
        window_days=policy.window_days,
    )
    return Decision("retrain", _opens(new), opens=new)


def _opens(episode: Episode) -> str:
    again = f", the {episode.in_a_row}. in a row" if episode.in_a_row > 1 else ""
    return f"{episode.request['reason']}{again}; one retrain until {episode.cool_down_until:%Y-%m-%d %H:%M:%S}"


def _slot(occasion: Occasion, name: AlarmName, situation: Situation, policy: Policy) -> Decision:
    traffic = situation.traffic
    blamed = coming_in(traffic, name)
    if traffic is None or name.slot not in _standing(traffic):
        return Decision("ignore", f"nobody stands in {name.slot}")
    if blamed is None:
        part, standing = _standing(traffic)[str(name.slot)]
        return Decision("page", f"{standing.release} is {part}, and there is no way back from it")
    if situation.stood_since is not None and occasion.at < situation.stood_since.replace(microsecond=0):
        since = f"{situation.stood_since:%Y-%m-%d %H:%M:%S}"
        return Decision("ignore", f"it was raised before {blamed.release} stood in {name.slot}, on stage since {since}")
    if alike := _other_side(name, situation):
        return Decision(
            "wait", f"{alike} is in ALARM too: both releases falter alike, so {blamed.release} is not blamed"
        )
    if situation.rolls_back:
        return Decision("ignore", f"a rollback of {traffic.rollout_id} runs")
    part = "rehearses" if traffic.candidate is not None else "is champion, and the release before is kept"
    reason = f"alarm {occasion.alarm} while {blamed.release} {part}"
    asked = RollBackInput(
        release_id=blamed.release,
        rollout_id=str(traffic.rollout_id),
        reason=reason,
        cause="alarm",
        asked_at=situation.now,
    )
    return Decision("roll_back", reason, rollback=asked)


def coming_in(traffic: Traffic | None, name: AlarmName) -> Standing | None:
    """The release that an alarm of a slot can take down: a candidate, or a champion while the one before is kept."""
    if traffic is None:
        return None
    fresh = traffic.candidate or (traffic.champion if traffic.previous is not None else None)
    return fresh if fresh is not None and fresh.slot == name.slot else None


def _standing(traffic: Traffic) -> dict[str, tuple[str, Standing]]:
    parts = {"candidate": traffic.candidate, "champion": traffic.champion, "kept as previous": traffic.previous}
    return {one.slot: (part, one) for part, one in parts.items() if one is not None}


def _other_side(name: AlarmName, situation: Situation) -> str | None:
    """The alarm of the same thing on the other slot, if it rings."""
    for alarm in situation.alarms:
        if alarm.rings and alarm.name.what == name.what and alarm.name.slot not in (None, name.slot):
            return alarm.text
    return None


def due(alarm: Alarm, situation: Situation, policy: Policy) -> Occasion | None:
    """What the sweep answers of an alarm that rings; None while there is nothing to answer yet.

    A drift that outlives a cool-down is a new occasion at that cool-down's end; an alarm that is older than the release
    in its slot is that release's once it had `settle_s` to go out.
    """
    if not alarm.rings:
        return None
    since, episode = alarm.since, situation.episode
    if alarm.name.subject == "drift" and episode is not None and since < episode.cool_down_until <= situation.now:
        since = episode.cool_down_until
    if coming_in(situation.traffic, alarm.name) is not None and situation.stood_since is not None:
        stood = situation.stood_since.replace(microsecond=0)
        if since < stood:
            since = stood + timedelta(seconds=policy.settle_s)
    return occasion_of(alarm.text, "ALARM", since) if since <= situation.now else None
