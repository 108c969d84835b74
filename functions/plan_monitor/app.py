"""A monitor's turn: which window it looks at, whose lists, and which objects of the lake may hold them.

In   {run_id, started_at, request: {kind, window_start?, window_end?, labels?, reason?}}   events/plan_monitor/*.json
Out  MonitorPlan; action `nothing` while nobody is on stage, `no_data` when the lake holds nothing of the window
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters import model_code
from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.monitoring import plan_monitor
from understudy.contracts.monitor import MonitorPlan, PlanMonitorEvent
from understudy.observability import count
from understudy.settings import PlanMonitorSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: PlanMonitorSettings
    traffic: DynamoTraffic
    releases: DynamoReleases
    s3: Any


@cache
def world() -> World:
    s, dynamodb = PlanMonitorSettings.from_env(), client("dynamodb")
    traffic, releases = DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)
    return World(s, traffic, releases, client("s3"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), PlanMonitorEvent.model_validate(event)
    stores, root = {"traffic": w.traffic.current(), "releases": w.releases, "s3": w.s3}, model_code.find_root()
    plan = plan_monitor(asked, w.settings, **stores, code_root=root)
    logger.info("monitor planned", **plan.model_dump(mode="json", exclude={"inputs"}))
    if plan.action == "nothing":
        tell_run(plan, w.settings.monitor_namespace)
    return plan.model_dump(mode="json")


def tell_run(plan: MonitorPlan, namespace: str) -> None:
    """Count the turn as a run, which its job would do: where there is nothing to monitor yet, silence is no fault."""
    count({"runs": (1, "None")}, {"Endpoint": plan.endpoint, "MonitoringSchedule": plan.schedule}, namespace=namespace)
