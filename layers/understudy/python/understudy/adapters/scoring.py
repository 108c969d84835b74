"""What a scoring reads of the world before its first job, and the code that its jobs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from understudy.adapters import model_code
from understudy.adapters.aws_items import from_item, to_item
from understudy.domain.night import Code
from understudy.domain.scoring import UserData

PACKAGES = ("features", "item_index", "scoring")
# The recommender's rules: the same files in the function that answers and in the container that makes the daily lists.
RULES = (
    "__init__.py",
    "errors.py",
    "domain/__init__.py",
    "domain/diversity.py",
    "domain/ranking_rows.py",
    "domain/recommendation.py",
)


def read_users(dynamodb: Any, state_table: str) -> UserData:
    """What prepare_data and importers wrote down of the users' data."""

    def read(key: str) -> dict[str, Any]:
        answer = dynamodb.get_item(TableName=state_table, Key=to_item({"id": key}), ConsistentRead=True)
        return from_item(answer.get("Item") or {})

    online, lake = read("online_features"), read("lake")
    return UserData(online.get("feature_time"), online.get("feature_set"), int(lake.get("data_version", 0)))


def publish_code(s3: Any, bucket: str) -> Code:
    """The archive of the scoring jobs: their packages of model_code/, and the rules of this very layer."""
    layer = Path(__file__).resolve().parents[1]
    rules = {f"understudy/{name}": layer / name for name in RULES}
    return model_code.publish(s3, bucket, model_code.find_root(), PACKAGES, rules)
