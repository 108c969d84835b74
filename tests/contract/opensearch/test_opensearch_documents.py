"""Writing documents: one answer each, and found as they are now; on the embedded engine and on a real one."""

from __future__ import annotations

import json

from tests.support.search_engine import DIMENSION, Engine, catalogue, lines, nearest


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
