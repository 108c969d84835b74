"""CloudWatch (signing name `monitoring`): alarms and dashboards are ours, metrics are stored by moto."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from local_account.cloudwatch import protocol
from local_account.cloudwatch.alarms import Alarms
from local_account.cloudwatch.dashboards import Dashboards
from local_account.cloudwatch.evaluator import Evaluator
from local_account.cloudwatch.history import History
from local_account.cloudwatch.metric_store import MetricStore
from local_account.front_door.call import Call
from local_account.front_door.moto_services import MotoServices, backend
from local_account.records import Records
from local_account.wire import AwsError, Request, Response

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount

Given = dict[str, Any]
_OF_MOTO = frozenset({"PutMetricData", "GetMetricData", "GetMetricStatistics", "ListMetrics"})


class CloudWatch:
    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self._records = Records(account.state_dir / "cloudwatch" / "records.db")
        self._history = History(self._records)
        self.alarms = Alarms(account, self._records, self._history)
        self._dashboards = Dashboards(self._records, account.clock)
        self._evaluator = Evaluator(
            account.clock, self.alarms, MetricStore(_StoredByMoto(account.moto)), self._each_minute
        )
        self._operations: dict[str, Callable[[Given], Given | None]] = {
            "PutMetricAlarm": self.alarms.put,
            "DescribeAlarms": self.alarms.describe,
            "DescribeAlarmHistory": self._history.describe,
            "DeleteAlarms": lambda given: self.alarms.delete(given.get("AlarmNames") or []),
            "SetAlarmState": self.alarms.set_state,
            "EnableAlarmActions": lambda given: self.alarms.enable_actions(given.get("AlarmNames") or [], True),
            "DisableAlarmActions": lambda given: self.alarms.enable_actions(given.get("AlarmNames") or [], False),
            "PutDashboard": self._dashboards.put,
            "GetDashboard": self._dashboards.get,
            "DeleteDashboards": self._dashboards.delete,
            "ListDashboards": self._dashboards.list,
            "ListTagsForResource": self._list_tags,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def start(self) -> None:
        self._history.forget_old(self._account.clock.epoch())
        self.alarms.resume()
        self._evaluator.start()

    def stop(self) -> None:
        self._evaluator.stop()
        self._records.close()

    def handle(self, request: Request) -> Response:
        if request.action in _OF_MOTO:
            return self._stored(request)
        operation = self._operations.get(request.action)
        if operation is None:
            text = f"cloudwatch:{request.action} is not played by the local account"
            raise AwsError("UnknownOperationException", text, 501)
        return protocol.answer(request, operation(protocol.read(request)) or {})

    def _stored(self, request: Request) -> Response:
        body = request.body
        if request.action == "PutMetricData" and "x-amz-target" in request.headers:
            body = self._at_our_time(body)
        call = Call(request.method, request.raw_path, "", request.headers, body)
        return self._account.moto.handle(call, request.service, request.action)

    def _at_our_time(self, body: bytes) -> bytes:
        """Datapoints without a time are of now, by the account's clock and not by moto's."""
        given = json.loads(body)
        now = self._account.clock.epoch()
        for datum in given.get("MetricData") or []:
            datum.setdefault("Timestamp", now)
        return json.dumps(given).encode()

    def _each_minute(self) -> None:
        """What SQS tells of its queues by itself."""
        for name, queue in list(backend("sqs").queues.items()):
            waiting = float(queue.approximate_number_of_messages)
            self._account.count("AWS/SQS", "ApproximateNumberOfMessagesVisible", waiting, "Count", {"QueueName": name})

    def _list_tags(self, given: Given) -> Given:
        tags = self.alarms.tags(given.get("ResourceARN") or "")
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _tag(self, given: Given) -> None:
        new = {one["Key"]: one["Value"] for one in given.get("Tags") or []}
        self.alarms.set_tags(given["ResourceARN"], self.alarms.tags(given["ResourceARN"]) | new)

    def _untag(self, given: Given) -> None:
        tags = self.alarms.tags(given["ResourceARN"])
        self.alarms.set_tags(given["ResourceARN"], {k: v for k, v in tags.items() if k not in given["TagKeys"]})


class _StoredByMoto:
    def __init__(self, moto: MotoServices) -> None:
        self._moto = moto

    def reading(self) -> AbstractContextManager[None]:
        return self._moto.locked(["monitoring"])

    def data(self) -> list[Any]:
        return backend("monitoring").metric_data
