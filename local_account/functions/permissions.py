"""Resource policies: which AWS service may invoke a function, on whose behalf."""

from __future__ import annotations

import fnmatch
import json
import uuid
from typing import Any

from local_account.account import Account
from local_account.functions.catalog import Catalog
from local_account.functions.names import FunctionName, parse_function_name
from local_account.records import Records
from local_account.wire import AwsError, Request


class Permissions:
    """AddPermission, RemovePermission, GetPolicy, and the question they answer."""

    def __init__(self, account: Account, records: Records, catalog: Catalog) -> None:
        self._account, self._records, self._catalog = account, records, catalog

    def add_permission(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        self._catalog.at(function)
        policy = self._policy(function)
        if any(statement["Sid"] == params["StatementId"] for statement in policy["Statement"]):
            message = f"The statement id ({params['StatementId']}) provided already exists."
            raise AwsError("ResourceConflictException", message, 409)
        principal = params["Principal"]
        statement: dict[str, Any] = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": {"Service": principal} if principal.endswith(".amazonaws.com") else {"AWS": principal},
            "Action": params["Action"],
            "Resource": function.arn,
        }
        condition: dict[str, Any] = {}
        if "SourceArn" in params:
            condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
        if "SourceAccount" in params:
            condition["StringEquals"] = {"AWS:SourceAccount": params["SourceAccount"]}
        if condition:
            statement["Condition"] = condition
        policy["Statement"].append(statement)
        self._records.put("policy", _key(function), policy)
        return {"Statement": json.dumps(statement)}

    def remove_permission(self, params: dict[str, Any], _request: Request) -> None:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        policy = self._policy(function)
        left = [statement for statement in policy["Statement"] if statement["Sid"] != params["StatementId"]]
        if len(left) == len(policy["Statement"]):
            raise AwsError(
                "ResourceNotFoundException", f"Statement {params['StatementId']} is not found in resource policy.", 404
            )
        if left:
            self._records.put("policy", _key(function), {**policy, "Statement": left})
        else:
            self._records.delete("policy", _key(function))

    def get_policy(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        self._catalog.at(function)
        policy = self._records.get("policy", _key(function))
        if policy is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        return {"Policy": json.dumps(policy), "RevisionId": policy["Id"]}

    def allows(self, function: FunctionName, service: str, source_arn: str) -> bool:
        """Whether `events.amazonaws.com`, say, may invoke the function on behalf of `source_arn`."""
        for statement in self._policy(function)["Statement"]:
            condition = statement.get("Condition", {})
            pattern = condition.get("ArnLike", {}).get("AWS:SourceArn", "*")
            invokes = statement["Action"] in ("lambda:InvokeFunction", "lambda:*", "*")
            if invokes and statement["Principal"] == {"Service": service} and fnmatch.fnmatchcase(source_arn, pattern):
                return True
        return False

    def _policy(self, function: FunctionName) -> dict[str, Any]:
        empty = {"Version": "2012-10-17", "Id": str(uuid.uuid4()), "Statement": []}
        return self._records.get("policy", _key(function)) or empty


def _key(function: FunctionName) -> str:
    return f"{function.name}:{function.qualifier}" if function.qualifier else function.name
