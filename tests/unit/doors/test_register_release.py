"""functions/register_release: what passed the gate is registered once; what did not is listed as rejected."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryLeases, MemoryReleases
from understudy.adapters.own_monitors import OwnMonitors
from understudy.contracts.monitor import Kind
from understudy.errors import InvalidInput, LeaseHeld, LeaseLost
from understudy.settings import RegisterReleaseSettings

EVENT = golden("register_release/passed")
RELEASE = EVENT["plan"]["release_id"]
BUCKET = "understudy-artifactbucket-1"
SERVING = {
    "feature_set": "1",
    "tower_id": "t" * 64,
    "ranker_id": "k" * 64,
    "model_digests": {"two_tower": "a" * 64, "ranker": "b" * 64},
    "ranker_columns": [["user_age", "number", None], ["position", "number", 1]],
    "crosses": [{"name": "topic_affinity", "user": "topic_shares_30d", "item": "topic", "default": 0.0}],
    "item_fields": ["item_id", "title"],
    "popular": [f"i-{n}" for n in range(120)],
}
INDEX = {
    "index": f"items-{RELEASE}",
    "tower_id": "t" * 64,
    "count": 1500,
    "recall_at_100": 0.999,
    "recall_at_100_filtered": 0.99,
    "documents_per_s": 12_000.0,
    "dead_letters": 0,
    "index_query": {"factor": 1.0, "factor_filtered": 1.5},
}
BASELINE_FILES = [f"{kind}/{name}" for kind in get_args(Kind) for name in ("statistics.json", "constraints.json")]
BASELINE = {"files": [{"path": path} for path in BASELINE_FILES], "release_id": RELEASE, "ranker_id": "k" * 64}


class Registry:
    """Model packages and finished jobs, as much of SageMaker as registration touches."""

    def __init__(self) -> None:
        self.packages: dict[str, dict[str, Any]] = {}

    def get_paginator(self, _name: str) -> Any:
        def paginate(ModelPackageGroupName: str, **_: Any) -> list[dict[str, Any]]:
            return [
                {
                    "ModelPackageSummaryList": [
                        {"ModelPackageArn": arn} for arn in self.packages if f"/{ModelPackageGroupName}/" in arn
                    ]
                }
            ]

        return SimpleNamespace(paginate=paginate)

    def create_model_package(self, ModelPackageGroupName: str, **facts: Any) -> dict[str, str]:
        arn = f"arn:aws:sagemaker:us-east-1:123456789012:model-package/{ModelPackageGroupName}/{len(self.packages) + 1}"
        self.packages[arn] = facts
        return {"ModelPackageArn": arn}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return self.packages[ModelPackageName]

    def update_model_package(self, ModelPackageArn: str, **changes: Any) -> None:
        self.packages[ModelPackageArn] |= changes

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        return {"BillableTimeInSeconds": 360, "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}}

    def describe_processing_job(self, ProcessingJobName: str) -> dict[str, Any]:
        from datetime import UTC, datetime, timedelta

        start = datetime(2026, 11, 23, 4, tzinfo=UTC)
        cluster = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1}
        return {
            "ProcessingStartTime": start,
            "ProcessingEndTime": start + timedelta(seconds=180),
            "ProcessingResources": {"ClusterConfig": cluster},
        }


@pytest.fixture
def door(artifacts, monkeypatch):
    module: Any = load_door("register_release")
    settings = RegisterReleaseSettings(
        releases_table="r",
        lease_table="l",
        artifact_bucket=BUCKET,
        two_tower_package_group="understudy-two-tower",
        ranker_package_group="understudy-ranker",
        approval="auto",
        inference_image_uri="image",
    )
    parts = SimpleNamespace(
        settings=settings,
        leases=MemoryLeases(),
        releases=MemoryReleases(),
        s3=artifacts,
        sagemaker=Registry(),
        monitors=OwnMonitors(),
    )
    monkeypatch.setattr(module, "world", lambda: module.World(**vars(parts)))
    module.parts = parts
    write_outputs(artifacts, gate={"passed": True, "reasons": ["recall@10 beats popularity"]})
    return module


def write_outputs(s3: Any, gate: dict[str, Any], **changes: Any) -> None:
    documents = {
        (EVENT["prepared"]["uri"], "manifest"): {"files": [], "window": ["a", "b"], "snapshots": {"events": 1}},
        (EVENT["index"]["uri"], "manifest"): INDEX | changes.get("index", {}),
        (EVENT["evaluation"]["uri"], "serving"): SERVING,
        (EVENT["evaluation"]["uri"], "evaluation"): {
            "release_id": changes.get("release_id", RELEASE),
            "candidate": {"recall": {"recall_at_10": 0.2}, "ranking": {"auc": 0.7}},
            "gate": gate,
        },
        (EVENT["baseline"]["uri"], "manifest"): BASELINE | changes.get("baseline", {}),
    }
    for (uri, name), document in documents.items():
        s3.put_object(
            Bucket=BUCKET, Key=f"{uri.removeprefix(f's3://{BUCKET}/')}/{name}.json", Body=json.dumps(document).encode()
        )


def test_a_passed_release_is_registered_with_lineage_cost_and_two_approved_packages(door):
    answer = door.handler(EVENT, CONTEXT)
    record = door.parts.releases.get(RELEASE)
    assert (answer["registered"], answer["status"]) == (True, "registered")  # start_rollout marks it approved
    assert {package["ModelApprovalStatus"] for package in door.parts.sagemaker.packages.values()} == {"Approved"}
    assert record.index_query.factor_filtered == 1.5
    assert record.lineage["snapshots"] == {"events": 1}
    assert len(record.popular) == 100
    assert record.baseline_s3 == EVENT["baseline"]["uri"]
    assert answer["cost_usd"] == pytest.approx((2 * 360 + 5 * 180) / 3600 * 0.23, abs=1e-6)
    manifest = door.parts.s3.get_object(Bucket=BUCKET, Key=f"releases/{RELEASE}/manifest.json")["Body"].read()
    assert json.loads(manifest)["release_id"] == RELEASE


def test_registering_again_registers_nothing_twice(door):
    first, second = door.handler(EVENT, CONTEXT), door.handler(EVENT, CONTEXT)
    assert first == second
    assert len(door.parts.sagemaker.packages) == 2


def test_a_crash_between_registry_and_table_leaves_no_second_package(door, monkeypatch):
    monkeypatch.setattr(
        door.parts.releases, "register", lambda record: (_ for _ in ()).throw(ConnectionError("killed"))
    )
    with pytest.raises(ConnectionError):
        door.handler(EVENT, CONTEXT)
    monkeypatch.undo()
    monkeypatch.setattr(door, "world", lambda: door.World(**vars(door.parts)))
    door.handler(EVENT, CONTEXT)
    assert len(door.parts.sagemaker.packages) == 2


def test_a_rejected_release_is_listed_with_its_reasons_and_enters_no_registry(door):
    write_outputs(door.parts.s3, gate={"passed": False, "reasons": ["AUC fell by .03"]})
    answer = door.handler(EVENT, CONTEXT)
    assert (answer["registered"], answer["reasons"]) == (False, ["AUC fell by .03"])
    assert door.parts.releases.get(RELEASE).status == "rejected"
    assert door.parts.sagemaker.packages == {}


def test_manual_approval_leaves_the_release_pending_for_a_person(door):
    import dataclasses

    door.parts.settings = dataclasses.replace(door.parts.settings, approval="manual")
    assert door.handler(EVENT, CONTEXT)["status"] == "pending"
    assert {package["ModelApprovalStatus"] for package in door.parts.sagemaker.packages.values()} == {
        "PendingManualApproval"
    }


def test_a_night_whose_lease_another_one_holds_registers_nothing(door):
    from datetime import UTC, datetime

    door.parts.leases.acquire("night", "arn:another-night", 3600, datetime.now(UTC))
    with pytest.raises(LeaseHeld, match="arn:another-night"):
        door.handler(EVENT, CONTEXT)
    assert door.parts.releases.list() == []


def test_a_night_that_slept_while_a_later_one_registered_is_refused_by_its_fence(door):
    """Its lease ran out, another night took it, registered and gave it back: the lease is free, the fence is not."""
    fence = EVENT["plan"]["fence"]
    door.parts.releases.register(release("r-later", lineage={"night_fence": fence + 1}))
    with pytest.raises(LeaseLost, match=f"fence {fence}"):
        door.handler(EVENT, CONTEXT)
    assert [record.release_id for record in door.parts.releases.list()] == ["r-later"]
    assert door.parts.sagemaker.packages == {}


def test_a_night_that_was_redriven_registers_although_its_lease_was_given_back_meanwhile(door):
    door.parts.releases.register(release("r-before", lineage={"night_fence": EVENT["plan"]["fence"] - 1}))
    assert door.handler(EVENT, CONTEXT)["registered"]


def test_a_retrain_by_drift_says_so_in_its_lineage_and_in_its_packages(door):
    drift = {"reason": "drift: bias", "episode": "20261123t140507-12be", "alarms": ["understudy-drift-bias"]}
    door.handler({**EVENT, "plan": {**EVENT["plan"], **drift}}, CONTEXT)
    lineage = door.parts.releases.get(RELEASE).lineage
    assert {key: lineage[key] for key in drift} == drift
    for package in door.parts.sagemaker.packages.values():
        told = package["CustomerMetadataProperties"]
        assert (told["episode"], told["alarms"]) == ("20261123t140507-12be", "understudy-drift-bias")


@pytest.mark.parametrize(
    "changes",
    [
        {"index": {"tower_id": "u" * 64}},
        {"index": {"index": "items-r-other"}},
        {"release_id": "r-other"},
        {"baseline": {"release_id": "r-other"}},
        {"baseline": {"ranker_id": "l" * 64}},
    ],
    ids=["tower", "index", "evaluation", "baseline", "baseline's ranker"],
)
def test_parts_of_two_releases_are_never_registered_as_one(door, changes):
    write_outputs(door.parts.s3, gate={"passed": True, "reasons": []}, **changes)
    with pytest.raises(InvalidInput):
        door.handler(EVENT, CONTEXT)
    assert door.parts.releases.list() == []


def test_a_release_that_no_monitor_could_compare_is_not_registered(door):
    lacking = [{"path": path} for path in BASELINE_FILES if path != "bias/constraints.json"]
    write_outputs(door.parts.s3, gate={"passed": True, "reasons": []}, baseline={"files": lacking})
    with pytest.raises(InvalidInput, match=r"lacks bias/constraints\.json"):
        door.handler(EVENT, CONTEXT)
    assert door.parts.releases.list() == []
    assert door.parts.sagemaker.packages == {}
