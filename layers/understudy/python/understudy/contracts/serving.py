"""What the HTTP API takes and gives (docs/seams.md, HTTP API): API Gateway's payload 2.0 around our JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from understudy.errors import InvalidInput

MAX_BODY_BYTES = 65_536  # 100 events of 500 bytes, or 500 blocked ids, with room to spare

# Ids reach logs, CSV cells and query bodies: no control characters, no unbounded length.
Id = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
EventType = Literal["impression", "click", "like", "follow", "skip"]


class RecommendContext(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    topics: Annotated[list[Topic], Field(max_length=20)] = []
    blocked: Annotated[list[Id], Field(max_length=500)] = []


class RecommendRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    user_id: Id
    k: Annotated[int, Field(ge=1, le=100)] = 10
    context: RecommendContext = RecommendContext()


class FeedbackEvent(BaseModel):
    """One event of a client. Its position counts only where the token knows none."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    event_id: Id
    type: EventType
    item_id: Id
    position: Annotated[int, Field(ge=1, le=100, strict=True)] | None = None
    event_time: AwareDatetime


class EventsRequest(BaseModel):
    """The envelope; each event is validated by itself, so that one bad event does not cost the others."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    recommendation_id: Annotated[str, StringConstraints(min_length=1, max_length=4096, strict=True)]
    user_id: Id
    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=100)]


Model = TypeVar("Model", bound=BaseModel)


def read_body(event: Mapping[str, Any], model: type[Model]) -> Model:
    """The body of an API Gateway event as `model`.

    Raises
    ------
    InvalidInput
        Too large (413) or not what the model says (400); the first problem is named.
    """
    text: str | bytes = event.get("body") or ""
    if len(text) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise _too_large(len(text))
    if event.get("isBase64Encoded"):
        try:
            text = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidInput("the body is no base64", "base64, as isBase64Encoded says", code="bad_body") from None
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BODY_BYTES:
        raise _too_large(len(raw))
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise as_invalid_input(error) from None


def _too_large(size: int) -> InvalidInput:
    return InvalidInput(
        f"the body has {size} bytes", f"at most {MAX_BODY_BYTES} bytes", code="body_too_large", status=413
    )


def as_invalid_input(error: ValidationError) -> InvalidInput:
    """The first problem of a validation, without the value: it may be the user's data."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    code = "bad_json" if first["type"] == "json_invalid" else "invalid_input"
    what = f"{where}: {first['type'].replace('_', ' ')}"
    return InvalidInput(what, first["msg"][:300], code=code)


def answer(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """API Gateway's response; JSON without NaN."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(body, separators=(",", ":"), allow_nan=False),
    }


def refusal(error: InvalidInput) -> dict[str, Any]:
    return answer(error.status, {"error": {"code": error.code, "what": error.what, "expected": error.expected}})
