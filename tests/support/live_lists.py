"""What `recommend` answers on a deployed stack, over the wire, at a time of one's choosing and without its share of chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq

from cli.site import Site
from understudy.adapters.aws_recommend import recommend_world
from understudy.contracts.serving import RecommendRequest
from understudy.settings import RecommendSettings

PATIENCE_MS = 60_000  # a test's machine may be slow; a degraded answer would be compared with a whole one


def live_lists(site: Site, users: Sequence[str], at: str, release_id: str, k: int = 10) -> dict[str, list[str]]:
    """The live lists of some users; each must be the release's own and whole."""
    settings = RecommendSettings(
        traffic_table=site.outputs["TrafficTable"],
        releases_table=site.outputs["ReleasesTable"],
        user_features_table=site.outputs["UserFeaturesTable"],
        two_tower_endpoint=f"{site.stack}-two-tower",
        ranker_endpoint=f"{site.stack}-ranker",
        opensearch_url=site.outputs["ItemIndexUrl"],
        served_stream="nobody-is-told",
        token_secret_arn="nobody-signs",
        shadow_queue_url="http://127.0.0.1:9/nobody",
        deadline_ms=PATIENCE_MS,
        exploration_bp=0,
    )
    world = replace(recommend_world(settings), wall=datetime.fromisoformat(at).timestamp)
    found = {}
    for user in users:
        served, _ = world.answer(RecommendRequest(user_id=user, k=k), world.deadline())
        assert served.standing.release == release_id
        assert set(served.trace.degraded) <= {"token_key"}, served.trace.degraded
        found[user] = [str(item["item_id"]) for item in served.slate.items]
    return found


def exported_lists(site: Site, scores: str, folder: Path) -> dict[str, list[str]]:
    """The lists of an export, read from its Parquet file."""
    bucket, _, key = scores.removeprefix("s3://").partition("/")
    site.client("s3").download_file(bucket, f"{key}/lists.parquet", str(folder / "lists.parquet"))
    rows = (
        pq.read_table(folder / "lists.parquet")
        .sort_by([("user_id", "ascending"), ("position", "ascending")])
        .to_pylist()
    )
    lists: dict[str, list[str]] = {}
    for row in rows:
        lists.setdefault(row["user_id"], []).append(row["item_id"])
    return lists
