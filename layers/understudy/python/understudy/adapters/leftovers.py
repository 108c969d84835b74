"""Endpoint configurations, models and indices that nobody serves from any more: found by what is referenced, then deleted.

Only the holder of the stage's lease calls this, so nobody makes a configuration or a model meanwhile; nights make indices
without that lease, which is why an index without a release stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from botocore.exceptions import ClientError

from understudy.adapters.aws_wire import SignedHttp
from understudy.adapters.endpoints import CHANGING, describe
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.rollback import Leftovers
from understudy.contracts.traffic import Traffic
from understudy.domain.leftovers import idle_configs, idle_indices, idle_models
from understudy.errors import NotReady, StepFailed
from understudy.ports import ReleaseStore

PATIENCE_S = 20.0
INDEX = re.compile(r"items-[a-z0-9-]{1,24}")


@dataclass(frozen=True, slots=True)
class Indices:
    """The item indices behind an OpenSearch URL."""

    http: SignedHttp
    url: str

    def there(self) -> list[str]:
        """Names of every item index; StepFailed when the engine does not say."""
        answer = self._send("GET", "/items-*/_mapping")
        if answer.status == 404:
            return []
        if answer.status != 200:
            raise StepFailed("index", f"the list of indices was answered HTTP {answer.status}")
        from pydantic_core import from_json

        return sorted(name for name in from_json(answer.body) if INDEX.fullmatch(name))

    def delete(self, name: str) -> None:
        """Deleted, or gone already; StepFailed otherwise."""
        status = self._send("DELETE", f"/{quote(name)}").status
        if status not in (200, 404):
            raise StepFailed("index", f"deleting {name} was answered HTTP {status}")

    def _send(self, method: str, path: str) -> Any:
        url = f"{self.url.rstrip('/')}{path}"
        return self.http.send(method, url, b"", {}, signing_name="es", timeout_s=PATIENCE_S)


@dataclass(frozen=True, slots=True)
class Hosted:
    """An endpoint of ours as SageMaker tells it: what it runs or goes to, and what lies beside it."""

    endpoint: str
    status: str | None  # None: there is no such endpoint
    configs_used: frozenset[str]
    configs: Mapping[str, frozenset[str]]  # every configuration by its name -> the models in it
    models: tuple[str, ...]

    @property
    def models_used(self) -> set[str]:
        return {model for config in self.configs_used for model in self.configs.get(config, ())}


def look(sagemaker: Any, endpoint: str) -> Hosted:
    """Everything that bears an endpoint's name."""
    described = describe(sagemaker, endpoint)
    used: set[str] = set()
    if described is not None:
        pending = described.get("PendingDeploymentSummary") or {}
        used = {name for name in (described["EndpointConfigName"], pending.get("EndpointConfigName")) if name}
    configs = {}
    for name in _names(sagemaker, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", endpoint):
        rows = sagemaker.describe_endpoint_config(EndpointConfigName=name)["ProductionVariants"]
        configs[name] = frozenset(row["ModelName"] for row in rows)
    models = tuple(_names(sagemaker, "list_models", "Models", "ModelName", endpoint))
    return Hosted(endpoint, described["EndpointStatus"] if described else None, frozenset(used), configs, models)


def collect_endpoint(sagemaker: Any, endpoint: str, releases: ReleaseStore, traffic: Traffic | None) -> Leftovers:
    """Delete what an endpoint left behind; without traffic the endpoint itself.

    Raises
    ------
    NotReady
        The endpoint is changing or being deleted: what it will come to is not certain yet, so nothing is deleted.
    """
    hosted, deleted = look(sagemaker, endpoint), []
    if hosted.status in CHANGING:
        raise NotReady(f"endpoint {endpoint} is {hosted.status} and")
    if hosted.status is not None and traffic is None:
        sagemaker.delete_endpoint(EndpointName=endpoint)
        raise NotReady(f"endpoint {endpoint} served nobody; its deletion")
    configs = idle_configs(endpoint, hosted.configs, hosted.configs_used)
    for name in configs:
        _gone(sagemaker.delete_endpoint_config, EndpointConfigName=name)
        deleted.append(name)
    models = idle_models(endpoint, hosted.models, hosted.models_used, _records(releases), traffic)
    for name in models:
        _gone(sagemaker.delete_model, ModelName=name)
    return Leftovers(configs=deleted, models=models)


def collect_indices(
    indices: Indices, releases: ReleaseStore, traffic: Traffic | None, *, leaving: str | None = None
) -> list[str]:
    """Delete the indices of releases that were refused, have left, or are leaving."""
    idle = idle_indices(releases.list(), traffic, indices.there(), leaving=leaving)
    for name in idle:
        indices.delete(name)
    return idle


def _records(releases: ReleaseStore) -> dict[str, ReleaseRecord]:
    return {record.release_id: record for record in releases.list()}


def _names(sagemaker: Any, operation: str, member: str, key: str, endpoint: str) -> Iterator[str]:
    for page in sagemaker.get_paginator(operation).paginate(NameContains=endpoint):
        yield from (row[key] for row in page[member] if row[key].startswith(f"{endpoint}-"))


def _gone(delete: Any, **arguments: Any) -> None:
    """A second deletion finds nothing, which is what was wanted."""
    try:
        delete(**arguments)
    except ClientError as error:
        if "Could not find" not in error.response["Error"]["Message"]:
            raise
