"""functions/settle_approvals: approvals that do not come, or are refused, end in `rejected`; one that came in time stands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.approvals import Settling, settle
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.approvals import PackageWord, why_rejected
from understudy.errors import ReleaseMoved

MADE = release().created_at
DAYS = 7.0
PENDING, APPROVED, REJECTED = (PackageWord(status) for status in ("PendingManualApproval", "Approved", "Rejected"))


class Registry:
    """Packages by ARN, each with its word."""

    def __init__(self) -> None:
        self.words = {arn: PENDING for arn in (release().two_tower_package_arn, release().ranker_package_arn)}

    def describe_model_package(self, ModelPackageName: str) -> dict:
        word = self.words[ModelPackageName]
        return {"ModelApprovalStatus": word.status, "ApprovalDescription": word.why}

    def update_model_package(self, ModelPackageArn: str, ModelApprovalStatus: str, ApprovalDescription: str) -> None:
        self.words[ModelPackageArn] = PackageWord(ModelApprovalStatus, ApprovalDescription)


class Indices:
    def __init__(self, *names: str) -> None:
        self.names = set(names)

    def there(self) -> list[str]:
        return sorted(self.names)

    def delete(self, name: str) -> None:
        self.names.discard(name)


class States:
    def __init__(self) -> None:
        self.running: list[str] = []

    def get_paginator(self, _operation: str) -> SimpleNamespace:
        rows = [{"name": name} for name in self.running]
        return SimpleNamespace(paginate=lambda **_: [{"executions": rows}])


class Functions:
    def __init__(self) -> None:
        self.told: list[str] = []

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        self.told.append(Payload.decode())


@pytest.fixture
def world() -> Settling:
    record = release(status="pending")
    return Settling(
        MemoryTraffic(), MemoryReleases(record), Registry(), States(), Functions(), Indices(record.index, "items-other"),
        "arn:roll-out", "notify", DAYS,
    )  # fmt: skip


def after(days: float) -> datetime:
    return MADE + timedelta(days=days)


def status(world: Settling) -> str:
    return world.releases.get(release().release_id).status


def test_who_waits_is_left_alone_until_the_last_moment(world):
    assert settle(world, after(DAYS) - timedelta(seconds=1)) == {"rejected": {}, "cleared": []}
    assert status(world) == "pending"
    assert world.functions.told == []


def test_a_release_that_nobody_approved_lapses_with_packages_index_and_a_word_to_people(world):
    settled = settle(world, after(DAYS))
    reason = "nobody approved both its packages within 7 days"
    assert settled == {"rejected": {release().release_id: reason}, "cleared": [release().index]}
    record = world.releases.get(release().release_id)
    assert (record.status, record.status_reason) == ("rejected", reason)
    assert set(world.sagemaker.words.values()) == {PackageWord("Rejected", reason)}
    assert world.indices.names == {"items-other"}
    assert len(world.functions.told) == 1
    assert reason in world.functions.told[0]


def test_settling_again_changes_nothing_and_tells_nobody(world):
    settle(world, after(DAYS))
    assert settle(world, after(DAYS + 1)) == {"rejected": {}, "cleared": []}
    assert len(world.functions.told) == 1


@pytest.mark.parametrize("dies_at", ["update_model_package", "delete"])
def test_a_sweep_that_died_is_finished_by_the_next(world, monkeypatch, dies_at):
    part = world.sagemaker if dies_at == "update_model_package" else world.indices
    with monkeypatch.context() as dead:
        dead.setattr(part, dies_at, None)
        with pytest.raises(TypeError):
            settle(world, after(DAYS))
    assert settle(world, after(DAYS))["cleared"] == [release().index]
    assert {word.status for word in world.sagemaker.words.values()} == {"Rejected"}


def test_an_approval_at_the_same_moment_stands(world, monkeypatch):
    def approved_first(*_args: object, **_more: object) -> None:
        raise ReleaseMoved(release().release_id, 1, "approved")

    monkeypatch.setattr(world.releases, "move_status", approved_first)
    assert settle(world, after(DAYS)) == {"rejected": {}, "cleared": []}
    assert set(world.sagemaker.words.values()) == {PENDING}
    assert world.functions.told == []


@pytest.mark.parametrize("half", [0, 1])
def test_a_person_who_refuses_one_package_refuses_the_release(world, half):
    arn = list(world.sagemaker.words)[half]
    world.sagemaker.words[arn] = PackageWord("Rejected", "its titles are odd")
    assert settle(world, MADE)["rejected"] == {release().release_id: "rejected in the registry: its titles are odd"}
    assert status(world) == "rejected"
    assert {word.status for word in world.sagemaker.words.values()} == {"Rejected"}


@pytest.mark.parametrize(
    ("record", "packages", "rolls_out", "why"),
    [
        pytest.param("pending", (APPROVED, APPROVED), False, None, id="approved, and not heard yet"),
        pytest.param("pending", (APPROVED, PENDING), False, "nobody approved both", id="half an approval"),
        pytest.param("approved", (APPROVED, APPROVED), False, None, id="approved long ago"),
        pytest.param("approved", (REJECTED, APPROVED), True, None, id="refused while its rollout runs"),
        pytest.param("approved", (REJECTED, APPROVED), False, "rejected in the registry", id="refused before it began"),
        pytest.param("registered", (PENDING, PENDING), False, None, id="a night's work"),
        pytest.param("champion", (REJECTED, REJECTED), False, None, id="it serves"),
        pytest.param("retired", (REJECTED, REJECTED), False, None, id="it has left"),
    ],
)
def test_what_a_word_of_the_registry_makes_of_a_release(record, packages, rolls_out, why):
    found = why_rejected(release(status=record), packages, rolls_out=rolls_out, now=after(30), days=DAYS)
    assert (found is None) if why is None else (found or "").startswith(why)


def test_a_rejected_release_that_traffic_names_keeps_its_index(world):
    world.releases._records[release().release_id] = release(status="rejected")
    standing = Standing(release=release().release_id, slot="blue")
    world.traffic._traffic = Traffic(
        version=1, fence=1, change_id="c", rollout_id="r", champion=standing, salt="s", reason="", changed_at=MADE
    )
    assert settle(world, after(30))["cleared"] == []
    assert release().index in world.indices.names


def test_the_door_looks_now(world, monkeypatch):
    door = load_door("settle_approvals")
    monkeypatch.setattr(door, "world", lambda: world)
    old = release(status="pending", created_at=datetime.now(UTC) - timedelta(days=8))
    world.releases._records[old.release_id] = old
    assert list(door.handler(golden("settle_approvals/every_hour"), CONTEXT)["rejected"]) == [old.release_id]
