"""constraints.json of data quality, as Model Monitor suggests them from a baseline's statistics."""

from __future__ import annotations

from typing import Any

from monitors.formats import DATA_VERSION, STRING, monitoring_config

# Features that are counted from clicks move when clicks come late, and swing with the weekday on which one asks (a baseline is of one
# night): more than Model Monitor's 0.1, nothing being wrong (docs/decisions/monitors-comparisons.md).
CLICK_MADE = {"user_days_since_click": 0.4, "user_ctr_7d": 0.3, "user_clicks_7d": 0.3}
DOMAIN = 50  # a text column with more distinct values than this has no domain: new ones come every day


def suggest_constraints(statistics: dict[str, Any]) -> dict[str, Any]:
    """The whole document, from statistics.json's."""
    features = [feature_constraints(feature) for feature in statistics["features"]]
    return {"version": DATA_VERSION, "features": features, "monitoring_config": monitoring_config()}


def feature_constraints(feature: dict[str, Any]) -> dict[str, Any]:
    described = feature.get("numerical_statistics") or feature["string_statistics"]
    there, missing = described["common"]["num_present"], described["common"]["num_missing"]
    found: dict[str, Any] = {
        "name": feature["name"],
        "inferred_type": feature["inferred_type"],
        "completeness": there / (there + missing) if there + missing else 0.0,
    }
    if "min" in described:
        found["num_constraints"] = {"is_non_negative": described["min"] >= 0}
    if feature["inferred_type"] == STRING and described["distinct_count"] <= DOMAIN:
        buckets = described["distribution"]["categorical"]["buckets"]
        found["string_constraints"] = {"domains": sorted(bucket["value"] for bucket in buckets)}
    wider = CLICK_MADE.get(feature["name"])
    own = {} if wider is None else {"distribution_constraints": {"comparison_threshold": wider}}
    return found | {"monitoringConfigOverrides": own}
