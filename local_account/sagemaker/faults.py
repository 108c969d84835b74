"""Faults to order for the models of an endpoint: what AWS has no switch for and a rehearsal must be able to show.

    PUT    /_local/faults   {"endpoint", "model", "share"?: 0-1 = 1, "status"?: 500-599, "delay_ms"?, "not_a_number"?: bool, "kill"?: bool}
    GET    /_local/faults   {"faults": [...]}
    DELETE /_local/faults   {"endpoint", "model"}

Signed for `sagemaker` by the account's operator; no role may call it, and the account listens on loopback only. A fault meets
`share` of the calls of that model's worker: `delay_ms` is waited first and counts as the model's latency, then `status` is answered
without asking the model, or every fraction in the model's JSON answer becomes NaN. `kill` ends the worker's process once,
now. A fault belongs to the model, so it goes when its variant goes, and it lives no longer than the account's process.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from local_account.sagemaker.errors import invalid
from local_account.wire import AwsError, Request, Response, json_response

if TYPE_CHECKING:
    from local_account.sagemaker.endpoint_keeper import EndpointKeeper

ROUTE = "/_local/faults"
LONGEST_DELAY_MS = 60_000  # what SageMaker gives a container
Answered = tuple[int, str, bytes]  # status, content type, body


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with a share of one model's calls."""

    share: float = 1.0
    status: int | None = None
    delay_ms: float = 0.0
    not_a_number: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is {self.share}; expected 0 to 1")
        if self.status is not None and not 500 <= self.status <= 599:
            raise ValueError(f"status is {self.status}; expected 500 to 599")
        if not 0 <= self.delay_ms <= LONGEST_DELAY_MS:
            raise ValueError(f"delay_ms is {self.delay_ms}; expected 0 to {LONGEST_DELAY_MS}")

    async def meet(self, ask: Callable[[], Awaitable[Answered]]) -> Answered:
        """One call, spoilt by chance `share`."""
        if random.random() >= self.share:  # noqa: S311 - no secret
            return await ask()
        if self.delay_ms:
            await asyncio.sleep(self.delay_ms / 1000)
        if self.status is not None:
            return self.status, "text/plain", b"a fault that was ordered at /_local/faults"
        status, content_type, body = await ask()
        return (status, content_type, _without_numbers(body)) if self.not_a_number else (status, content_type, body)


class FaultDesk:
    """The route: takes orders and hands them to the endpoint's server."""

    def __init__(self, keeper: EndpointKeeper) -> None:
        self._keeper = keeper
        self._ordered: dict[tuple[str, str], Fault] = {}

    def handle(self, request: Request) -> Response:
        if request.principal.role_arn is not None:
            raise AwsError("AccessDeniedException", "only the account's operator orders faults", 403)
        if request.method == "GET":
            rows = [{"endpoint": e, "model": m, **asdict(fault)} for (e, m), fault in list(self._ordered.items())]
            return json_response({"faults": rows})
        order = _read(request.body)
        endpoint, model = str(order.pop("endpoint", "")), str(order.pop("model", ""))
        live = self._keeper.live(endpoint)
        if live is None or not model:
            raise invalid(f"endpoint {endpoint!r} does not run or model {model!r} is empty")
        if request.method == "DELETE":
            self._ordered.pop((endpoint, model), None)
            live.spoil(model, None)
            return json_response({})
        if order.pop("kill", False):
            live.kill(model)
        if order:
            self._ordered[endpoint, model] = fault = _fault(order)
            live.spoil(model, asdict(fault))
        return json_response({})


def _read(body: bytes) -> dict[str, Any]:
    try:
        order = json.loads(body or b"{}")
    except ValueError:
        order = None
    if not isinstance(order, dict):
        raise invalid("the order is no JSON object")
    return order


def _fault(order: dict[str, Any]) -> Fault:
    try:
        return Fault(**order)
    except (TypeError, ValueError) as error:
        raise invalid(str(error)) from None


def _without_numbers(body: bytes) -> bytes:
    """A JSON answer whose fractions are NaN, as a model whose weights ran away writes them; other answers stay."""

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoilt(each) for key, each in value.items()}
        if isinstance(value, list):
            return [spoilt(each) for each in value]
        return float("nan") if isinstance(value, float) else value

    try:
        return json.dumps(spoilt(json.loads(body))).encode()
    except ValueError:
        return body
