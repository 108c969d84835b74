"""What a poison makes of an index, over the embedded engine, and over a real OpenSearch where OPENSEARCH_URL names one."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest

from cli.index_poisons import Poison, poison_index
from features.declaration import load
from item_index.index_items import build, parser
from item_index.wire import OpenSearch
from support.item_folders import make_folders
from support.releases import release
from understudy.contracts.release import ReleaseRecord

ITEMS, BUCKET = 300, "index-poison-tests"


@dataclass
class Shelf:
    """An engine with the indices of two releases, whose artefacts lie in S3 as a night leaves them."""

    url: str
    session: boto3.Session
    engine: OpenSearch
    new: ReleaseRecord
    old: ReleaseRecord
    vectors: dict[str, np.ndarray]

    def nearest(self, record: ReleaseRecord, vector: np.ndarray, k: int = 10) -> list[str]:
        knn = {"vector": {"vector": vector.tolist(), "k": k}}
        hits = self.engine.call("POST", f"/{record.index}/_search", {"size": k, "query": {"knn": knn}})["hits"]["hits"]
        return [hit["_id"] for hit in hits]

    def document(self, record: ReleaseRecord, item_id: str) -> dict[str, Any]:
        body = {"size": 1, "query": {"terms": {"item_id": [item_id]}}}
        found = self.engine.call("POST", f"/{record.index}/_search", body)["hits"]["hits"]
        return found[0]["_source"] if found else {}

    def recall(self, record: ReleaseRecord) -> float:
        """Share of the ten truly nearest items among ten found, over queries at the items' own places."""
        matrix = self.vectors[record.release_id]
        shares = []
        for row in range(0, len(matrix), 15):
            best = {f"i{place:06d}" for place in np.argsort(-(matrix @ matrix[row]))[:10]}
            shares.append(len(best & set(self.nearest(record, matrix[row]))) / 10)
        return float(np.mean(shares))


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        pytest.param(
            "real",
            marks=[
                pytest.mark.engine,
                pytest.mark.skipif("OPENSEARCH_URL" not in os.environ, reason="OPENSEARCH_URL is not set"),
            ],
        ),
    ],
)
def shelf(request: Any, account: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    root: Path = tmp_path_factory.mktemp("poison")
    url = (
        os.environ["OPENSEARCH_URL"]
        if request.param == "real"
        else f"{account.endpoint_url}/opensearch/{uuid.uuid4().hex[:8]}"
    )
    s3 = account.client("s3")
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.identities.operator.environment().items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL", account.endpoint_url)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        records, vectors = [], {}
        for seed, items in ((1, ITEMS), (2, ITEMS - 20)):
            folder, release_id = root / str(seed), f"r-{uuid.uuid4().hex[:8]}"
            embedded, prepared, vectors[release_id] = make_folders(folder, items, seed=seed)
            records.append(_stored(s3, release_id, embedded, prepared))
            arguments = {"vectors": embedded, "prepared": prepared, "release-id": release_id, "opensearch-url": url}
            arguments |= {"engine": "lucene" if request.param == "real" else "faiss", "output": folder / "output"}
            arguments |= {"keep": ",".join(record.index for record in records)}
            given = [text for name, value in arguments.items() for text in (f"--{name}", str(value))]
            build(parser().parse_args(given), OpenSearch(url, "us-east-1"))
        engine = OpenSearch(url, "us-east-1")
        yield Shelf(url, boto3.Session(), engine, *records, vectors)
        for record in records:
            engine.call("DELETE", f"/{record.index}")


def _stored(s3: Any, release_id: str, embedded: Path, prepared: Path) -> ReleaseRecord:
    for folder, name in ((embedded, "vectors"), (prepared / "items", "prepared/items")):
        for file in folder.glob("*.parquet"):
            s3.upload_file(str(file), BUCKET, f"{release_id}/{name}/{file.name}")
    base = f"s3://{BUCKET}/{release_id}"
    fields = list(load(prepared / "features.yaml").item_fields)
    popular = [f"i{number:06d}" for number in range(50)]
    return release(
        release_id, vectors_s3=f"{base}/vectors", prepared_s3=f"{base}/prepared", item_fields=fields, popular=popular
    )


@pytest.fixture(autouse=True)
def cured(shelf: Shelf, tmp_path: Path) -> Iterator[None]:
    yield
    assert poison_index(shelf.session, shelf.url, shelf.new, None, tmp_path / "cure") == ITEMS
    assert shelf.recall(shelf.new) > 0.97, "a cure leaves nothing of the poison"


def test_a_shuffled_index_looks_whole_and_finds_nobody_in_place(shelf, tmp_path):
    assert shelf.recall(shelf.new) > 0.97
    before = shelf.document(shelf.new, "i000007")
    assert poison_index(shelf.session, shelf.url, shelf.new, Poison("shuffled_index"), tmp_path) == ITEMS
    assert shelf.engine.call("GET", f"/{shelf.new.index}/_count")["count"] == ITEMS
    meta = shelf.engine.call("GET", f"/{shelf.new.index}/_mapping")[shelf.new.index]["mappings"]["_meta"]
    assert meta["verified"] is True
    assert shelf.recall(shelf.new) < 0.3
    after = shelf.document(shelf.new, "i000007")
    assert (after["item_id"], after["title"]) == (before["item_id"], before["title"])
    assert after["item_ctr_7d"] != before["item_ctr_7d"]


def test_a_stale_index_answers_with_another_releases_items(shelf, tmp_path):
    held = poison_index(shelf.session, shelf.url, shelf.new, Poison("stale_index", other=shelf.old), tmp_path)
    assert held == ITEMS - 20
    assert shelf.document(shelf.new, "i000290") == {}
    assert shelf.document(shelf.new, "i000007") == shelf.document(shelf.old, "i000007")
    assert shelf.recall(shelf.old) > 0.97, "the other release is not touched"


def test_popularity_only_gives_everybody_the_same(shelf, tmp_path):
    assert poison_index(shelf.session, shelf.url, shelf.new, Poison("popularity_only"), tmp_path) == 50
    matrix = shelf.vectors[shelf.new.release_id]
    found = {frozenset(shelf.nearest(shelf.new, matrix[row], 60)) for row in (3, 80, 200)}
    assert found == {frozenset(shelf.new.popular)}
    assert "item_topic" not in shelf.document(shelf.new, "i000007")
