"""Data capture on the server's side: rows are kept off the request path and written to a spool every few seconds.

The account uploads what lies in the spool (`capture_upload.py`), so a capture file survives the account's end.
"""

from __future__ import annotations

import base64
import json
import os
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FLUSH_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One answered call."""

    at: float  # epoch seconds, the account's time
    variant: str
    inference_id: str | None
    custom_attributes: str | None
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes


class Capture:
    """What one DataCaptureConfig asks for.

    Parameters
    ----------
    config
        The endpoint configuration's DataCaptureConfig.
    spool
        Folder of this endpoint and configuration; files lie below it as they will in S3.
    """

    def __init__(self, config: dict[str, Any], spool: Path) -> None:
        header = config.get("CaptureContentTypeHeader", {})
        self._csv = frozenset(header.get("CsvContentTypes", ()))
        self._json = frozenset(header.get("JsonContentTypes", ()))
        modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
        self._input = bool(modes & {"Input", "InputAndOutput"})
        self._output = bool(modes & {"Output", "InputAndOutput"})
        self._share = config["InitialSamplingPercentage"] / 100
        self._spool = spool
        self._kept: list[Exchange] = []

    def keep(self, exchange: Exchange) -> None:
        """Take a call into the next file if the sample has it."""
        if self._share >= 1 or random.random() < self._share:  # noqa: S311 - a sample, no secret
            self._kept.append(exchange)

    def take(self) -> list[Exchange]:
        kept, self._kept = self._kept, []
        return kept

    def write(self, exchanges: list[Exchange]) -> None:
        """One file for each variant and hour; whole before it has its name, so an uploader never sees half of one."""
        files: dict[tuple[str, str], list[Exchange]] = {}
        for exchange in exchanges:
            hour = datetime.fromtimestamp(exchange.at, UTC).strftime("%Y/%m/%d/%H")
            files.setdefault((exchange.variant, hour), []).append(exchange)
        for (variant, hour), rows in files.items():
            first = datetime.fromtimestamp(rows[0].at, UTC)
            name = f"{first:%M-%S}-{first.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            target = self._spool / variant / hour / name
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".part")
            unfinished.write_text("".join(json.dumps(self.line(row)) + "\n" for row in rows))
            os.replace(unfinished, target)

    def line(self, row: Exchange) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self._input:
            data["endpointInput"] = self._side(row.content_type, "INPUT", row.body)
        if self._output:
            data["endpointOutput"] = self._side(row.answer_type, "OUTPUT", row.answer)
        at = datetime.fromtimestamp(row.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about: dict[str, Any] = {"eventId": str(uuid.uuid4()), "inferenceTime": at}
        if row.inference_id is not None:
            about["inferenceId"] = row.inference_id
        if row.custom_attributes is not None:
            about["customAttributes"] = [row.custom_attributes]
        return {"captureData": data, "eventMetadata": about, "eventVersion": "0"}

    def _side(self, content_type: str, mode: str, body: bytes) -> dict[str, str]:
        plain = content_type.partition(";")[0].strip().lower()
        encoding = "CSV" if plain in self._csv else "JSON" if plain in self._json else "BASE64"
        try:
            text = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(body).decode(), "BASE64"
        return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}
