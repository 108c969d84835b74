"""Lines of the lake's logs as `aggregate_outcomes` reads them, and the event that names a log object."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from understudy.contracts.serving import EventType, Id
from understudy.contracts.traffic import Arm, ReleaseId

RequestId = Annotated[str, StringConstraints(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
Bucket = Annotated[int, Field(ge=0, le=9999)]
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
    request_id: RequestId
    assigned_release_id: ReleaseId
    bucket: Bucket
    traffic_version: Annotated[int, Field(ge=1)]
    arm: Arm | None = None  # what a line that came before it does not say is not guessed


class ServedLine(_Line):
    """A served-list record, as far as it is counted. `assigned_latency_ms` is None where the assigned release failed."""

    release_id: ReleaseId
    items: Annotated[list[Id], Field(max_length=100)]
    latency_ms: Milliseconds
    assigned_latency_ms: Milliseconds | None
    degraded: list[str] = []


class FeedbackLine(_Line):
    """A canonical event of live feedback, as far as it is counted."""

    event_type: EventType
    item_id: Id
    known_at: AwareDatetime


class _Named(BaseModel):
    name: str


class _Object(BaseModel):
    key: str
    etag: str = ""


class _Detail(BaseModel):
    bucket: _Named
    object: _Object


class ObjectCreated(BaseModel):
    """EventBridge `Object Created` of S3."""

    source: Literal["aws.s3"]
    detail: _Detail


class QueueRecord(BaseModel):
    messageId: str
    body: str


class QueueBatch(BaseModel):
    Records: list[QueueRecord]
