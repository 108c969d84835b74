"""functions/start_rollout: an approval starts one rollout under the release's own name, or says why not."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases
from understudy.settings import StartRolloutSettings


class Registry:
    """Two packages of one release, each with its approval."""

    def __init__(self, two_tower: str = "Approved", ranker: str = "Approved") -> None:
        self.approvals = {"understudy-two-tower": two_tower, "understudy-ranker": ranker}
        self.release_id = release().release_id
        self.why: set[str] = set()

    def update_model_package(self, ModelPackageArn: str, ModelApprovalStatus: str, ApprovalDescription: str) -> None:
        self.approvals[ModelPackageArn.split("/")[1]] = ModelApprovalStatus
        self.why.add(ApprovalDescription)

    def describe_model_package(self, ModelPackageName: str) -> dict:
        group = ModelPackageName.split("/")[1]
        return {
            "ModelApprovalStatus": self.approvals[group],
            "CustomerMetadataProperties": {"release_id": self.release_id},
        }


class States:
    """As AWS: the same name and input of a running execution is that execution, of one that ended an error."""

    class exceptions:
        class ExecutionAlreadyExists(Exception):
            pass

    def __init__(self) -> None:
        self.started: list[tuple[str, dict]] = []
        self.ended = False
        self.lost_replies = 0

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:
        if name not in dict(self.started):
            self.started.append((name, json.loads(input)))
        elif self.ended:
            raise self.exceptions.ExecutionAlreadyExists
        if self.lost_replies:
            self.lost_replies -= 1
            raise TimeoutError("read timed out after the execution was started")


@pytest.fixture
def door(monkeypatch):
    module = load_door("start_rollout")
    parts = SimpleNamespace(releases=MemoryReleases(release()), sagemaker=Registry(), states=States())
    settings = StartRolloutSettings(releases_table="r", roll_out_machine_arn="arn:roll-out")
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def test_an_approved_release_starts_its_rollout(door):
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert answer["action"] == "start"
    assert door.parts.states.started == [(release().release_id, {"release_id": release().release_id})]
    assert door.parts.releases.get(release().release_id).status == "approved"


@pytest.mark.parametrize("ended", [False, True], ids=["while it runs", "after it ended"])
def test_the_event_delivered_three_times_starts_one_rollout(door, ended):
    door.handler(golden("start_rollout/approved"), CONTEXT)
    door.parts.states.ended = ended
    answers = [door.handler(golden("start_rollout/approved"), CONTEXT) for _ in range(2)]
    assert {answer["action"] for answer in answers} == ({"leave"} if ended else {"start"})
    assert len(door.parts.states.started) == 1


def test_a_lost_reply_of_start_execution_is_asked_again_and_starts_one_rollout(door):
    door.parts.states.lost_replies = 1
    with pytest.raises(TimeoutError):
        door.handler(golden("start_rollout/approved"), CONTEXT)
    assert door.handler(golden("start_rollout/approved"), CONTEXT)["action"] == "start"
    assert len(door.parts.states.started) == 1


@pytest.mark.parametrize("status", ["champion", "rejected", "retired"])
def test_an_event_that_comes_again_after_everything_changes_nothing(door, status):
    door.parts.releases._records[release().release_id] = release(status=status)
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert (answer["action"], answer["reason"]) == ("leave", f"its status is {status}")
    assert door.parts.states.started == []
    assert door.parts.releases.get(release().release_id).status == status


@pytest.mark.parametrize("late", ["understudy-two-tower", "both"])
def test_an_approval_after_the_release_lapsed_starts_nothing_and_the_registry_says_why(door, late):
    lapsed = release(status="rejected", status_reason="nobody approved both its packages within 7 days")
    door.parts.releases._records[lapsed.release_id] = lapsed
    if late != "both":
        door.parts.sagemaker.approvals["understudy-ranker"] = "Rejected"
    answers = [door.handler(golden("start_rollout/approved"), CONTEXT) for _ in range(2)]
    assert {answer["action"] for answer in answers} == {"leave"}
    assert late != "both" or "nobody approved both its packages within 7 days" in answers[0]["reason"]
    assert door.parts.states.started == []
    assert set(door.parts.sagemaker.approvals.values()) == {"Rejected"}
    assert door.parts.sagemaker.why == {"approved too late: nobody approved both its packages within 7 days"}


@pytest.mark.parametrize("status", ["champion", "retired"])
def test_packages_of_a_release_that_served_keep_their_word(door, status):
    door.parts.releases._records[release().release_id] = release(status=status)
    door.handler(golden("start_rollout/approved"), CONTEXT)
    assert set(door.parts.sagemaker.approvals.values()) == {"Approved"}


def test_half_an_approval_starts_nothing(door):
    door.parts.sagemaker.approvals["understudy-ranker"] = "PendingManualApproval"
    answer = door.handler(golden("start_rollout/approved"), CONTEXT)
    assert answer["action"] == "leave"
    assert "PendingManualApproval" in answer["reason"]
    assert door.parts.states.started == []


def test_somebody_elses_package_is_left_alone(door):
    door.parts.sagemaker.release_id = "not-ours"
    assert door.handler(golden("start_rollout/approved"), CONTEXT)["action"] == "leave"
