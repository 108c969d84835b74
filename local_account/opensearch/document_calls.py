"""Calls about documents: writing, reading, searching."""

from __future__ import annotations

import base64
import os
from typing import Any

from local_account.opensearch.bulk import bulk
from local_account.opensearch.errors import failure
from local_account.opensearch.index import Index
from local_account.opensearch.operations import Done, Operation
from local_account.opensearch.router import SHARDS, Api, read_json, route
from local_account.opensearch.search import count, search


@route("POST PUT", "/_bulk", "/{index}/_bulk")
def _bulk(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    answer, written = bulk(body, at.get("index"), api.cluster.for_writing, _new_id)
    if _wants_refresh(query):
        for name in written:
            api.cluster.for_writing(name).refresh()
    return answer


@route("GET POST", "/{index}/_search")
def _search(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    wanted = read_json(body)
    for name in ("size", "from"):
        if name in query:
            wanted[name] = int(query[name])
    return search(api.cluster.one(at["index"]), wanted)


@route("GET POST", "/{index}/_count")
def _count(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    total = sum(count(index, read_json(body)) for index in api.cluster.resolve(at["index"]))
    return {"count": total, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}


@route("GET HEAD", "/{index}/_doc/{id}", "/{index}/_source/{id}")
def _get_document(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    index = api.cluster.one(at["index"])
    found = index.get(at["id"])
    return found if found is not None else (404, {"_index": index.name, "_id": at["id"], "found": False})


@route("PUT POST", "/{index}/_doc/{id}", "/{index}/_create/{id}", "/{index}/_doc")
def _put_document(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    operation = Operation("index", at.get("id") or _new_id(), read_json(body), body)
    return _single(api, api.cluster.for_writing(at["index"]), operation, query)


@route("POST", "/{index}/_update/{id}")
def _update_document(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    document = read_json(body)
    if not isinstance(document.get("doc"), dict):
        raise failure("action_request_validation_exception", "Validation Failed: 1: script or doc is missing;")
    return _single(api, api.cluster.one(at["index"]), Operation("update", at["id"], document, body), query)


@route("DELETE", "/{index}/_doc/{id}")
def _delete_document(api: Api, at: dict[str, str], query: dict[str, str], _body: bytes) -> Any:
    return _single(api, api.cluster.one(at["index"]), Operation("delete", at["id"]), query)


def _single(api: Api, index: Index, operation: Operation, query: dict[str, str]) -> Any:
    (done,) = index.apply([operation])
    if done.error is not None:
        return done.status, _document_error(done)
    answer: dict[str, Any] = {
        "_index": index.name,
        "_id": operation.key,
        "_version": done.version,
        "result": done.result,
    }
    if _wants_refresh(query):
        index.refresh()
        answer["forced_refresh"] = True
    return done.status, {**answer, "_shards": SHARDS, "_seq_no": done.sequence, "_primary_term": 1}


def _document_error(done: Done) -> dict[str, Any]:
    error = done.error or {}
    cause = {name: value for name, value in error.items() if name != "caused_by"}
    return {"error": {"root_cause": [cause], **error}, "status": done.status}


def _wants_refresh(query: dict[str, str]) -> bool:
    return query.get("refresh", "false") in {"", "true", "wait_for"}


def _new_id() -> str:
    return base64.urlsafe_b64encode(os.urandom(15)).decode()
