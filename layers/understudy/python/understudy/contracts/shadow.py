"""A copy of a request that the champion answered, as `recommend` leaves it on the queue for `replay_shadow`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from understudy.contracts.outcomes import Bucket, Milliseconds, RequestId
from understudy.contracts.serving import Id, RecommendRequest
from understudy.contracts.traffic import ReleaseId, Standing


class ShadowCopy(BaseModel):
    """The request as it was validated, the features the champion used, and what the champion made of them.

    `items` are the places the champion's ranking chose: those drawn by chance say nothing of either release.
    `latency_ms` is the time of the champion's own steps; None where it failed (domain.serving.Served).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    request_id: RequestId
    at: AwareDatetime
    traffic_version: Annotated[int, Field(ge=1)]
    bucket: Bucket
    champion: ReleaseId
    candidate: Standing
    request: RecommendRequest
    user: dict[str, Any]
    items: Annotated[list[Id], Field(max_length=100)]
    latency_ms: Milliseconds | None
