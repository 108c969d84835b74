"""Deliveries: what was accepted is on disk, tried until a target takes it, and else left in a dead-letter queue.

At least once: a delivery is forgotten only after its target answered, so a killed account tries again when it is back.
"""

from __future__ import annotations

import hashlib
import heapq
import logging
import random
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from local_account.account import Account
from local_account.event_bridge.targets import Refused, send, send_to_queue
from local_account.records import Records

_log = logging.getLogger(__name__)

WORKERS = 4
MAX_ATTEMPTS, MAX_AGE_S = 185, 86_400  # AWS's defaults
FIRST_RETRY_S, LONGEST_RETRY_S = 1.0, 600.0


@dataclass(slots=True)
class Delivery:
    """One payload for one target."""

    id: str
    target: dict[str, Any]
    payload: str
    accepted: float
    origin: dict[str, str]  # dead-letter attribute and metric dimension: RULE_ARN and RuleName, or SCHEDULE_ARN
    metrics: str  # namespace, "" for none
    attempts: int = 0
    due: float = field(default=0.0)


def delivery_id(*parts: str) -> str:
    """A name for a delivery, the same for the same event, origin and target; an execution may carry it."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class Deliveries:
    def __init__(self, account: Account, records: Records) -> None:
        self._account, self._records = account, records
        self._heap: list[tuple[float, int, Delivery]] = []
        self._number = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for _id, document in self._records.all("delivery"):
            self._push(Delivery(**document))
        for number in range(WORKERS):
            thread = threading.Thread(target=self._work, daemon=True, name=f"event delivery {number}")
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(2)

    def accept(self, delivery: Delivery) -> None:
        """On disk when this returns; tried from then on."""
        delivery.due = delivery.due or delivery.accepted
        self._records.put("delivery", delivery.id, asdict(delivery))
        self._push(delivery)

    def _push(self, delivery: Delivery) -> None:
        with self._changed:
            self._number += 1
            heapq.heappush(self._heap, (delivery.due, self._number, delivery))
            self._changed.notify()

    def _work(self) -> None:
        while not self._stopping.is_set():
            delivery = self._next()
            if delivery is None:
                continue
            try:
                self._attempt(delivery)
            except Exception as bug:  # noqa: BLE001 - the worker must outlive any one delivery
                _log.exception("delivery %s to %s broke", delivery.id, delivery.target["Arn"])
                self._refused(delivery, Refused("INTERNAL_ERROR", repr(bug), final=False))

    def _next(self) -> Delivery | None:
        """The next one due, or None after a while, so that a moved clock and a stop are noticed."""
        with self._changed:
            if not self._heap or self._heap[0][0] > self._account.clock.epoch():
                ahead = self._heap[0][0] - self._account.clock.epoch() if self._heap else 1.0
                self._changed.wait(min(max(ahead, 0.01), 0.2))
                return None
            return heapq.heappop(self._heap)[2]

    def _attempt(self, delivery: Delivery) -> None:
        delivery.attempts += 1
        try:
            send(self._account, delivery.target, delivery.payload, delivery.id)
        except Refused as refusal:
            self._refused(delivery, refusal)
            return
        self._count(delivery, "Invocations")
        self._records.delete("delivery", delivery.id)

    def _refused(self, delivery: Delivery, refusal: Refused) -> None:
        policy = delivery.target.get("RetryPolicy", {})
        now = self._account.clock.epoch()
        exhausted = ""
        if delivery.attempts > policy.get("MaximumRetryAttempts", MAX_ATTEMPTS):
            exhausted = "MaximumRetryAttempts"
        elif now - delivery.accepted >= policy.get("MaximumEventAgeInSeconds", MAX_AGE_S):
            exhausted = "MaximumEventAgeInSeconds"
        if not exhausted and not refusal.final:
            self._count(delivery, "RetryInvocationAttempts")
            backoff = min(FIRST_RETRY_S * 2 ** (delivery.attempts - 1), LONGEST_RETRY_S)
            delivery.due = now + backoff * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            self._records.put("delivery", delivery.id, asdict(delivery))
            self._push(delivery)
            return
        self._count(delivery, "FailedInvocations")
        self._bury(delivery, refusal, exhausted)
        self._records.delete("delivery", delivery.id)

    def _bury(self, delivery: Delivery, refusal: Refused, exhausted: str) -> None:
        """Leave what nobody took in the dead-letter queue, with the reason; log it where there is none."""
        arn = delivery.target.get("DeadLetterConfig", {}).get("Arn")
        reason = f"{refusal.code}: {refusal}"
        if arn is None:
            _log.warning("undeliverable to %s: %s", delivery.target["Arn"], reason)
            return
        attributes = {k: v for k, v in delivery.origin.items() if k.endswith("_ARN")} | {
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": refusal.code,
            "ERROR_MESSAGE": str(refusal) or refusal.code,
            "RETRY_ATTEMPTS": str(delivery.attempts - 1),
        }
        if exhausted:
            attributes["EXHAUSTED_RETRY_CONDITION"] = exhausted
        try:
            role = delivery.target.get("RoleArn") if "SCHEDULE_ARN" in delivery.origin else None
            client = self._account.client("sqs", role_arn=role, session_name="events")
            send_to_queue(client, arn, delivery.payload, attributes=attributes)
        except Exception:  # noqa: BLE001 - whatever is wrong with the queue, the event is lost as on AWS
            _log.exception(
                "the dead-letter queue %s did not take what %s refused (%s)", arn, delivery.target["Arn"], reason
            )
            self._count(delivery, "InvocationsFailedToBeSentToDlq")
            return
        self._count(delivery, "InvocationsSentToDlq")

    def _count(self, delivery: Delivery, metric: str) -> None:
        if delivery.metrics:
            dimensions = {k: v for k, v in delivery.origin.items() if not k.endswith("_ARN")}
            self._account.count(delivery.metrics, metric, 1, "Count", dimensions)
