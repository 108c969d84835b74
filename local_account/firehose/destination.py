"""Where a stream's buffers go: an S3 bucket, under a prefix that may hold expressions."""

from __future__ import annotations

import codecs
import gzip
import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from local_account.wire import AwsError

_EXPRESSION = re.compile(r"!\{(timestamp|firehose):([^}]*)\}")
_JAVA = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"))
_UNPLAYED = {
    "DataFormatConversionConfiguration": "Enabled",
    "DynamicPartitioningConfiguration": "Enabled",
}
_DEFAULT_HINTS = {"SizeInMBs": 5, "IntervalInSeconds": 300}
_EXTENSIONS = {"UNCOMPRESSED": "", "GZIP": ".gz"}


def read_destination(params: dict[str, Any]) -> dict[str, Any]:
    """The S3 destination of CreateDeliveryStream or UpdateDestination, with Firehose's defaults.

    Raises
    ------
    AwsError
        `InvalidArgumentException` for what the local account does not play, or Firehose does not accept.
    """
    given = params.get("ExtendedS3DestinationConfiguration") or params.get("S3DestinationConfiguration")
    if given is None:
        raise _invalid("the local account delivers to S3 only: ExtendedS3DestinationConfiguration is missing")
    for name, switch in _UNPLAYED.items():
        if given.get(name, {}).get(switch):
            raise _invalid(f"{name} is not played by the local account")
    hints = {**_DEFAULT_HINTS, **given.get("BufferingHints", {})}
    if not 1 <= hints["SizeInMBs"] <= 128 or not 0 <= hints["IntervalInSeconds"] <= 900:
        raise _invalid("BufferingHints: SizeInMBs is 1 to 128, IntervalInSeconds 0 to 900")
    prefix = given.get("Prefix", "")
    if "!{" in prefix and not given.get("ErrorOutputPrefix"):
        raise _invalid("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions.")
    if given.get("CompressionFormat", "UNCOMPRESSED") not in _EXTENSIONS:
        raise _invalid(f"CompressionFormat {given['CompressionFormat']} is not played; {', '.join(_EXTENSIONS)} are")
    destination = {
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        **given,
        "BufferingHints": hints,
    }
    expand(prefix, datetime.now(UTC))
    delimiter(destination)
    return destination


def delimiter(destination: dict[str, Any]) -> bytes:
    """What follows each record: that of the AppendDelimiterToRecord processor, else nothing."""
    processing = destination.get("ProcessingConfiguration", {})
    found = b""
    for processor in processing.get("Processors", []) if processing.get("Enabled") else []:
        if processor["Type"] != "AppendDelimiterToRecord":
            raise _invalid(f"processor {processor['Type']} is not played by the local account")
        parameters = {one["ParameterName"]: one["ParameterValue"] for one in processor.get("Parameters", [])}
        found = codecs.decode(parameters.get("Delimiter", "\\n"), "unicode_escape").encode()
    return found


def expand(prefix: str, arrived: datetime) -> str:
    """A prefix with its expressions filled in; one without a timestamp gets Firehose's own `yyyy/MM/dd/HH/`.

    Examples
    --------
    >>> expand("served/!{timestamp:yyyy/MM/dd}/", datetime(2026, 1, 2, tzinfo=UTC))
    'served/2026/01/02/'
    >>> expand("served/", datetime(2026, 1, 2, 3, tzinfo=UTC))
    'served/2026/01/02/03/'
    """
    if "!{timestamp:" not in prefix:
        prefix += "!{timestamp:yyyy/MM/dd/HH}/"

    def fill(found: re.Match[str]) -> str:
        if found[1] == "firehose":
            if found[2] != "random-string":
                raise _invalid(f"!{{firehose:{found[2]}}} has no place in Prefix")
            return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(11))
        pattern = found[2]
        for java, ours in _JAVA:
            pattern = pattern.replace(java, ours)
        return arrived.strftime(pattern.replace("'", ""))

    return _EXPRESSION.sub(fill, prefix)


def object_of(stream: str, destination: dict[str, Any], arrived: datetime, key: str) -> str:
    """The S3 key of a buffer."""
    extension = destination.get("FileExtension", "") + _EXTENSIONS[destination["CompressionFormat"]]
    name = f"{stream}-1-{arrived:%Y-%m-%d-%H-%M-%S}-{key}{extension}"
    return expand(destination.get("Prefix", ""), arrived) + name


def compress(destination: dict[str, Any], body: bytes) -> bytes:
    return gzip.compress(body, mtime=0) if destination["CompressionFormat"] == "GZIP" else body


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidArgumentException", message)
