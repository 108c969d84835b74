"""Layer versions: archives whose `python/` joins a function's path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from local_account.account import Account
from local_account.functions.archive import Packages
from local_account.functions.names import ARN
from local_account.functions.sources import read_archive
from local_account.records import Records
from local_account.wire import AwsError, Request


class Layers:
    """PublishLayerVersion and its readers."""

    def __init__(self, account: Account, records: Records, packages: Packages) -> None:
        self._account, self._records, self._packages = account, records, packages

    def publish_layer_version(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        name = params["LayerName"].rpartition(":layer:")[2]
        package = self._packages.add(read_archive(self._account, params["Content"], request.principal))
        number = (self._records.get("last_layer", name) or 0) + 1
        self._records.put("last_layer", name, number)
        layer = {
            "Content": {"Location": package.folder.as_uri(), "CodeSha256": package.sha256, "CodeSize": package.size},
            "LayerArn": f"{ARN}:layer:{name}",
            "LayerVersionArn": f"{ARN}:layer:{name}:{number}",
            "Description": params.get("Description", ""),
            "CreatedDate": self._account.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000",
            "Version": number,
            "CompatibleRuntimes": params.get("CompatibleRuntimes", []),
            "CompatibleArchitectures": params.get("CompatibleArchitectures", []),
            "LicenseInfo": params.get("LicenseInfo", ""),
        }
        self._records.put("layer", layer["LayerVersionArn"], layer)
        return layer

    def get_layer_version(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = params["LayerName"].rpartition(":layer:")[2]
        return self._layer(f"{ARN}:layer:{name}:{params['VersionNumber']}")

    def get_layer_version_by_arn(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return self._layer(params["Arn"])

    def list_layer_versions(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        arn = f"{ARN}:layer:{params['LayerName'].rpartition(':layer:')[2]}"
        versions = [layer for _, layer in self._records.all("layer") if layer["LayerArn"] == arn]
        return {"LayerVersions": [_summary(layer) for layer in reversed(versions)]}

    def list_layers(self, _params: dict[str, Any], _request: Request) -> dict[str, Any]:
        newest = {layer["LayerArn"]: layer for _, layer in self._records.all("layer")}
        return {
            "Layers": [
                {"LayerName": arn.rpartition(":")[2], "LayerArn": arn, "LatestMatchingVersion": _summary(layer)}
                for arn, layer in newest.items()
            ]
        }

    def delete_layer_version(self, params: dict[str, Any], _request: Request) -> None:
        """Functions that use the version keep running, as on Lambda: the unpacked files stay."""
        name = params["LayerName"].rpartition(":layer:")[2]
        arn = f"{ARN}:layer:{name}:{params['VersionNumber']}"
        if layer := self._records.get("layer", arn):
            self._records.put("deleted_layer", arn, layer)
            self._records.delete("layer", arn)

    def reference(self, arn: str) -> dict[str, Any]:
        """How a function's configuration names a layer it uses."""
        if self._records.get("layer", arn) is None:
            raise AwsError("InvalidParameterValueException", f"Layer version {arn} does not exist.")
        return {"Arn": arn, "CodeSize": self._layer(arn)["Content"]["CodeSize"]}

    def folder(self, arn: str) -> Path:
        """Where the version lies unpacked, deleted or not."""
        layer: dict[str, Any] = self._records.get("layer", arn) or self._records.get("deleted_layer", arn) or {}
        return self._packages.folder(layer["Content"]["CodeSha256"])

    def _layer(self, arn: str) -> dict[str, Any]:
        layer = self._records.get("layer", arn)
        if layer is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        return layer


def _summary(layer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in layer.items() if name not in {"Content", "LayerArn"}}
