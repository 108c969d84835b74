"""Calls about an index: making, describing, refreshing, building its graph."""

from __future__ import annotations

from typing import Any

from local_account.opensearch.errors import illegal_argument
from local_account.opensearch.index import Index
from local_account.opensearch.router import SHARDS, Api, read_json, route

_DYNAMIC_SETTINGS = frozenset(["refresh_interval", "number_of_replicas", "max_result_window"])


@route("GET POST", "/_refresh", "/{index}/_refresh")
def _refresh(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    for index in api.cluster.resolve(at.get("index", "*")):
        index.refresh()
    return {"_shards": SHARDS}


@route("POST", "/_forcemerge", "/{index}/_forcemerge")
@route("GET", "/_plugins/_knn/warmup/{index}")
def _finish_graph(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    """Both wait until every searchable row is in the graph, so that what follows meets the index as it will serve."""
    for index in api.cluster.resolve(at.get("index", "*")):
        index.refresh()
        index.build_graph(api.stopping, wait=True)
    return {"_shards": SHARDS}


@route("GET POST", "/_flush", "/{index}/_flush")
def _flush(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.resolve(at.get("index", "*"))
    return {"_shards": SHARDS}


@route("GET", "/_stats", "/{index}/_stats")
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
    return {"_shards": SHARDS, "_all": {"primaries": every, "total": every}, "indices": indices}


@route("GET", "/_mapping", "/{index}/_mapping")
def _get_mapping(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {index.name: {"mappings": index.mapping.body} for index in api.cluster.resolve(at.get("index", "*"))}


@route("PUT POST", "/{index}/_mapping")
def _put_mapping(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    wanted = read_json(body)
    for index in api.cluster.resolve(at["index"]):
        index.mapping.extend(wanted.get("properties", {}))
        if "_meta" in wanted:
            index.mapping.body["_meta"] = wanted["_meta"]  # replaced whole, as the engine does
        api.cluster.keep(index)
    return {"acknowledged": True}


@route("GET", "/_settings", "/{index}/_settings")
def _get_settings(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {index.name: {"settings": _settings(index)} for index in api.cluster.resolve(at.get("index", "*"))}


@route("PUT", "/{index}/_settings")
def _put_settings(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    given = read_json(body)
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


@route("PUT", "/{index}")
def _create(api: Api, at: dict[str, str], _query: dict[str, str], body: bytes) -> Any:
    api.cluster.create(at["index"], read_json(body))
    return {"acknowledged": True, "shards_acknowledged": True, "index": at["index"]}


@route("GET HEAD", "/{index}")
def _get(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    return {
        index.name: {
            "aliases": {alias: {} for alias in api.cluster.aliases_of(index.name)},
            "mappings": index.mapping.body,
            "settings": _settings(index),
        }
        for index in api.cluster.resolve(at["index"])
    }


@route("DELETE", "/{index}")
def _delete(api: Api, at: dict[str, str], _query: dict[str, str], _body: bytes) -> Any:
    api.cluster.delete(at["index"])
    return {"acknowledged": True}


def _settings(index: Index) -> dict[str, Any]:
    settings = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in index.record["settings"].items()
    }
    return {"index": {**settings, "provided_name": index.name, "uuid": index.uuid, "version": {"created": "136407927"}}}
