"""What users did with each release, and what the monitors found: live clicks, NDCG and drift over time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from cli.job_costs import PARALLEL_READS
from cli.site import Site

MONITOR_KINDS = ("data-quality", "model-quality", "bias", "explainability", "ranking-quality")
QUERIES_A_CALL = 500
# Shortest period CloudWatch still has for a time that began so long ago, and no more than a few hundred points of each.
PERIODS = ((timedelta(hours=5), 60), (timedelta(days=1), 300), (timedelta(days=62), 3600))


@dataclass(frozen=True, slots=True)
class Clicks:
    """Impressions and clicks of one release in one period, as they were counted."""

    at: datetime
    release: str
    impressions: float
    clicks: float


@dataclass(frozen=True, slots=True)
class MonitorReport:
    """One window a monitor looked at. `ndcg` is of ranking quality only; None where it is not defined."""

    kind: str
    start: datetime
    end: datetime
    release: str
    drift: int
    schema: int
    ndcg: float | None
    complete: bool


def period_of(span: timedelta) -> int:
    """Seconds of a datapoint for a plot of this span.

    Examples
    --------
    >>> [period_of(timedelta(days=days)) for days in (0.1, 0.5, 7)]
    [60, 300, 3600]
    """
    return next((period for most, period in PERIODS if span <= most), 86400)


def read_clicks(site: Site, releases: Iterable[str], since: datetime, until: datetime) -> list[Clicks]:
    """Live clicks by release and period, oldest first, from the metrics the aggregator tells."""
    period = period_of(until - since)
    asked = [(release, name) for release in releases for name in ("Impressions", "Clicks")]
    namespace = site.outputs["MetricsNamespace"]
    queries = [_query(f"m{place}", namespace, name, release, period) for place, (release, name) in enumerate(asked)]
    sums: dict[tuple[str, datetime], dict[str, float]] = {}
    for start in range(0, len(queries), QUERIES_A_CALL):
        pages = site.client("cloudwatch").get_paginator("get_metric_data")
        for page in pages.paginate(
            MetricDataQueries=queries[start : start + QUERIES_A_CALL], StartTime=since, EndTime=until
        ):
            for result in page["MetricDataResults"]:
                release, name = asked[int(result["Id"][1:])]
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    sums.setdefault((release, at.astimezone(UTC)), {})[name] = value
    return [
        Clicks(at, release, found.get("Impressions", 0), found.get("Clicks", 0))
        for (release, at), found in sorted(sums.items(), key=lambda pair: pair[0][1])
    ]


def _query(identity: str, namespace: str, name: str, release: str, period: int) -> dict[str, Any]:
    dimensions = [{"Name": "Release", "Value": release}]
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    return {"Id": identity, "MetricStat": {"Metric": metric, "Period": period, "Stat": "Sum"}}


def read_monitor_reports(site: Site, since: datetime) -> list[MonitorReport]:
    """Every window that monitors reported on since, oldest first."""
    s3, bucket = site.client("s3"), site.outputs["ArtifactBucket"]
    folders = [folder for kind in MONITOR_KINDS for folder in _folders(s3, bucket, kind, since)]
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        found = pool.map(lambda folder: _report(s3, bucket, folder), folders)
    return sorted((report for report in found if report is not None), key=lambda report: report.start)


def _folders(s3: Any, bucket: str, kind: str, since: datetime) -> list[str]:
    """Folders are named by the window's start, so a listing may begin where the time does."""
    prefix = f"monitors/{kind}/"
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, StartAfter=f"{prefix}{since.astimezone(UTC):%Y-%m-%dT%H-%M-%S}"
    )
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return [key.removesuffix("manifest.json") for key in keys if key.endswith("/manifest.json")]


def _report(s3: Any, bucket: str, folder: str) -> MonitorReport | None:
    """None where the folder holds no whole report (its job failed, or runs)."""
    try:
        manifest, metrics = (
            json.loads(s3.get_object(Bucket=bucket, Key=f"{folder}{name}")["Body"].read())
            for name in ("manifest.json", "metrics.json")
        )
    except ClientError:
        return None
    values = _values(metrics["metric_data"])
    window = {name: datetime.fromisoformat(manifest["window"][name]) for name in ("start", "end")}
    return MonitorReport(
        manifest["kind"],
        window["start"],
        window["end"],
        manifest["release_id"],
        int(values.get("drift_violations", 0)),
        int(values.get("schema_violations", 0)),
        values.get("ndcg_at_10") if manifest["kind"] == "ranking-quality" else None,
        folder.rstrip("/").endswith("-complete"),
    )


def _values(data: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Metrics of a whole window; those of a facet or a feature carry more dimensions and are left out."""
    return {one["MetricName"]: one["Value"] for one in data if "Value" in one and len(one["Dimensions"]) == 2}
