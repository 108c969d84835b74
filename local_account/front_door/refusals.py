"""The sentences in which AWS says no."""

from __future__ import annotations

from local_account.front_door.iam import Decision, Demand
from local_account.wire import AwsError


def access_denied(principal_arn: str, demand: Demand, decision: Decision) -> AwsError:
    quote = '"' if demand.action.startswith("s3:") else ""
    why = (
        "with an explicit deny in an identity-based policy"
        if decision == "explicit deny"
        else f"because no identity-based policy allows the {demand.action} action"
    )
    text = (
        f"User: {principal_arn} is not authorized to perform: {demand.action} "
        f"on resource: {quote}{demand.resource}{quote} {why}"
    )
    return AwsError("AccessDeniedException", text, 403)


def unknown_operation(service: str, operation: str) -> AwsError:
    text = (
        f"{service}:{operation} is not in the local account's map of actions (local_account/front_door/actions*.py), and "
        "what the map does not know it allows to no role; only the operator may call it"
    )
    return AwsError("AccessDeniedException", text, 403)
