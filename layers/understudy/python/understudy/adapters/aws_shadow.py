"""The queue of copied requests: `recommend` writes, `replay_shadow` is called with what lies there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws_wire import JsonProtocol, SignedHttp
from understudy.errors import StepFailed


class ShadowQueue:
    """Copies to one SQS queue, one attempt a call."""

    def __init__(self, http: SignedHttp, url: str) -> None:
        self._sqs, self._url = JsonProtocol(http, "sqs", "AmazonSQS", "1.0"), url

    def put(self, copy: Mapping[str, Any], timeout_s: float) -> None:
        """One copy.

        Raises
        ------
        StepFailed
            It may or may not be on the queue.
        """
        body = json.dumps(copy, separators=(",", ":"), allow_nan=False)
        try:
            self._sqs.call("SendMessage", {"QueueUrl": self._url, "MessageBody": body}, timeout_s)
        except ClientError as error:
            raise StepFailed("shadow", error.response["Error"]["Code"]) from None
