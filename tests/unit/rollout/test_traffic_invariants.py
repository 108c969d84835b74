"""DESIGN §2 under any sequence of stages, promotions, rollbacks, crashes, duplicates, late events and stale writers.

Stores are memory's; decisions are the domain's, and the adapters' where they are one call. A worker may vanish between
reading traffic and writing it, and write after anything else has happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.releases import release
from support.soak import examples
from understudy.adapters.descent import seize_stage, take_down
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.adapters.stage import StageStores, Turn, hold_stage
from understudy.contracts.rollback import SeizeStageEvent, TakeDownEvent
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain import traffic_moves
from understudy.domain.rollout import STAGE_LEASE, check_fence
from understudy.domain.traffic import assign
from understudy.domain.traffic_moves import By
from understudy.errors import NotReady, WriteRefused

START = datetime(2026, 11, 23, 4, tzinfo=UTC)
USERS = [f"u{number}" for number in range(40)]
TTL_S = 7 * 3600
PREFIX = "arn:aws:states:us-east-1:123456789012:execution:understudy"
SKEWS = st.integers(-300, 300)


class Ledger(MemoryTraffic):
    """Keeps every traffic that was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[Traffic] = []

    def replace(self, expected: Traffic | None, new: Traffic, fence: int) -> Traffic:
        before = self.current()
        written = super().replace(expected, new, fence)
        if written != before:
            self.accepted.append(written)
        return written


class Executions:
    def __init__(self) -> None:
        self.running: set[str] = set()

    def describe_execution(self, executionArn: str) -> dict[str, str]:
        return {"status": "RUNNING" if executionArn in self.running else "ABORTED"}


@dataclass
class Rollout:
    """A roll_out execution; `decided` are writes on their way, each with the traffic it was decided on."""

    name: str
    fence: int | None = None
    slot: Any = None
    decided: list[tuple[Traffic, Traffic]] = field(default_factory=list)

    @property
    def arn(self) -> str:
        return f"{PREFIX}-roll-out:{self.name}"

    def by(self, change: str, at: datetime) -> By:
        return By(f"{self.name}:{change}", self.name, at, change)


class TrafficInvariants(RuleBasedStateMachine):
    @initialize()
    def first_release_stands(self) -> None:
        self.traffic, self.leases, self.states = Ledger(), MemoryLeases(), Executions()
        self.seconds = 0
        first = traffic_moves.first(Standing(release="r-0", slot="blue"), By("r-0:champion", "r-0", START, "first"))
        self.traffic.replace(None, first, 1)
        self.leases.acquire(STAGE_LEASE, f"{PREFIX}-roll-out:r-0", TTL_S, START)
        self.leases.release(self.leases.holder(STAGE_LEASE))  # type: ignore[arg-type]
        self.rollouts: list[Rollout] = []
        self.backs: list[tuple[Rollout, str]] = []  # rollbacks that were begun
        self.down: dict[str, int] = {}  # release -> number of accepted traffics when it was taken down or fenced off
        self.lands_after_rollback: list[str] = []

    def now(self, skew_s: int) -> datetime:
        self.seconds += 1
        return START + timedelta(seconds=self.seconds + skew_s)

    def one_of(self, data: Any, many: list[Any]) -> Any:
        return many[data.draw(st.integers(0, len(many) - 1))]

    # ------------------------------------------------------------- the way up
    @rule()
    def a_new_release_wants_on_stage(self) -> None:
        rollout = Rollout(f"r-{len(self.rollouts) + 1}")
        self.rollouts.append(rollout)
        self.states.running.add(rollout.arn)

    @precondition(lambda self: self.rollouts)
    @rule(data=st.data(), skew_s=SKEWS)
    def take_stage(self, data: Any, skew_s: int) -> None:
        rollout = self.one_of(data, self.rollouts)
        if rollout.arn not in self.states.running:
            return
        stores = StageStores(self.leases, self.traffic, MemoryReleases(release(rollout.name)))
        try:
            lease, found = hold_stage(stores, Turn(rollout.arn, TTL_S, self.now(skew_s)))
        except (WriteRefused, NotReady):
            return
        assert found is not None
        rollout.fence = lease.fence
        rollout.slot = rollout.slot or found.free_slot

    @precondition(lambda self: any(rollout.fence for rollout in self.rollouts))
    @rule(data=st.data(), skew_s=SKEWS, what=st.sampled_from(["stage", "stage", "promote", "retire"]))
    def decide(self, data: Any, skew_s: int, what: str) -> None:
        """A door reads traffic and decides; its write is on the way. Its execution need not run any more."""
        rollout = self.one_of(data, [one for one in self.rollouts if one.fence])
        now, at = self.traffic.current(), self.now(skew_s)
        assert now is not None
        try:
            check_fence(now, rollout.fence)
        except WriteRefused:
            return
        standing = Standing(release=rollout.name, slot=rollout.slot)
        if what == "stage":
            share_bp = data.draw(st.sampled_from([0, 1000, 5000, 9000]))
            move = traffic_moves.stage(now, standing, rollout.by(f"stage:{share_bp}", at), share_bp=share_bp)
        elif what == "promote":
            move = traffic_moves.promote(now, standing, rollout.by("promote", at), holdback_bp=500)
        else:
            gone = now.previous.release if now.previous else ""
            move = traffic_moves.retire_previous(now, rollout.by(f"retire:{gone}", at))
        if move.traffic is not None:
            rollout.decided.append((now, move.traffic))

    @precondition(lambda self: any(rollout.decided for rollout in self.rollouts))
    @rule(data=st.data(), again=st.booleans())
    def land(self, data: Any, again: bool) -> None:
        """A write arrives, perhaps for the second time, perhaps long after it was decided."""
        rollout = self.one_of(data, [one for one in self.rollouts if one.decided])
        place = data.draw(st.integers(0, len(rollout.decided) - 1))
        decided_on, wanted = rollout.decided[place]
        if not again:
            del rollout.decided[place]
        before = len(self.traffic.accepted)
        try:
            self.traffic.replace(decided_on, wanted, rollout.fence)
        except WriteRefused:
            return
        if len(self.traffic.accepted) > before and rollout.name in self.down:
            self.lands_after_rollback.append(wanted.change_id)

    @precondition(lambda self: self.states.running)
    @rule(data=st.data())
    def crash_or_stop(self, data: Any) -> None:
        self.states.running.discard(self.one_of(data, sorted(self.states.running)))

    # ------------------------------------------------------------- the way down
    @precondition(lambda self: self.rollouts)
    @rule(data=st.data(), skew_s=SKEWS, reason=st.sampled_from(["verdict", "alarm", "operator"]))
    def roll_back_begins(self, data: Any, skew_s: int, reason: str) -> None:
        """The first write of a rollback, by whoever asks, whenever; the same cause again is the same execution."""
        rollout = self.one_of(data, self.rollouts)
        name = f"{rollout.name}-back-{reason}"
        event = TakeDownEvent(
            release_id=rollout.name, rollout_id=rollout.name, reason=reason, change_id=name, at=self.now(skew_s)
        )
        before = len(self.traffic.accepted)
        take_down(self.traffic, event)
        if len(self.traffic.accepted) > before:
            self.down[rollout.name] = len(self.traffic.accepted)
        if (rollout, name) not in self.backs:
            self.backs.append((rollout, name))
            self.states.running.add(f"{PREFIX}-roll-back:{name}")

    @precondition(lambda self: self.backs)
    @rule(data=st.data(), skew_s=SKEWS)
    def roll_back_seizes_the_stage(self, data: Any, skew_s: int) -> None:
        rollout, name = self.one_of(data, self.backs)
        arn = f"{PREFIX}-roll-back:{name}"
        if arn not in self.states.running:
            return
        self.states.running.discard(rollout.arn)  # StopRollout
        event = SeizeStageEvent(
            release_id=rollout.name, rollout_id=rollout.name, reason="r", execution_arn=arn, at=self.now(skew_s)
        )
        seized = seize_stage(self.traffic, self.leases, self.states, event, ttl_s=TTL_S, now=self.now(skew_s))
        if seized.action == "clean":
            self.down.setdefault(rollout.name, len(self.traffic.accepted))
            now = self.traffic.current()
            assert now is not None
            assert now.fence <= seized.fence
            # another rollout's candidate stays for that rollout's own end, which takes it down (its execution is dead)
            assert now.candidate is None or now.candidate.release != rollout.name

    @precondition(lambda self: self.leases.holder(STAGE_LEASE))
    @rule()
    def the_holder_ends_cleanly(self) -> None:
        held = self.leases.holder(STAGE_LEASE)
        assert held is not None
        if held.owner in self.states.running:
            self.leases.release(held)
            self.states.running.discard(held.owner)

    # ------------------------------------------------------------- what must hold
    @invariant()
    def versions_and_fences_only_grow(self) -> None:
        kept = self.traffic.accepted
        assert [one.version for one in kept] == list(range(1, len(kept) + 1))
        assert [one.fence for one in kept] == sorted(one.fence for one in kept)

    @invariant()
    def two_slots_hold_what_serves(self) -> None:
        now = self.traffic.current()
        assert now is not None
        Traffic.model_validate(now.model_dump())
        assert now.candidate is None or now.previous is None
        standing = [one for one in (now.champion, now.candidate, now.previous) if one is not None]
        assert len({one.slot for one in standing}) == len(standing) == len({one.release for one in standing})

    @invariant()
    def nothing_decided_before_a_rollback_lands_after_it(self) -> None:
        assert self.lands_after_rollback == []

    @invariant()
    def what_was_taken_down_never_serves_again(self) -> None:
        for name, since in self.down.items():
            champion_before = self.traffic.accepted[since - 1].champion.release == name
            for one in self.traffic.accepted[since:]:
                assert one.candidate is None or one.candidate.release != name
                assert one.champion.release != name or champion_before

    @invariant()
    def a_user_moves_to_the_new_release_once_and_back_at_most_once(self) -> None:
        for rollout_id, group in groupby(self.traffic.accepted, key=lambda one: one.rollout_id):
            kept = list(group)
            for user in USERS:
                met = [name for name, _ in groupby(assign(one, user).standing.release for one in kept)]
                assert len(met) <= 3, (rollout_id, user, met)
                assert len(met) < 3 or met[0] == met[2], (rollout_id, user, met)


TrafficInvariants.TestCase.settings = settings(
    max_examples=examples(60, 2000),
    stateful_step_count=examples(40, 80),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestTrafficInvariants = TrafficInvariants.TestCase
