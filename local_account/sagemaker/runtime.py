"""sagemaker-runtime: InvokeEndpoint."""

from __future__ import annotations

import time
from urllib.parse import unquote

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.sagemaker.endpoint_keeper import EndpointKeeper
from local_account.sagemaker.endpoint_process import EndpointGone
from local_account.wire import AwsError, Request, Response

_LARGEST_BODY = 6_291_456  # BodyBlob of the runtime's model
_LONGEST_ID = 64
_NAMESPACE = "AWS/SageMaker"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each "
    "container in Amazon CloudWatch, resolve the issue, and try again."
)


class Runtime:
    def __init__(self, account: Account, keeper: EndpointKeeper) -> None:
        self._account, self._keeper = account, keeper

    def invoke(self, request: Request) -> Response:
        began = time.perf_counter_ns()
        endpoint = unquote(request.path.split("/")[2])
        live = self._keeper.live(endpoint)
        if live is None:
            raise _invalid(f"Endpoint {endpoint} of account {ACCOUNT_ID} not found.")
        head = self._head(request)
        try:
            facts, body = live.ask(head, request.body)
        except EndpointGone as error:
            raise AwsError("ServiceUnavailable", f"Endpoint {endpoint} is not available: {error}", 503) from None
        if "unknown_variant" in facts:
            if not facts["unknown_variant"]:
                raise _invalid(f"Endpoint {endpoint} of account {ACCOUNT_ID} not found.")
            raise _invalid(
                f"Variant {facts['unknown_variant']} not found for endpoint {endpoint} of account {ACCOUNT_ID}."
            )
        overhead_us = (time.perf_counter_ns() - began) // 1000 - facts["latency_us"]
        self._count(endpoint, facts["variant"], facts["status"], facts["latency_us"], overhead_us)
        if not 200 <= facts["status"] < 300:
            raise _model_error(endpoint, facts["status"], body.decode("utf-8", "replace"))
        headers = {"content-type": facts["content_type"], "x-amzn-invoked-production-variant": facts["variant"]}
        return Response(200, headers, body)

    def _head(self, request: Request) -> dict[str, object]:
        headers = request.headers
        if len(request.body) > _LARGEST_BODY:
            raise _invalid(f"Request body is larger than {_LARGEST_BODY} bytes")
        inference_id = headers.get("x-amzn-sagemaker-inference-id")
        if inference_id is not None and not (0 < len(inference_id) <= _LONGEST_ID and inference_id.isprintable()):
            raise _invalid(
                f"1 validation error detected: Value '{inference_id[:80]}' at 'inferenceId' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_LONGEST_ID}"
            )
        return {
            "variant": headers.get("x-amzn-sagemaker-target-variant"),
            "inference_id": inference_id,
            "custom_attributes": headers.get("x-amzn-sagemaker-custom-attributes"),
            "content_type": headers.get("content-type", "application/octet-stream"),
            "accept": headers.get("x-amzn-sagemaker-accept", headers.get("accept", "*/*")),
            "at": self._account.clock.epoch(),
        }

    def _count(self, endpoint: str, variant: str, status: int, latency_us: int, overhead_us: int) -> None:
        """What SageMaker counts for each call: errors are datapoints of 0 or 1, latencies microseconds."""
        dimensions = {"EndpointName": endpoint, "VariantName": variant}
        ok = 200 <= status < 300
        for metric, value in (
            ("Invocations", 1.0),
            ("Invocation4XXErrors", float(400 <= status < 500)),
            ("Invocation5XXErrors", float(not ok and not 400 <= status < 500)),
            ("InvocationModelErrors", float(not ok)),
        ):
            self._account.count(_NAMESPACE, metric, value, "None", dimensions)
        self._account.count(_NAMESPACE, "ModelLatency", float(latency_us), "Microseconds", dimensions)
        self._account.count(_NAMESPACE, "OverheadLatency", float(overhead_us), "Microseconds", dimensions)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message, 400)


def _model_error(endpoint: str, status: int, message: str) -> AwsError:
    side = "client" if 400 <= status < 500 else "server"
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    message = message if status else _TIMED_OUT
    return AwsError(
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{message}". See https://{REGION}.console.aws.amazon.com/'
        f"cloudwatch/home?region={REGION}#logEventViewer:group={group} in account {ACCOUNT_ID} for more information.",
        424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}",
    )
