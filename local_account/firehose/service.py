"""Data Firehose to S3: a record is on disk before it is acknowledged, and in S3 when its buffer is full or old enough."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import re
import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.firehose.destination import compress, delimiter, object_of, read_destination
from local_account.firehose.spool import Spool, arrival_of, records_of
from local_account.records import Records
from local_account.wire import AwsError, JsonService, Principal

LOCAL_INTERVAL_S = (
    10.0  # a laptop's streams are small: nobody waits for a stream's own minutes, unless they are shorter
)
RECORD_LIMIT = 1_024_000  # bytes
BATCH_RECORDS, BATCH_BYTES = 500, 4 * 1024 * 1024
_TICK_S = 0.2
_RETRY_S = 2.0
_logger = logging.getLogger(__name__)


class FirehoseService(JsonService):
    """Delivery streams of type DirectPut with an S3 destination."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._folder = account.state_dir / "firehose"
        self._records = Records(self._folder / "firehose.sqlite")
        self._spools: dict[str, Spool] = {}
        self._not_before: dict[str, float] = {}  # after a failed delivery: when to try the stream again
        self._lock = threading.Lock()
        self._delivering = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="firehose", daemon=True)

    def start(self) -> None:
        for name, _ in self._records.all("stream"):
            self._spool(name)
        self._thread.start()

    def stop(self) -> None:
        """Everything acknowledged goes to S3 if S3 takes it; what it does not waits on disk for the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._not_before.clear()
        for name, _ in list(self._records.all("stream")):
            self.flush(name)
        self._records.close()

    def create_delivery_stream(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        name = params["DeliveryStreamName"]
        if not re.fullmatch(r"[a-zA-Z0-9_.-]{1,64}", name):
            raise AwsError("InvalidArgumentException", f"{name!r} is no name of a delivery stream")
        if params.get("DeliveryStreamType", "DirectPut") != "DirectPut":
            raise AwsError("InvalidArgumentException", "the local account plays streams of type DirectPut")
        with self._lock:
            if self._records.get("stream", name) is not None:
                message = f"Firehose {name} under accountId {ACCOUNT_ID} already exists"
                raise AwsError("ResourceInUseException", message)
            stream = {
                "DeliveryStreamName": name,
                "DeliveryStreamARN": _arn(name),
                "CreateTimestamp": self._account.clock.epoch(),
                "VersionId": "1",
                "encryption": params.get("DeliveryStreamEncryptionConfigurationInput"),
                "tags": params.get("Tags", []),
                "destination": read_destination(params),
            }
            self._records.put("stream", name, stream)
        return {"DeliveryStreamARN": _arn(name)}

    def describe_delivery_stream(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        stream = self._stream(params["DeliveryStreamName"])
        extended = stream["destination"]
        plain = {
            name: value for name, value in extended.items() if name not in ("ProcessingConfiguration", "S3BackupMode")
        }
        kept = ("DeliveryStreamName", "DeliveryStreamARN", "CreateTimestamp", "VersionId")
        description = {name: stream[name] for name in kept}
        description |= {
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "DirectPut",
            "DeliveryStreamEncryptionConfiguration": {
                "Status": "ENABLED" if stream["encryption"] else "DISABLED",
                **({"KeyType": stream["encryption"]["KeyType"]} if stream["encryption"] else {}),
            },
            "Destinations": [
                {
                    "DestinationId": "destinationId-000000000001",
                    "S3DestinationDescription": plain,
                    "ExtendedS3DestinationDescription": extended,
                }
            ],
            "HasMoreDestinations": False,
        }
        return {"DeliveryStreamDescription": description}

    def list_delivery_streams(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        names = sorted(name for name, _ in self._records.all("stream"))
        after, limit = params.get("ExclusiveStartDeliveryStreamName", ""), params.get("Limit", 10)
        left = [name for name in names if name > after]
        return {"DeliveryStreamNames": left[:limit], "HasMoreDeliveryStreams": len(left) > limit}

    def update_destination(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        stream = self._stream(params["DeliveryStreamName"])
        if params["CurrentDeliveryStreamVersionId"] != stream["VersionId"]:
            raise AwsError("ConcurrentModificationException", f"the current version is {stream['VersionId']}")
        update = params.get("ExtendedS3DestinationUpdate") or params.get("S3DestinationUpdate") or {}
        merged = {"ExtendedS3DestinationConfiguration": {**stream["destination"], **update}}
        stream |= {"destination": read_destination(merged), "VersionId": str(int(stream["VersionId"]) + 1)}
        self._records.put("stream", stream["DeliveryStreamName"], stream)
        return {}

    def delete_delivery_stream(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        """What was acknowledged is delivered first; what S3 does not take then goes with the stream, as on AWS."""
        name = self._stream(params["DeliveryStreamName"])["DeliveryStreamName"]
        self.flush(name)
        self._records.delete("stream", name)
        with self._lock:
            self._spools.pop(name, None)
        for buffer in (self._folder / name).glob("*"):
            buffer.unlink()
        return {}

    def tag_delivery_stream(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        stream = self._stream(params["DeliveryStreamName"])
        tags = {tag["Key"]: tag for tag in [*stream["tags"], *params["Tags"]]}
        self._records.put("stream", stream["DeliveryStreamName"], {**stream, "tags": list(tags.values())})
        return {}

    def list_tags_for_delivery_stream(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        return {"Tags": self._stream(params["DeliveryStreamName"])["tags"], "HasMoreTags": False}

    def put_record(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        stream = self._stream(params["DeliveryStreamName"])
        (answer,) = self._accept(stream, [params["Record"]])
        return {**answer, "Encrypted": stream["encryption"] is not None}

    def put_record_batch(self, params: dict[str, Any], _principal: Principal) -> dict[str, Any]:
        stream = self._stream(params["DeliveryStreamName"])
        if not 1 <= len(params["Records"]) <= BATCH_RECORDS:
            raise AwsError(
                "InvalidArgumentException", f"Records: 1 to {BATCH_RECORDS} are taken, not {len(params['Records'])}"
            )
        answers = self._accept(stream, params["Records"])
        return {"FailedPutCount": 0, "Encrypted": stream["encryption"] is not None, "RequestResponses": answers}

    def flush(self, name: str) -> None:
        """Deliver what a stream holds now, whatever its hints say."""
        self._spool(name).close()
        self._deliver(name)

    def _accept(self, stream: dict[str, Any], given: list[dict[str, Any]]) -> list[dict[str, str]]:
        try:
            records = [base64.b64decode(record["Data"], validate=True) for record in given]
        except (binascii.Error, KeyError, TypeError) as error:
            raise AwsError("SerializationException", f"Data is no base64: {error}") from None
        if any(len(record) > RECORD_LIMIT for record in records) or sum(map(len, records)) > BATCH_BYTES:
            message = f"a record has at most {RECORD_LIMIT} bytes, a batch {BATCH_BYTES}"
            raise AwsError("InvalidArgumentException", message)
        try:
            self._spool(stream["DeliveryStreamName"]).append(records, self._account.clock.epoch())
        except OSError as error:
            raise AwsError("ServiceUnavailableException", f"the record could not be kept: {error}", 503) from None
        dimensions = {"DeliveryStreamName": stream["DeliveryStreamName"]}
        self._account.count("AWS/Firehose", "IncomingRecords", len(records), "Count", dimensions)
        return [{"RecordId": secrets.token_hex(56)} for _ in records]

    def _run(self) -> None:
        while not self._stopping.wait(_TICK_S):
            now = self._account.clock.epoch()
            for name, stream in self._records.all("stream"):
                hints = stream["destination"]["BufferingHints"]
                age_s = min(LOCAL_INTERVAL_S, hints["IntervalInSeconds"])
                self._spool(name).rotate_if(now, hints["SizeInMBs"] << 20, age_s)
                if now >= self._not_before.get(name, 0.0):
                    self._deliver(name)

    def _deliver(self, name: str) -> None:
        """Put every buffer that is ready; the first that S3 refuses ends the round, and the order is kept."""
        with self._delivering:
            stream = self._records.get("stream", name)
            if stream is None:
                return
            for buffer in self._spool(name).ready():
                dimensions = {"DeliveryStreamName": name}
                try:
                    self._put(name, stream["destination"], buffer)
                except (ClientError, BotoCoreError) as error:
                    self._not_before[name] = self._account.clock.epoch() + _RETRY_S
                    self._account.count("AWS/Firehose", "DeliveryToS3.Success", 0, "Count", dimensions)
                    self._tell(name, stream["destination"], str(error))
                    return
                self._account.count("AWS/Firehose", "DeliveryToS3.Success", 1, "Count", dimensions)

    def _put(self, name: str, destination: dict[str, Any], buffer: Path) -> None:
        moment, key = arrival_of(buffer)
        ending = delimiter(destination)
        body = b"".join(record + ending for record in records_of(buffer))
        if body:
            self._account.client("s3", destination["RoleARN"], "firehose").put_object(
                Bucket=destination["BucketARN"].removeprefix("arn:aws:s3:::"),
                Key=object_of(name, destination, datetime.fromtimestamp(moment, UTC), key),
                Body=compress(destination, body),
            )
        buffer.unlink()

    def _tell(self, name: str, destination: dict[str, Any], error: str) -> None:
        _logger.warning("stream %s: %s", name, error)
        options = destination.get("CloudWatchLoggingOptions", {})
        if options.get("Enabled"):
            with contextlib.suppress(ClientError, BotoCoreError):
                self._account.log(options["LogGroupName"], options["LogStreamName"], [f"S3 delivery failed: {error}"])

    def _stream(self, name: str) -> dict[str, Any]:
        stream = self._records.get("stream", name)
        if stream is None:
            message = f"Firehose {name} under account {ACCOUNT_ID} not found."
            raise AwsError("ResourceNotFoundException", message)
        return stream

    def _spool(self, name: str) -> Spool:
        with self._lock:
            spool = self._spools.get(name)
            if spool is None:
                spool = self._spools[name] = Spool(self._folder / name)
            return spool


def _arn(name: str) -> str:
    return f"arn:aws:firehose:{REGION}:{ACCOUNT_ID}:deliverystream/{name}"
