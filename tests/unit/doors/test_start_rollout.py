"""functions/start_rollout: an approval starts one rollout under the release's own name, or says why not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.settings import StartRolloutSettings


class Registry:
    """Two packages of one release, each with its approval."""

    def __init__(self, two_tower: str = "Approved", ranker: str = "Approved") -> None:
        self.approvals = {"understudy-two-tower": two_tower, "understudy-ranker": ranker}
        self.release_id = release().release_id

    def describe_model_package(self, ModelPackageName: str) -> dict:
        group = ModelPackageName.split("/")[1]
        return {
            "ModelApprovalStatus": self.approvals[group],
            "CustomerMetadataProperties": {"release_id": self.release_id},
        }


class States:
    class exceptions:
        class ExecutionAlreadyExists(Exception):
            pass

    def __init__(self) -> None:
        self.started: list[tuple[str, dict]] = []

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:
        if name in dict(self.started):
            raise self.exceptions.ExecutionAlreadyExists
        self.started.append((name, json.loads(input)))


@pytest.fixture
def door(monkeypatch):
    module = load_door("start_rollout")
    parts = SimpleNamespace(
        traffic=MemoryTraffic(), releases=MemoryReleases(release()), sagemaker=Registry(), states=States()
    )
    settings = StartRolloutSettings(traffic_table="t", releases_table="r", roll_out_machine_arn="arn:roll-out")
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def test_an_approved_release_goes_to_the_empty_stage(door):
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert answer["action"] == "start"
    assert door.parts.states.started == [(release().release_id, {"release_id": release().release_id})]
    assert door.parts.releases.get(release().release_id).status == "approved"


def test_the_event_delivered_three_times_starts_one_rollout(door):
    answers = [door.handler(golden("start_rollout/approved"), CONTEXT)["action"] for _ in range(3)]
    assert answers == ["start", "leave", "leave"]
    assert len(door.parts.states.started) == 1


def test_half_an_approval_starts_nothing(door):
    door.parts.sagemaker.approvals["understudy-ranker"] = "PendingManualApproval"
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert answer["action"] == "leave"
    assert "PendingManualApproval" in answer["reason"]
    assert door.parts.states.started == []


def test_while_another_release_serves_the_new_one_is_listed_and_not_served(door):
    serving = Traffic(
        change_id="c",
        champion=Standing(release="r-0", slot="blue"),
        salt="s",
        reason="r",
        changed_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    door.parts.traffic.replace(None, serving, 1)
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert (answer["action"], door.parts.states.started) == ("leave", [])
    assert "r-0 serves" in answer["reason"]
    assert door.parts.releases.get(release().release_id).status == "approved"


def test_somebody_elses_package_is_left_alone(door):
    door.parts.sagemaker.release_id = "not-ours"
    assert door.handler(golden("start_rollout/approved"), CONTEXT)["action"] == "leave"
