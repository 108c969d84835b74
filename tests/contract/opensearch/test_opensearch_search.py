"""What a search finds, in which order, with which fields; on the embedded engine and on a real one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.search_engine import DIMENSION, Engine, catalogue, nearest


def test_the_nearest_documents_come_first_with_lucenes_scores(engine: Engine) -> None:
    documents, vectors = catalogue(200)
    index = engine.index(documents)
    query = np.random.default_rng(1).normal(size=DIMENSION).astype(np.float32)
    status, answer = engine("POST", f"/{index}/_search", nearest(query, 200))
    products = vectors @ query
    hits = answer["hits"]["hits"]
    assert status == 200
    assert [hit["_id"] for hit in hits] == [f"i{row}" for row in np.argsort(-products)]
    expected = np.where(products >= 0, 1 + products, 1 / (1 - np.minimum(products, 0)))
    np.testing.assert_allclose([hit["_score"] for hit in hits], np.sort(expected)[::-1], rtol=1e-5)
    assert answer["hits"]["max_score"] == hits[0]["_score"]
    assert answer["hits"]["total"] == {"value": 200, "relation": "eq"}


def test_sources_come_without_the_vector_and_with_the_fields_asked_for(engine: Engine) -> None:
    documents, vectors = catalogue(3)
    index = engine.index(documents)
    body = nearest(vectors[1], 1)
    whole = engine("POST", f"/{index}/_search", {**body, "_source": True})[1]["hits"]["hits"][0]["_source"]
    some = engine("POST", f"/{index}/_search", {**body, "_source": ["topic", "clicks"]})[1]["hits"]["hits"][0][
        "_source"
    ]
    less = engine("POST", f"/{index}/_search", {**body, "_source": {"excludes": ["t*"]}})[1]["hits"]["hits"][0][
        "_source"
    ]
    assert whole == {"item_id": "i1", "topic": "t1", "clicks": 1, "title": "Item 1"}
    assert some == {"topic": "t1", "clicks": 1}
    assert less == {"item_id": "i1", "clicks": 1}
    assert "_source" not in engine("POST", f"/{index}/_search", body)[1]["hits"]["hits"][0]


@pytest.mark.parametrize(
    ("filter_", "keeps"),
    [
        pytest.param({"terms": {"topic": ["t1", "t3"]}}, lambda row: row % 5 in (1, 3), id="terms"),
        pytest.param({"term": {"topic": "t2"}}, lambda row: row % 5 == 2, id="term"),
        pytest.param(
            {"bool": {"must_not": [{"ids": {"values": ["i0", "i7"]}}]}},
            lambda row: row not in (0, 7),
            id="ids that must not",
        ),
        pytest.param(
            {"bool": {"must_not": [{"terms": {"item_id": ["i3"]}}]}}, lambda row: row != 3, id="keyword that must not"
        ),
        pytest.param({"range": {"clicks": {"gte": 10, "lt": 20}}}, lambda row: 10 <= row < 20, id="range"),
        pytest.param({"exists": {"field": "clicks"}}, lambda row: True, id="exists"),
        pytest.param(
            {"bool": {"must": [{"term": {"topic": "t1"}}], "filter": [{"range": {"clicks": {"gt": 50}}}]}},
            lambda row: row % 5 == 1 and row > 50,
            id="must and filter",
        ),
        pytest.param(
            {"bool": {"should": [{"term": {"topic": "t1"}}, {"term": {"item_id": "i2"}}]}},
            lambda row: row % 5 == 1 or row == 2,
            id="should",
        ),
        pytest.param({"term": {"topic": "no such"}}, lambda row: False, id="nothing"),
    ],
)
def test_a_filter_inside_knn_keeps_k_of_what_passes(engine: Engine, filter_: dict[str, Any], keeps: Any) -> None:
    documents, vectors = catalogue(100)
    index = engine.index(documents)
    query = np.random.default_rng(2).normal(size=DIMENSION).astype(np.float32)
    expected = [f"i{row}" for row in np.argsort(-(vectors @ query)) if keeps(int(row))][:10]
    assert engine.ids(index, nearest(query, 10, filter=filter_)) == expected
    matching = {f"i{row}" for row in range(100) if keeps(row)}
    assert set(engine.ids(index, {"size": 100, "query": filter_})) == matching
    assert engine("POST", f"/{index}/_count", {"query": filter_})[1]["count"] == len(matching)


def test_all_documents_can_be_paged_through_in_order(engine: Engine) -> None:
    index = engine.index(catalogue(25)[0])
    seen: list[float] = []
    after: list[Any] | None = None
    while True:
        body = {"size": 10, "sort": [{"clicks": "desc"}], **({"search_after": after} if after else {})}
        hits = engine("POST", f"/{index}/_search", body)[1]["hits"]["hits"]
        if not hits:
            break
        seen += [hit["_source"]["clicks"] for hit in hits]
        after = hits[-1]["sort"]
    assert seen == list(range(24, -1, -1))
    assert len(engine.ids(index, {"size": 10, "from": 20})) == 5


def test_a_script_scores_exactly(engine: Engine) -> None:
    documents, vectors = catalogue(50)
    index = engine.index(documents)
    script = {
        "source": "knn_score",
        "lang": "knn",
        "params": {"field": "vector", "query_value": vectors[3].tolist(), "space_type": "innerproduct"},
    }
    body = {"size": 5, "query": {"script_score": {"query": {"term": {"topic": "t3"}}, "script": script}}}
    rows = [row for row in np.argsort(-(vectors @ vectors[3])) if row % 5 == 3][:5]
    assert engine.ids(index, body) == [f"i{row}" for row in rows]
