"""One look: read what a stage did to users, judge it, say what follows, and leave both where people find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.aws_coverage import DynamoShown
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.adapters.stage_looks import RolloutState, write_verdict
from understudy.contracts.rollout import JudgeStageEvent, Look
from understudy.domain.judge import JudgePolicy, StageWindow, Verdict
from understudy.domain.judge.bake import BakeStep
from understudy.domain.outcomes import OutcomeReader
from understudy.domain.stage_evidence import (
    Window,
    at_one_time,
    judge_windows,
    nothing_to_compare,
    stage_window,
    window_of,
)
from understudy.domain.stage_watch import MAX_LOOKS, StageClock, decide_look, look_pause, whole_seconds
from understudy.ports import TrafficStore
from understudy.settings import JudgeStageSettings

FINAL = ("next", "roll_back")


class ShownReader(Protocol):
    """Sketches of the items that releases showed, as `OutcomeReader.outcomes_since` has counts."""

    def since(
        self, release_ids: Sequence[str], versions: Sequence[int], since: datetime, until: datetime
    ) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Judging:
    """What a look reads, writes and goes by."""

    traffic: TrafficStore
    outcomes: OutcomeReader
    shown: ShownReader
    state: RolloutState
    s3: Any
    artifact_bucket: str
    policy: JudgePolicy
    look_s: float
    inconclusive: Any  # abort | hold | promote


def judging(settings: JudgeStageSettings) -> Judging:
    dynamodb, s = client("dynamodb"), settings
    return Judging(
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoOutcomes(dynamodb, s.outcomes_table),
        DynamoShown(dynamodb, s.outcomes_table),
        RolloutState(dynamodb, s.state_table),
        client("s3"),
        s.artifact_bucket,
        JudgePolicy.of_stack(delta=s.delta, minimum_requests=s.minimum_requests),
        s.look_seconds,
        s.inconclusive_policy,
    )


def look(world: Judging, asked: JudgeStageEvent, now: datetime) -> Look:
    """Raises StageLost when traffic is no longer as the stage left it."""
    window = window_of(asked, world.traffic.current())
    windows = [*world.state.windows_before(asked.rollout_id, window.index), window]
    bake_s, pause = asked.stage.bake_s, look_pause(world.look_s, asked.stage.bake_s)
    clock = StageClock((now - asked.started_at).total_seconds(), bake_s, pause, asked.extended)
    verdict = _judged(world, asked, windows, now, clock)
    wish = world.state.wish(asked.rollout_id)
    step = decide_look(
        verdict, clock, kind=asked.stage.kind, version=asked.version, wish=wish, policy=world.inconclusive
    )
    world.state.write(asked.rollout_id, _seen(asked, windows, verdict, step, now, clock))
    if step.action in FINAL:
        document = {"release_id": asked.release_id, **window.item(), "action": step.action, "reason": step.reason}
        document |= {"decided_at": now.isoformat(), **verdict.to_json()}
        write_verdict(world.s3, world.artifact_bucket, asked.rollout_id, window, document)
    looks = asked.looks + 1
    return Look(
        action=step.action,
        wait_s=whole_seconds(step.wait_s),
        looks=looks,
        rest=looks >= MAX_LOOKS or (step.action == "hold" and not asked.held),
        verdict=verdict.verdict,
        reason=step.reason[:2000],
    )


def _judged(world: Judging, asked: JudgeStageEvent, windows: list[Window], now: datetime, clock: StageClock) -> Verdict:
    if not windows[-1].compares:
        return nothing_to_compare()
    ends = [*(later.since for _, later in pairwise(windows)), now]
    found = [_read(world, asked.release_id, *each) for each in zip(windows, ends, strict=True) if each[0].compares]
    return judge_windows(
        found,
        is_last_gate=asked.stage.before_promotion,
        elapsed_s=clock.elapsed_s,
        extended=clock.extended,
        policy=world.policy,
    )


def _read(world: Judging, release_id: str, window: Window, until: datetime) -> StageWindow:
    sources = list(window.sources(release_id))
    counts = dict(world.outcomes.outcomes_since(sources, [window.version], window.since, until))
    if (
        len(sources) > 1
    ):  # the control's were read last: the candidate's before and after it tell what they were meanwhile
        after = world.outcomes.outcomes_since([release_id], [window.version], window.since, until)
        control = counts[window.control]
        counts[release_id] = at_one_time(counts[release_id], control, after[release_id], window.share_bp)
    shown = world.shown.since(sources, [window.version], window.since, until)
    return stage_window(window, release_id, counts, shown)


def _seen(
    asked: JudgeStageEvent, windows: list[Window], verdict: Verdict, step: BakeStep, now: datetime, clock: StageClock
) -> dict[str, Any]:
    """The state item: what somebody who watches wants to know, and the windows for the next stage's judge."""
    return {
        "release_id": asked.release_id,
        "stage": {"index": asked.stage.index, "kind": asked.stage.kind, "share_bp": asked.stage.share_bp},
        "version": asked.version,
        "started_at": asked.started_at.isoformat(),
        "ends_at": (asked.started_at + timedelta(seconds=clock.ends_s)).isoformat(),
        "extended": asked.extended,
        "looked_at": now.isoformat(),
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "action": step.action,
        "reason": step.reason,
        "evidence": dict(verdict.evidence),
        "windows": [window.item() for window in windows],
    }
