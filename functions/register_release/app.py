"""A night's work is done: what passed the gate enters the registry and the releases table, once; what did not is listed as rejected.

In   RegisterEvent: the plan and where each stage's work lies   events/register_release/*.json
Out  Registration; LeaseHeld when another night took over meanwhile
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, DynamoReleases, client
from understudy.adapters.gauges import tell_night
from understudy.adapters.own_monitors import OwnMonitors
from understudy.adapters.registration import enter_registry, read_outputs, runs_of
from understudy.adapters.registry import approve
from understudy.adapters.work import write_json
from understudy.contracts.nightly import RegisterEvent, Registration
from understudy.domain.night import NIGHT_LEASE
from understudy.domain.registration import check_fence, check_one_release, record_of
from understudy.ports import MonitorBackend
from understudy.settings import RegisterReleaseSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: RegisterReleaseSettings
    leases: DynamoLeases
    releases: DynamoReleases
    s3: Any
    sagemaker: Any
    monitors: MonitorBackend


@cache
def world() -> World:
    s, dynamodb = RegisterReleaseSettings.from_env(), client("dynamodb")
    return World(
        s,
        DynamoLeases(dynamodb, s.lease_table),
        DynamoReleases(dynamodb, s.releases_table),
        client("s3"),
        client("sagemaker"),
        OwnMonitors(),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked, now = world(), RegisterEvent.model_validate(event), datetime.now(UTC)
    w.leases.acquire(NIGHT_LEASE, asked.plan.execution_arn, w.settings.night_ttl_s, now)  # while another runs: refused
    outputs = read_outputs(w.s3, asked)
    check_one_release(asked, outputs)
    w.monitors.watch(asked.plan.release_id, asked.baseline.uri, [file["path"] for file in outputs.baseline["files"]])
    record = w.releases.get(asked.plan.release_id)
    if record is None:
        check_fence(asked.plan, w.releases.list())  # another ran and has registered since: refused
        packages = (
            enter_registry(w.sagemaker, w.settings, asked, outputs) if outputs.evaluation["gate"]["passed"] else {}
        )
        record = w.releases.register(
            record_of(asked, outputs, runs=runs_of(w.sagemaker, asked), packages=packages, created_at=now)
        )
        tell_night(record)
    write_json(
        w.s3, f"s3://{w.settings.artifact_bucket}/releases/{record.release_id}/manifest.json", record.immutable()
    )
    if record.status == "registered":
        status = "approved" if w.settings.approval == "auto" else "pending"
        for package in filter(
            None, [record.two_tower_package_arn, record.ranker_package_arn] if status == "approved" else []
        ):
            approve(w.sagemaker, package, "passed the gate; Approval=auto")
        if status == "pending":
            record = w.releases.move_status(record, "pending", record.fence)
    logger.info("night's release", release_id=record.release_id, status=record.status, gate=record.gate)
    return Registration(
        release_id=record.release_id,
        registered=record.status != "rejected",
        status=record.status,
        reasons=record.gate.get("reasons", []),
        metrics=record.metrics,
        cost_usd=record.lineage.get("cost_usd"),
    ).model_dump()
