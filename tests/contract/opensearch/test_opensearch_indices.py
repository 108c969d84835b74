"""Indices and aliases, and what is refused; on the embedded engine and on a real one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.search_engine import DIMENSION, Engine, catalogue, nearest


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
