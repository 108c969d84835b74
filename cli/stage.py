"""What is on stage, and the releases behind it, read from their tables as plain values."""

from __future__ import annotations

from typing import Any

from cli.site import Problem, Site
from understudy.adapters.aws_items import from_item


def read_traffic(site: Site) -> dict[str, Any] | None:
    """The traffic item (docs/architecture.md#traffic), or None before the first release."""
    answer = site.client("dynamodb").get_item(
        TableName=site.outputs["TrafficTable"], Key={"id": {"S": "traffic"}}, ConsistentRead=True
    )
    return from_item(answer["Item"]) if "Item" in answer else None


def read_releases(site: Site) -> list[dict[str, Any]]:
    """Every release, newest first."""
    pages = site.client("dynamodb").get_paginator("scan").paginate(TableName=site.outputs["ReleasesTable"])
    found = [from_item(item) for page in pages for item in page["Items"]]
    return sorted(found, key=lambda release: release["created_at"], reverse=True)


def read_release(site: Site, release_id: str) -> dict[str, Any]:
    answer = site.client("dynamodb").get_item(
        TableName=site.outputs["ReleasesTable"], Key={"release_id": {"S": release_id}}
    )
    if "Item" not in answer:
        raise Problem(f"there is no release {release_id}; understudy releases lists them")
    return from_item(answer["Item"])


def serving_release(site: Site) -> dict[str, Any]:
    traffic = read_traffic(site)
    if traffic is None:
        raise Problem("nobody is on stage yet; understudy night makes a release")
    return read_release(site, traffic["champion"]["release"])
