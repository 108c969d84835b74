"""Endpoints: Create, Update, weights, Delete, Describe, List, with AWS's states and refusals."""

from __future__ import annotations

from local_account.sagemaker.deployments import Deployment, deployment_of, keep_properties, keep_untouched
from local_account.sagemaker.endpoint_book import KIND, EndpointBook, describe
from local_account.sagemaker.endpoint_configs import EndpointConfigs
from local_account.sagemaker.endpoint_keeper import EndpointKeeper
from local_account.sagemaker.errors import already_exists, arn, invalid
from local_account.sagemaker.listing import Listing
from local_account.sagemaker.room import Answer, Params, Room

_LISTING = Listing(
    "Endpoints",
    ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    "EndpointName",
    "EndpointStatus",
)
_SETTLED = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed"})


class Endpoints:
    def __init__(self, room: Room, configs: EndpointConfigs, book: EndpointBook, keeper: EndpointKeeper) -> None:
        self._room, self._configs, self._book, self._keeper = room, configs, book, keeper

    def create_endpoint(self, params: Params) -> Answer:
        name = params["EndpointName"]
        with self._book.lock:
            if self._room.records.get(KIND, name) is not None:
                raise already_exists("endpoint", KIND, name)
            deployment = deployment_of(self._room, self._configs, params["EndpointConfigName"], 1)
            now = self._room.account.clock.epoch()
            doc: Answer = {"EndpointName": name, "EndpointArn": arn(KIND, name), "EndpointStatus": "Creating"}
            doc |= {
                "EndpointConfigName": deployment["config"],
                "CreationTime": now,
                "_generation": 1,
                "_pending": deployment,
            }
            self._room.tag(doc["EndpointArn"], params.get("Tags", []))
            self._book.put(doc)
        self._keeper.create(name)
        return {"EndpointArn": doc["EndpointArn"]}

    def update_endpoint(self, params: Params) -> Answer:
        name = params["EndpointName"]
        with self._book.lock:
            doc = self._updatable(name)
            generation, old = doc["_generation"] + 1, doc["_deployment"]
            new = keep_untouched(
                deployment_of(self._room, self._configs, params["EndpointConfigName"], generation), old
            )
            if params.get("RetainAllVariantProperties"):
                rows = params.get("ExcludeRetainedVariantProperties", [])
                new = keep_properties(new, old, frozenset(row["VariantPropertyType"] for row in rows))
            self._refuse_scaled(name, _names(old) - _names(new))
            self._book.change(name, EndpointStatus="Updating", _pending=new, _generation=generation)
        self._keeper.update(name)
        return {"EndpointArn": doc["EndpointArn"]}

    def update_endpoint_weights_and_capacities(self, params: Params) -> Answer:
        """New weights and counts without a new worker: the same deployment with other numbers."""
        name = params["EndpointName"]
        with self._book.lock:
            doc = self._updatable(name)
            new = _reweighted(doc["_deployment"], params["DesiredWeightsAndCapacities"])
            self._book.change(name, EndpointStatus="Updating", _pending=new)
        self._keeper.update(name)
        return {"EndpointArn": doc["EndpointArn"]}

    def delete_endpoint(self, params: Params) -> Answer:
        with self._book.lock:
            self._settled(params["EndpointName"])
            self._book.change(params["EndpointName"], EndpointStatus="Deleting")
        self._keeper.delete(params["EndpointName"])
        return {}

    def describe_endpoint(self, params: Params) -> Answer:
        return describe(self._book.get(params["EndpointName"]))

    def list_endpoints(self, params: Params) -> Answer:
        return self._room.page(KIND, params, _LISTING)

    def _refuse_scaled(self, name: str, leaving: set[str]) -> None:
        """A variant that Application Auto Scaling knows must be deregistered there before it may leave."""
        if not leaving:
            return
        found = self._room.account.client("application-autoscaling").describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[f"endpoint/{name}/variant/{each}" for each in sorted(leaving)]
        )["ScalableTargets"]
        scaled = ", ".join(sorted(target["ResourceId"].rpartition("/")[2] for target in found))
        if scaled:
            raise invalid(
                f'The variant(s) "[{scaled}]" must be deregistered as scalable targets with AWS Auto Scaling before they can be '
                "removed or have their instance type updated."
            )

    def _updatable(self, name: str) -> Answer:
        doc = self._settled(name)
        if "_deployment" not in doc or doc["EndpointStatus"] == "Failed":
            raise invalid(f'Cannot update endpoint "{doc["EndpointArn"]}" in status {doc["EndpointStatus"]}.')
        return doc

    def _settled(self, name: str) -> Answer:
        doc = self._book.get(name)
        if doc["EndpointStatus"] not in _SETTLED:
            raise invalid(f'Cannot update in-progress endpoint "{doc["EndpointArn"]}".')
        return doc


def _names(deployment: Deployment) -> set[str]:
    return {variant["name"] for variant in deployment["variants"]}


def _reweighted(deployment: Deployment, rows: list[Answer]) -> Deployment:
    asked = {row["VariantName"]: row for row in rows}
    unknown = asked.keys() - _names(deployment)
    if unknown:
        raise invalid(f"Could not find variant(s) {', '.join(sorted(unknown))} of the endpoint.")
    if any(row.get("DesiredWeight", 0) < 0 for row in rows):
        raise invalid("DesiredWeight must not be negative.")
    if any(row.get("DesiredInstanceCount", 1) < 1 for row in rows):
        raise invalid("DesiredInstanceCount must be at least 1.")

    def changed(variant: Answer) -> Answer:
        row = asked.get(variant["name"], {})
        weight, count = row.get("DesiredWeight", variant["weight"]), row.get("DesiredInstanceCount", variant["count"])
        return {**variant, "weight": weight, "count": count}

    return {**deployment, "variants": [changed(variant) for variant in deployment["variants"]]}
