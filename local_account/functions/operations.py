"""CreateFunction and its kin: the calls that declare functions."""

from __future__ import annotations

from typing import Any

from local_account.account import Account
from local_account.functions.archive import Packages
from local_account.functions.catalog import Catalog
from local_account.functions.invoker import Invoker
from local_account.functions.names import LATEST, FunctionName, parse_function_name
from local_account.functions.settings import Concurrency
from local_account.functions.sources import read_archive
from local_account.records import Records
from local_account.wire import AwsError, Request

_PAGE = 50


class Functions:
    def __init__(
        self,
        account: Account,
        records: Records,
        catalog: Catalog,
        packages: Packages,
        invoker: Invoker,
        concurrency: Concurrency,
    ) -> None:
        self._account, self._records, self._catalog, self._packages = account, records, catalog, packages
        self._invoker, self._concurrency = invoker, concurrency

    def create_function(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        package = self._packages.add(read_archive(self._account, params["Code"], request.principal))
        function = self._catalog.create(params, package)
        return self._catalog.publish(function["FunctionName"]) if params.get("Publish") else function

    def update_function_code(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        self._catalog.latest(name)
        package = self._packages.add(read_archive(self._account, params, request.principal))
        if params.get("DryRun"):
            return {**self._catalog.latest(name), "CodeSha256": package.sha256, "CodeSize": package.size}
        function = self._catalog.change_code(name, params, package)
        self._invoker.retire(name, LATEST)
        return self._catalog.publish(name) if params.get("Publish") else function

    def update_function_configuration(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        function = self._catalog.configure(name, params)
        self._invoker.retire(name, LATEST)
        return function

    def get_function(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        configuration = self._catalog.at(function)
        location = self._packages.folder(configuration["CodeSha256"]).as_uri()
        answer: dict[str, Any] = {
            "Configuration": _as_called(configuration, function),
            "Code": {"RepositoryType": "S3", "Location": location},
            "Tags": self._records.get("tags", function.name) or {},
        }
        if (reserved := self._records.get("concurrency", function.name)) is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
        return answer

    def get_function_configuration(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        return _as_called(self._catalog.at(function), function)

    def list_functions(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        functions = sorted(self._catalog.all(), key=lambda function: str(function["FunctionName"]))
        if params.get("FunctionVersion") == "ALL":
            functions = [
                one for function in functions for one in (function, *self._catalog.versions(function["FunctionName"]))
            ]
        return _page("Functions", functions, params)

    def list_versions_by_function(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        return _page("Versions", [self._catalog.latest(name), *self._catalog.versions(name)], params)

    def delete_function(self, params: dict[str, Any], _request: Request) -> None:
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        self._catalog.delete(function.name, function.qualifier)
        self._invoker.retire(function.name, function.qualifier)

    def publish_version(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["FunctionName"]).name
        return self._catalog.publish(name, params.get("Description", ""), params.get("CodeSha256"))

    def tag_resource(self, params: dict[str, Any], _request: Request) -> None:
        name = parse_function_name(params["Resource"]).name
        self._catalog.latest(name)
        self._records.put("tags", name, {**(self._records.get("tags", name) or {}), **params["Tags"]})

    def untag_resource(self, params: dict[str, Any], _request: Request) -> None:
        name = parse_function_name(params["Resource"]).name
        gone = params["TagKeys"] if isinstance(params["TagKeys"], list) else [params["TagKeys"]]
        tags = self._records.get("tags", name) or {}
        self._records.put("tags", name, {key: value for key, value in tags.items() if key not in gone})

    def list_tags(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = parse_function_name(params["Resource"]).name
        self._catalog.latest(name)
        return {"Tags": self._records.get("tags", name) or {}}


def _as_called(configuration: dict[str, Any], function: FunctionName) -> dict[str, Any]:
    """The ARN an answer carries is the one that was asked for: an alias stays an alias."""
    return {**configuration, "FunctionArn": function.arn}


def _page(name: str, rows: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    start = params.get("Marker", "0")
    if not str(start).isdigit():
        raise AwsError("InvalidParameterValueException", f"Marker {start!r} is none of ours")
    end = int(start) + int(params.get("MaxItems", _PAGE))
    answer: dict[str, Any] = {name: rows[int(start) : end]}
    return {**answer, "NextMarker": str(end)} if end < len(rows) else answer
