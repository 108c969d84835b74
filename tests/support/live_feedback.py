"""Feedback of users as Firehose delivers it, for whoever needs counted clicks without a user."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime

from cli.site import Site
from understudy.domain.tokens import new_request_id


def deliver_feedback(site: Site, arms: Mapping[str, str]) -> None:
    """One log object with an impression and a click of each arm's release (arm -> release)."""
    now = datetime.now(UTC)
    lines = []
    for arm, release in arms.items():
        request = {"request_id": new_request_id(int(now.timestamp() * 1000), os.urandom(10)), "arm": arm}
        place = {"release_id": release, "assigned_release_id": release, "bucket": 5, "traffic_version": 1}
        events = [
            {"event_type": kind, "item_id": "i-1", "known_at": now.isoformat()} for kind in ("impression", "click")
        ]
        lines += [json.dumps({**request, **place, **event}) for event in events]
    key = f"feedback/{now:%Y/%m/%d/%H}/by-hand-{os.urandom(4).hex()}"
    site.client("s3").put_object(Bucket=site.outputs["LakeBucket"], Key=key, Body="\n".join(lines).encode())
