"""Endpoint configurations: which models stand in which variants, and what is captured."""

from __future__ import annotations

import threading

from local_account.sagemaker.errors import already_exists, arn, invalid, not_found
from local_account.sagemaker.listing import Listing
from local_account.sagemaker.room import Answer, Params, Room, event_detail, public

KIND = "endpoint-config"
_NOUN = "endpoint configuration"
_LISTING = Listing("EndpointConfigs", ("EndpointConfigName", "EndpointConfigArn", "CreationTime"), "EndpointConfigName")


class EndpointConfigs:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()

    def create_endpoint_config(self, params: Params) -> Answer:
        name = params["EndpointConfigName"]
        variants = [self._variant(variant) for variant in params["ProductionVariants"]]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            raise invalid("Variant names must be unique within an endpoint configuration.")
        for member in ("AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants"):
            if params.get(member):
                raise invalid(f"The local account does not play {member}.")
        doc: Answer = {"EndpointConfigName": name, "EndpointConfigArn": arn(KIND, name), "ProductionVariants": variants}
        doc |= {"CreationTime": self._room.account.clock.epoch(), "EnableNetworkIsolation": False}
        if "DataCaptureConfig" in params:
            doc["DataCaptureConfig"] = {"EnableCapture": False, **params["DataCaptureConfig"]}
        with self._lock:
            if self._room.records.get(KIND, name) is not None:
                raise already_exists(_NOUN, KIND, name)
            self._room.records.put(KIND, name, doc)
        self._room.tag(doc["EndpointConfigArn"], params.get("Tags", []))
        self._tell(doc)
        return {"EndpointConfigArn": doc["EndpointConfigArn"]}

    def describe_endpoint_config(self, params: Params) -> Answer:
        return public(self.get(params["EndpointConfigName"]))

    def list_endpoint_configs(self, params: Params) -> Answer:
        return self._room.page(KIND, params, _LISTING)

    def delete_endpoint_config(self, params: Params) -> Answer:
        """Allowed while an endpoint uses it, as on AWS: the endpoint goes on with what it was given."""
        doc = self.get(params["EndpointConfigName"])
        self._room.records.delete(KIND, doc["EndpointConfigName"])
        self._room.records.delete("tags", doc["EndpointConfigArn"])
        self._tell(doc)
        return {}

    def get(self, name: str) -> Answer:
        doc: Answer | None = self._room.records.get(KIND, name)
        if doc is None:
            raise not_found(_NOUN, KIND, name)
        return doc

    def _variant(self, variant: Answer) -> Answer:
        if "ServerlessConfig" in variant or "ModelName" not in variant:
            raise invalid(f"The local account plays variants of one model on instances: {variant['VariantName']}")
        if self._room.records.get("model", variant["ModelName"]) is None:
            raise not_found("model", "model", variant["ModelName"])
        if variant.get("InitialVariantWeight", 1.0) < 0:
            raise invalid(f"InitialVariantWeight of {variant['VariantName']} must not be negative.")
        return {"InitialInstanceCount": 1, "InitialVariantWeight": 1.0, **variant}

    def _tell(self, doc: Answer) -> None:
        detail = event_detail(doc, self._room.tags(doc["EndpointConfigArn"]))
        kind = "SageMaker Endpoint Config State Change"
        self._room.account.emit("aws.sagemaker", kind, detail, [doc["EndpointConfigArn"]])
