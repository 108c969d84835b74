"""The index, by its REST calls. The same bodies run on the embedded engine and, with OPENSEARCH_URL, on a real one."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np
import pytest

from local_account.opensearch.service import OpenSearchService
from tests.support.small_account import SmallAccount, request

DIMENSION = 8
NAMES = itertools.count()


class Engine:
    """A client of one engine, which takes one name after another for its indices and leaves none behind."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._base = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._names: list[str] = []

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        self._connection.request(method, self._base + path, data, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def index(self, documents: list[dict[str, Any]] | None = None, **mappings: Any) -> str:
        name = f"items-{os.getpid()}-{next(NAMES)}"
        self._names.append(name)
        assert self("PUT", f"/{name}", body_of(**mappings))[0] == 200
        if documents:
            status, answer = self("POST", "/_bulk", lines(name, documents))
            assert (status, answer["errors"]) == (200, False), answer
            self("POST", f"/{name}/_refresh")
        return name

    def ids(self, index: str, body: dict[str, Any]) -> list[str]:
        status, answer = self("POST", f"/{index}/_search", body)
        assert status == 200, answer
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def close(self) -> None:
        for name in self._names:
            self("DELETE", f"/{name}")
        self._connection.close()


def body_of(**mappings: Any) -> dict[str, Any]:
    method = {
        "name": "hnsw",
        "engine": "lucene",
        "space_type": "innerproduct",
        "parameters": {"m": 16, "ef_construction": 128},
    }
    properties = {
        "vector": {"type": "knn_vector", "dimension": DIMENSION, "method": method},
        "item_id": {"type": "keyword"},
        "title": {"type": "text", "index": False},
        "topic": {"type": "keyword"},
        "clicks": {"type": "float"},
    }
    settings = {"index": {"knn": True, "number_of_shards": 1, "number_of_replicas": 0}}
    return {
        "settings": settings,
        "mappings": {"dynamic": "strict", "_source": {"excludes": ["vector"]}, "properties": properties, **mappings},
    }


def lines(index: str, documents: list[dict[str, Any]], action: str = "index") -> str:
    return "".join(
        json.dumps({action: {"_index": index, "_id": document["item_id"]}}) + "\n" + json.dumps(document) + "\n"
        for document in documents
    )


def catalogue(count: int, seed: int = 0) -> tuple[list[dict[str, Any]], np.ndarray]:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    documents = [
        {
            "item_id": f"i{row}",
            "vector": vectors[row].tolist(),
            "topic": f"t{row % 5}",
            "clicks": row,
            "title": f"Item {row}",
        }
        for row in range(count)
    ]
    return documents, vectors


def nearest(vector: Any, k: int, **more: Any) -> dict[str, Any]:
    return {
        "size": k,
        "_source": False,
        "query": {"knn": {"vector": {"vector": list(map(float, vector)), "k": k, **more}}},
    }


def serve(service: OpenSearchService) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            response = service.handle(request(self.command, unquote(parts.path), body, service="es", query=query))
            self.send_response(response.status)
            self.send_header("content-length", str(len(response.body)))
            self.end_headers()
            self.wfile.write(response.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture(scope="module")
def embedded_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    service = OpenSearchService(SmallAccount(tmp_path_factory.mktemp("opensearch")))
    service.start()
    server = serve(service)
    yield f"http://127.0.0.1:{server.server_address[1]}/opensearch/items"
    server.shutdown()
    server.server_close()
    service.stop()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.engine)])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "real" and "OPENSEARCH_URL" not in os.environ:
        pytest.skip("OPENSEARCH_URL names no engine")
    url = os.environ["OPENSEARCH_URL"] if request.param == "real" else request.getfixturevalue("embedded_url")
    made = Engine(url)
    yield made
    made.close()


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


def test_every_item_of_a_bulk_is_answered_in_order_with_its_own_status(engine: Engine) -> None:
    index = engine.index()
    zero = [0.0] * DIMENSION
    body = [
        ({"index": {"_index": index, "_id": "1"}}, {"item_id": "1", "vector": zero}),
        ({"index": {"_index": index, "_id": "2"}}, {"item_id": "2", "vector": [1, 2]}),
        ({"index": {"_index": index, "_id": "3"}}, {"item_id": "3", "colour": "red"}),
        ({"index": {"_index": index, "_id": "4"}}, {"item_id": "4", "clicks": "many"}),
        ({"create": {"_index": index, "_id": "1"}}, {"item_id": "1"}),
        ({"delete": {"_index": index, "_id": "9"}},),
        ({"update": {"_index": index, "_id": "8"}}, {"doc": {"clicks": 1}}),
        ({"index": {"_index": index, "_id": "1"}}, {"item_id": "1", "clicks": 2}),
    ]
    status, answer = engine("POST", "/_bulk", "".join(json.dumps(line) + "\n" for lines_ in body for line in lines_))
    outcomes = [
        (action, item["status"], item.get("result") or item["error"]["type"])
        for one in answer["items"]
        for action, item in one.items()
    ]
    assert (status, answer["errors"]) == (200, True)
    assert outcomes == [
        ("index", 201, "created"),
        ("index", 400, "mapper_parsing_exception"),
        ("index", 400, "strict_dynamic_mapping_exception"),
        ("index", 400, "mapper_parsing_exception"),
        ("create", 409, "version_conflict_engine_exception"),
        ("delete", 404, "not_found"),
        ("update", 404, "document_missing_exception"),
        ("index", 200, "updated"),
    ]
    assert answer["items"][1]["index"]["error"]["caused_by"] == {
        "type": "illegal_argument_exception",
        "reason": f"Vector dimension mismatch. Expected: {DIMENSION}, Given: 2",
    }


def test_nan_in_a_vector_fails_its_own_document_only(engine: Engine) -> None:
    index = engine.index()
    poison = '{"item_id": "p", "vector": [NaN, 0, 0, 0, 0, 0, 0, 0]}'
    action = json.dumps({"index": {"_index": index, "_id": "p"}})
    _, answer = engine("POST", "/_bulk", f"{action}\n{poison}\n" + lines(index, catalogue(1)[0]))
    assert [item["index"]["status"] for item in answer["items"]] == [400, 201]
    assert answer["items"][0]["index"]["error"]["type"] == "mapper_parsing_exception"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "kind"),
    [
        pytest.param("PUT", "/{index}", {}, 400, "resource_already_exists_exception", id="an index that exists"),
        pytest.param("PUT", "/UPPER", {}, 400, "invalid_index_name_exception", id="a name in capitals"),
        pytest.param("POST", "/{index}/_search", nearest([1, 2], 3), 400, "search_phase_execution_exception", id="a vector of two"),
        pytest.param("POST", "/{index}/_search", nearest([0] * 8, 20_000), 400, "illegal_argument_exception", id="k too large"),
        pytest.param("POST", "/{index}/_search", nearest([0] * 8, 0), 400, "illegal_argument_exception", id="k of none"),
        pytest.param("POST", "/{index}/_search", {"size": 10_001}, 400, "search_phase_execution_exception", id="a window too large"),
        pytest.param("POST", "/{index}/_search", {"query": {"nonsense": {}}}, 400, "parsing_exception", id="an unknown query"),
        pytest.param("POST", "/{index}/_search", {"nonsense": 1}, 400, "parsing_exception", id="an unknown key"),
        pytest.param("POST", "/{index}/_search", "{", 400, None, id="no JSON"),
        pytest.param("POST", "/absent/_search", {}, 404, "index_not_found_exception", id="a search of nothing"),
        pytest.param("DELETE", "/absent", None, 404, "index_not_found_exception", id="a deletion of nothing"),
        pytest.param("POST", "/_bulk", '{"nonsense": {}}\n', 400, "illegal_argument_exception", id="an unknown action"),
        pytest.param("POST", "/_bulk", '{"delete": {"_index": "x", "_id": "1"}}', 400, "illegal_argument_exception", id="an open end"),
        pytest.param(
            "POST", "/_aliases", {"actions": [{"remove": {"index": "{index}", "alias": "gone"}}]}, 404, "aliases_not_found_exception", id="no alias"
        ),
    ],
)  # fmt: skip
def test_what_the_engine_refuses(
    engine: Engine, method: str, path: str, body: Any, status: int, kind: str | None
) -> None:
    index = engine.index()
    if body is not None:
        body = json.loads(json.dumps(body).replace("{index}", index)) if not isinstance(body, str) else body
    told, answer = engine(method, path.replace("{index}", index), body)
    assert told == status
    assert answer["status"] == status
    assert kind is None or answer["error"]["type"] == kind


def test_an_alias_moves_in_one_step(engine: Engine) -> None:
    documents, _ = catalogue(2)
    old, new = engine.index(documents[:1]), engine.index(documents[1:])
    alias = f"live-{old}"
    assert engine("POST", "/_aliases", {"actions": [{"add": {"index": old, "alias": alias}}]}) == (
        200,
        {"acknowledged": True},
    )
    assert engine.ids(alias, {}) == ["i0"]
    actions = [{"remove": {"index": old, "alias": alias}}, {"add": {"index": new, "alias": alias}}]
    engine("POST", "/_aliases", {"actions": actions})
    assert engine.ids(alias, {}) == ["i1"]
    assert engine("GET", f"/_alias/{alias}") == (200, {new: {"aliases": {alias: {}}}})
    failing = [{"remove": {"index": new, "alias": alias}}, {"add": {"index": "absent", "alias": alias}}]
    assert engine("POST", "/_aliases", {"actions": failing})[0] == 404
    assert engine.ids(alias, {}) == ["i1"], "none of the actions was done"


def test_a_document_written_again_is_found_as_it_is_now(engine: Engine) -> None:
    documents, vectors = catalogue(3)
    index = engine.index(documents)
    moved = {**documents[0], "vector": (-vectors[0]).tolist(), "topic": "moved"}
    engine("POST", "/_bulk", lines(index, [moved]))
    assert engine("GET", f"/{index}/_doc/i0")[1]["_source"]["topic"] == "moved", "by id it is there at once"
    engine("POST", f"/{index}/_refresh")
    assert engine("GET", f"/{index}/_count")[1]["count"] == 3
    assert engine.ids(index, nearest(-vectors[0], 1)) == ["i0"]
    assert engine.ids(index, {"query": {"term": {"topic": "t0"}}}) == []
    assert engine("DELETE", f"/{index}/_doc/i0")[0] == 200
    engine("POST", f"/{index}/_refresh")
    assert sorted(engine.ids(index, {})) == ["i1", "i2"]
    assert engine("GET", f"/{index}/_doc/i0")[0] == 404


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


def test_what_an_index_says_of_itself(engine: Engine) -> None:
    index = engine.index(catalogue(4)[0], _meta={"release_id": "r-1", "tower_id": "abc"})
    mapping = engine("GET", f"/{index}/_mapping")[1][index]["mappings"]
    assert mapping["_meta"] == {"release_id": "r-1", "tower_id": "abc"}
    assert mapping["properties"]["vector"]["dimension"] == DIMENSION
    assert engine("GET", f"/{index}/_settings")[1][index]["settings"]["index"]["knn"] == "true"
    assert engine("HEAD", f"/{index}")[0] == 200
    assert engine("HEAD", "/absent")[0] == 404
    rows = engine("GET", "/_cat/indices?format=json")[1]
    assert [row["docs.count"] for row in rows if row["index"] == index] == ["4"]
    assert engine("GET", f"/_plugins/_knn/warmup/{index}")[0] == 200
    assert engine("POST", f"/{index}/_forcemerge?max_num_segments=1")[0] == 200
    assert engine("GET", f"/{index}/_stats")[1]["_all"]["primaries"]["docs"]["count"] == 4
    assert engine("GET", "/_cluster/health")[1]["status"] in {"green", "yellow"}
    assert engine("GET", "/")[1]["version"]["number"] == "2.19.1"


def test_an_acknowledged_bulk_outlives_the_process_that_took_it(tmp_path: Path) -> None:
    """As after SIGKILL: nothing is stopped or flushed, and half a block lies at the log's end."""
    documents, vectors = catalogue(20)
    first = OpenSearchService(SmallAccount(tmp_path))

    def call(service: OpenSearchService, method: str, path: str, body: Any = None) -> Any:
        data = body.encode() if isinstance(body, str) else json.dumps(body or {}).encode()
        return json.loads(service.handle(request(method, "/opensearch/items" + path, data, service="es")).body)

    call(first, "PUT", "/catalogue", body_of())
    assert not call(first, "POST", "/_bulk", lines("catalogue", documents))["errors"]
    call(first, "DELETE", "/catalogue/_doc/i0")
    (log,) = tmp_path.rglob("documents.log")
    with log.open("ab") as file:
        file.write(b"DOC1 half a block")
    second = OpenSearchService(SmallAccount(tmp_path))
    found = call(second, "POST", "/catalogue/_search", {**nearest(vectors[5], 20), "_source": ["topic"]})["hits"][
        "hits"
    ]
    assert len(found) == 19
    assert found[0]["_id"] == f"i{np.argmax(np.delete(vectors @ vectors[5], 0)) + 1}"
    assert not call(second, "POST", "/_bulk", lines("catalogue", documents[:1]))["errors"]
    third = OpenSearchService(SmallAccount(tmp_path))
    assert call(third, "GET", "/catalogue/_count")["count"] == 20
