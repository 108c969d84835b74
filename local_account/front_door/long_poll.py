"""SQS's long polling, outside of moto: a receiver that waits must not hold the lock that a sender needs."""

from __future__ import annotations

import json
import threading
import time
from urllib.parse import urlencode

from local_account.front_door.call import Call
from local_account.front_door.effects import changed_something
from local_account.front_door.moto_services import MotoServices, backend
from local_account.wire import Response

_LOOK_AGAIN_S = 0.25  # for messages that become visible by time alone: delays, returned ones


class LongPoll:
    """Answers ReceiveMessage: looks, waits for a write to any queue, looks again until its time is up."""

    def __init__(self, moto: MotoServices) -> None:
        self._moto = moto
        self._written = threading.Condition()
        for service in ("sqs", "sns"):
            moto.on_write(service, self._wake)

    def _wake(self) -> None:
        with self._written:
            self._written.notify_all()

    def receive(self, call: Call) -> Response:
        until = time.monotonic() + _without_waiting(call)
        while True:
            response = self._moto.handle(call, "sqs", "ReceiveMessage")
            left = until - time.monotonic()
            if response.status >= 400 or left <= 0 or changed_something("ReceiveMessage", response.body):
                return response
            with self._written:
                self._written.wait(min(left, _LOOK_AGAIN_S))


def _without_waiting(call: Call) -> float:
    """Set the call's waiting time to zero; return what it was, or the queue's own when the call named none."""
    if call.protocol == "json":
        body = json.loads(call.body or b"{}")
        asked, url = body.get("WaitTimeSeconds"), body.get("QueueUrl", "")
        call.body = json.dumps({**body, "WaitTimeSeconds": 0}).encode()
    else:
        form = call.form
        asked, url = form.get("WaitTimeSeconds"), form.get("QueueUrl", call.path)
        call.body, call.form = urlencode({**form, "WaitTimeSeconds": "0"}).encode(), {**form, "WaitTimeSeconds": "0"}
    if asked is None:
        queue = backend("sqs").queues.get(str(url).rstrip("/").rsplit("/", 1)[-1])
        asked = getattr(queue, "receive_message_wait_time_seconds", 0) or 0
    return min(max(float(asked), 0.0), 20.0)
