"""From an alarm to what is done about it: look, decide, write the decision, do it, and only then call it settled.

Each step may be cut off or done twice. An episode names its run before the run is started; executions have names made of
what they are for; a decision is written once. So whoever comes after, the same event again or the sweep, goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from understudy.adapters import rollbacks
from understudy.adapters.alarms import CloudWatchAlarms
from understudy.adapters.aws import DynamoLeases, DynamoTraffic, client
from understudy.adapters.night import is_running
from understudy.adapters.reactions import DynamoEpisodes, DynamoReactions
from understudy.adapters.stage_looks import RolloutState
from understudy.contracts.reactions import Episode, Occasion, Reaction
from understudy.contracts.rollback import RollBackInput
from understudy.contracts.traffic import Traffic
from understudy.domain.alarms import SLOT_SUBJECTS, Alarm, occasion_of, parse_name
from understudy.domain.episodes import Run, may_close, mend
from understudy.domain.night import NIGHT_LEASE
from understudy.domain.reactions import Decision, Policy, Situation, decide, due
from understudy.errors import EpisodeMoved
from understudy.ports import LeaseStore, TrafficStore
from understudy.settings import ReactToAlarmSettings, SweepAlarmsSettings

ATTEMPTS = 10  # a refusal is another writer's success, after which an episode cools down
ABANDONED_S = 45  # the doors' own timeouts are shorter
LOOK_BACK_DAYS = 7
ANY_STAGE = 1_000  # a rollout has a handful


@dataclass(frozen=True, slots=True)
class Machines:
    nightly_arn: str
    roll_back_arn: str
    notify_function: str

    def night(self, run: str) -> str:
        return f"{self.nightly_arn.replace(':stateMachine:', ':execution:')}:{run}"


@dataclass(frozen=True, slots=True)
class Reactor:
    """Everything that answering an alarm reads and moves."""

    policy: Policy
    machines: Machines
    alarms: CloudWatchAlarms
    traffic: TrafficStore
    leases: LeaseStore
    episodes: DynamoEpisodes
    reactions: DynamoReactions
    rollouts: RolloutState
    states: Any
    functions: Any

    def answer(self, occasion: Occasion, now: datetime) -> Reaction:
        """Decide about an occasion and do it; what was decided before stands, and is done if nobody is at it."""
        found = self.reactions.get(occasion)
        if found is not None and found.action != "wait":
            left = not found.settled and now - found.decided_at > timedelta(seconds=ABANDONED_S)
            return self._do(found, now) if left else found
        reaction, mine = self.reactions.record(_reaction(occasion, self._decide(occasion, now), now))
        return self._do(reaction, now) if mine else reaction

    def sweep(self, now: datetime) -> list[Reaction]:
        """Answer what still rings and what was left unfinished, and mend the episode.

        Raises
        ------
        ExceptionGroup
            Of what failed, once everything else was done.
        """
        alarms, failures = self.alarms.current(), list[Exception]()
        done = [*self._guard(failures, lambda: self._mend(alarms, now))]
        situation = self._everything(alarms, now)
        occasions = [occasion for alarm in alarms if (occasion := due(alarm, situation, self.policy)) is not None]
        left = self.reactions.of_days(now.date(), LOOK_BACK_DAYS, unsettled=True)
        occasions += [reaction.occasion for reaction in left if reaction.occasion not in occasions]
        for occasion in occasions:
            done += self._guard(failures, lambda occasion=occasion: [self.answer(occasion, now)])
        if failures:
            raise ExceptionGroup("not everything could be answered; the next sweep tries again", failures)
        return done

    @staticmethod
    def _guard(failures: list[Exception], step: Any) -> Iterable[Reaction]:
        try:
            return step()
        except Exception as error:  # noqa: BLE001 - one alarm's trouble is not the others'
            failures.append(error)
            return []

    def _decide(self, occasion: Occasion, now: datetime) -> Decision:
        for left in range(ATTEMPTS - 1, -1, -1):
            situation = self._look(occasion, now)
            decision = decide(occasion, situation, self.policy)
            if decision.opens is None:
                break
            try:
                opened = self.episodes.write(situation.episode, decision.opens)
            except EpisodeMoved:
                if not left:
                    raise
                continue
            return replace(decision, opens=opened)
        if decision.joins is not None and occasion.alarm not in decision.joins.alarms:
            self.episodes.join(decision.joins, occasion.alarm)
        return decision

    def _look(self, occasion: Occasion, now: datetime) -> Situation:
        """No more of the world than a decision about this occasion needs."""
        name = parse_name(self.policy.stack, occasion.alarm)
        if name is None or occasion.state != "ALARM":
            return Situation(now, ())
        alarms = self.alarms.current()
        if name.subject == "drift":
            return Situation(now, alarms, episode=self.episodes.current(), night=self._night())
        return self._staged(alarms, now) if name.subject in SLOT_SUBJECTS else Situation(now, alarms)

    def _staged(self, alarms: tuple[Alarm, ...], now: datetime) -> Situation:
        traffic = self.traffic.current()
        if traffic is None or traffic.rollout_id is None:
            return Situation(now, alarms, traffic)
        since = self._stood_since(traffic)
        running = rollbacks.rolls_back(self.states, self.machines.roll_back_arn, traffic.rollout_id)
        return Situation(now, alarms, traffic, since, running)

    def _everything(self, alarms: tuple[Alarm, ...], now: datetime) -> Situation:
        traffic = self.traffic.current()
        since = self._stood_since(traffic) if traffic is not None else None
        return Situation(now, alarms, traffic, since, episode=self.episodes.current())

    def _stood_since(self, traffic: Traffic) -> datetime:
        """When the rollout's release came on stage: its first window; before the judge's first look, the one write there was."""
        windows = self.rollouts.windows_before(str(traffic.rollout_id), ANY_STAGE)
        return windows[0].since if windows else traffic.changed_at

    def _night(self) -> str | None:
        """The execution that has the night's lease, if it runs: a holder that died holds nothing up."""
        held = self.leases.holder(NIGHT_LEASE)
        return held.owner if held is not None and is_running(self.states, held.owner) else None

    def _do(self, reaction: Reaction, now: datetime) -> Reaction:
        if reaction.settled or reaction.action == "wait":
            return reaction
        if reaction.action == "retrain":
            self._retrain(str(reaction.execution), reaction.input or {}, now)
        if reaction.action == "roll_back":
            asked = RollBackInput.model_validate(reaction.input)
            rollbacks.start(self.states, self.machines.roll_back_arn, str(reaction.execution), asked)
        if reaction.action == "page":
            self._page(reaction)
        return self.reactions.settle(reaction)

    def _retrain(self, run: str, request: dict[str, Any], now: datetime) -> None:
        asked = json.dumps(request, sort_keys=True)
        with suppress(self.states.exceptions.ExecutionAlreadyExists):  # started before, and over by now
            self.states.start_execution(stateMachineArn=self.machines.nightly_arn, name=run, input=asked)
        self.episodes.started(run, now)

    def _page(self, reaction: Reaction) -> None:
        traffic = self.traffic.current()
        event = {
            "kind": "alarm",
            "release_id": traffic.champion.release if traffic else "none",
            "rollout_id": (traffic.rollout_id if traffic else None) or "none",
            "facts": {
                "alarm": reaction.occasion.alarm,
                "reason": reaction.reason,
                "since": reaction.occasion.at.isoformat(),
            },
        }
        function = self.machines.notify_function
        self.functions.invoke(FunctionName=function, InvocationType="Event", Payload=json.dumps(event).encode())

    def _mend(self, alarms: tuple[Alarm, ...], now: datetime) -> list[Reaction]:
        episode = self.episodes.current()
        if episode is None or episode.closed_at is not None:
            return []
        run = self._run(episode)
        mending = mend(episode, run, self._night(), now=now, cool_down_s=self.policy.cool_down_s)
        done: list[Reaction] = []
        if mending.action == "start":
            self._retrain(episode.run, episode.request, now)
        if mending.action == "anew" and mending.episode is not None:
            self.episodes.write(episode, mending.episode)
            self._retrain(mending.episode.run, mending.episode.request, now)
        if mending.action == "page" and run is not None and run.stopped_at is not None:
            done.append(self._page_about(episode, run.stopped_at, mending.reason, now))
        if mending.action in ("page", "leave") and may_close(episode, run, alarms):
            self.episodes.close(episode, now)
        return done

    def _page_about(self, episode: Episode, at: datetime, reason: str, now: datetime) -> Reaction:
        """A page about a run, which no alarm tells of: once, as an alarm's."""
        occasion = occasion_of(f"run {episode.run}", "ALARM", at)
        reaction, mine = self.reactions.record(
            Reaction(occasion=occasion, action="page", reason=reason, decided_at=now, episode_id=episode.episode_id)
        )
        return self._do(reaction, now) if mine else reaction

    def _run(self, episode: Episode) -> Run | None:
        try:
            said = self.states.describe_execution(executionArn=self.machines.night(episode.run))
        except self.states.exceptions.ExecutionDoesNotExist:
            return None
        return Run(said["status"], said.get("error"), said.get("stopDate"))


def _reaction(occasion: Occasion, decision: Decision, now: datetime) -> Reaction:
    episode = decision.episode
    asked = decision.rollback.model_dump(mode="json", exclude_none=True) if decision.rollback else None
    return Reaction(
        occasion=occasion,
        action=decision.action,
        reason=decision.reason,
        decided_at=now,
        episode_id=episode.episode_id if episode else None,
        execution=decision.execution,
        input=episode.request if episode is not None and decision.action == "retrain" else asked,
        settled=decision.action == "ignore",
    )


def reactor(s: ReactToAlarmSettings | SweepAlarmsSettings) -> Reactor:
    """The reactor of a deployed door."""
    dynamodb = client("dynamodb")
    windows = {str(kind): int(days) for kind, days in json.loads(s.drift_window_days).items()}
    return Reactor(
        policy=Policy(s.stack, s.cool_down_seconds, s.settle_s, s.max_in_a_row, windows),
        machines=Machines(s.nightly_machine_arn, s.roll_back_machine_arn, s.notify_function),
        alarms=CloudWatchAlarms(client("cloudwatch"), s.stack),
        traffic=DynamoTraffic(dynamodb, s.traffic_table),
        leases=DynamoLeases(dynamodb, s.lease_table),
        episodes=DynamoEpisodes(dynamodb, s.state_table),
        reactions=DynamoReactions(dynamodb, s.reactions_table),
        rollouts=RolloutState(dynamodb, s.state_table),
        states=client("stepfunctions"),
        functions=client("lambda"),
    )
