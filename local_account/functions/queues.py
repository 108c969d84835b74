"""Event source mappings: messages of an SQS queue, in batches, to a function."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from local_account.account import REGION, Account
from local_account.functions.catalog import Catalog
from local_account.functions.invoker import Invoker
from local_account.functions.names import ARN, function_arn, parse_function_name
from local_account.records import Records
from local_account.wire import AwsError, Request

_FIELDS = ["BatchSize", "MaximumBatchingWindowInSeconds", "FunctionResponseTypes", "ScalingConfig"]
_UNPLAYED = ["FilterCriteria", "KMSKeyArn", "ProvisionedPollerConfig", "StartingPosition"]
_REST_S = (0.05, 1.0)  # between looks at an empty queue; doubles from the first to the second
_RECEIVE = 10  # messages one ReceiveMessage gives
_logger = logging.getLogger(__name__)


class Mappings:
    """CreateEventSourceMapping and what it sets going."""

    def __init__(self, account: Account, records: Records, catalog: Catalog, invoker: Invoker) -> None:
        self._account, self._records, self._catalog, self._invoker = account, records, catalog, invoker
        self._pollers: dict[str, Poller] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        for _, mapping in self._records.all("mapping"):
            self._poll(mapping)

    def stop(self) -> None:
        with self._lock:
            pollers, self._pollers = list(self._pollers.values()), {}
        for poller in pollers:
            poller.ask_to_stop()
        for poller in pollers:
            poller.join()

    def create_event_source_mapping(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        function = parse_function_name(params["FunctionName"])
        self._catalog.at(function)
        source = params.get("EventSourceArn", "")
        if not source.startswith("arn:aws:sqs:"):
            raise AwsError("InvalidParameterValueException", f"the local account polls SQS queues only, not {source!r}")
        if any(
            mapping["EventSourceArn"] == source and mapping["FunctionArn"] == function.arn
            for _, mapping in self._records.all("mapping")
        ):
            message = f"An event source mapping with SQS arn ({source}) and function ({function.arn}) already exists."
            raise AwsError("ResourceConflictException", message, 409)
        mapping = {
            "UUID": str(uuid.uuid4()),
            "EventSourceArn": source,
            "FunctionArn": function_arn(function.name, function.qualifier),
            "BatchSize": 10,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": [],
            "StateTransitionReason": "USER_INITIATED",
        }
        mapping["EventSourceMappingArn"] = f"{ARN}:event-source-mapping:{mapping['UUID']}"
        return self._save(mapping, params)

    def update_event_source_mapping(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        return self._save(self.get_event_source_mapping(params, request), params)

    def get_event_source_mapping(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        mapping = self._records.get("mapping", params["UUID"])
        if mapping is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
        return mapping

    def delete_event_source_mapping(self, params: dict[str, Any], request: Request) -> dict[str, Any]:
        mapping = self.get_event_source_mapping(params, request)
        self._records.delete("mapping", params["UUID"])
        self._end(params["UUID"])
        return {**mapping, "State": "Deleting"}

    def list_event_source_mappings(self, params: dict[str, Any], _request: Request) -> dict[str, Any]:
        found = [mapping for _, mapping in self._records.all("mapping")]
        if "EventSourceArn" in params:
            found = [mapping for mapping in found if mapping["EventSourceArn"] == params["EventSourceArn"]]
        if "FunctionName" in params:
            arn = parse_function_name(params["FunctionName"]).arn
            found = [mapping for mapping in found if mapping["FunctionArn"] == arn]
        return {"EventSourceMappings": found}

    def _save(self, mapping: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        if unplayed := [name for name in _UNPLAYED if params.get(name)]:
            raise AwsError(
                "InvalidParameterValueException",
                f"{', '.join(unplayed)} of a mapping is not played by the local account",
            )
        mapping = {**mapping, **{name: params[name] for name in _FIELDS if name in params}}
        if mapping["BatchSize"] > _RECEIVE and not mapping["MaximumBatchingWindowInSeconds"]:
            message = "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10"
            raise AwsError("InvalidParameterValueException", message)
        enabled = params.get("Enabled", mapping.get("State", "Enabled") == "Enabled")
        mapping |= {"State": "Enabled" if enabled else "Disabled", "LastModified": self._account.clock.epoch()}
        self._records.put("mapping", mapping["UUID"], mapping)
        self._end(mapping["UUID"])
        self._poll(mapping)
        return mapping

    def _poll(self, mapping: dict[str, Any]) -> None:
        if mapping["State"] == "Enabled":
            poller = Poller(self._account, self._catalog, self._invoker, mapping)
            with self._lock:
                self._pollers[mapping["UUID"]] = poller
            poller.start()

    def _end(self, key: str) -> None:
        with self._lock:
            poller = self._pollers.pop(key, None)
        if poller is not None:
            poller.ask_to_stop()
            poller.join()


class Poller(threading.Thread):
    """Receives, invokes, deletes what succeeded. What failed becomes visible again after the queue's own timeout."""

    def __init__(self, account: Account, catalog: Catalog, invoker: Invoker, mapping: dict[str, Any]) -> None:
        super().__init__(name=f"poll-{mapping['EventSourceArn'].rpartition(':')[2]}", daemon=True)
        self._account, self._catalog, self._invoker, self._mapping = account, catalog, invoker, mapping
        self._function = parse_function_name(mapping["FunctionArn"])
        self._stopping = threading.Event()
        self._at_once = mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 5)
        self._slots = threading.Semaphore(self._at_once)

    def ask_to_stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        rest_s = _REST_S[0]
        with ThreadPoolExecutor(self._at_once, thread_name_prefix=self.name) as work:
            while not self._stopping.is_set():
                if not self._slots.acquire(timeout=0.2):
                    continue
                messages: list[dict[str, Any]] = []
                try:
                    queue = self._queue()
                    messages = self._receive(*queue)
                except (ClientError, BotoCoreError, AwsError) as error:
                    _logger.warning("%s: %s", self.name, error)
                    rest_s = _REST_S[1]
                if messages:
                    rest_s = _REST_S[0]
                    work.submit(self._serve, *queue, messages)
                else:
                    self._slots.release()
                    self._stopping.wait(rest_s)
                    rest_s = min(2 * rest_s, _REST_S[1])

    def _queue(self) -> tuple[Any, str]:
        role = self._catalog.at(self._function)["Role"]
        client = self._account.client("sqs", role, "event-source-mapping")
        _, _, _, _, owner, name = self._mapping["EventSourceArn"].split(":")
        return client, f"{self._account.endpoint_url}/{owner}/{name}"

    def _receive(self, client: Any, url: str) -> list[dict[str, Any]]:
        """One batch: filled up to its size as long as its window lasts."""
        wanted, window_s = self._mapping["BatchSize"], self._mapping["MaximumBatchingWindowInSeconds"]
        messages: list[dict[str, Any]] = []
        deadline = time.monotonic() + window_s
        while len(messages) < wanted and not self._stopping.is_set():
            count = min(_RECEIVE, wanted - len(messages))
            got = client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=count, AttributeNames=["All"], MessageAttributeNames=["All"]
            ).get("Messages", [])
            messages += got
            if time.monotonic() >= deadline or (not messages and not got):
                break
            if not got:
                self._stopping.wait(0.1)
        return messages

    def _serve(self, client: Any, url: str, messages: list[dict[str, Any]]) -> None:
        try:
            event = {"Records": [self._record(message) for message in messages]}
            result = self._invoker.invoke(self._function, orjson.dumps(event))
            done = set() if result.outcome.failed else self._succeeded(messages, result.outcome.payload)
            receipts = [message for message in messages if message["MessageId"] in done]
            for start in range(0, len(receipts), _RECEIVE):
                entries = [
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(receipts[start : start + _RECEIVE])
                ]
                client.delete_message_batch(QueueUrl=url, Entries=entries)
        except (ClientError, BotoCoreError, AwsError) as error:
            _logger.warning("%s: %s", self.name, error)
        finally:
            self._slots.release()

    def _succeeded(self, messages: list[dict[str, Any]], payload: bytes) -> set[str]:
        """Ids to delete. A report that cannot be read, or names a message that was not sent, fails the whole batch."""
        ids = {message["MessageId"] for message in messages}
        if "ReportBatchItemFailures" not in self._mapping["FunctionResponseTypes"]:
            return ids
        try:
            report = orjson.loads(payload)
            failed = {item["itemIdentifier"] for item in (report or {}).get("batchItemFailures") or []}
        except (orjson.JSONDecodeError, TypeError, KeyError, AttributeError):
            return set()
        return ids - failed if failed <= ids else set()

    def _record(self, message: dict[str, Any]) -> dict[str, Any]:
        attributes = {
            name: {
                key[0].lower() + key[1:]: value.decode("latin-1") if isinstance(value, bytes) else value
                for key, value in attribute.items()
            }
            | {"stringListValues": [], "binaryListValues": []}
            for name, attribute in message.get("MessageAttributes", {}).items()
        }
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": attributes,
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._mapping["EventSourceArn"],
            "awsRegion": REGION,
        }
