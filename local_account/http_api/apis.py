"""HTTP APIs and their stages: what apigatewayv2 declares."""

from __future__ import annotations

import json
import secrets
import string
import threading
from typing import Any

from local_account.account import Account
from local_account.http_api.routes import Route, read_routes
from local_account.records import Records
from local_account.wire import AwsError, Request

_STAGE_FIELDS = [
    "AccessLogSettings",
    "AutoDeploy",
    "DefaultRouteSettings",
    "Description",
    "RouteSettings",
    "StageVariables",
    "Tags",
]


class Apis:
    """ImportApi, CreateStage and their readers; routes are read once per body."""

    def __init__(self, account: Account, records: Records) -> None:
        self._account, self._records = account, records
        self._routes: dict[str, list[Route]] = {}
        self._stages: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def import_api(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        document = _document(params["Body"])
        read_routes(document)
        key = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))
        return self._save({"apiId": key, "createdDate": self._now()}, document)

    def reimport_api(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        document = _document(params["Body"])
        read_routes(document)
        return self._save(self.get_api(params, request), document)

    def get_api(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        api = self._records.get("api", params["ApiId"])
        if api is None:
            raise _not_found(f"Invalid API identifier specified {params['ApiId']}")
        return api

    def get_apis(self, _params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return {"items": [api for _, api in self._records.all("api")]}

    def delete_api(self, params: dict[str, Any], request: Request) -> None:
        key = self.get_api(params, request)["apiId"]
        for stage in self._of(key):
            self._records.delete("stage", f"{key}/{stage['stageName']}")
        self._records.delete("document", key)
        self._records.delete("api", key)
        self._forget(key)

    def update_api(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        api = self.get_api(params, request)
        api |= {
            wire: params[name] for name, wire in (("Name", "name"), ("Description", "description")) if name in params
        }
        self._records.put("api", api["apiId"], api)
        return api

    def create_stage(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        key, name = self.get_api(params, request)["apiId"], params["StageName"]
        if self._records.get("stage", f"{key}/{name}") is not None:
            raise AwsError("ConflictException", "Stage already exists", 409)
        return self._save_stage({"stageName": name, "createdDate": self._now(), "autoDeploy": False}, params)

    def update_stage(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        return self._save_stage(self.get_stage(params, request), params)

    def get_stage(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        stage = self._records.get("stage", f"{params['ApiId']}/{params['StageName']}")
        if stage is None:
            raise _not_found(f"Invalid stage identifier specified {params['StageName']}")
        return stage

    def get_stages(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        return {"items": self._of(self.get_api(params, request)["apiId"])}

    def delete_stage(self, params: dict[str, Any], request: Request) -> None:
        self.get_stage(params, request)
        self._records.delete("stage", f"{params['ApiId']}/{params['StageName']}")
        self._forget(params["ApiId"])

    def get_routes(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        key = self.get_api(params, request)["apiId"]
        return {
            "items": [
                {"routeKey": route.key, "routeId": route.key, "authorizationType": "AWS_IAM" if route.iam else "NONE"}
                for route in self.routes(key)
            ]
        }

    def tag_resource(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        tags = self._records.get("tags", params["ResourceArn"]) or {}
        self._records.put("tags", params["ResourceArn"], {**tags, **params.get("Tags", {})})
        return {}

    def get_tags(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return {"tags": self._records.get("tags", params["ResourceArn"]) or {}}

    def routes(self, key: str) -> list[Route]:
        """Routes of an API, none when there is no such API."""
        with self._lock:
            routes = self._routes.get(key)
            if routes is None:
                document = self._records.get("document", key)
                routes = self._routes[key] = [] if document is None else read_routes(document)
            return routes

    def stage_of(self, key: str, path: str) -> tuple[dict[str, Any], str] | None:
        """(stage, path within it): a stage's name is the path's first part, `$default` takes what is left."""
        first, _, rest = path.lstrip("/").partition("/")
        with self._lock:
            if key not in self._stages:
                self._stages[key] = {stage["stageName"]: stage for stage in self._of(key)}
            stages = self._stages[key]
        if first in stages:
            return stages[first], "/" + rest
        return (stages["$default"], path or "/") if "$default" in stages else None

    def _save(self, api: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
        key, info = api["apiId"], document.get("info", {})
        api |= {
            "name": info.get("title", key),
            "description": info.get("description", ""),
            "version": str(info.get("version", "")),
            "protocolType": "HTTP",
            "apiEndpoint": f"{self._account.endpoint_url}/execute-api/{key}",
            "apiKeySelectionExpression": "$request.header.x-api-key",
            "routeSelectionExpression": "$request.method $request.path",
            "disableExecuteApiEndpoint": False,
            "tags": {tag["name"]: tag.get("x-amazon-apigateway-tag-value", "") for tag in document.get("tags", [])},
        }
        self._records.put("document", key, document)
        self._records.put("api", key, api)
        self._forget(key)
        return api

    def _save_stage(self, stage: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        fresh = {**stage, **{name[0].lower() + name[1:]: params[name] for name in _STAGE_FIELDS if name in params}}
        fresh["lastUpdatedDate"] = self._now()
        self._records.put("stage", f"{params['ApiId']}/{stage['stageName']}", fresh)
        self._forget(params["ApiId"])
        return fresh

    def _of(self, key: str) -> list[dict[str, Any]]:
        return [stage for name, stage in self._records.all("stage") if name.partition("/")[0] == key]

    def _forget(self, key: str) -> None:
        with self._lock:
            self._routes.pop(key, None)
            self._stages.pop(key, None)

    def _now(self) -> str:
        return self._account.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _document(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        raise AwsError("BadRequestException", f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise AwsError("BadRequestException", "the body is no OpenAPI document")
    return document


def _not_found(message: str) -> AwsError:
    return AwsError("NotFoundException", message, 404)
