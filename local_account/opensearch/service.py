"""Amazon OpenSearch Service: domains, and the REST calls of the engine in them."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.functions.rest import RestService
from local_account.opensearch import cluster_calls, document_calls, index_calls  # noqa: F401  they register themselves
from local_account.opensearch.cluster import Cluster
from local_account.opensearch.router import JSON, Api
from local_account.records import Records
from local_account.wire import AwsError, Request, Response

_DATA = re.compile(r"/opensearch/(?P<domain>[^/]+)(?P<path>/.*)?")
_BUILD_EVERY_S = 0.5
_QUIET_S = 3.0
_KEPT = [
    "EngineVersion",
    "ClusterConfig",
    "EBSOptions",
    "AccessPolicies",
    "EncryptionAtRestOptions",
    "NodeToNodeEncryptionOptions",
    "DomainEndpointOptions",
]
_logger = logging.getLogger(__name__)


class OpenSearchService(RestService):
    """Domains by name. A domain that is called before it was created comes to be, so that a bare URL works too."""

    def __init__(self, account: Account) -> None:
        super().__init__("opensearch")
        self._parts = (self,)
        self._account = account
        self._folder = account.state_dir / "opensearch"
        self._records = Records(self._folder / "opensearch.sqlite")
        self._apis: dict[str, Api] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._builder = threading.Thread(target=self._build, name="opensearch-graphs", daemon=True)

    def start(self) -> None:
        for key, _ in self._records.all("index"):
            self._api(key.partition("/")[0])
        self._builder.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._builder.is_alive():
            self._builder.join()
        for api in self._apis.values():
            api.cluster.close()
        self._records.close()

    def handle(self, request: Request) -> Response:
        found = _DATA.fullmatch(request.path)
        if found is None:
            return super().handle(request)
        api = self._api(found["domain"])
        status, body = api.answer(request.method, found["path"] or "/", request.query, request.body)
        return Response(status, {"content-type": JSON}, b"" if request.method == "HEAD" else body)

    def create_domain(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        name = params["DomainName"]
        if not re.fullmatch(r"[a-z][a-z0-9-]{2,27}", name):
            raise AwsError("ValidationException", f"{name!r} is no domain name")
        if self._records.get("domain", name) is not None:
            raise AwsError("ResourceAlreadyExistsException", f"Domain {name} already exists", 409)
        domain = {"DomainName": name, **{field: params[field] for field in _KEPT if field in params}}
        self._records.put("domain", name, domain)
        return {"DomainStatus": self._status(domain)}

    def describe_domain(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return {"DomainStatus": self._status(self._domain(params["DomainName"]))}

    def describe_domains(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        known = (self._records.get("domain", name) for name in params["DomainNames"])
        return {"DomainStatusList": [self._status(domain) for domain in known if domain is not None]}

    def list_domain_names(self, _params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return {
            "DomainNames": [{"DomainName": name, "EngineType": "OpenSearch"} for name, _ in self._records.all("domain")]
        }

    def update_domain_config(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        domain = self._domain(params["DomainName"]) | {field: params[field] for field in _KEPT if field in params}
        self._records.put("domain", domain["DomainName"], domain)
        return {"DomainConfig": {field: {"Options": domain[field]} for field in _KEPT if field in domain}}

    def delete_domain(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        """The domain goes with everything in it."""
        domain = self._domain(params["DomainName"])
        self._api(domain["DomainName"]).cluster.delete("*")
        self._records.delete("domain", domain["DomainName"])
        return {"DomainStatus": {**self._status(domain), "Deleted": True}}

    def add_tags(self, params: dict[str, Any], _request: Request) -> None:
        self._records.put("tags", params["ARN"], params["TagList"])

    def list_tags(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        return {"TagList": self._records.get("tags", params["ARN"]) or []}

    def _domain(self, name: str) -> dict[str, Any]:
        domain = self._records.get("domain", name)
        if domain is None:
            raise AwsError("ResourceNotFoundException", f"Domain not found: {name}", 409)
        return domain

    def _status(self, domain: dict[str, Any]) -> dict[str, Any]:
        name = domain["DomainName"]
        return {
            **domain,
            "DomainId": f"{ACCOUNT_ID}/{name}",
            "ARN": f"arn:aws:es:{REGION}:{ACCOUNT_ID}:domain/{name}",
            "Created": True,
            "Deleted": False,
            "Processing": False,
            "Endpoint": f"{self._account.endpoint_url.partition('://')[2]}/opensearch/{name}",
            "ClusterConfig": domain.get("ClusterConfig", {}),
            "EngineVersion": domain.get("EngineVersion", "OpenSearch_2.19"),
        }

    def _api(self, domain: str) -> Api:
        with self._lock:
            api = self._apis.get(domain)
            if api is None:
                cluster = Cluster(
                    self._folder / "domains" / domain, self._records, domain, lambda: int(time.time() * 1000)
                )
                api = self._apis[domain] = Api(cluster, domain, self._stopping)
            return api

    def _build(self) -> None:
        """Graphs grow behind the writes; what they lack is searched exactly meanwhile."""
        while not self._stopping.wait(_BUILD_EVERY_S):
            for api in list(self._apis.values()):
                for index in api.cluster.indices:
                    try:
                        index.searchable()
                        if index.quiet_s > _QUIET_S:
                            index.build_graph(self._stopping)
                    except (OSError, RuntimeError, ValueError):
                        _logger.exception("the graph of %s was not built", index.name)
