"""A rollout as people see it while it runs: stage, share, time left, both arms, and what the judge says so far."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from cli.run_view import FINAL
from cli.site import Site
from understudy.adapters.aws import DynamoLeases
from understudy.adapters.aws_items import from_item
from understudy.domain.rollout import STAGE_LEASE

VERDICT_COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


@dataclass
class RolloutView:
    """A roll_out execution and what its looks leave behind, read anew by `refresh`; its clients are made once."""

    site: Site
    rollout_id: str
    status: str = ""  # of the execution; empty before there is one
    error: str = ""
    traffic: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)  # StateTable rollout#<rollout_id>
    wish: dict[str, Any] = field(default_factory=dict)  # StateTable wish#<rollout_id>
    holder: str = ""  # name of the execution that has the stage

    @cached_property
    def _states(self) -> Any:
        return self.site.client("stepfunctions")

    @cached_property
    def _dynamodb(self) -> Any:
        return self.site.client("dynamodb")

    def refresh(self) -> None:
        arn = self.site.outputs["RollOutMachineArn"].replace(":stateMachine:", ":execution:") + f":{self.rollout_id}"
        try:
            described = self._states.describe_execution(executionArn=arn)
            self.status, self.error = described["status"], str(described.get("error", ""))
        except self._states.exceptions.ExecutionDoesNotExist:
            self.status = ""
        self.traffic = self._item("TrafficTable", "traffic")
        self.seen = self._item("StateTable", f"rollout#{self.rollout_id}")
        self.wish = self._item("StateTable", f"wish#{self.rollout_id}")
        lease = DynamoLeases(self._dynamodb, self.site.outputs["LeaseTable"]).holder(STAGE_LEASE)
        self.holder = lease.owner.rpartition(":")[2] if lease else ""

    @property
    def ended(self) -> bool:
        return self.status in FINAL

    @property
    def stage(self) -> str:
        """In words; what comes before and after the stages has its own."""
        if not self.status:
            return "waits for its approval to be heard"
        if self.ended:
            return f"the rollout ended {self.status}"
        if self.holder and self.holder != self.rollout_id:
            back = self.holder.startswith(f"{self.rollout_id}-back-")
            return "is taken down" if back else f"waits for the stage, which {self.holder} has"
        if self.traffic.get("rollout_id") != self.rollout_id or not self.seen:
            return "is on its way into the free slot"
        if self.traffic.get("candidate"):
            return f"rehearses before {self.traffic['share_bp'] / 100:g} % of the users"
        if self.traffic.get("previous"):
            return f"serves; {self.traffic['holdback_bp'] / 100:g} % of the users stay with the one before, to compare"
        if self.traffic["champion"]["release"] == self.seen["release_id"]:
            return "serves everybody; the release before leaves its slot"
        return "is taken down"

    @property
    def seconds_left(self) -> float | None:
        """Of the stage that is looked at now; None between stages."""
        if not self.seen or self.ended or self.seen.get("action") in ("next", "roll_back"):
            return None
        return max(0.0, (datetime.fromisoformat(self.seen["ends_at"]) - datetime.now(UTC)).total_seconds())

    def panel(self) -> RenderableType:
        left = self.seconds_left
        extended = ", extended once" if self.seen.get("extended") and left is not None else ""
        time_left = f"  ({left:.0f} s left{extended})" if left is not None else ""
        head = f"[bold]{self.rollout_id}[/] {self.stage}{time_left}"
        if not self.seen:
            return Group(head)
        verdict = self.seen["verdict"]
        said = f"verdict so far: [{VERDICT_COLOURS.get(verdict, 'white')}]{verdict}[/]  [dim]{self.seen['reason'][:300]}[/]"
        return Group(head, *self._asked(), arms_table(self.seen), said)

    def _asked(self) -> list[str]:
        """An operator's wish that has an effect now."""
        by, at = self.wish.get("by"), self.wish.get("at")
        if self.ended or not self.wish:
            return []
        if self.wish["ask"] == "pause":
            return [f"[yellow]paused[/] by {by} at {at}; understudy rollout resume"]
        if self.wish["ask"] == "promote" and self.wish.get("version") == self.traffic.get("version"):
            return [f"{by} asked at {at} to go on to the next stage"]
        return []

    def facts(self) -> dict[str, Any]:
        """What the panel shows, as values."""
        return {
            "rollout_id": self.rollout_id,
            "status": self.status or "NOT_STARTED",
            "error": self.error,
            "stage": self.stage,
            "seconds_left": self.seconds_left,
            "wish": self.wish or None,
            "seen": self.seen or None,
        }

    def _item(self, output: str, key: str) -> dict[str, Any]:
        answer = self._dynamodb.get_item(
            TableName=self.site.outputs[output], Key={"id": {"S": key}}, ConsistentRead=True
        )
        return from_item(answer["Item"]) if "Item" in answer else {}


def arms_table(seen: dict[str, Any]) -> Table:
    """Both arms of the window that is judged, as the judge counted them, and the difference of their clicks."""
    windows = seen.get("evidence", {}).get("windows") or [{}]
    table = Table()
    for title in ("arm", "requests", "errors", "degraded", "users' buckets", "clicks/impression", "difference"):
        table.add_column(title, justify="left" if title == "arm" else "right")
    for arm in ("candidate", "champion"):
        counts = windows[-1].get(arm) or {}
        cells = [str(counts.get(name, 0)) for name in ("requests", "errors", "degraded", "buckets")]
        table.add_row(
            arm, *cells, click_rate(counts), difference(seen.get("evidence", {})) if arm == "candidate" else ""
        )
    return table


def click_rate(counts: dict[str, Any]) -> str:
    return f"{counts['clicks'] / counts['impressions']:.4f}" if counts.get("impressions") else "–"


def difference(evidence: dict[str, Any]) -> str:
    """Relative difference of clicks per impression with the interval that holds at every look."""
    known = (evidence.get("metrics", {}).get("clicks") or {}).get("relative_difference")
    if not known:
        return "–"
    return f"{known['estimate']:+.0%} ({known['low']:+.0%} to {min(known['high'], 9.99):+.0%})"


def read_verdicts(site: Site, rollout_id: str) -> list[dict[str, Any]]:
    """Final verdicts of a rollout's stages, in order, from the artifact bucket."""
    s3, bucket = site.client("s3"), site.outputs["ArtifactBucket"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"verdicts/{rollout_id}/").get("Contents", [])
    return [
        json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in sorted(row["Key"] for row in listed)
    ]
