"""What a monitor's plan reads and writes: who is on stage, which log objects may hold the window, lists of them for the job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from understudy.adapters import model_code
from understudy.contracts.monitor import MonitorInput, MonitorPlan, PlanMonitorEvent
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Traffic
from understudy.domain.monitoring import (
    LABELS_UNTIL,
    MOST_LATE,
    Pace,
    hour_folder,
    job_name,
    report_folder,
    who_served,
    window_of,
)
from understudy.domain.night import Code
from understudy.errors import InvalidInput
from understudy.ports import ReleaseStore
from understudy.settings import PlanMonitorSettings

SLOTS = ("blue", "green")
_SAMPLED_OBJECTS, _SAMPLED_BYTES = 6, 262_144  # enough to know whose day it was
_HOUR_CHARACTERS = len("yyyy/mm/dd/hh")


def plan_monitor(
    event: PlanMonitorEvent,
    settings: PlanMonitorSettings,
    *,
    traffic: Traffic | None,
    releases: ReleaseStore,
    s3: Any,
    code_root: Path,
) -> MonitorPlan:
    """Window, release, inputs and names of one run.

    Raises
    ------
    InvalidInput
        The release that served is not in the table.
    """
    s, asked = settings, event.request
    pace = Pace(s.monitor_period_seconds, s.settle_s, s.label_days)
    start, end = window_of(asked, event.started_at, pace)
    folder = f"s3://{s.artifact_bucket}/{report_folder(asked, start)}"
    plan = MonitorPlan(
        action="nothing",
        reason="no release is on stage",
        kind=asked.kind,
        window_start=start,
        window_end=end,
        labels=asked.labels,
        job=job_name(asked.kind, event.run_id),
        endpoint=s.ranker_endpoint,
        schedule=f"{s.stack}-{asked.kind}",
        resolution=pace.resolution,  # type: ignore[arg-type]
        report_uri=folder,
    )
    if traffic is None:
        return plan
    found = log_objects(s3, s, start, end)
    release_id = traffic.champion.release
    if asked.labels == "complete":  # days ago another release may have served
        release_id = who_served(_releases_in(s3, s.lake_bucket, found["served"], start, end), release_id)
    if missing := [name for name in ("served", "capture") if not found[name]]:
        why = f"Job inputs had no data: the lake holds no object of {' and '.join(missing)} for the window"
        return plan.model_copy(update={"action": "no_data", "reason": why, "release_id": release_id})
    record = releases.get(release_id)
    if record is None:
        raise InvalidInput(f"release {release_id}, which served, is not in the table", "a registered release")
    lists = [_put_list(s3, s.lake_bucket, f"{folder}/inputs/{name}.json", keys, name) for name, keys in found.items()]
    code = model_code.publish(s3, s.artifact_bucket, code_root)
    inputs = [*_folders(record, code), *(one for one in lists if one is not None)]
    return plan.model_copy(update={"action": "run", "reason": asked.reason, "release_id": release_id, "inputs": inputs})


def log_objects(s3: Any, s: PlanMonitorSettings, start: datetime, end: datetime) -> dict[str, list[str]]:
    """Keys of the objects that may hold something of the window, by what they are of; more than the window is harmless."""
    first, last = hour_folder(start), hour_folder(end + MOST_LATE)
    captures = [f"capture/{s.ranker_endpoint}/{slot}/" for slot in SLOTS]
    return {
        "capture": [key for prefix in captures for key in _keys(s3, s.lake_bucket, prefix, first, last)],
        "served": list(_keys(s3, s.lake_bucket, "served/", first, last)),
        "feedback": list(_keys(s3, s.lake_bucket, "feedback/", first, hour_folder(end + LABELS_UNTIL))),
    }


def _keys(s3: Any, bucket: str, prefix: str, first: str, last: str) -> Iterator[str]:
    """Keys below hour folders first … last: names sort as time does, so the listing begins and ends with them."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=prefix + first)
    for page in pages:
        for entry in page.get("Contents", []):
            if entry["Key"][len(prefix) :][:_HOUR_CHARACTERS] > last:
                return
            yield entry["Key"]


def _releases_in(s3: Any, bucket: str, keys: Sequence[str], start: datetime, end: datetime) -> Iterator[str]:
    """Releases of the lists that the beginnings of a few objects, spread over the window, tell of."""
    for key in keys[:: max(1, len(keys) // _SAMPLED_OBJECTS)]:
        answer = s3.get_object(Bucket=bucket, Key=key, Range=f"bytes=0-{_SAMPLED_BYTES - 1}")
        for line in answer["Body"].read().splitlines():
            try:
                record = json.loads(line)
                if start <= datetime.fromisoformat(record["event_time"]) < end:
                    yield str(record["release_id"])
            except (ValueError, KeyError, TypeError):
                continue  # the last line is cut off by the range


def _put_list(s3: Any, bucket: str, uri: str, keys: Sequence[str], name: str) -> MonitorInput | None:
    """A ManifestFile of SageMaker: no folder of the lake is as narrow as a window."""
    if not keys:
        return None
    place, _, key = uri.removeprefix("s3://").partition("/")
    body = json.dumps([{"prefix": f"s3://{bucket}/"}, *keys]).encode()
    s3.put_object(Bucket=place, Key=key, Body=body, ContentType="application/json")
    return MonitorInput(name=name, uri=uri, data_type="ManifestFile")


def _folders(record: ReleaseRecord, code: Code) -> list[MonitorInput]:
    """The code as deployed with the machine that calls it, and what the release has to be compared with."""
    return [
        MonitorInput(name="code", uri=code.uri),
        MonitorInput(name="wheelhouse", uri=code.wheelhouse_uri),
        MonitorInput(name="baseline", uri=record.baseline_s3),
        MonitorInput(name="users", uri=f"{record.prepared_s3}/users"),
    ]
