"""What a change of state brings about: the event on the default bus, and the alarm's own actions.

Sources: "Alarm events and EventBridge" for the event; "Notifying on alarms" for what a topic and a function are sent.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from typing import Any

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.cloudwatch import reasons
from local_account.cloudwatch.alarm import refusal

_log = logging.getLogger(__name__)

Document = dict[str, Any]  # an alarm as it is kept: {"arn", "given", "state", "previous", ...}
_ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def alarm_arn(name: str) -> str:
    return f"arn:aws:cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{name}"


def check_actions(given: Mapping[str, Any]) -> None:
    """Refuse actions that this account would not take.

    Raises
    ------
    AwsError
        `ValidationError`: topics of SNS and functions are played, instances and scaling are not.
    """
    for name in _ACTIONS.values():
        for target in given.get(name) or []:
            if not target.startswith(("arn:aws:sns:", "arn:aws:lambda:")):
                raise refusal(f"{name}: {target} is not played by the local account; topics and functions are")


def transition_detail(document: Document) -> Document:
    """`detail` of `CloudWatch Alarm State Change`."""
    configuration: Document = {"metrics": _metrics(document["given"])}
    if document["given"].get("AlarmDescription"):
        configuration["description"] = document["given"]["AlarmDescription"]
    return {
        "alarmName": document["given"]["AlarmName"],
        "configuration": configuration,
        "previousState": _state(document["previous"]),
        "state": _state(document["state"]),
    }


def take_actions(account: Account, document: Document) -> list[tuple[str, str]]:
    """Take the actions of the state an alarm is in now; (target, "" or why it failed) each."""
    given = document["given"]
    if not given.get("ActionsEnabled", True):
        return []
    taken = []
    for target in given.get(_ACTIONS[document["state"]["value"]]) or []:
        try:
            if target.startswith("arn:aws:sns:"):
                _publish(account, target, document)
            else:
                _invoke(account, target, document)
            taken.append((target, ""))
        except Exception as problem:  # noqa: BLE001 - the history says so, and the other actions are taken
            _log.warning("the action %s of %s failed: %s", target, given["AlarmName"], problem)
            taken.append((target, str(problem)))
    return taken


def _state(state: Mapping[str, Any]) -> Document:
    told = {"value": state["value"], "reason": state["reason"], "timestamp": reasons.wire_time(state["at"])}
    if state.get("reason_data"):
        told["reasonData"] = state["reason_data"]
    return told


def _metrics(given: Mapping[str, Any]) -> list[Document]:
    if given.get("Metrics"):
        return [_told_query(query) for query in given["Metrics"]]
    stat = {
        "metric": _told_metric(given),
        "period": given["Period"],
        "stat": given.get("Statistic") or given.get("ExtendedStatistic"),
        **({"unit": given["Unit"]} if given.get("Unit") else {}),
    }
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(stat, sort_keys=True)))
    return [{"id": name, "metricStat": stat, "returnData": True}]


def _told_query(query: Mapping[str, Any]) -> Document:
    told: Document = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if query.get("Label"):
        told["label"] = query["Label"]
    if query.get("Expression"):
        return {**told, "expression": query["Expression"]}
    stat = query["MetricStat"]
    unit = {"unit": stat["Unit"]} if stat.get("Unit") else {}
    metric = {"metric": _told_metric(stat["Metric"]), "period": stat["Period"], "stat": stat["Stat"], **unit}
    return {**told, "metricStat": metric}


def _told_metric(metric: Mapping[str, Any]) -> Document:
    dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
    return {"dimensions": dimensions, "name": metric["MetricName"], "namespace": metric["Namespace"]}


def _publish(account: Account, topic: str, document: Document) -> None:
    given, state, previous = document["given"], document["state"], document["previous"]
    trigger = {
        key: given[key]
        for key in (
            "MetricName",
            "Namespace",
            "Statistic",
            "Unit",
            "Dimensions",
            "Period",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "ComparisonOperator",
            "Threshold",
            "TreatMissingData",
            "Metrics",
        )
        if given.get(key) is not None
    }
    message = {
        "AlarmName": given["AlarmName"],
        "AlarmDescription": given.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT_ID,
        "NewStateValue": state["value"],
        "NewStateReason": state["reason"],
        "StateChangeTime": reasons.wire_time(state["at"]),
        "Region": REGION,
        "AlarmArn": document["arn"],
        "OldStateValue": previous["value"],
        "Trigger": trigger,
    }
    subject = f'{state["value"]}: "{given["AlarmName"]}" in {REGION}'[:100]
    account.client("sns").publish(TopicArn=topic, Subject=subject, Message=json.dumps(message))


def _invoke(account: Account, function: str, document: Document) -> None:
    event = {
        "source": "aws.cloudwatch",
        "alarmArn": document["arn"],
        "accountId": ACCOUNT_ID,
        "time": reasons.wire_time(document["state"]["at"]),
        "region": REGION,
        "alarmData": transition_detail(document),
    }
    account.service("lambda").call_later(
        function,
        json.dumps(event).encode(),
        service="lambda.alarms.cloudwatch.amazonaws.com",
        source_arn=document["arn"],
    )
