"""Killed at every call, before or after its effect: the event told again, or the sweep, brings it to the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from support.reacting import NEW, NOW, create_tables, occasion, reactor
from understudy.adapters.answering import Reactor
from understudy.adapters.aws import DynamoLeases
from understudy.adapters.reactions import DynamoEpisodes, DynamoReactions
from understudy.adapters.stage_looks import RolloutState
from understudy.domain import traffic_moves
from understudy.domain.traffic_moves import By

MOST_CALLS = 40


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("dynamodb", region_name="us-east-1")


class Killed(BaseException):
    """No `except Exception` may catch what ends a process."""


class Fuse:
    """Lets a number of calls through and kills at the next: before it was made, or when it was made and not yet answered."""

    def __init__(self, calls: int, after: bool) -> None:
        self.left, self.after, self.blown = calls, after, False

    def around(self, client: Any) -> Any:
        return _Fused(client, self)


class _Fused:
    def __init__(self, client: Any, fuse: Fuse) -> None:
        self._client, self._fuse = client, fuse

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if not callable(member) or name == "exceptions":
            return member

        def call(*given: Any, **named: Any) -> Any:
            fuse = self._fuse
            fuse.left -= 1
            if fuse.left == -1 and not fuse.after:
                fuse.blown = True
                raise Killed
            answer = member(*given, **named)
            if fuse.left == -1:
                fuse.blown = True
                raise Killed
            return answer

        return call


def fused(whole: Reactor, dynamodb: Any, tables: Any, fuse: Fuse) -> Reactor:
    """The same world through clients that may die."""
    wire = fuse.around(dynamodb)
    return replace(
        whole,
        leases=DynamoLeases(wire, tables.leases),
        episodes=DynamoEpisodes(wire, tables.state),
        reactions=DynamoReactions(wire, tables.reactions),
        rollouts=RolloutState(wire, tables.state),
        states=fuse.around(whole.states),
        functions=fuse.around(whole.functions),
    )


def drift(house: Reactor) -> str:
    house.alarms.ring("drift-bias")
    return "drift-bias"


def health(house: Reactor) -> str:
    now = house.traffic.current()
    move = traffic_moves.stage(now, NEW, By("c", "r-new", NOW - timedelta(hours=1), "stage"), share_bp=1000)
    house.traffic.replace(now, move.traffic, 2)
    house.alarms.ring("health-green")
    return "health-green"


def again(house: Reactor, what: str) -> None:
    for minutes in (1, 2):
        house.answer(occasion(what), NOW + timedelta(minutes=minutes))


def swept(house: Reactor, what: str) -> None:
    del what
    for minutes in (15, 30):
        house.sweep(NOW + timedelta(minutes=minutes))


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("mended_by", [again, swept], ids=["told again", "swept"])
@pytest.mark.parametrize(("sets", "action"), [(drift, "retrain"), (health, "roll_back")], ids=["drift", "health"])
def test_killed_at_any_call_it_comes_to_the_same_end(
    dynamodb: Any, sets: Callable[[Reactor], str], action: str, mended_by: Callable[[Reactor, str], None], after: bool
) -> None:
    for calls in range(MOST_CALLS):
        tables, fuse = create_tables(dynamodb, f"-{calls}"), Fuse(calls, after)
        house = reactor(dynamodb, tables)
        what = sets(house)
        with suppress(Killed):
            fused(house, dynamodb, tables, fuse).answer(occasion(what), NOW)
        mended_by(house, what)
        written = house.reactions.get(occasion(what))
        assert written is not None, calls
        assert (written.action, written.settled, list(house.states.started)) == (action, True, [written.execution]), (
            calls
        )
        if not fuse.blown:
            break
    assert 4 < calls < MOST_CALLS - 1
