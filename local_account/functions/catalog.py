"""Functions, their versions and aliases: what is declared, not what runs."""

from __future__ import annotations

import random
import re
import uuid
from typing import Any

from local_account.account import Account
from local_account.functions.archive import Package, Packages
from local_account.functions.environment import Launch
from local_account.functions.layers import Layers
from local_account.functions.names import LATEST, FunctionName, function_arn, not_found
from local_account.records import Records
from local_account.wire import AwsError

_RESERVED = frozenset(
    [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "LAMBDA_RUNTIME_DIR",
    ]
)
_SETTINGS = [
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "Runtime",
    "DeadLetterConfig",
    "TracingConfig",
    "EphemeralStorage",
    "LoggingConfig",
    "KMSKeyArn",
]
_RANGES = {"Timeout": (1, 900), "MemorySize": (128, 10240)}
_PYTHON = re.compile(r"python3\.\d+")


class Catalog:
    """Records of functions, with Lambda's checks and defaults."""

    def __init__(self, account: Account, records: Records, packages: Packages, layers: Layers) -> None:
        self._account, self._records, self._packages, self._layers = account, records, packages, layers

    def create(self, params: dict[str, Any], package: Package) -> dict[str, Any]:
        name = params["FunctionName"]
        if self._records.get("function", name) is not None:
            raise AwsError("ResourceConflictException", f"Function already exist: {name}", 409)
        if params.get("PackageType", "Zip") != "Zip":
            raise _invalid("the local account runs zip packages; PackageType Image is not played")
        function = {
            "FunctionName": name,
            "FunctionArn": function_arn(name),
            "Description": "",
            "Timeout": 3,
            "MemorySize": 128,
            "Environment": {"Variables": {}},
            "TracingConfig": {"Mode": "PassThrough"},
            "EphemeralStorage": {"Size": 512},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
            "Architectures": params.get("Architectures", ["x86_64"]),
            "PackageType": "Zip",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
            "Layers": [],
            "Version": LATEST,
        }
        self._apply(function, params)
        for required in ("Handler", "Runtime"):
            if not function.get(required):
                raise _invalid(f"{required} is required for PackageType Zip")
        self._save(function, package)
        self._records.put("tags", name, params.get("Tags", {}))
        return function

    def latest(self, name: str) -> dict[str, Any]:
        function = self._records.get("function", name)
        if function is None:
            raise not_found(function_arn(name))
        return function

    def all(self) -> list[dict[str, Any]]:
        return [function for _, function in self._records.all("function")]

    def configure(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        function = self._checked_revision(name, params)
        self._apply(function, params)
        self._save(function)
        return function

    def change_code(self, name: str, params: dict[str, Any], package: Package) -> dict[str, Any]:
        function = self._checked_revision(name, params)
        self._save(function, package)
        return function

    def delete(self, name: str, qualifier: str | None) -> None:
        self.latest(name)
        if qualifier and qualifier != LATEST:
            self.at(FunctionName(name, qualifier))
            self._records.delete("version", f"{name}:{qualifier}")
            return
        self._records.delete("function", name)
        self._records.delete("tags", name)
        for kind in ("version", "alias", "policy", "event_invoke", "provisioned", "concurrency"):
            for key, _ in self._records.all(kind):
                if key.split(":")[0] == name:
                    self._records.delete(kind, key)

    def publish(self, name: str, description: str = "", sha256: str | None = None) -> dict[str, Any]:
        """The next version; the last one again when neither code nor configuration changed, as Lambda does."""
        latest = self.latest(name)
        if sha256 and sha256 != latest["CodeSha256"]:
            raise _invalid(
                f"CodeSHA256 ({sha256}) is different from current CodeSHA256 in $LATEST ({latest['CodeSha256']})."
            )
        versions = self.versions(name)
        fresh = {**latest, "Description": description or latest["Description"]}
        if versions and _substance(versions[-1]) == _substance(fresh):
            return versions[-1]
        number = str(self._next_version(name))
        fresh |= {"Version": number, "FunctionArn": function_arn(name, number), "RevisionId": str(uuid.uuid4())}
        self._records.put("version", f"{name}:{number}", fresh)
        return fresh

    def versions(self, name: str) -> list[dict[str, Any]]:
        return [version for key, version in self._records.all("version") if key.split(":")[0] == name]

    def at(self, function: FunctionName) -> dict[str, Any]:
        """Configuration that a name and qualifier stand for; an alias with weights picks one of its two versions."""
        latest = self.latest(function.name)
        qualifier = function.qualifier
        if qualifier in (None, LATEST):
            return latest
        if alias := self._records.get("alias", f"{function.name}:{qualifier}"):
            qualifier = _pick(alias)
        version = self._records.get("version", f"{function.name}:{qualifier}")
        if version is None and qualifier != LATEST:
            raise not_found(function.arn)
        return version or latest

    def launch(self, function: dict[str, Any]) -> Launch:
        layers = tuple(self._layers.folder(layer["Arn"]) for layer in function["Layers"])
        return Launch(
            function, self._packages.folder(function["CodeSha256"]), tuple(layer / "python" for layer in layers)
        )

    def _next_version(self, name: str) -> int:
        number = (self._records.get("last_version", name) or 0) + 1
        self._records.put("last_version", name, number)
        return number

    def _checked_revision(self, name: str, params: dict[str, Any]) -> dict[str, Any]:
        function = self.latest(name)
        if params.get("RevisionId") not in (None, function["RevisionId"]):
            message = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction API to retrieve it"
            raise AwsError("PreconditionFailedException", message, 412)
        return function

    def _apply(self, function: dict[str, Any], params: dict[str, Any]) -> None:
        if "Runtime" in params and not _PYTHON.fullmatch(params["Runtime"]):
            raise _invalid(f"the local account runs Python functions; {params['Runtime']} is not played")
        for field, (low, high) in _RANGES.items():
            if not low <= params.get(field, low) <= high:
                raise AwsError("ValidationException", f"{field} {params[field]} is not between {low} and {high}")
        _check_variables(params.get("Environment", {}).get("Variables", {}))
        for field in _SETTINGS:
            if field in params:
                value = params[field]
                function[field] = {**function[field], **value} if isinstance(function.get(field), dict) else value
        if "Environment" in params:
            function["Environment"] = {"Variables": params["Environment"].get("Variables", {})}
        if "Layers" in params:
            function["Layers"] = [self._layers.reference(arn) for arn in params["Layers"]]

    def _save(self, function: dict[str, Any], package: Package | None = None) -> None:
        if package is not None:
            function |= {"CodeSha256": package.sha256, "CodeSize": package.size}
        function["LastModified"] = self._account.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
        function["RevisionId"] = str(uuid.uuid4())
        self._records.put("function", function["FunctionName"], function)


def _substance(version: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in version.items()
        if name not in {"Version", "FunctionArn", "RevisionId", "LastModified"}
    }


def _pick(alias: dict[str, Any]) -> str:
    weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
    for version, weight in weights.items():
        if random.random() < weight:  # noqa: S311  routing, no secret
            return version
    return alias["FunctionVersion"]


def _check_variables(variables: dict[str, str]) -> None:
    told = (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
    )
    if reserved := sorted(_RESERVED & variables.keys()):
        raise _invalid(
            f"{told}contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
    size = sum(len(name.encode()) + len(value.encode()) for name, value in variables.items())
    if size > 4096:
        raise _invalid(f"{told}exceeded the 4KB limit. They measure {size} bytes")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)
