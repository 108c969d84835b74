"""A release record with every field, for tests that need one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from understudy.contracts.release import ReleaseRecord


def release(release_id: str = "r-20261123-1a2b3c4d", **changes: Any) -> ReleaseRecord:
    """A registered release whose pointers are made of its id."""
    fields: dict[str, Any] = {
        "release_id": release_id,
        "run_id": "night-1",
        "created_at": datetime(2026, 11, 23, 4, 40, tzinfo=UTC),
        "index": f"items-{release_id}",
        "tower_id": "t" * 64,
        "ranker_id": "k" * 64,
        "two_tower_model_s3": f"s3://artifacts/work/two_tower/{release_id}/j/output/model.tar.gz",
        "ranker_model_s3": f"s3://artifacts/work/ranker/{release_id}/j/output/model.tar.gz",
        "vectors_s3": f"s3://artifacts/work/embed_items/{release_id}",
        "prepared_s3": f"s3://artifacts/work/prepare_data/{release_id}",
        "evaluation_s3": f"s3://artifacts/work/evaluate/{release_id}/evaluation.json",
        "model_card_s3": f"s3://artifacts/work/evaluate/{release_id}/model_card.html",
        "baseline_s3": f"s3://artifacts/work/baseline/{release_id}",
        "feature_set": "1",
        "ranker_columns": [("user_age", "number", None), ("item_topic", "category", ""), ("position", "number", 1)],
        "item_fields": ["item_id", "title", "item_topic"],
        "popular": ["i-1", "i-2"],
        "two_tower_package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/understudy-two-tower/1",
        "ranker_package_arn": "arn:aws:sagemaker:us-east-1:123456789012:model-package/understudy-ranker/1",
        "gate": {"passed": True, "reasons": []},
    }
    return ReleaseRecord.model_validate(fields | changes)
