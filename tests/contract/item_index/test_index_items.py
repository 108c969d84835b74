"""The job over the embedded engine, and over a real OpenSearch where OPENSEARCH_URL names one."""

from __future__ import annotations

import json
import os
import random
import uuid
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.job import JobFailed
from item_index.index_items import build, main, parser
from item_index.recall import measure
from item_index.wire import OpenSearch
from support.item_folders import make_folders, write_vectors

ITEMS = 1500


@dataclass
class Site:
    """An engine and the folders of one night."""

    url: str
    engine_name: str
    root: Path
    vectors: Path
    prepared: Path
    matrix: np.ndarray
    release_id: str

    def arguments(self, **changes: Any) -> Namespace:
        given = {
            "vectors": self.vectors,
            "prepared": self.prepared,
            "release_id": self.release_id,
            "opensearch_url": self.url,
            "engine": self.engine_name,
            "output": self.root / "output",
        } | changes
        argv = [text for name, value in given.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        return parser().parse_args(argv)

    def engine(self) -> OpenSearch:
        return OpenSearch(self.url, "us-east-1", attempts=3, sleep=lambda _: None)

    def count(self, index: str | None = None) -> int:
        return int(self.engine().call("GET", f"/{index or self.index}/_count")["count"])

    @property
    def index(self) -> str:
        return f"items-{self.release_id}"

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.root / "output" / "manifest.json").read_text())


@pytest.fixture(params=["embedded", pytest.param("opensearch", marks=pytest.mark.engine)])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    if request.param == "embedded":
        account = request.getfixturevalue("account")
        for name, value in account.identities.operator.environment().items():
            monkeypatch.setenv(name, value)
        url, engine_name = f"{account.endpoint_url}/opensearch/index-items", "faiss"
    else:
        if not os.environ.get("OPENSEARCH_URL"):
            pytest.skip("OPENSEARCH_URL names no OpenSearch")
        url, engine_name = os.environ["OPENSEARCH_URL"], "lucene"
    vectors, prepared, matrix = make_folders(tmp_path, ITEMS)
    made = Site(url, engine_name, tmp_path, vectors, prepared, matrix, f"r-{uuid.uuid4().hex[:8]}")
    yield made
    engine = made.engine()
    for name in engine.call("GET", "/items-*/_mapping", missing_ok=True):
        engine.call("DELETE", f"/{name}", missing_ok=True)


class Flaky(OpenSearch):
    """Refuses a share of the bulk items with 429 or 503, as a busy engine does; dies after `dies_after` chunks."""

    def __init__(self, site: Site, share: float = 0.0, dies_after: int | None = None) -> None:
        super().__init__(site.url, "us-east-1", sleep=lambda _: None)
        self._chance, self._share, self._dies_after = random.Random(7), share, dies_after
        self.refused = 0

    def call(self, method: str, path: str, body: Any = None, *, missing_ok: bool = False) -> dict[str, Any]:
        if not path.endswith("/_bulk"):
            return super().call(method, path, body, missing_ok=missing_ok)
        if self._dies_after is not None:
            self._dies_after -= 1
            if self._dies_after < 0:
                raise KeyboardInterrupt
        lines = body.splitlines()
        pairs = [b"\n".join(lines[at : at + 2]) + b"\n" for at in range(0, len(lines), 2)]
        busy = [self._chance.random() < self._share for _ in pairs]
        self.refused += sum(busy)
        good = b"".join(pair for pair, is_busy in zip(pairs, busy, strict=True) if not is_busy)
        answer = super().call(method, path, good) if good else {"errors": False, "items": []}
        for pair, is_busy in zip(pairs, busy, strict=True):
            if is_busy:
                item = json.loads(pair.splitlines()[0])["index"]["_id"]
                error = {"type": "es_rejected_execution_exception", "reason": "queue full"}
                status = self._chance.choice((429, 503))
                answer["items"].append({"index": {"_id": item, "status": status, "error": error}})
        return answer | {"errors": answer["errors"] or any(busy)}


def test_an_index_holds_every_item_and_finds_the_nearest(site: Site) -> None:
    main(site.arguments())
    facts = site.manifest()
    assert (facts["index"], facts["count"], site.count(), facts["dead_letters"]) == (site.index, ITEMS, ITEMS, 0)
    assert facts["recall_at_100"] >= 0.98
    assert facts["recall_at_100_filtered"] >= 0.98
    assert 0.13 <= facts["filter"]["share"] <= 0.17
    knn = {"vector": {"vector": [float(value) for value in site.matrix[7]], "k": 3}}
    answer = site.engine().call("POST", f"/{site.index}/_search", {"size": 3, "query": {"knn": knn}})
    hit = answer["hits"]["hits"][0]
    assert (hit["_id"], hit["_source"]["title"]) == ("i000007", "Title 7")
    assert "vector" not in hit["_source"]


def test_a_fifth_of_the_items_refused_as_busy_come_in_all_the_same(site: Site) -> None:
    engine = Flaky(site, share=0.2)
    build(site.arguments(), engine)
    assert engine.refused > ITEMS / 10
    assert (site.count(), site.manifest()["dead_letters"]) == (ITEMS, 0)


def test_one_poisoned_vector_in_a_thousand_is_put_aside_and_two_fail_the_build(site: Site) -> None:
    ids = [f"i{number:06d}" for number in range(ITEMS)]
    site.matrix[3, 5] = np.nan
    write_vectors(site.vectors, ids, site.matrix)
    main(site.arguments())
    assert site.count() == ITEMS - 1
    (letter,) = (site.root / "output" / "dead_letters.jsonl").read_text().splitlines()
    assert json.loads(letter) == {"item_id": "i000003", "reason": "the vector holds NaN or infinity"}
    site.matrix[4, 5] = np.inf
    write_vectors(site.vectors, ids, site.matrix)
    with pytest.raises(JobFailed, match=r"2 of 1500 items cannot be indexed, more than 0\.1%"):
        main(site.arguments(release_id="r-other"))
    assert "items-r-other" not in site.engine().call("GET", "/items-*/_mapping")


def test_an_aborted_build_is_found_and_replaced_at_the_next_run(site: Site) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(site.arguments(), Flaky(site, dies_after=1))
    mapping = site.engine().call("GET", f"/{site.index}/_mapping")[site.index]["mappings"]
    assert not mapping["_meta"].get("verified")
    main(site.arguments())
    mapping = site.engine().call("GET", f"/{site.index}/_mapping")[site.index]["mappings"]
    assert (mapping["_meta"]["verified"], mapping["_meta"]["count"], site.count()) == (True, ITEMS, ITEMS)


def test_a_finished_build_is_not_done_again(site: Site) -> None:
    main(site.arguments())
    engine = Flaky(site, dies_after=0)  # any _bulk would end it
    build(site.arguments(), engine)
    assert site.manifest()["documents_per_s"] == 0


def test_only_indices_that_nobody_named_are_cleared_away(site: Site) -> None:
    for release_id in ("r-kept", "r-orphan"):
        body = {"settings": {"index": {"knn": True}}, "mappings": {"properties": {"item_id": {"type": "keyword"}}}}
        site.engine().call("PUT", f"/items-{release_id}", body)
    main(site.arguments(keep="items-r-kept,items-r-not-there"))
    assert set(site.engine().call("GET", "/items-*/_mapping")) == {"items-r-kept", site.index}
    assert site.manifest()["removed"] == ["items-r-orphan"]


def test_a_graph_that_finds_too_little_fails_the_build(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_blind(*given: Any, **named: Any) -> Any:
        recall = measure(*given, **named)
        return type(recall)(recall.value * 0.979, recall.factor)

    monkeypatch.setattr("item_index.index_items.measure", half_blind)
    with pytest.raises(JobFailed, match=r"less than 0\.98"):
        main(site.arguments())
    mapping = site.engine().call("GET", f"/{site.index}/_mapping")[site.index]["mappings"]
    assert not mapping["_meta"].get("verified")


def test_an_engine_that_is_not_there_is_one_clear_sentence(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("item_index.wire.LONGEST_PAUSE_S", 0.001)
    with pytest.raises(JobFailed, match="answered nothing"):
        main(site.arguments(opensearch_url="http://127.0.0.1:9"))
