"""Asynchronous invocation: on disk before it is acknowledged, retried, and its result sent on."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_account.account import Account
from local_account.functions.catalog import Catalog
from local_account.functions.destinations import envelope, send
from local_account.functions.invoker import Invoker
from local_account.functions.names import FunctionName, function_arn
from local_account.records import Records
from local_account.wire import AwsError

RETRY_AFTER_S = (60.0, 120.0)  # after the first and the second failure, as Lambda waits
_THROTTLED_AFTER_S = (1.0, 300.0)  # first and longest wait of an event that found no capacity
_MAX_AGE_S = 21_600
_DELIVERIES = 5
_logger = logging.getLogger(__name__)


class Events:
    """The queue between `Invoke` with InvocationType Event and the function."""

    def __init__(self, account: Account, records: Records, catalog: Catalog, invoker: Invoker) -> None:
        self._account, self._records, self._catalog, self._invoker = account, records, catalog, invoker
        self._stopping = threading.Event()
        self._work = ThreadPoolExecutor(max_workers=16, thread_name_prefix="function-events")
        self._later: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._timer = threading.Thread(target=self._wake, name="function-retries", daemon=True)

    def start(self) -> None:
        """Take up every event that was acknowledged and not finished."""
        self._timer.start()
        for _, event in self._records.all("event"):
            self._schedule(event)

    def stop(self) -> None:
        self._stopping.set()
        self._work.shutdown(wait=True, cancel_futures=True)
        if self._timer.is_alive():
            self._timer.join()

    def accept(self, function: FunctionName, payload: bytes, client_context: str = "") -> str:
        """Put an event on disk and return its request id; the function runs soon after."""
        event: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "name": function.name,
            "qualifier": function.qualifier,
            "payload": payload.decode(),
            "client_context": client_context,
            "accepted": self._account.clock.epoch(),
            "due": 0.0,
            "attempts": 0,
            "throttles": 0,
            "deliveries": 0,
            "result": None,
            "condition": None,  # set once nothing but the delivery of the result is left
        }
        self._records.put("event", event["id"], event)
        self._schedule(event)
        return str(event["id"])

    def _schedule(self, event: dict[str, Any]) -> None:
        if event["due"] > self._account.clock.epoch():
            with self._lock:
                self._later[event["id"]] = event
        elif not self._stopping.is_set():
            self._work.submit(self._run, event)

    def _wake(self) -> None:
        while not self._stopping.is_set():
            self._account.clock.sleep_until(self._account.clock.epoch() + 0.2, self._stopping)
            now = self._account.clock.epoch()
            with self._lock:
                due = [event for event in self._later.values() if event["due"] <= now]
                for event in due:
                    del self._later[event["id"]]
            for event in due:
                self._schedule(event)

    def _run(self, event: dict[str, Any]) -> None:
        try:
            if event["condition"] is None:
                self._attempt(event)
            else:
                self._deliver(event)
        except Exception:  # the event is on disk and comes back when the account starts again
            _logger.exception("event %s of function %s stands still", event["id"], event["name"])

    def _attempt(self, event: dict[str, Any]) -> None:
        function = FunctionName(event["name"], event["qualifier"])
        settings = self._records.get("event_invoke", f"{function.name}:{function.qualifier or '$LATEST'}") or {}
        if self._account.clock.epoch() - event["accepted"] > settings.get("MaximumEventAgeInSeconds", _MAX_AGE_S):
            self._conclude(event, "EventAgeExceeded")
            return
        try:
            result = self._invoker.invoke(function, event["payload"].encode(), event["client_context"], event["id"])
        except AwsError as error:
            self._could_not_run(event, error)
            return
        if self._invoker.stopping:
            return  # the account ended the process, not the function: the attempt is made again at the next start
        event["attempts"] += 1
        payload = result.outcome.payload.decode(errors="replace")
        event["result"] = {"version": result.version, "failed": result.outcome.failed, "payload": payload}
        if not result.outcome.failed:
            self._conclude(event, "Success")
        elif event["attempts"] > settings.get("MaximumRetryAttempts", len(RETRY_AFTER_S)):
            self._conclude(event, "RetriesExhausted")
        else:
            self._put_off(event, RETRY_AFTER_S[event["attempts"] - 1])

    def _could_not_run(self, event: dict[str, Any], error: AwsError) -> None:
        """A throttle or a stop is no attempt: the event waits, longer each time. A function that is gone is not waited for."""
        if error.code == "ResourceNotFoundException":
            _logger.warning("event %s: function %s is gone", event["id"], event["name"])
            self._records.delete("event", event["id"])
        elif not self._invoker.stopping:
            first, longest = _THROTTLED_AFTER_S
            wait_s = min(longest, first * 2 ** event["throttles"])
            event["throttles"] += 1
            self._put_off(event, wait_s)

    def _put_off(self, event: dict[str, Any], wait_s: float) -> None:
        event["due"] = self._account.clock.epoch() + wait_s
        self._records.put("event", event["id"], event)
        self._schedule(event)

    def _conclude(self, event: dict[str, Any], condition: str) -> None:
        event["condition"] = condition
        self._records.put("event", event["id"], event)
        self._deliver(event)

    def _deliver(self, event: dict[str, Any]) -> None:
        """Send the result to its destination; what cannot be sent is tried again, then counted and given up."""
        try:
            for destination, record in self._addresses(event):
                send(self._account, destination[0], destination[1], record)
        except (ClientError, BotoCoreError) as error:
            event["deliveries"] += 1
            _logger.warning("result of %s (%s) not delivered: %s", event["id"], event["name"], error)
            if event["deliveries"] < _DELIVERIES:
                self._put_off(event, 2.0 ** event["deliveries"])
                return
            dimensions = {"FunctionName": event["name"]}
            self._account.count("AWS/Lambda", "DestinationDeliveryFailures", 1, "Count", dimensions)
        except AwsError:
            pass  # the function was deleted meanwhile, and its destinations with it
        self._records.delete("event", event["id"])

    def _addresses(self, event: dict[str, Any]) -> list[tuple[tuple[str, str], dict[str, Any]]]:
        """((destination, role), record) of each: the event invoke configuration's, then the dead-letter queue of old."""
        function = FunctionName(event["name"], event["qualifier"])
        configuration = self._catalog.at(function)
        settings = self._records.get("event_invoke", f"{function.name}:{function.qualifier or '$LATEST'}") or {}
        side = "OnSuccess" if event["condition"] == "Success" else "OnFailure"
        role, found = configuration["Role"], []
        if arn := settings.get("DestinationConfig", {}).get(side, {}).get("Destination"):
            moment = self._account.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            called = function_arn(function.name, function.qualifier or "$LATEST")
            found.append(((arn, role), envelope(event, event["condition"], called, moment)))
        if side == "OnFailure" and (arn := configuration.get("DeadLetterConfig", {}).get("TargetArn")):
            found.append(((arn, role), json.loads(event["payload"])))
        return found
