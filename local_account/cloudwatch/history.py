"""What happened to alarms: their configuration, their states, their actions; kept for 30 days, as CloudWatch does."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local_account.cloudwatch.paging import page
from local_account.records import Records

_KEPT_S = 30 * 24 * 3600
_MOST = 100


class History:
    """Entries in the order they happened."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(self, alarm: str, kind: str, summary: str, data: Mapping[str, Any], at: float) -> None:
        """`kind` is ConfigurationUpdate, StateUpdate or Action."""
        entry = {"AlarmName": alarm, "HistoryItemType": kind, "HistorySummary": summary, "Timestamp": at}
        self._records.put("history", uuid.uuid4().hex, {**entry, "HistoryData": json.dumps(data)})

    def forget_old(self, now: float) -> None:
        for key, entry in self._records.all("history"):
            if entry["Timestamp"] < now - _KEPT_S:
                self._records.delete("history", key)

    def describe(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeAlarmHistory: newest first unless `ScanBy` says otherwise."""
        entries = [entry for _, entry in self._records.all("history") if _is_asked_for(entry, given)]
        if given.get("ScanBy") != "TimestampAscending":
            entries.reverse()
        shown, token = page(entries, given, _MOST)
        items = [
            {**entry, "AlarmType": "MetricAlarm", "Timestamp": datetime.fromtimestamp(entry["Timestamp"], UTC)}
            for entry in shown
        ]
        return {"AlarmHistoryItems": items, **token}


def _is_asked_for(entry: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    if given.get("AlarmTypes") and "MetricAlarm" not in given["AlarmTypes"]:
        return False
    if given.get("AlarmName") not in (None, entry["AlarmName"]):
        return False
    if given.get("HistoryItemType") not in (None, entry["HistoryItemType"]):
        return False
    start, end = given.get("StartDate"), given.get("EndDate")
    if start is not None and entry["Timestamp"] < start.replace(tzinfo=start.tzinfo or UTC).timestamp():
        return False
    return end is None or entry["Timestamp"] <= end.replace(tzinfo=end.tzinfo or UTC).timestamp()
