"""Endpoints as they stand, and as DescribeEndpoint says them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from local_account.sagemaker.deployments import Deployment
from local_account.sagemaker.errors import not_found
from local_account.sagemaker.room import Answer, Room, event_detail, public

KIND = "endpoint"


class EndpointBook:
    """Endpoints as they stand; each change is on disk first and then told to the bus."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.lock = threading.RLock()

    def get(self, name: str) -> Answer:
        doc: Answer | None = self.room.records.get(KIND, name)
        if doc is None:
            raise not_found("endpoint", KIND, name)
        return doc

    def put(self, doc: Answer) -> Answer:
        with self.lock:
            before = self.room.records.get(KIND, doc["EndpointName"]) or {}
            doc = {**doc, "LastModifiedTime": self.room.account.clock.epoch()}
            self.room.records.put(KIND, doc["EndpointName"], doc)
        if before.get("EndpointStatus") != doc["EndpointStatus"]:
            self._tell(doc)
        return doc

    def change(self, name: str, *, drop: tuple[str, ...] = (), **members: object) -> Answer:
        with self.lock:
            doc = {key: value for key, value in self.get(name).items() if key not in drop}
            return self.put({**doc, **members})

    def delete(self, name: str) -> None:
        with self.lock:
            doc = self.get(name)
            self.room.records.delete(KIND, name)
            self.room.records.delete("tags", doc["EndpointArn"])

    def all(self) -> Iterator[tuple[str, Answer]]:
        return self.room.records.all(KIND)

    def _tell(self, doc: Answer) -> None:
        detail = event_detail(describe(doc), self.room.tags(doc["EndpointArn"]))
        detail["EndpointStatus"] = _upper_snake(doc["EndpointStatus"])
        self.room.account.emit("aws.sagemaker", "SageMaker Endpoint State Change", detail, [doc["EndpointArn"]])


def describe(doc: Answer) -> Answer:
    """An endpoint as DescribeEndpoint answers it."""
    answer = public(doc)
    deployment: Deployment | None = doc.get("_deployment")
    if deployment is None:
        return answer
    wanted = {v["name"]: v for v in (doc.get("_pending") or deployment)["variants"]}
    answer["ProductionVariants"] = [_summary(v, wanted.get(v["name"], v)) for v in deployment["variants"]]
    if doc.get("_pending") is not None:
        pending = doc["_pending"]
        rows = [_summary(v, v) for v in pending["variants"]]
        answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending["config"], "ProductionVariants": rows}
    capture = deployment["capture"]
    if capture is not None:
        answer["DataCaptureConfig"] = {
            "EnableCapture": True,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    return answer


def _summary(variant: Answer, wanted: Answer) -> Answer:
    return {
        "VariantName": variant["name"],
        "DeployedImages": [{"SpecifiedImage": variant["image"], "ResolvedImage": variant["image"]}],
        "CurrentWeight": variant["weight"],
        "DesiredWeight": wanted["weight"],
        "CurrentInstanceCount": variant["count"],
        "DesiredInstanceCount": wanted["count"],
    }


def _upper_snake(status: str) -> str:
    return "".join(f"_{c}" if c.isupper() and i else c for i, c in enumerate(status)).upper()
