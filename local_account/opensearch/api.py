"""OpenSearch's REST calls: an address and a method to what answers them."""

from __future__ import annotations

import base64
import os
import re
import threading
from collections.abc import Callable
from typing import Any

import orjson

from local_account.opensearch.bulk import bulk
from local_account.opensearch.cluster import Cluster
from local_account.opensearch.errors import EngineError, failure, illegal_argument, invalid_index_name
from local_account.opensearch.index import Done, Index, Operation
from local_account.opensearch.search import count, search

JSON = "application/json; charset=UTF-8"
_SHARDS = {"total": 1, "successful": 1, "failed": 0}
_VERSION = {
    "distribution": "opensearch",
    "number": "2.19.1",
    "build_type": "embedded",
    "build_hash": "0000000000000000000000000000000000000000",
    "build_date": "2025-02-27T01:16:47.726162386Z",
    "build_snapshot": False,
    "lucene_version": "9.12.1",
    "minimum_wire_compatibility_version": "7.10.0",
    "minimum_index_compatibility_version": "7.0.0",
}
_DYNAMIC_SETTINGS = frozenset(["refresh_interval", "number_of_replicas", "max_result_window"])

Answer = tuple[int, bytes]
Handler = Callable[["Api", dict[str, str], dict[str, str], bytes], Any]
_ROUTES: list[tuple[frozenset[str], re.Pattern[str], Handler]] = []


def _route(methods: str, *addresses: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for address in addresses:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", address)
            _ROUTES.append((frozenset(methods.split()), re.compile(pattern), handler))
        return handler

    return register


class Api:
    """One domain, as its clients speak to it."""

    def __init__(self, cluster: Cluster, name: str, stopping: threading.Event) -> None:
        self.cluster, self.name, self.stopping = cluster, name, stopping

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Status and body; errors in the engine's own words."""
        path = path.rstrip("/") or "/"
        known = False
        for methods, pattern, handler in _ROUTES:
            if (found := pattern.fullmatch(path)) is None:
                continue
            known = True
            if method in methods:
                try:
                    result = handler(self, found.groupdict(), query, body)
                except EngineError as error:
                    return error.status, orjson.dumps(error.body)
                status, content = result if isinstance(result, tuple) else (200, result)
                return status, content if isinstance(content, bytes) else orjson.dumps(content)
        if known:
            told = f"Incorrect HTTP method for uri [{path}] and method [{method}]"
            return 405, orjson.dumps({"error": told, "status": 405})
        if path.count("/") == 1 and path.startswith("/_"):
            refused = invalid_index_name(path[1:], "must not start with '_'.")
            return refused.status, orjson.dumps(refused.body)
        return 400, orjson.dumps({"error": f"no handler found for uri [{path}] and method [{method}]"})


@_route("GET HEAD", "/")
def _info(api: Api, _at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    told = {"name": "loopback", "cluster_name": api.name, "cluster_uuid": "embedded", "version": _VERSION}
    return {**told, "tagline": "The OpenSearch Project: https://opensearch.org/"}


@_route("GET", "/_cluster/health", "/_cluster/health/{index}")
def _health(api: Api, _at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    shards = len(api.cluster.indices)
    nothing = (
        "relocating_shards initializing_shards unassigned_shards delayed_unassigned_shards number_of_pending_tasks"
    )
    return {
        "cluster_name": api.name,
        "status": "green",
        "timed_out": False,
        "number_of_nodes": 1,
        "number_of_data_nodes": 1,
        "active_primary_shards": shards,
        "active_shards": shards,
        **dict.fromkeys(nothing.split(), 0),
        "active_shards_percent_as_number": 100.0,
    }


@_route("GET", "/_cat/indices", "/_cat/indices/{index}")
def _cat_indices(api: Api, at: dict[str, str], query: dict[str, str], _body: bytes) -> Any:
    rows = []
    for index in api.cluster.resolve(at.get("index", "*")):
        view, size = index.searchable(), f"{index.size()}b"
        rows.append(
            {
                "health": "green",
                "status": "open",
                "index": index.name,
                "uuid": index.uuid,
                "pri": "1",
                "rep": index.record["settings"]["number_of_replicas"],
                "docs.count": str(view.count),
                "docs.deleted": str(view.n - view.count),
                "store.size": size,
                "pri.store.size": size,
            }
        )
    return _cat(rows, query)


@_route("GET", "/_cat/aliases", "/_cat/aliases/{alias}")
def _cat_aliases(api: Api, at: dict[str, str], query: dict[str, str], _body: bytes) -> Any:
    unset = {"filter": "-", "routing.index": "-", "routing.search": "-", "is_write_index": "-"}
    rows = [
        {"alias": alias, "index": index.name, **unset}
        for alias in api.cluster.alias_names()
        if at.get("alias", alias) == alias
        for index in api.cluster.resolve(alias)
    ]
    return _cat(rows, query)


def _cat(rows: list[dict[str, str]], query: dict[str, str]) -> Any:
    if "h" in query:
        names = query["h"].split(",")
        rows = [{name: row[name] for name in names if name in row} for row in rows]
    if query.get("format") == "json":
        return rows
    return "".join(" ".join(row.values()) + "\n" for row in rows).encode()


@_route("POST", "/_aliases")
def _change_aliases(api: Api, _at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    actions = _json(body).get("actions")
    if not isinstance(actions, list) or not all(isinstance(one, dict) and len(one) == 1 for one in actions):
        raise illegal_argument("No action specified")
    api.cluster.change_aliases(actions)
    return {"acknowledged": True}


@_route("GET HEAD", "/_alias", "/_aliases", "/_alias/{alias}", "/{index}/_alias", "/{index}/_alias/{alias}")
def _get_aliases(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    answer: dict[str, Any] = {}
    for index in api.cluster.resolve(at.get("index", "*")):
        aliases = [alias for alias in api.cluster.aliases_of(index.name) if at.get("alias", alias) == alias]
        if aliases or "alias" not in at:
            answer[index.name] = {"aliases": {alias: {} for alias in aliases}}
    if "alias" in at and not answer:
        return 404, {"error": f"alias [{at['alias']}] missing", "status": 404}
    return answer


@_route("PUT POST", "/{index}/_alias/{alias}", "/{index}/_aliases/{alias}")
def _put_alias(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.change_aliases([{"add": {"index": at["index"], "alias": at["alias"]}}])
    return {"acknowledged": True}


@_route("DELETE", "/{index}/_alias/{alias}", "/{index}/_aliases/{alias}")
def _delete_alias(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.change_aliases([{"remove": {"index": at["index"], "alias": at["alias"]}}])
    return {"acknowledged": True}


@_route("POST PUT", "/_bulk", "/{index}/_bulk")
def _bulk(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    answer, written = bulk(body, at.get("index"), api.cluster.for_writing, _new_id)
    if _wants_refresh(query):
        for name in written:
            api.cluster.for_writing(name).refresh()
    return answer


@_route("GET POST", "/{index}/_search")
def _search(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    wanted = _json(body)
    for name in ("size", "from"):
        if name in query:
            wanted[name] = int(query[name])
    return search(api.cluster.one(at["index"]), wanted)


@_route("GET POST", "/{index}/_count")
def _count(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    total = sum(count(index, _json(body)) for index in api.cluster.resolve(at["index"]))
    return {"count": total, "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0}}


@_route("GET HEAD", "/{index}/_doc/{id}", "/{index}/_source/{id}")
def _get_document(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    index = api.cluster.one(at["index"])
    found = index.get(at["id"])
    return found if found is not None else (404, {"_index": index.name, "_id": at["id"], "found": False})


@_route("PUT POST", "/{index}/_doc/{id}", "/{index}/_create/{id}", "/{index}/_doc")
def _put_document(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    operation = Operation("index", at.get("id") or _new_id(), _json(body), body)
    return _single(api, api.cluster.for_writing(at["index"]), operation, query)


@_route("POST", "/{index}/_update/{id}")
def _update_document(api: Api, at: dict[str, str], query: dict[str, str], body: bytes) -> Any:
    document = _json(body)
    if not isinstance(document.get("doc"), dict):
        raise failure("action_request_validation_exception", "Validation Failed: 1: script or doc is missing;")
    return _single(api, api.cluster.one(at["index"]), Operation("update", at["id"], document, body), query)


@_route("DELETE", "/{index}/_doc/{id}")
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
    return done.status, {**answer, "_shards": _SHARDS, "_seq_no": done.sequence, "_primary_term": 1}


def _document_error(done: Done) -> dict[str, Any]:
    error = done.error or {}
    cause = {name: value for name, value in error.items() if name != "caused_by"}
    return {"error": {"root_cause": [cause], **error}, "status": done.status}


@_route("GET POST", "/_refresh", "/{index}/_refresh")
def _refresh(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    for index in api.cluster.resolve(at.get("index", "*")):
        index.refresh()
    return {"_shards": _SHARDS}


@_route("POST", "/_forcemerge", "/{index}/_forcemerge")
@_route("GET", "/_plugins/_knn/warmup/{index}")
def _finish_graph(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    """Both wait until every searchable row is in the graph, so that what follows meets the index as it will serve."""
    for index in api.cluster.resolve(at.get("index", "*")):
        index.refresh()
        index.build_graph(api.stopping, threads=os.cpu_count() or 1)
    return {"_shards": _SHARDS}


@_route("GET POST", "/_flush", "/{index}/_flush")
def _flush(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.resolve(at.get("index", "*"))
    return {"_shards": _SHARDS}


@_route("GET", "/_stats", "/{index}/_stats")
def _stats(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    indices: dict[str, Any] = {}
    for index in api.cluster.resolve(at.get("index", "*")):
        view = index.searchable()
        totals = {
            "docs": {"count": view.count, "deleted": view.n - view.count},
            "store": {"size_in_bytes": index.size()},
        }
        indices[index.name] = {"uuid": index.uuid, "primaries": totals, "total": totals}
    docs = sum(one["primaries"]["docs"]["count"] for one in indices.values())
    size = sum(one["primaries"]["store"]["size_in_bytes"] for one in indices.values())
    every = {"docs": {"count": docs}, "store": {"size_in_bytes": size}}
    return {"_shards": _SHARDS, "_all": {"primaries": every, "total": every}, "indices": indices}


@_route("GET", "/_mapping", "/{index}/_mapping")
def _get_mapping(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {index.name: {"mappings": index.mapping.body} for index in api.cluster.resolve(at.get("index", "*"))}


@_route("PUT POST", "/{index}/_mapping")
def _put_mapping(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    wanted = _json(body)
    for index in api.cluster.resolve(at["index"]):
        index.mapping.extend(wanted.get("properties", {}))
        if "_meta" in wanted:
            index.mapping.body["_meta"] = wanted["_meta"]  # replaced whole, as the engine does
        api.cluster.keep(index)
    return {"acknowledged": True}


@_route("GET", "/_settings", "/{index}/_settings")
def _get_settings(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {index.name: {"settings": _settings(index)} for index in api.cluster.resolve(at.get("index", "*"))}


@_route("PUT", "/{index}/_settings")
def _put_settings(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    given = _json(body)
    flat = {
        name.removeprefix("index."): value
        for name, value in {**given, **given.get("index", {})}.items()
        if name != "index"
    }
    if fixed := flat.keys() - _DYNAMIC_SETTINGS:
        raise illegal_argument(
            f"Can't update non dynamic settings [[index.{min(fixed)}]] for open indices [[{at['index']}]]"
        )
    for index in api.cluster.resolve(at["index"]):
        index.record["settings"] |= {name: str(value) for name, value in flat.items()}
        api.cluster.keep(index)
    return {"acknowledged": True}


@_route("PUT", "/{index}")
def _create(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    api.cluster.create(at["index"], _json(body))
    return {"acknowledged": True, "shards_acknowledged": True, "index": at["index"]}


@_route("GET HEAD", "/{index}")
def _get(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {
        index.name: {
            "aliases": {alias: {} for alias in api.cluster.aliases_of(index.name)},
            "mappings": index.mapping.body,
            "settings": _settings(index),
        }
        for index in api.cluster.resolve(at["index"])
    }


@_route("DELETE", "/{index}")
def _delete(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.delete(at["index"])
    return {"acknowledged": True}


def _settings(index: Index) -> dict[str, Any]:
    settings = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in index.record["settings"].items()
    }
    return {"index": {**settings, "provided_name": index.name, "uuid": index.uuid, "version": {"created": "136407927"}}}


def _json(body: bytes) -> dict[str, Any]:
    try:
        read = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise failure("json_parse_exception", str(error)) from None
    if not isinstance(read, dict):
        raise failure("parse_exception", "the body is no JSON object")
    return read


def _wants_refresh(query: dict[str, str]) -> bool:
    return query.get("refresh", "false") in {"", "true", "wait_for"}


def _new_id() -> str:
    return base64.urlsafe_b64encode(os.urandom(15)).decode()
