"""Traffic writes on the way up: each one conditional, each the same write however often it is asked for."""

from __future__ import annotations

from understudy.adapters.stage import mark
from understudy.contracts.release import Status
from understudy.contracts.rollout import PutOnStageEvent, RetirePreviousEvent, Stage
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain import traffic_moves
from understudy.domain.rollout import check_fence
from understudy.domain.traffic_moves import By, Move
from understudy.errors import InvalidInput, StageLost
from understudy.ports import ReleaseStore, TrafficStore


def put_on_stage(store: TrafficStore, releases: ReleaseStore, asked: PutOnStageEvent) -> Traffic:
    """Traffic with the release on this stage.

    Raises
    ------
    TrafficMoved, StageLost
        Another change came first; nothing is changed.
    """
    record = releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    standing, current = Standing(release=asked.release_id, slot=asked.slot), store.current()
    if asked.stage is None:
        by = By(f"{asked.rollout_id}:champion", asked.rollout_id, asked.at, "first release: the stage was empty")
        written = store.replace(None, traffic_moves.first(standing, by), asked.fence)
    else:
        if current is None:
            raise StageLost(asked.release_id, "nobody serves")
        written = _write(store, current, _move(current, standing, asked, asked.stage), asked)
    if written.champion == standing:
        _mark_champion(releases, written, asked.fence)
    return written


def _move(current: Traffic, standing: Standing, asked: PutOnStageEvent, stage: Stage) -> tuple[str, Move]:
    rollout_id = asked.rollout_id
    if stage.kind == "watch":
        by = By(f"{rollout_id}:promote", rollout_id, asked.at, f"{asked.release_id} promoted")
        return by.change_id, traffic_moves.promote(current, standing, by, holdback_bp=stage.holdback_bp)
    shown = f"{stage.share_bp} bp of the users" if stage.share_bp else "nobody yet, copies of requests"
    by = By(f"{rollout_id}:stage:{stage.share_bp}", rollout_id, asked.at, f"{asked.release_id} meets {shown}")
    return by.change_id, traffic_moves.stage(current, standing, by, share_bp=stage.share_bp, shadow_bp=stage.shadow_bp)


def _write(store: TrafficStore, current: Traffic, decided: tuple[str, Move], asked: PutOnStageEvent) -> Traffic:
    change_id, move = decided
    if move.traffic is not None:
        return store.replace(current, move.traffic, asked.fence)
    if current.change_id == change_id:
        return current  # ours: the reply was lost
    raise StageLost(asked.release_id, move.reason)


def _mark_champion(releases: ReleaseStore, traffic: Traffic, fence: int) -> None:
    """The word in the releases table follows traffic: the one before is `retired`, from where a rollback brings it back."""
    words: tuple[tuple[Standing | None, Status], ...] = ((traffic.champion, "champion"), (traffic.previous, "retired"))
    for standing, status in words:
        record = releases.get(standing.release) if standing is not None else None
        if record is not None:
            mark(releases, record, status, fence)


def retire_previous(store: TrafficStore, asked: RetirePreviousEvent) -> Traffic:
    """Traffic without a previous release.

    Raises
    ------
    TrafficMoved, FencedOff, StageLost
        Another change came first; nothing is changed.
    """
    current = store.current()
    check_fence(current, asked.fence)
    if current is None:
        raise StageLost(asked.rollout_id, "nobody serves")
    if current.previous is None:
        return current
    reason = f"{current.previous.release} is no longer kept"
    by = By(f"{asked.rollout_id}:retire:{current.previous.release}", asked.rollout_id, asked.at, reason)
    move = traffic_moves.retire_previous(current, by)
    return current if move.traffic is None else store.replace(current, move.traffic, asked.fence)
