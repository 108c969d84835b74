"""What is said about a function beside its code: aliases, concurrency, how asynchronous events are handled, tags."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from local_account.account import Account
from local_account.functions.catalog import Catalog
from local_account.functions.invoker import ENVIRONMENTS, Invoker
from local_account.functions.names import LATEST, FunctionName, function_arn, parse_function_name
from local_account.records import Records
from local_account.wire import AwsError, Request

_EVENT_FIELDS = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
_EVENT_RANGES = {"MaximumRetryAttempts": (0, 2), "MaximumEventAgeInSeconds": (60, 21_600)}


class Concurrency:
    """Reserved concurrency (a ceiling for a function) and provisioned concurrency (environments kept warm)."""

    def __init__(self, account: Account, records: Records, catalog: Catalog, invoker: Invoker) -> None:
        self._account, self._records, self._catalog, self._invoker = account, records, catalog, invoker

    def start(self) -> None:
        """Warm again what was warm when the account last stopped."""
        for key, wanted in self._records.all("provisioned"):
            name, _, qualifier = key.partition(":")
            self._warm(FunctionName(name, qualifier), wanted["count"])

    def put_function_concurrency(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        self._catalog.latest(name)
        self._records.put("concurrency", name, params["ReservedConcurrentExecutions"])
        return {"ReservedConcurrentExecutions": params["ReservedConcurrentExecutions"]}

    def get_function_concurrency(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        self._catalog.latest(name)
        reserved = self._records.get("concurrency", name)
        return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    def delete_function_concurrency(self, params: dict[str, Any], _request: Request) -> None:
        self._records.delete("concurrency", parse_function_name(params["FunctionName"]).name)

    def put_provisioned_concurrency_config(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params["Qualifier"])
        if function.qualifier == LATEST:
            message = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
            raise AwsError("InvalidParameterValueException", message)
        self._catalog.at(function)
        count = params["ProvisionedConcurrentExecutions"]
        if count > ENVIRONMENTS:
            message = f"the local account keeps at most {ENVIRONMENTS} environments of a version, not {count}"
            raise AwsError("InvalidParameterValueException", message)
        wanted = {"count": count, "at": self._account.clock.now().strftime("%Y-%m-%dT%H:%M:%S+0000")}
        self._records.put("provisioned", f"{function.name}:{function.qualifier}", wanted)
        self._warm(function, count)
        return {
            "AllocatedProvisionedConcurrentExecutions": 0,
            **self._described(function, wanted),
            "Status": "IN_PROGRESS",
        }

    def get_provisioned_concurrency_config(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params["Qualifier"])
        wanted = self._records.get("provisioned", f"{function.name}:{function.qualifier}")
        if wanted is None:
            message = "No Provisioned Concurrency Config found for this function"
            raise AwsError("ProvisionedConcurrencyConfigNotFoundException", message, 404)
        return self._described(function, wanted)

    def delete_provisioned_concurrency_config(self, params: dict[str, Any], _request: Request) -> None:
        function = parse_function_name(params["FunctionName"], params["Qualifier"])
        self._records.delete("provisioned", f"{function.name}:{function.qualifier}")
        self._warm(function, 0)

    def restore(self, name: str) -> None:
        """After an alias moved: keep its environments warm on the version that it names now."""
        for key, wanted in self._records.all("provisioned"):
            owner, _, qualifier = key.partition(":")
            if owner == name:
                self._warm(FunctionName(owner, qualifier), wanted["count"])

    def _described(self, function: FunctionName, wanted: dict[str, Any]) -> dict[str, Any]:
        count, warm = wanted["count"], min(wanted["count"], self._invoker.warm(function))
        return {
            "RequestedProvisionedConcurrentExecutions": count,
            "AvailableProvisionedConcurrentExecutions": warm,
            "AllocatedProvisionedConcurrentExecutions": warm,
            "Status": "READY" if warm >= count else "IN_PROGRESS",
            "LastModified": wanted["at"],
        }

    def _warm(self, function: FunctionName, count: int) -> None:
        threading.Thread(
            target=self._invoker.keep_warm, args=(function, count), daemon=True, name="function-warm-up"
        ).start()


class Aliases:
    """CreateAlias and its readers."""

    def __init__(self, records: Records, catalog: Catalog, concurrency: Concurrency) -> None:
        self._records, self._catalog, self._concurrency = records, catalog, concurrency

    def create_alias(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"])
        name = params["Name"]
        if name.isdigit():
            raise AwsError("ValidationException", f"an alias is no number: {name}")
        if self._records.get("alias", f"{function.name}:{name}"):
            message = f"Alias already exists: {function_arn(function.name, name)}"
            raise AwsError("ResourceConflictException", message, 409)
        return self._save(function.name, {"Name": name, "Description": ""}, params)

    def update_alias(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"])
        return self._save(function.name, self.get_alias(params, request), params)

    def get_alias(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"])
        alias = self._records.get("alias", f"{function.name}:{params['Name']}")
        if alias is None:
            arn = function_arn(function.name, params["Name"])
            raise AwsError("ResourceNotFoundException", f"Cannot find alias arn: {arn}", 404)
        return alias

    def list_aliases(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        return {"Aliases": [alias for key, alias in self._records.all("alias") if key.split(":")[0] == name]}

    def delete_alias(self, params: dict[str, Any], _request: Request) -> None:
        self._records.delete("alias", f"{parse_function_name(params['FunctionName']).name}:{params['Name']}")

    def _save(self, function: str, alias: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        fresh: dict[str, Any] = dict(alias)
        fresh |= {name: params[name] for name in ("Description", "FunctionVersion", "RoutingConfig") if name in params}
        for version in (fresh["FunctionVersion"], *fresh.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})):
            self._catalog.at(FunctionName(function, version))
        fresh |= {"AliasArn": function_arn(function, fresh["Name"]), "RevisionId": str(uuid.uuid4())}
        self._records.put("alias", f"{function}:{fresh['Name']}", fresh)
        self._concurrency.restore(function)
        return fresh


class EventInvokeConfigs:
    """How often and how long an asynchronous event is tried, and where its result goes."""

    def __init__(self, account: Account, records: Records, catalog: Catalog) -> None:
        self._account, self._records, self._catalog = account, records, catalog

    def put_function_event_invoke_config(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return self._save(params, {})

    def update_function_event_invoke_config(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        return self._save(params, self.get_function_event_invoke_config(params, request))

    def get_function_event_invoke_config(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        key = f"{function.name}:{function.qualifier or LATEST}"
        config = self._records.get("event_invoke", key)
        if config is None:
            message = f"The function {function_arn(function.name, function.qualifier or LATEST)} doesn't have an EventInvokeConfig"
            raise AwsError("ResourceNotFoundException", message, 404)
        return config

    def delete_function_event_invoke_config(self, params: dict[str, Any], _request: Request) -> None:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        self._records.delete("event_invoke", f"{function.name}:{function.qualifier or LATEST}")

    def _save(self, params: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        self._catalog.at(function)
        for field, (low, high) in _EVENT_RANGES.items():
            if not low <= params.get(field, low) <= high:
                raise AwsError("ValidationException", f"{field} {params[field]} is not between {low} and {high}")
        qualifier = function.qualifier or LATEST
        config = {"DestinationConfig": {"OnSuccess": {}, "OnFailure": {}}, **config}
        config |= {field: params[field] for field in _EVENT_FIELDS if field in params}
        config |= {"FunctionArn": function_arn(function.name, qualifier), "LastModified": self._account.clock.epoch()}
        self._records.put("event_invoke", f"{function.name}:{qualifier}", config)
        return config
